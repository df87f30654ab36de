"""Playbooks as staff meet them: the list with its figures, and what one is now. Counted in the reader's buildings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Count

from campaigns import releases
from campaigns.models import Playbook, PlaybookVersion, Release, StepVersion
from renewal import bookwords
from renewal.cases import RENEWED
from renewal.figures import share
from tenants import access
from tenants.access import SEES_PEOPLE, Somebody

SENT_DAYS = 30


@dataclass(slots=True)
class Taking:
    """A version that takes leases, and of whom."""

    version: PlaybookVersion
    words: str


@dataclass(slots=True)
class Row:
    """One playbook of the list."""

    playbook: Playbook
    sentence: str
    taking: list[Taking]
    draft: PlaybookVersion | None
    waiting: Release | None
    under_way: int = 0
    sent: int = 0
    signed: dict[str, Any] = field(default_factory=lambda: share(0, 0))
    is_by_event: bool = False
    is_stopped: bool = False  # it was released once, and takes nobody any more


# Those whom it spoke to. A row by which an answer given before keeps a playbook away is no following.
FOLLOWED = "NOT (e.is_final AND e.start_why = e.left_because)"
MINE = "(%(buildings)s::bigint[] IS NULL OR u.building_id = ANY(%(buildings)s::bigint[]))"

_FIGURES_SQL = f"""
SELECT e.playbook_id, count(*) FILTER (WHERE e.left_on IS NULL),
    count(DISTINCT e.lease_id) FILTER (WHERE e.cycle = '1'),
    count(DISTINCT e.lease_id) FILTER (WHERE e.cycle = '1' AND {RENEWED})
FROM campaigns_enrolment e
JOIN tenants_lease l ON l.id = e.lease_id
JOIN tenants_unit u ON u.id = l.unit_id
WHERE {FOLLOWED} AND {MINE}
GROUP BY e.playbook_id
"""  # noqa: S608

_SENT_SQL = f"""
SELECT step.playbook_id, count(*)
FROM campaigns_push push
JOIN campaigns_step step ON step.id = push.step_id
JOIN tenants_message message ON message.id = push.message_id
JOIN tenants_lease l ON l.id = push.lease_id
JOIN tenants_unit u ON u.id = l.unit_id
WHERE message.sent_at > %(since)s AND message.sent_at <= %(now)s AND {MINE}
GROUP BY step.playbook_id
"""  # noqa: S608


def buildings(user: Somebody, *, today: date) -> list[int] | None:
    """The buildings whose people somebody sees; None stands for all of them."""
    if access.sees_everything(user, today=today):
        return None
    return list(access.buildings_for(user, today=today, roles=SEES_PEOPLE).values_list("pk", flat=True))


def listed(user: Somebody, words: str, *, today: date, now: datetime) -> list[Row]:
    """Every playbook whose name, segment or sentence has all the words, by rank; in a fixed number of queries."""
    newest: dict[int, PlaybookVersion] = {}
    drafts: dict[int, PlaybookVersion] = {}
    for version in PlaybookVersion.objects.select_related("playbook__segment", "by").order_by("number"):
        if version.is_draft:
            drafts[version.playbook_id] = version
        newest[version.playbook_id] = version
    taking = _taking()
    waiting = {release.version.playbook_id: release for release in releases.waiting()}
    standing = Release.objects.filter(state=Release.State.STANDING)
    released = set(standing.values_list("version__playbook", flat=True))
    counted = dict(StepVersion.objects.values("version").annotate(n=Count("pk")).values_list("version", "n"))
    rows = []
    for playbook in Playbook.objects.select_related("segment").order_by("rank"):
        versions = taking.get(playbook.pk, [])
        shown = versions[0].version if versions else newest.get(playbook.pk)
        sentence = bookwords.summary(shown, counted.get(shown.pk, 0)) if shown else ""
        text = f"{playbook.name} {playbook.segment or ''} {sentence}".casefold()
        if all(word in text for word in words.casefold().split()):
            row = Row(playbook, sentence, versions, drafts.get(playbook.pk), waiting.get(playbook.pk))
            row.is_by_event = bool(shown and shown.starts_on)
            row.is_stopped = not versions and playbook.pk in released
            rows.append(row)
    figures = _figures(user, today=today, now=now)
    for row in rows:
        row.under_way, row.sent, row.signed = figures.get(row.playbook.pk, (0, 0, share(0, 0)))
    return rows


def row_of(user: Somebody, playbook: Playbook, *, today: date, now: datetime) -> Row:
    """One playbook with its figures."""
    return next(row for row in listed(user, "", today=today, now=now) if row.playbook.pk == playbook.pk)


def waiting(user: Somebody) -> list[dict[str, Any]]:
    """The releases that wait for a second person: what each would do, and whether the reader asked for it."""
    return [
        {"release": each, "words": bookwords.release(each), "is_mine": each.asked_by_id == user.pk}
        for each in releases.waiting()
    ]


def _taking() -> dict[int, list[Taking]]:
    """The versions that take leases by their playbook, the newest first, whether it is switched on or not."""
    found: dict[int, list[Taking]] = {}
    for is_active in (True, False):
        for each in releases.live(is_active=is_active):
            taken = Taking(each.version, bookwords.release(each.release))
            found.setdefault(each.version.playbook_id, []).append(taken)
    return found


def _figures(user: Somebody, *, today: date, now: datetime) -> Mapping[int, tuple[int, int, dict[str, Any]]]:
    """By playbook: how many are under way, what was sent lately, and who signed of those that were enrolled."""
    params = {
        "buildings": buildings(user, today=today),
        "since": now - timedelta(days=SENT_DAYS),
        "now": now,
        "day": today,
        "known_at": "infinity",
    }
    with connection.cursor() as cursor:
        cursor.execute(_SENT_SQL, params)
        sent = dict(cursor.fetchall())
        cursor.execute(_FIGURES_SQL, params)
        followed = {row[0]: row[1:] for row in cursor.fetchall()}
    return {
        playbook: (
            followed.get(playbook, (0, 0, 0))[0],
            sent.get(playbook, 0),
            share(followed.get(playbook, (0, 0, 0))[2], followed.get(playbook, (0, 0, 0))[1]),
        )
        for playbook in {*sent, *followed}
    }


# --- Fix before asking -------------------------------------------------------------------------------------

HELD_DAYS = 90
_HELD_SQL = f"""
SELECT count(*), count(*) FILTER (WHERE held), count(*) FILTER (WHERE push.state = 'held'),
    avg(days) FILTER (WHERE held), max(days) FILTER (WHERE held)
FROM (
    SELECT push.*, push.held_on IS NOT NULL AS held, push.held_on - push.due_on + 1 AS days
    FROM campaigns_push push
    JOIN campaigns_step step ON step.id = push.step_id AND step.playbook_id = %(playbook)s
    JOIN campaigns_stepversion said ON said.id = push.said_id AND said.kind = 'ask'
    JOIN tenants_lease l ON l.id = push.lease_id
    JOIN tenants_unit u ON u.id = l.unit_id
    WHERE push.due_on BETWEEN %(since)s AND %(day)s AND {MINE}
) push
"""  # noqa: S608
_ARMS_SQL = f"""
SELECT e.fix_first, count(DISTINCT e.lease_id), count(DISTINCT e.lease_id) FILTER (WHERE {RENEWED})
FROM campaigns_enrolment e
JOIN campaigns_playbookversion version ON version.id = e.version_id AND version.fix_first
    AND version.unfixed_percent > 0
JOIN tenants_lease l ON l.id = e.lease_id
JOIN tenants_unit u ON u.id = l.unit_id
WHERE e.playbook_id = %(playbook)s AND e.cycle = '1' AND {FOLLOWED} AND {MINE}
GROUP BY e.fix_first
"""  # noqa: S608


def fixed_first(user: Somebody, playbook: Playbook, *, today: date) -> dict[str, Any]:
    """How many asks waited for repairs, for how long; and where some do not by lot, who signed of either."""
    params = {
        "playbook": playbook.pk,
        "buildings": buildings(user, today=today),
        "since": today - timedelta(days=HELD_DAYS),
        "day": today,
        "known_at": "infinity",
    }
    with connection.cursor() as cursor:
        cursor.execute(_HELD_SQL, params)
        asks, held, still, mean, longest = cursor.fetchone()
        cursor.execute(_ARMS_SQL, params)
        arms = {is_fixed: share(signed, n) for is_fixed, n, signed in cursor.fetchall()}
    return {
        "held": share(held, asks),
        "still": still,
        "mean": None if mean is None else float(mean),
        "longest": longest,
        "days": HELD_DAYS,
        "arms": [arms.get(True, share(0, 0)), arms.get(False, share(0, 0))] if arms else [],
    }
