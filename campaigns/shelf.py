"""The playbooks there are and their order: made, copied, named, switched, moved. What they say: `campaigns.drafts`."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import connection, transaction
from django.utils.translation import gettext as _

from campaigns import draftchecks, drafts, joining, releases
from campaigns.draftchecks import NotSaved
from campaigns.models import Playbook, PlaybookVersion, Release, Segment
from tenants import clock
from tenants.models import User

MAX_NAME = 80
FIRST_RANK = 100


def create(
    name: str, *, segment: int | None, lead_days: Any, starts_on: Any, by: User | None, now: datetime
) -> Playbook:
    """A new playbook with an empty draft, before those for everybody. Raises `NotSaved`."""
    columns = draftchecks.facts(
        {
            **drafts.facts_of(PlaybookVersion()),
            "lead_days": lead_days,
            "starts_on": starts_on,
        }
    )
    if segment is not None and not Segment.objects.filter(pk=segment).exists():
        raise NotSaved(_("There is no such segment."), "segment")
    with transaction.atomic():
        _one_at_a_time()
        playbook = _added(_named(name, None), segment)
        PlaybookVersion.objects.create(playbook=playbook, number=1, by=by, at=now, **columns)
    return playbook


def copy(pk: int, *, by: User | None, now: datetime) -> Playbook:
    """Another playbook with a draft that says what this one's newest version does. Raises `NotSaved`."""
    model = drafts.latest(pk)
    if model is None:
        raise NotSaved(_("There is nothing to copy yet."))
    with transaction.atomic():
        _one_at_a_time()
        name, n = _("%(name)s, copy") % {"name": model.playbook.name}, 1
        while Playbook.objects.filter(name=name).exists():
            n += 1
            name = _("%(name)s, copy %(n)d") % {"name": model.playbook.name, "n": n}
        playbook = _added(_named(name[:MAX_NAME], None), model.playbook.segment_id)
        facts = {**drafts.facts_of(model), "note": ""}
        draft = PlaybookVersion.objects.create(playbook=playbook, number=1, by=by, at=now, **facts)
        drafts.repeat(model, draft)
    return playbook


def rename(pk: int, name: str) -> None:
    """The playbook is called so. Raises `NotSaved`."""
    with transaction.atomic():
        _one_at_a_time()
        playbook = Playbook.objects.get(pk=pk)
        playbook.name = _named(name, pk)
        playbook.save(update_fields=["name"])


def switch(pk: int, *, is_active: bool, by: User | None, now: datetime) -> bool:
    """The playbook takes leases and speaks, or does neither; who is under way stays so.

    Switching on may be a mass start: a version that would take so many waits for a second person, as if it were
    released anew. Returns whether one waits. Raises `NotSaved`.
    """
    today, waits = clock.day_of(now), False
    with transaction.atomic():
        _one_at_a_time()
        playbook = Playbook.objects.get(pk=pk)
        if is_active and not playbook.is_active:
            for each in releases.live(is_active=False):
                if each.version.playbook_id == pk:
                    release = each.release
                    found = joining.reach(
                        each.version, percent=release.percent, rule=release.rule, today=today, within=0
                    )
                    if found >= settings.MASS_START:
                        _ask_again(release, reach=found, by=by, now=now)
                        waits = True
        playbook.is_active = is_active
        playbook.save(update_fields=["is_active"])
    return waits


def _ask_again(release: Release, *, reach: int, by: User | None, now: datetime) -> None:
    """The release is narrowed to nobody and asked for once more."""
    facts: dict[str, Any] = {"rule": release.rule, "why": _("switched on again"), "by": by, "now": now}
    try:
        releases.ask(release.version, percent=0, reach=0, **facts)
        releases.ask(release.version, percent=release.percent, reach=reach, **facts)
    except releases.NotReleased as error:
        raise NotSaved(str(error)) from error


def move(pk: int, *, up: bool) -> None:
    """The playbook has changed places with the one before it, or after it."""
    with transaction.atomic():
        _one_at_a_time()
        order = list(Playbook.objects.order_by("rank"))
        at = next(n for n, playbook in enumerate(order) if playbook.pk == pk)
        to = at - 1 if up else at + 1
        if 0 <= to < len(order):
            _swap(order[at], order[to])


def _one_at_a_time() -> None:
    """Names and ranks are looked at before they are written: nobody else writes meanwhile. Readers are not held up."""
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE campaigns_playbook IN SHARE ROW EXCLUSIVE MODE")


def _added(name: str, segment: int | None) -> Playbook:
    """A playbook after all others but those that take everybody before the lease's end: after them nobody is left."""
    order = list(Playbook.objects.order_by("rank"))
    rank = order[-1].rank + 10 if order else FIRST_RANK
    playbook = Playbook.objects.create(code=uuid4().hex, name=name, segment_id=segment, rank=rank)
    playbook.code = f"playbook-{playbook.pk}"
    playbook.save(update_fields=["code"])
    for before in reversed(order):
        newest = drafts.latest(before.pk)
        if before.segment_id is not None or (newest and newest.starts_on):
            break
        _swap(playbook, before)
    return playbook


def _swap(one: Playbook, other: Playbook) -> None:
    """No two have one rank, not even for a moment."""
    first, second = one.rank, other.rank
    last = Playbook.objects.order_by("-rank").values_list("rank", flat=True)[0]
    for playbook, rank in ((one, last + 1), (other, first), (one, second)):
        playbook.rank = rank
        playbook.save(update_fields=["rank"])


def _named(name: str, pk: int | None) -> str:
    name = " ".join(name.replace("\0", "").split())
    if not name:
        raise NotSaved(_("A playbook needs a name."), "name")
    if len(name) > MAX_NAME:
        raise NotSaved(_("A name has at most %(n)d characters.") % {"n": MAX_NAME}, "name")
    if Playbook.objects.filter(name=name).exclude(pk=pk or 0).exists():
        raise NotSaved(_("There is already a playbook called “%(name)s”.") % {"name": name}, "name")
    return name
