"""A refusal that a member of staff heard, and taking back one that was written down by mistake.

Anybody who sees people may write a refusal down: it must be easy. Taking one back can let offers go again, so it is a
line of its own that says again what stood before, within a day, and never once the person has said something since.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from tenants import consents
from tenants.consents import ANY, CLOCK_SLACK
from tenants.models import Consent, Tenant, User

TICK = timedelta(microseconds=1)
UNDO = timedelta(days=1)  # afterwards only the person can agree again
LONGEST = 500  # characters of what was said


class NotHeard(Exception):
    """Why it is not written down, in words."""


@dataclass(frozen=True, slots=True)
class Said:
    """What the person refused, and how it is known."""

    purpose: str
    channel: str  # ANY, or a channel
    who: str  # who said it
    at: datetime
    words: str


@transaction.atomic
def hear(tenant: Tenant, said: Said, *, by: User, now: datetime) -> Consent:
    """The ledger has the refusal, of the moment it was said; the same one told again is the same line.

    Raises `NotHeard`. A consent the person gave after that moment stands, as everywhere in the ledger.
    """
    if said.purpose not in Consent.Purpose.values:
        raise NotHeard(_("Say what was refused."))
    lacking = _("Say who refused, and in which words.")
    who, words = checked(said.who, said.words, said.at, lacking=lacking, now=now)
    rows = consents.rows_of(tenant)
    Tenant.objects.select_for_update().filter(pk__in=[row.pk for row in rows]).order_by("pk").first()
    there = Consent.objects.filter(tenant__in=rows, purpose=said.purpose, channel=said.channel)
    at = said.at
    while same := there.filter(at=at).first():
        if not same.granted:
            return same
        at += TICK  # they agreed within that minute; whoever then says no has said it after
    evidence = {"via": consents.STAFF, "by": by.pk, "who": who, "words": words}
    _append(rows, said.purpose, {said.channel: False}, at=at, by=by, evidence=evidence, now=now)
    return there.get(at=at, tenant=consents.person_of(tenant))


def checked(who: str, words: str, at: datetime, *, lacking: str, now: datetime) -> tuple[str, str]:
    """Who said it and in which words, as they are kept. Raises `NotHeard`: `lacking` where one of them is not given."""
    who, words = (text.replace("\0", "").strip() for text in (who, words))
    if not who or not words:
        raise NotHeard(lacking)
    if len(who) > 80 or len(words) > LONGEST:
        raise NotHeard(_("That is too long."))
    if at > now + CLOCK_SLACK:
        raise NotHeard(_("The moment lies in the future."))
    return who, words


def obstacle(tenant: Tenant, line: Consent, *, now: datetime) -> str:
    """Why the line cannot be taken back; empty if it can."""
    if line.evidence.get("via") != consents.STAFF or "undoes" in line.evidence:
        return _("Only a refusal that staff wrote down can be taken back here.")
    if now >= line.recorded_at + UNDO:
        return _("A day has passed: only the tenant can agree again.")
    lines = Consent.objects.filter(tenant__in=consents.rows_of(tenant), purpose=line.purpose)
    if lines.filter(at__gt=line.at).exists():
        return _("Something was said after it, and holds.")
    return ""


@transaction.atomic
def take_back(tenant: Tenant, line: Consent, *, why: str, by: User, now: datetime) -> None:
    """What stood before the line stands again, by a line that names it. Raises `NotHeard`."""
    rows = consents.rows_of(tenant)
    Tenant.objects.select_for_update().filter(pk__in=[row.pk for row in rows]).order_by("pk").first()
    if reason := obstacle(tenant, line, now=now):
        raise NotHeard(reason)
    if not (why := why.replace("\0", "").strip()[:LONGEST]):
        raise NotHeard(_("Say why."))
    lines = Consent.objects.filter(tenant__in=rows, purpose=line.purpose)
    act = lines.filter(channel=line.channel, at=line.at).values_list("pk", flat=True)
    own = set(lines.exclude(channel=ANY).values_list("channel", flat=True))
    before = consents.standing(tenant, {ANY, line.channel, *own}, but=act)

    def was(channel: str) -> bool:
        held = before.get((line.purpose, channel))
        return bool(held and held.granted)

    evidence = {"via": consents.STAFF, "by": by.pk, "words": why, "undoes": line.pk}
    at = max(now, line.at + TICK)
    _append(rows, line.purpose, {line.channel: was(line.channel)}, at=at, by=by, evidence=evidence, now=now)
    if line.channel == ANY:
        # At one moment a refusal wins: what a channel had of its own is said after it.
        apart = {channel: was(channel) for channel in own if was(channel) != was(ANY)}
        _append(rows, line.purpose, apart, at=at + TICK, by=by, evidence=evidence, now=now)


def _append(
    rows: list[Tenant],
    purpose: str,
    answers: dict[str, bool],
    *,
    at: datetime,
    by: User,
    evidence: dict[str, Any],
    now: datetime,
) -> None:
    """A line for each channel: a refusal of every row the person is known as, a consent of the one that stays."""
    consents.append(
        [
            Consent(
                tenant=row,
                purpose=purpose,
                channel=channel,
                granted=granted,
                at=at,
                text_version="",
                proof=f"staff:{by.pk}",
                evidence=evidence,
                recorded_at=now,
            )
            for channel, granted in answers.items()
            for row in rows
            if not granted or row.merged_into_id is None
        ]
    )
