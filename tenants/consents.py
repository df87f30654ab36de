"""The consent ledger: appended to, never changed; the latest line holds."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Max, Q
from django.utils.translation import gettext as _

from connectors.channels import TENANTS, kind
from connectors.records import AliasSource, BadRecord, ConsentRecord, OptOutRecord
from connectors.runs import Counts
from tenants import features, identity, recalling
from tenants.models import Consent, GeneralChoice, Tenant
from tenants.plans import Planned

MARKETING = Consent.Purpose.MARKETING
ANY = "any"
# A clock may be a little ahead of ours; a consent of tomorrow is no consent of today.
CLOCK_SLACK = timedelta(minutes=5)
# How a line came, as its evidence says it under "via"; one of a page of ours names the page instead.
FILE, REPLY, PROVIDER, STAFF = "file", "reply", "provider", "staff"

Key = tuple[int, str, str, datetime]  # tenant, purpose, channel, moment: what a line is known by

# Who consents to what, one row per tenant and purpose that was ever answered: tenant_id, purpose,
# granted, at. The latest line decides among those for every channel and those for the asked one,
# so a refusal later than a grant wins on whichever of the two it stands; at one moment the refusal
# wins. Lines of a merged tenant count for the one they were merged into. Use it as
#     JOIN ({CURRENT_SQL}) AS consent ON consent.tenant_id = … AND consent.purpose = 'marketing' AND consent.granted
# with the parameter %(channel)s.
CURRENT_SQL = """
    SELECT DISTINCT ON (coalesce(t.merged_into_id, t.id), line.purpose)
        coalesce(t.merged_into_id, t.id) AS tenant_id, line.purpose, line.granted, line.at
    FROM tenants_consent line
    JOIN tenants_tenant t ON t.id = line.tenant_id
    WHERE line.channel IN ('any', %(channel)s)
    ORDER BY coalesce(t.merged_into_id, t.id), line.purpose, line.at DESC, line.granted, line.id DESC
"""

# The people who chose the version that knows nothing about them: one of their rows says so (PIPL 24).
GENERAL_SQL = "SELECT coalesce(merged_into_id, id) FROM tenants_tenant WHERE general_version"

# Who agrees to it, of the people in `person(id, root)` alone: root. By sums rather than by the latest line: whoever
# agreed later than they ever refused; and to a profile nobody who chose that version. To be formatted with the purpose.
AGREED_SQL = f"""
    SELECT agreed.root
    FROM (
        SELECT self.root
        FROM tenants_consent line JOIN person self ON self.id = line.tenant_id
        WHERE line.purpose = {{purpose}} AND line.channel IN ('any', %(channel)s)
        GROUP BY self.root
        HAVING max(line.at) FILTER (WHERE line.granted)
            > coalesce(max(line.at) FILTER (WHERE NOT line.granted), '-infinity')
    ) agreed
    WHERE {{purpose}} <> '{Consent.Purpose.PROFILING}' OR agreed.root NOT IN (
        SELECT same.root FROM person same JOIN tenants_tenant chose ON chose.id = same.id WHERE chose.general_version)
"""  # noqa: S608

# Who agrees to offers on at least one of the channels %(channels)s, which decides whether to plan one; by which channel
# it goes, if by any, is asked at each claim. By sums, as above: tenant_id.
REACHABLE_SQL = """
    SELECT DISTINCT reached.tenant_id
    FROM (
        SELECT coalesce(t.merged_into_id, t.id) AS tenant_id
        FROM tenants_consent line
        JOIN tenants_tenant t ON t.id = line.tenant_id
        JOIN unnest(%(channels)s::text[]) AS way (name) ON line.channel IN ('any', way.name)
        WHERE line.purpose = 'marketing'
        GROUP BY coalesce(t.merged_into_id, t.id), way.name
        HAVING max(line.at) FILTER (WHERE line.granted)
            > coalesce(max(line.at) FILTER (WHERE NOT line.granted), '-infinity')
    ) reached
"""

# The same for the people of `known (id, person)`, each with the rows they are known as: person, granted.
CURRENT_OF_KNOWN_SQL = """
    SELECT DISTINCT ON (known.person) known.person, line.granted
    FROM known JOIN tenants_consent line ON line.tenant_id = known.id
    WHERE line.purpose = {purpose} AND line.channel IN ('any', %(channel)s)
    ORDER BY known.person, line.at DESC, line.granted, line.id DESC
"""

# Who of `known` may be spoken to by what they do, where the ledger or their choice says anything: person, granted.
PROFILE_OF_KNOWN_SQL = f"""
    SELECT agreed.person, agreed.granted AND NOT EXISTS (
        SELECT FROM known self JOIN tenants_tenant chose ON chose.id = self.id
        WHERE self.person = agreed.person AND chose.general_version) AS granted
    FROM ({CURRENT_OF_KNOWN_SQL.format(purpose=f"'{Consent.Purpose.PROFILING}'")}) agreed
"""  # noqa: S608

# The same for one person, without reading the others' lines: to be formatted with the SQL that names them.
CURRENT_OF_ONE_SQL = """
    SELECT line.granted
    FROM tenants_consent line
    WHERE line.purpose = {purpose} AND line.channel IN ('any', %(channel)s)
      AND line.tenant_id IN (SELECT id FROM tenants_tenant WHERE id = {person} OR merged_into_id = {person})
    ORDER BY line.at DESC, line.granted, line.id DESC
    LIMIT 1
"""

# How %(person)s may be spoken to, by the ledger and by their choice: agrees, general.
WORDING_SQL = """
    SELECT coalesce(({agreed}), false), EXISTS (
        SELECT FROM tenants_tenant chose
        WHERE (chose.id = %(person)s OR chose.merged_into_id = %(person)s) AND chose.general_version)
""".format(agreed=CURRENT_OF_ONE_SQL.format(purpose=f"'{Consent.Purpose.PROFILING}'", person="%(person)s"))  # noqa: S608

_WORDING = Planned(WORDING_SQL)

# The line that holds for each purpose on each of %(channels)s, of the rows %(rows)s of one person.
STANDING_SQL = """
    SELECT DISTINCT ON (line.purpose, way.name) line.id, line.purpose, way.name
    FROM unnest(%(channels)s::text[]) AS way (name)
    JOIN tenants_consent line ON line.channel IN ('any', way.name)
    WHERE line.tenant_id = ANY(%(rows)s) AND NOT line.id = ANY(%(but)s)
    ORDER BY line.purpose, way.name, line.at DESC, line.granted, line.id DESC
"""


def offer_channels() -> list[str]:
    """The channels of this house by which an offer can reach a tenant, by preference."""
    return [name for name in settings.CHANNELS if (way := kind(name)).reaches in TENANTS and "marketing" in way.carries]


def holds(tenant: Tenant, purpose: str, *, channel: str) -> bool:
    """Whether `tenant` consents to `purpose` on `channel` as the ledger stands."""
    with connection.cursor() as cursor:
        cursor.execute(
            CURRENT_OF_ONE_SQL.format(purpose="%(purpose)s", person="%(person)s"),
            {"purpose": purpose, "channel": channel, "person": person_of(tenant)},
        )
        row = cursor.fetchone()
    return bool(row and row[0])


def standing(tenant: Tenant, channels: Iterable[str], *, but: Iterable[int] = ()) -> dict[tuple[str, str], Consent]:
    """By purpose and channel the line that decides there, as if the lines `but` had never been written."""
    facts: dict[str, Any] = {
        "channels": list(channels),
        "rows": [row.pk for row in rows_of(tenant)],
        "but": list(but),
    }
    with connection.cursor() as cursor:
        cursor.execute(STANDING_SQL, facts)
        found = cursor.fetchall()
    lines = Consent.objects.in_bulk([pk for pk, *_where in found])
    return {(purpose, channel): lines[pk] for pk, purpose, channel in found}


def record(
    tenant: Tenant,
    *,
    purpose: str,
    channel: str,
    granted: bool,
    at: datetime,
    text_version: str,
    proof: str,
    now: datetime,
    evidence: Mapping[str, Any] | None = None,
) -> bool:
    """The ledger has this line; whether it is new."""
    line = Consent(
        tenant=tenant,
        purpose=purpose,
        channel=channel,
        granted=granted,
        at=at,
        text_version=text_version,
        proof=proof[:200],
        evidence=dict(evidence or {}),
        recorded_at=now,
    )
    return bool(append([line]))


def refuse_marketing(tenant: Tenant, *, now: datetime, proof: str, channel: str = ANY) -> None:
    """`tenant` hears no more offers, on any channel or on that one, from this moment, whatever the ledger said."""
    rows = rows_of(tenant)
    latest = Consent.objects.filter(tenant__in=rows, purpose=MARKETING).aggregate(at=Max("at"))["at"]
    # A line dated ahead of our clock must not outlive a refusal that was given after it.
    at = max(now, latest + timedelta(microseconds=1)) if latest else now
    _refuse(rows, at=at, proof=proof, now=now, channel=channel, via=PROVIDER)


def _refuse(rows: Iterable[Tenant], *, at: datetime, proof: str, now: datetime, via: str, channel: str = ANY) -> bool:
    """Whoever turns out to be two people after all has refused as both; whether that is new."""
    facts: dict[str, Any] = {"purpose": MARKETING, "channel": channel, "text_version": "", "evidence": {"via": via}}
    return sum(record(row, granted=False, at=at, proof=proof, now=now, **facts) for row in rows) > 0


@dataclass(frozen=True, slots=True)
class Wording:
    """In what words a person may be spoken to."""

    agrees: bool  # the ledger says that they may be known by what they do
    general: bool  # they chose the version that knows nothing about them

    @property
    def is_personal(self) -> bool:
        return self.agrees and not self.general


def wording(tenant: Tenant) -> Wording:
    """How the person may be spoken to, as the ledger and their choice stand."""
    return Wording(*_WORDING.rows({"channel": ANY, "person": person_of(tenant)})[0])


def chose_general(tenant: Tenant) -> bool:
    """Whether the person chose the version that knows nothing about them."""
    person = person_of(tenant)
    return Tenant.objects.filter(Q(pk=person) | Q(merged_into=person), general_version=True).exists()


def choose_general(tenant: Tenant, *, general: bool, now: datetime) -> None:
    """The person, as whatever row we know them, chose that version, or chose to be known again."""
    person = person_of(tenant)
    changed = Tenant.objects.filter(Q(pk=person) | Q(merged_into=person)).exclude(general_version=general)
    with transaction.atomic():
        GeneralChoice.objects.bulk_create([GeneralChoice(tenant=row, general=general, at=now) for row in changed])
        changed.update(general_version=general)
        if general:
            recalling.personal([person], now=now)
    features.mark([person], now=now)


def person_of(tenant: Tenant) -> int:
    """The row of the person whom `tenant` turned out to be."""
    return tenant.merged_into_id or tenant.pk


def rows_of(tenant: Tenant) -> list[Tenant]:
    """Every row the person is known as."""
    person = person_of(tenant)
    return list(Tenant.objects.filter(Q(pk=person) | Q(merged_into=person)).order_by("pk"))


def enter(records: Iterable[ConsentRecord | BadRecord], *, now: datetime) -> Counts:
    """The ledger holds every line of `records` whose phone is a tenant's."""
    counts = Counts()
    rows: list[ConsentRecord] = []
    for row in records:
        if isinstance(row, BadRecord):
            counts.refused.append(row)
        elif row.at > now + CLOCK_SLACK:
            counts.refuse(row.line, _("The consent is dated in the future."))
        else:
            rows.append(row)
    known = identity.tenants_by(AliasSource.PHONE, {row.phone for row in rows})
    lines: dict[Key, tuple[int, Consent]] = {}  # with the row they stand in
    for row in rows:
        if not (tenant := known.get(row.phone)):
            counts.refuse(row.line, _("No tenant has the phone number %(phone)s.") % {"phone": row.phone})
            continue
        key = (tenant, row.purpose, row.channel, row.at)
        if key in lines:
            if lines[key][1].granted == row.granted:
                counts.repeat()
            else:
                reason = _("Another line of the file says the opposite for the same moment.")
                counts.refuse(row.line, reason)
            continue
        line = Consent(
            tenant_id=tenant,
            purpose=row.purpose,
            channel=row.channel,
            granted=row.granted,
            at=row.at,
            text_version=row.text_version,
            proof=row.proof[:200],
            evidence={"via": FILE},
            recorded_at=now,
        )
        lines[key] = row.line, line
    new = append([line for _row, line in lines.values()])
    against = _answered_otherwise(lines)
    for key in against:
        reason = _("The ledger says the opposite for the same moment.")
        counts.refuse(lines[key][0], reason)
    for key in new:
        counts.accept(line=lines[key][0])
    counts.repeat(len(lines) - len(new) - len(against))
    return counts


def withdraw(rows: Iterable[OptOutRecord], *, now: datetime) -> Counts:
    """Whoever is known among those who refused offers has a line for it, of the moment of the refusal.

    The moment makes it once: a refusal told again is the same line, and a consent given later stands.
    """
    counts = Counts()
    for row in rows:
        if not (tenant := identity.tenant_of(*row.who)):
            counts.refuse(row.line, _("Nobody is known as %(ref)s.") % {"ref": row.who[1]})
        elif _refuse(rows_of(tenant), at=row.at, proof=row.proof, now=now, via=REPLY):
            counts.accept()
        else:
            counts.repeat()
    return counts


def _answered_otherwise(lines: dict[Key, tuple[int, Consent]]) -> list[Key]:
    """The keys under which the ledger holds the other answer: it was there first, and it is never changed."""
    tenants, moments = {key[0] for key in lines}, {key[3] for key in lines}
    kept = Consent.objects.filter(tenant__in=tenants, at__in=moments)
    return [
        key
        for *names, granted in kept.values_list("tenant", "purpose", "channel", "at", "granted")
        if (key := tuple(names)) in lines and lines[key][1].granted != granted
    ]


@transaction.atomic
def append(lines: list[Consent]) -> set[Key]:
    """Write what is not there yet; the keys of that. `consent_once` decides, not a look beforehand.

    A refusal of offers, or of personal wording, takes back in the same commit what waits or is claimed.
    """
    if not lines:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO tenants_consent
                (tenant_id, purpose, channel, granted, at, text_version, proof, text_id, evidence, recorded_at)
            SELECT * FROM unnest(
                %s::bigint[], %s::text[], %s::text[], %s::boolean[], %s::timestamptz[], %s::text[], %s::text[],
                %s::bigint[], %s::jsonb[], %s::timestamptz[])
            ON CONFLICT (tenant_id, purpose, channel, at) DO NOTHING
            RETURNING tenant_id, purpose, channel, at
            """,
            [
                [line.tenant_id for line in lines],
                [line.purpose for line in lines],
                [line.channel for line in lines],
                [line.granted for line in lines],
                [line.at for line in lines],
                [line.text_version for line in lines],
                [line.proof for line in lines],
                [line.text_id for line in lines],
                [json.dumps(line.evidence) for line in lines],
                [line.recorded_at for line in lines],
            ],
        )
        new = set(cursor.fetchall())
    now = lines[0].recorded_at
    features.mark([tenant for tenant, *_line in new], now=now)
    refused: dict[tuple[str, str], set[int]] = defaultdict(set)  # by purpose and channel
    for line in lines:
        if not line.granted and _key(line) in new:
            refused[line.purpose, line.channel].add(line.tenant_id)
    for (purpose, channel), tenants in refused.items():
        if purpose == MARKETING:
            recalling.offers(tenants, channel=channel, now=now)
        elif purpose == Consent.Purpose.PROFILING:
            recalling.personal(tenants, channel=channel, now=now)
        elif purpose == Consent.Purpose.SURVEYS:
            recalling.questions(tenants, now=now)
    return new


def _key(line: Consent) -> Key:
    return line.tenant_id, line.purpose, line.channel, line.at
