"""What a segment's rule is and was: the only writer of segments that people make, each change a version of its own.

A segment that was shipped has no version until somebody changes it; what it was then becomes its first.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import uuid4

from django.db import transaction
from django.utils.translation import gettext as _

from campaigns import segments
from campaigns.grammar import Rule
from campaigns.models import Segment, SegmentVersion
from tenants.models import User

MAX_NAME = 80
MAX_NOTE = 200


class NotSaved(Exception):
    """A segment that cannot be saved so, in one sentence; nothing was changed."""


class Overtaken(NotSaved):
    """Somebody else saved in the meantime."""

    def __init__(self, latest: SegmentVersion) -> None:
        by = latest.by.get_username() if latest.by else "–"
        facts = {"by": by, "n": latest.number}
        super().__init__(_("%(by)s has saved version %(n)d in the meantime. What you built is kept here.") % facts)


def create(name: str, rule: Any, *, note: str, by: User | None, now: datetime) -> Segment:
    """A new segment with its first version. Raises `BadRule` or `NotSaved`."""
    segments.check(rule)
    with transaction.atomic():
        segment = Segment(code=uuid4().hex, name=_named(name, None), rule=rule)
        segment.save()
        segment.code = f"segment-{segment.pk}"
        segment.save(update_fields=["code"])
        _add(segment, 1, rule, note=note, by=by, now=now)
    return segment


def save(pk: int, name: str, rule: Any, *, seen: int, note: str, by: User | None, now: datetime) -> Segment:
    """The segment has this name and this rule; an unchanged rule makes no version. Raises `BadRule` or `NotSaved`.

    `seen` is the number of the version that the change was made from, nought for a segment that has none.
    """
    segments.check(rule)
    with transaction.atomic():
        segment = Segment.objects.select_for_update().get(pk=pk)
        latest = history(segment).first()
        if latest and latest.number != seen:
            raise Overtaken(latest)
        segment.name = _named(name, pk)
        if segment.rule != rule:
            latest = latest or _add(segment, 1, segment.rule, note="", by=None, now=now)
            _add(segment, latest.number + 1, rule, note=note, by=by, now=now)
            segment.rule = rule
        segment.save(update_fields=["name", "rule"])
    return segment


def go_back(pk: int, number: int, *, seen: int, by: User | None, now: datetime) -> Segment:
    """The segment has the rule of an earlier version again, as a new version. Raises as `save` does."""
    segment = Segment.objects.get(pk=pk)
    earlier = SegmentVersion.objects.get(segment=segment, number=number)
    note = _("as in version %(n)d") % {"n": number}
    return save(pk, segment.name, earlier.rule, seen=seen, note=note, by=by, now=now)


def history(segment: Segment) -> Any:
    """The versions of a segment, the latest first."""
    return SegmentVersion.objects.filter(segment=segment).select_related("by").order_by("-number")


def _add(segment: Segment, number: int, rule: Rule, *, note: str, by: User | None, now: datetime) -> SegmentVersion:
    return SegmentVersion.objects.create(
        segment=segment, number=number, rule=rule, by=by, at=now, note=note.strip()[:MAX_NOTE]
    )


def _named(name: str, pk: int | None) -> str:
    name = " ".join(name.replace("\0", "").split())
    if not name:
        raise NotSaved(_("A segment needs a name."))
    if len(name) > MAX_NAME:
        raise NotSaved(_("A name has at most %(n)d characters.") % {"n": MAX_NAME})
    if Segment.objects.filter(name=name).exclude(pk=pk or 0).exists():
        raise NotSaved(_("There is already a segment called “%(name)s”.") % {"name": name})
    return name
