"""What a person chose to hear: by purpose, and for offers by the ways in which we can reach them.

A way is all channels that reach the same address: who refuses it has refused each of them. Every choice is appended
to the ledger with the words under which it was made; nothing is ever taken out of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Max

from connectors.channels import Reach, kind
from tenants import consents, preferred
from tenants.models import Consent, ConsentText, Tenant

MARKETING, PROFILING, SURVEYS = Consent.Purpose.MARKETING, Consent.Purpose.PROFILING, Consent.Purpose.SURVEYS
TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Shown:
    """The words under which a choice was made, and where."""

    version: str
    text: str
    proof: str  # "letter:12": a page of that link; in words for staff by whoever shows it
    evidence: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Standing:
    """What holds for a person now."""

    offers: bool  # on one way at least
    ways: dict[Reach, bool]  # the ways of this house, by preference, and whether offers may go by each
    personal: bool
    questions: bool  # about living here: until they are refused


def ways() -> dict[Reach, list[str]]:
    """The ways by which an offer can reach a tenant of this house, by preference, each with its channels."""
    found: dict[Reach, list[str]] = {}
    for name in consents.offer_channels():
        found.setdefault(kind(name).reaches, []).append(name)
    return found


def standing(tenant: Tenant) -> Standing:
    """What holds for a person as the ledger stands."""
    open_ways = {
        way: any(consents.holds(tenant, MARKETING, channel=name) for name in names) for way, names in ways().items()
    }
    is_personal = consents.holds(tenant, PROFILING, channel=consents.ANY) and not consents.chose_general(tenant)
    refusal = consents.standing(tenant, [consents.ANY]).get((SURVEYS, consents.ANY))
    return Standing(any(open_ways.values()), open_ways, is_personal, refusal is None or refusal.granted)


@transaction.atomic
def offers(tenant: Tenant, *, granted: bool, shown: Shown, now: datetime) -> None:
    """The person wants offers, or none, on every way. A way that was refused by itself stays so."""
    refused = _refused_by_themselves(tenant) if granted else []
    _say(tenant, MARKETING, [consents.ANY, *refused], granted=granted, but_not=refused, shown=shown, now=now)


def way(tenant: Tenant, reach: Reach, *, granted: bool, shown: Shown, now: datetime) -> None:
    """The person wants offers that way, or not."""
    _say(tenant, MARKETING, ways()[reach], granted=granted, shown=shown, now=now)


@transaction.atomic
def personal(tenant: Tenant, *, granted: bool, shown: Shown, now: datetime) -> None:
    """The person wants to be written to as who they are, or as anybody."""
    _say(tenant, PROFILING, [consents.ANY], granted=granted, shown=shown, now=now)
    if granted and consents.chose_general(tenant):
        consents.choose_general(tenant, general=False, now=now)


def questions(tenant: Tenant, *, granted: bool, shown: Shown, now: datetime) -> None:
    """The person wants to be asked how it is to live here, or not."""
    _say(tenant, SURVEYS, [consents.ANY], granted=granted, shown=shown, now=now)


@transaction.atomic
def hours(tenant: Tenant, wanted: preferred.Hours, *, shown: Shown, now: datetime) -> None:
    """The person likes to be written to between these hours, or at any."""
    text = _text(shown, now=now)
    preferred.prefer(tenant, wanted, now=now, proof=shown.proof, text=text, evidence=shown.evidence)


def _refused_by_themselves(tenant: Tenant) -> list[str]:
    """The channels whose own latest line is a refusal."""
    lines = Consent.objects.filter(tenant__in=consents.rows_of(tenant), purpose=MARKETING)
    latest = lines.exclude(channel=consents.ANY).order_by("channel", "-at", "granted", "-pk").distinct("channel")
    return [line.channel for line in latest if not line.granted]


@transaction.atomic
def _say(
    tenant: Tenant,
    purpose: str,
    channels: Iterable[str],
    *,
    granted: bool,
    but_not: Iterable[str] = (),
    shown: Shown,
    now: datetime,
) -> None:
    """A line for each channel, later than every line there is: a clock ahead of ours outlives no choice."""
    rows = consents.rows_of(tenant)
    latest = Consent.objects.filter(tenant__in=rows, purpose=purpose).aggregate(at=Max("at"))["at"]
    at = max(now, latest + TICK) if latest else now
    text = _text(shown, now=now)
    # Who turns out to be two people after all has refused as both, and agreed as the one who was asked.
    whose = [row for row in rows if not granted or row.pk == consents.person_of(tenant)]
    consents.append(
        [
            Consent(
                tenant=row,
                purpose=purpose,
                channel=channel,
                granted=granted and channel not in but_not,
                at=at,
                text_version=shown.version,
                text=text,
                proof=shown.proof[:200],
                evidence=dict(shown.evidence),
                recorded_at=now,
            )
            for row in whose
            for channel in channels
        ]
    )


def _text(shown: Shown, *, now: datetime) -> ConsentText:
    digest = hashlib.sha256(shown.text.encode()).hexdigest()
    facts = {"version": shown.version, "text": shown.text, "recorded_at": now}
    return ConsentText.objects.get_or_create(digest=digest, defaults=facts)[0]
