"""Rehearsals that somebody asked for: queued, run by a worker, watched, cancelled, kept.

A row is the queue: a worker claims one that waits by an update of its state. How far it has come is written through a
connection of its own, since all that a rehearsal does is undone. One whose worker fell silent is taken up again.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from celery import current_app
from django.conf import settings
from django.core.paginator import Page, Paginator
from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction
from django.db.models import Count, Q
from kombu.exceptions import KombuError

from campaigns.models import Playbook, StepVersion
from renewal import bookwords, rehearsals
from renewal.models import Rehearsal, RehearsedPush
from renewal.rehearsals import BackTest, CannotRehearse, Report
from tenants import clock
from tenants.models import Perk, Tenant, User

log = logging.getLogger(__name__)
S = Rehearsal.State

KEPT_DAYS = 90
SILENCE = "2 minutes"  # a day takes a second or two

_CLAIM = f"""
    UPDATE renewal_rehearsal SET state = 'running', done = 0, seen_at = clock_timestamp() WHERE id = (
        SELECT id FROM renewal_rehearsal
        WHERE state = 'waiting' OR state = 'running' AND seen_at < clock_timestamp() - interval '{SILENCE}'
        ORDER BY asked_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING id
"""  # noqa: S608
_SEEN = """
    UPDATE renewal_rehearsal SET done = %s, total = %s, seen_at = clock_timestamp()
    WHERE id = %s AND state = 'running'
"""


class Cancelled(Exception):
    """Somebody wants it no more."""


def ask(kind: str, asked: dict[str, Any], *, by: User | None, now: datetime) -> Rehearsal:
    """A worker will run it. Raises `CannotRehearse` or `BadRule`; old ones are forgotten."""
    if kind == Rehearsal.Kind.BACK:
        of(asked).check(today=clock.day_of(now))
    with transaction.atomic():
        Rehearsal.objects.filter(asked_at__lt=now - timedelta(days=KEPT_DAYS)).delete()
        row = Rehearsal.objects.create(kind=kind, asked=asked, by=by, asked_at=now)
        transaction.on_commit(_ring)
    return row


def cancel(pk: int, *, now: datetime) -> bool:
    """It is not run, or not on; whether there was anything left to cancel."""
    going = Rehearsal.objects.filter(pk=pk, state__in=[S.WAITING, S.RUNNING])
    return bool(going.update(state=S.CANCELLED, finished_at=now))


def of(asked: dict[str, Any]) -> BackTest:
    """What was asked for. Raises `CannotRehearse` where it names a playbook there is none of."""
    playbook = None
    if code := asked["playbook"]:
        playbook = Playbook.objects.filter(code=code).first()
        if playbook is None:
            raise CannotRehearse(code)
    return BackTest(
        first=date.fromisoformat(asked["from"]),
        last=date.fromisoformat(asked["to"]),
        playbook=playbook,
        rule=asked["rule"],
        as_now=asked["as_now"],
        basis=asked["basis"],
    )


def run_next(*, now: datetime) -> bool:
    """One that waits has been run; whether there was any."""
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM)
        claimed = cursor.fetchone()
    if claimed is None:
        return False
    row = Rehearsal.objects.get(pk=claimed[0])
    try:
        with _watched(row.pk) as report:
            if row.kind == Rehearsal.Kind.BACK:
                result = rehearsals.backtest(of(row.asked), now=now, report=report)
            else:
                result = rehearsals.dry_run(now=now, ahead=row.asked["days"], report=report)
        _keep(row, result, now=now)
    except Cancelled:
        log.info("Rehearsal %s was cancelled", row.pk)
    except Exception as error:
        log.exception("Rehearsal %s failed", row.pk)
        failed = Rehearsal.objects.filter(pk=row.pk, state=S.RUNNING)
        failed.update(state=S.FAILED, error=f"{type(error).__name__}: {error}", finished_at=now)
    return True


def _keep(row: Rehearsal, result: dict[str, Any], *, now: datetime) -> None:
    pushes = result.pop("pushes")
    with transaction.atomic():
        if not Rehearsal.objects.filter(pk=row.pk, state=S.RUNNING).update(
            state=S.DONE, result=result, finished_at=now
        ):
            return
        RehearsedPush.objects.filter(rehearsal=row).delete()
        RehearsedPush.objects.bulk_create(
            [
                RehearsedPush(
                    rehearsal=row,
                    on=(push["would"] or push["really"])["on"],
                    lease_id=push["lease"],
                    tenant_id=push["tenant"],
                    playbook=push["playbook"],
                    step=push["step"],
                    due_on=push["due_on"],
                    would=push["would"],
                    really=push.get("really"),
                    is_same=push.get("same", True),
                    why=push.get("why", "")[:300],
                )
                for push in pushes
            ],
            batch_size=1000,
        )


# --- What is seen of it ------------------------------------------------------------------------------------

PAGE = 50
WHAT = {
    "different": Q(is_same=False),
    "sent": Q(would__sent_at__startswith="2"),
    "held": Q(would__state="held"),
    "not": Q(would__sent_at=None) & ~Q(would__state="held"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which pushes of a rehearsal somebody wants to see."""

    words: str = ""  # in the tenant's name, or the phone, unit or contract
    what: str = ""  # a key of WHAT
    tenant: int = 0
    page: int = 1


def pushes(row: Rehearsal, wanted: Wanted) -> Page[RehearsedPush]:
    """A page of its pushes, by day; of one tenant all of them."""
    rows = RehearsedPush.objects.filter(rehearsal=row).select_related("tenant", "lease__unit")
    if wanted.tenant:
        rows = rows.filter(tenant=wanted.tenant)
    if condition := WHAT.get(wanted.what):
        rows = rows.filter(condition)
    for word in wanted.words.split():
        rows = rows.filter(
            Q(tenant__name__icontains=word)
            | Q(tenant__phone__startswith=word)
            | Q(lease__unit__code__icontains=word)
            | Q(lease__contract_no__iexact=word)
        )
    return Paginator(rows.order_by("on", "tenant__name", "pk"), PAGE).get_page(wanted.page)


def steps_of(pushes: Iterable[RehearsedPush]) -> dict[int, str]:
    """Their steps in words, by `RehearsedPush.said`: whose step it is and when it is due; those that still stand."""
    found = StepVersion.objects.filter(pk__in={push.said for push in pushes}).select_related("version__playbook")
    return {said.pk: f"{said.version.playbook.name} · {bookwords.moment(said)}" for said in found}


def counts(row: Rehearsal) -> dict[str, int]:
    """How many pushes there are of each kind that can be asked for."""
    rows = RehearsedPush.objects.filter(rehearsal=row)
    return rows.aggregate(all=Count("pk"), **{f"n_{what}": Count("pk", filter=q) for what, q in WHAT.items()})


def tenant_of(wanted: Wanted) -> Tenant | None:
    return Tenant.objects.filter(pk=wanted.tenant).first() if wanted.tenant else None


def followings_of(row: Rehearsal, wanted: Wanted) -> list[dict[str, Any]]:
    """When one tenant enters and leaves which playbook."""
    names = dict(Playbook.objects.values_list("code", "name"))
    found = row.result["followings"] if row.result and wanted.tenant else []
    return [each | {"name": names.get(each["playbook"], "")} for each in found if each["tenant"] == wanted.tenant]


@dataclass(frozen=True, slots=True)
class Roadmap:
    """What a dry run would give for the length of stays; {perk's name: how many} in all, and that wait."""

    grants: list[dict[str, Any]]  # as the result has them, with "person" and "name", the perk's
    of_perk: dict[str, int]
    short: dict[str, int]


def roadmap_of(row: Rehearsal, wanted: Wanted) -> Roadmap | None:
    """That part of a dry run, of one tenant theirs alone; nothing where it was run before there was any."""
    told = (row.result or {}).get("roadmap")
    if told is None:
        return None
    names = dict(Perk.objects.values_list("code", "name"))
    grants = [each for each in told["grants"] if wanted.tenant in (0, each["tenant"])]
    people = Tenant.objects.in_bulk({each["tenant"] for each in grants})
    of_perk = Counter(names.get(each["perk"], each["perk"]) for each in grants)
    return Roadmap(
        [
            each | {"person": people.get(each["tenant"]), "name": names.get(each["perk"], each["perk"])}
            for each in grants
        ],
        dict(of_perk),
        {} if wanted.tenant else {names.get(code, code): n for code, n in told["short"].items()},
    )


def is_silent(row: Rehearsal) -> bool:
    """Whether a worker has taken it up and not been heard of for long."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT %s < clock_timestamp() - interval '{SILENCE}'", [row.seen_at])
        return row.state == S.RUNNING and bool(cursor.fetchone()[0])


@contextmanager
def _watched(pk: int) -> Iterator[Report]:
    """In here, report the days done: everybody sees them at once. Raises `Cancelled` in whoever reports."""
    beside = connections.create_connection(DEFAULT_DB_ALIAS)

    def report(done: int, total: int) -> None:
        with beside.cursor() as cursor:
            cursor.execute(_SEEN, [done, total, pk])
            if not cursor.rowcount:
                raise Cancelled

    try:
        yield report
    finally:
        beside.close()


def _ring() -> None:
    try:
        current_app.send_task(settings.REHEARSAL_BELL, retry=False, expires=60)
    except (KombuError, OSError) as error:
        log.warning("The bell for rehearsals did not ring (%s); the sweep will find it.", type(error).__name__)
