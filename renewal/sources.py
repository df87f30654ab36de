"""数据源: what each source gave us and when, how far behind it is, what of it was refused, and who has fallen silent.

A source has a rhythm of its own, which is learnt from the hours in which it gave us anything (`SourceHour`). From
the last of them the past RECENT is looked at; where that holds fewer than ENOUGH such hours, the past LONG. What
spans less than a week, or holds fewer than ENOUGH hours, is no rhythm yet. Otherwise the source is silent when it
has kept us waiting FACTOR times as long as it ever did in that time, and at least LEAST. A wait is taken from the
last record of one hour to the last record of the next that has any, so it is never thought shorter than it was.
A source that was retired is not missed; what it says all the same is taken in and counted as ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import CharField, Count, Max, Min, Q, Sum
from django.db.models.functions import Left
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from connectors.models import Landed, Retirement, Run, SourceHour
from connectors.records import Source
from renewal import quarantine
from renewal.quarantine import Wanted
from tenants import clock
from tenants.models import WaitingContract, WaitingEvent
from tenants.waiting import ALSO

RECENT, LONG = timedelta(days=28), timedelta(days=184)
ENOUGH = 5
HISTORY = timedelta(days=7)
FACTOR = 2
LEAST = timedelta(hours=2)

BAR_DAYS = 14
MOOD_DAYS = 90
REASONS = 3  # shown of each source; the others are a click away

NAMES = {
    Source.CONTRACTS: gettext_lazy("contracts"),
    Source.UNITS: gettext_lazy("units"),
    Source.RATES: gettext_lazy("published rents"),
    Source.STAFF: gettext_lazy("members of staff"),
    Source.CONSENTS: gettext_lazy("consents"),
    Source.IOT: gettext_lazy("locks and meters"),
    Source.APP: gettext_lazy("app behaviour"),
    Source.TICKETS: gettext_lazy("tickets"),
    Source.COMMUNITY: gettext_lazy("community"),
    Source.PAYMENTS: gettext_lazy("payments"),
    Source.BILLS: gettext_lazy("bills and moods"),
    Source.CLOUDEVENTS: gettext_lazy("CloudEvents"),
    Source.WECHAT: gettext_lazy("WeChat"),
}
# Who hands records in over the network: under which source, and how that source's run of a day begins.
SENDERS: dict[str, tuple[str | Promise, Source, str]] = {
    "mqtt": ("MQTT", Source.IOT, "mqtt"),
    "segment": ("Segment", Source.APP, "http"),
    "cloudevents": ("CloudEvents", Source.CLOUDEVENTS, "http"),
    "wechat": (gettext_lazy("WeChat"), Source.WECHAT, "http"),
    "ttlock": ("TTLock", Source.IOT, "http"),
}
TELL_EVENTS = {
    Source.IOT, Source.APP, Source.TICKETS, Source.COMMUNITY, Source.PAYMENTS, Source.BILLS, Source.CLOUDEVENTS,
    Source.WECHAT,
}  # fmt: skip
COUNTED = ("received", "accepted", "duplicate", "rejected")


@dataclass(frozen=True, slots=True)
class Rhythm:
    """When a source last gave us anything, and how long it kept us waiting at most (None: not known yet)."""

    latest: datetime
    longest: timedelta | None = None

    def is_silent(self, now: datetime) -> bool:
        return self.longest is not None and now - self.latest > max(self.longest * FACTOR, LEAST)


@dataclass(frozen=True, slots=True)
class Silence:
    """A source that has fallen silent: for how long, and the longest it usually does."""

    source: str
    lasts: timedelta
    usual: timedelta


# --- Rhythm ---------------------------------------------------------------------------------------------------

RHYTHM = """
    WITH latest AS (SELECT source, max(last_at) AS at FROM connectors_sourcehour GROUP BY source),
    waited AS (
        SELECT hour.source, latest.at AS latest, hour.last_at, hour.last_at >= latest.at - %(recent)s AS is_recent,
            lag(hour.last_at) OVER (PARTITION BY hour.source ORDER BY hour.hour) AS before
        FROM connectors_sourcehour hour JOIN latest ON latest.source = hour.source
        WHERE hour.last_at >= latest.at - %(long)s
    )
    SELECT source, latest,
        count(*) FILTER (WHERE is_recent), min(last_at) FILTER (WHERE is_recent),
        max(last_at - before) FILTER (WHERE before >= latest - %(recent)s),
        count(*), min(last_at), max(last_at - before)
    FROM waited GROUP BY source, latest
"""


def rhythms() -> dict[str, Rhythm]:
    """The rhythm of each source that ever gave us anything."""
    spans: dict[str, Any] = {"recent": RECENT, "long": LONG}
    with connection.cursor() as cursor:
        cursor.execute(RHYTHM, spans)
        rows = cursor.fetchall()
    found = {}
    for source, latest, *windows in rows:
        longest = None
        for hours, first, wait in (windows[:3], windows[3:]):
            if hours >= ENOUGH:
                longest = wait if latest - first >= HISTORY else None
                break
        found[source] = Rhythm(latest, longest)
    return found


def silences(*, now: datetime) -> list[Silence]:
    """The sources that have been silent longer than they usually are, the longest silence first."""
    return sorted(_silent(rhythms(), now=now), key=lambda silence: silence.lasts, reverse=True)


def _silent(known: dict[str, Rhythm], *, now: datetime) -> list[Silence]:
    retired = set(retirements())
    return [
        Silence(source, now - rhythm.latest, rhythm.longest)
        for source, rhythm in known.items()
        if rhythm.longest is not None and rhythm.is_silent(now) and source not in retired
    ]


def retirements() -> dict[str, Retirement]:
    """The sources that are retired now."""
    return {each.source: each for each in Retirement.objects.filter(undone_at=None)}


def retire(source: str, *, why: str, by: str, now: datetime) -> None:
    """The source is not missed any more. Raises `ValueError`, fit for a clerk, without a reason."""
    if not (why := why.strip()):
        raise ValueError(_("Please say why nothing more is expected of it."))
    made = Retirement(source=source, why=why[:200], by=by, at=now)
    Retirement.objects.bulk_create([made], ignore_conflicts=True)  # once, if two press at once


def revive(source: str, *, by: str, now: datetime) -> bool:
    """The source is missed again where it is silent; whether it was retired."""
    standing = Retirement.objects.filter(source=source, undone_at=None)
    return bool(standing.update(undone_at=now, undone_by=by))


# --- The page -------------------------------------------------------------------------------------------------


def overview(*, now: datetime) -> dict[str, Any]:
    """Everything the page of sources shows, in a fixed number of questions."""
    today = clock.day_of(now)
    known, days = rhythms(), _days(today)
    events, refused = _events(known), _refused()
    silent = {silence.source: silence for silence in _silent(known, now=now)}
    retired = retirements()
    lines = [
        {
            "source": str(source),
            "name": name,
            "rhythm": known.get(source),
            "silence": silent.get(source),
            "retired": retired.get(source),
            "happened_at": events.get(source, (None, None))[0],
            "lag": events.get(source, (None, None))[1],
            "days": days.get(source, []),
            "today": days[source][-1] if source in days else None,
            "refused": sum(group["n"] for group in refused.get(source, [])),
            "reasons": refused.get(source, [])[:REASONS],
        }
        for source, name in NAMES.items()
    ]
    return {
        "lines": lines,
        "today": today,
        "is_empty": not known,
        "in_use": sum(line["retired"] is None for line in lines),
        "received": sum(line["today"]["received"] for line in lines if line["today"]),
        "silent": sorted(silent.values(), key=lambda silence: silence.lasts, reverse=True),
        "waits": sum(line["refused"] for line in lines),
        "senders": _senders(today=today),
        "buildings": _without_iot(today=today),
        "contracts": WaitingContract.objects.count(),
        "events": WaitingEvent.objects.exclude(kind=ALSO).count(),
    }


def _days(today: date) -> dict[str, list[dict[str, Any]]]:
    """What each source gave us on each of the last days, today last."""
    shown = [today - timedelta(days=back) for back in range(BAR_DAYS - 1, -1, -1)]
    sums = {name: Sum(name) for name in COUNTED}
    rows = (
        SourceHour.objects.filter(hour__gte=clock.at(shown[0]))
        .values("source", "hour__date")
        .annotate(**sums)
        .order_by()
    )
    given: dict[tuple[str, date], dict[str, Any]] = {(row["source"], row["hour__date"]): dict(row) for row in rows}
    return {
        source: [{"day": day, **{name: given.get((source, day), {}).get(name, 0) for name in COUNTED}} for day in shown]
        for source in NAMES
    }


# How far the records of some days lay behind when they came, in steps that are as fine as they are told. A day is
# read once, whichever sources it is asked for, by an index of its blocks: what is older or newer is not looked at.
EVENTS = """
    SELECT asked.since, late.source, late.step, count(*), max(late.at)
    FROM unnest(%(since)s::timestamptz[], %(until)s::timestamptz[]) AS asked(since, until)
    CROSS JOIN LATERAL (
        SELECT source, at, CASE
            WHEN lag < 120 THEN floor(lag)
            WHEN lag < 3600 THEN floor(lag / 60) * 60
            WHEN lag < 172800 THEN floor(lag / 900) * 900
            ELSE floor(lag / 86400) * 86400 END AS step
        FROM (
            SELECT source, at, greatest(date_part('epoch', recorded_at - at), 0) AS lag FROM tenants_event
            WHERE recorded_at >= asked.since AND recorded_at < asked.until
            OFFSET 0
        ) came
    ) late
    GROUP BY asked.since, late.source, late.step
    ORDER BY asked.since, late.source, late.step
"""


def _events(known: dict[str, Rhythm]) -> dict[str, tuple[datetime, timedelta]]:
    """The time of a source's latest record, and how late its records of that day came: the median."""
    days = {source: clock.at(clock.day_of(rhythm.latest)) for source, rhythm in known.items()}
    since = sorted({day for source, day in days.items() if source in TELL_EVENTS})
    asked: dict[str, Any] = {"since": since, "until": [day + timedelta(days=1) for day in since]}
    told: dict[str, list[tuple[int, int, datetime]]] = {}
    with connection.cursor() as cursor:
        cursor.execute(EVENTS, asked)
        for day, source, step, n, latest in cursor.fetchall():
            if days.get(source) == day:
                told.setdefault(source, []).append((int(step), n, latest))
    return {
        source: (max(latest for _step, _n, latest in steps), timedelta(seconds=_median(steps)))
        for source, steps in told.items()
    }


def _median(steps: list[tuple[int, int, datetime]]) -> int:
    """The step by which half of the records had come."""
    half, seen = sum(n for _step, n, _latest in steps) / 2, 0
    for step, n, _latest in steps:
        seen += n
        if seen >= half:
            return step
    return 0


def _refused() -> dict[str, list[dict[str, Any]]]:
    """What of each source waits in quarantine, by reason, the most frequent first."""
    found: dict[str, list[dict[str, Any]]] = {}
    for group in quarantine.reasons(Wanted(), most=None):
        found.setdefault(group["source"], []).append(group)
    return found


def _senders(*, today: date) -> list[dict[str, Any]]:
    """Who handed in records over the network: when last, how many today, and what waits to be taken in."""
    landed = {
        row["source"]: row
        for row in Landed.objects.values("source").annotate(
            n=Count("pk"), since=Min("received_at"), failed=Count("pk", filter=~Q(error=""))
        )
    }
    begins = Q()
    for _title, source, way in SENDERS.values():
        begins |= Q(source=source, name__startswith=f"{way} ")
    is_today = Q(started_at__gte=clock.at(today))
    sums = {f"{name}_today": Sum(name, filter=is_today, default=0) for name in COUNTED}
    lately = Run.objects.filter(begins, started_at__gte=clock.at(today) - RECENT).annotate(
        way=Left("name", 4, output_field=CharField())
    )
    heard = {
        (row["source"], row["way"]): row
        for row in lately.values("source", "way").annotate(last=Max("finished_at"), **sums)
    }
    return [
        {"code": code, "name": title, "source": source, "way": way, "landed": landed.get(code), **heard.get(key, {})}
        for code, (title, source, way) in SENDERS.items()
        if (key := (str(source), way)) in heard or code in landed
    ]


# --- Buildings without meters ---------------------------------------------------------------------------------

WITHOUT_IOT = """
    WITH person(id, root) AS (SELECT id, coalesce(merged_into_id, id) FROM tenants_tenant),
    living AS (
        SELECT DISTINCT unit.building_id, person.root
        FROM tenants_lease lease
        JOIN tenants_unit unit ON unit.id = lease.unit_id
        JOIN tenants_building building ON building.id = unit.building_id AND NOT building.has_iot
        JOIN tenants_leasetenant lt ON lt.lease_id = lease.id
        JOIN person ON person.id = lt.tenant_id
        WHERE lease.state = 'signed' AND %(today)s BETWEEN lease.first_day AND lease.last_day
    ),
    mood AS (
        SELECT living.building_id, living.root, count(*) AS n
        FROM living JOIN person ON person.root = living.root
        JOIN tenants_event event ON event.tenant_id = person.id
            AND event.kind = 'mood.given' AND event.at >= %(since)s AND event.at < %(until)s
        GROUP BY living.building_id, living.root
    )
    SELECT building.code, building.name, count(living.root),
        count(*) FILTER (WHERE feature.paid_share IS NOT NULL AND feature.pay_day_sd IS NOT NULL),
        avg(feature.paid_share), percentile_cont(0.5) WITHIN GROUP (ORDER BY feature.pay_day_sd),
        count(mood.root), coalesce(sum(mood.n), 0)::bigint
    FROM tenants_building building
    LEFT JOIN living ON living.building_id = building.id
    LEFT JOIN tenants_feature feature ON feature.tenant_id = living.root
    LEFT JOIN mood ON mood.building_id = living.building_id AND mood.root = living.root
    WHERE NOT building.has_iot
    GROUP BY building.id, building.code, building.name ORDER BY building.code
"""


def _without_iot(*, today: date) -> list[dict[str, Any]]:
    """Per building without locks and meters: how many tenants are known by how they pay, and by their moods."""
    span = {
        "today": today,
        "since": clock.at(today - timedelta(days=MOOD_DAYS - 1)),
        "until": clock.at(today + timedelta(days=1)),
    }
    with connection.cursor() as cursor:
        cursor.execute(WITHOUT_IOT, span)
        names = ("code", "name", "tenants", "with_rhythm", "paid_share", "pay_day_sd", "with_mood", "moods")
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    for row in rows:
        row["rhythm_rate"] = row["with_rhythm"] / row["tenants"] if row["tenants"] else None
        row["mood_rate"] = row["with_mood"] / row["tenants"] if row["tenants"] else None
    return rows
