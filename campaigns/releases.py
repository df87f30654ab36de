"""灰度: whom a version of a playbook may take, widened step by step; a mass start needs a second person.

A release says: so many per cent of households by lot, of those a rule selects (a building, a list). The lot hangs on
the playbook and the household alone, so that widening keeps those who were in. Of a version the latest release that
stands counts; of a playbook the newest version that may take a lease takes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from campaigns import segments
from campaigns.grammar import Bound
from campaigns.models import PlaybookVersion, Release
from tenants.holdout import HOUSEHOLD
from tenants.models import User


class NotReleased(Exception):
    """A release that cannot be asked for or decided so, in one sentence; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Live:
    """A version that takes leases, with the release it does so by."""

    version: PlaybookVersion
    release: Release


def lot(purpose: str, percent: int, bound: Bound) -> str:
    """SQL that is true for so many per cent of households, always the same ones. Expects `u`, the unit."""
    if percent in (0, 100):
        return "TRUE" if percent else "FALSE"
    drawn = f"('x' || left(md5({bound.add(purpose + ' ')} || {HOUSEHOLD}), 8))::bit(32)::bigint"
    return f"{drawn} %% 10000 < {bound.add(percent * 100)}"


def covers(release: Release, code: str, bound: Bound) -> str:
    """SQL that is true for leases the release is for. Expects `subject` and its joins."""
    return f"({lot(f'release {code}', release.percent, bound)} AND {segments.condition(release.rule, bound)})"


def live(*, is_active: bool = True) -> list[Live]:
    """The versions that may take leases, by rank of their playbooks, the newest version of one first."""
    standing = (
        Release.objects.filter(state=Release.State.STANDING, version__playbook__is_active=is_active)
        .select_related("version__playbook__segment")
        .order_by("version__playbook__rank", "-version__number", "-decided_at", "-pk")
    )
    seen: dict[int, Live] = {}
    for release in standing:
        seen.setdefault(release.version_id, Live(release.version, release))
    return [each for each in seen.values() if each.release.percent]


def ask(
    version: PlaybookVersion,
    *,
    percent: int,
    rule: Any,
    why: str,
    by: User | None,
    reach: int,
    now: datetime,
) -> Release:
    """The version may take these from now on, or once a second person says so; its draft is closed either way.

    `reach` leases would be taken (`joining.reach`). Raises `BadRule` or `NotReleased`.
    """
    if rule is not None:
        segments.check(rule)
    if not 0 <= percent <= 100:
        raise NotReleased(_("The share is a whole number from 0 to 100."))
    with transaction.atomic():
        version = PlaybookVersion.objects.select_for_update().get(pk=version.pk)
        if Release.objects.filter(version=version, state=Release.State.WAITING).exists():
            raise NotReleased(_("A release of this version already waits for a second person."))
        before = latest(version)
        if before and (before.percent, before.rule) == (percent, rule):
            raise NotReleased(_("That is how it is released already."))
        PlaybookVersion.objects.filter(pk=version.pk, is_draft=True).update(is_draft=False)
        waits = reach >= settings.MASS_START and percent > 0
        return Release.objects.create(
            version=version,
            percent=percent,
            rule=rule,
            reach=reach,
            state=Release.State.WAITING if waits else Release.State.STANDING,
            why=why.strip()[:200],
            asked_by=by,
            asked_at=now,
            decided_at=None if waits else now,
        )


def decide(pk: int, *, is_approved: bool, why: str, by: User, now: datetime) -> Release:
    """A second person has said yes or no. Raises `NotReleased`."""
    with transaction.atomic():
        release = _waiting(pk)
        if release.asked_by_id == by.pk:
            raise NotReleased(_("Who asked for a release cannot approve it: a second person has to."))
        if not is_approved and not why.strip():
            raise NotReleased(_("Say why it is refused."))
        release.state = Release.State.STANDING if is_approved else Release.State.REFUSED
        release.decided_by, release.decided_at = by, now
        release.why = why.strip()[:200] or release.why
        release.save(update_fields=["state", "decided_by", "decided_at", "why"])
    return release


def withdraw(pk: int, *, by: User, now: datetime) -> Release:
    """Who asked for a release no longer wants it. Raises `NotReleased`."""
    with transaction.atomic():
        release = _waiting(pk)
        if release.asked_by_id != by.pk:
            raise NotReleased(_("Only who asked for a release withdraws it; anybody else refuses it."))
        release.state, release.decided_by, release.decided_at = Release.State.WITHDRAWN, by, now
        release.save(update_fields=["state", "decided_by", "decided_at"])
    return release


def latest(version: PlaybookVersion) -> Release | None:
    """The release of a version that counts."""
    standing = Release.objects.filter(version=version, state=Release.State.STANDING)
    return standing.order_by("-decided_at", "-pk").first()


def history(version: PlaybookVersion) -> Iterator[Release]:
    """The releases of a version, the latest first."""
    return Release.objects.filter(version=version).select_related("asked_by", "decided_by").order_by("-pk").iterator()


def waiting() -> Any:
    """The releases that wait for a second person."""
    return (
        Release.objects.filter(Q(state=Release.State.WAITING))
        .select_related("version__playbook", "asked_by")
        .order_by("asked_at", "pk")
    )


def _waiting(pk: int) -> Release:
    release = Release.objects.select_for_update().filter(pk=pk).first()
    if release is None or release.state != Release.State.WAITING:
        raise NotReleased(_("This release waits for nobody any more."))
    return release
