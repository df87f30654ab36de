"""续租个案: each ending lease on its way to one outcome, by lawful moves only.

Facts come first: a signed lease, a word from the operator or a new contract of the unit moves a case in
`advance`, whole sets at a time. What a person does moves one case at a time, in `move`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from renewal.models import Case, CaseChange
from tenants.models import Lease

S = Case.State

CHAIN = (S.UPCOMING, S.CONTACTED, S.VIEWED, S.CONSIDERING)
ENDS = frozenset({S.TRANSFERRED, S.MOVED_OUT, S.HOLDOVER, S.ENDED_BY_OPERATOR})
ANSWERS = frozenset({S.SIGNED, S.NOTICE, S.DECLINED})
LAWFUL: dict[Case.State, frozenset[Case.State]] = {
    # Whoever signs on paper was perhaps never contacted: steps may be skipped, never taken back.
    **{state: frozenset(CHAIN[place + 1 :]) | ANSWERS | ENDS for place, state in enumerate(CHAIN)},
    S.NOTICE: frozenset({S.CONSIDERING, S.TRANSFERRED, S.MOVED_OUT, S.ENDED_BY_OPERATOR}),
    S.DECLINED: frozenset({S.CONSIDERING, S.NOTICE}) | ENDS,
    S.HOLDOVER: frozenset({S.SIGNED, S.TRANSFERRED, S.MOVED_OUT, S.ENDED_BY_OPERATOR}),
    # Contracts reach us days late, and a signed one may be made void.
    S.MOVED_OUT: frozenset({S.SIGNED, S.TRANSFERRED}),
    S.SIGNED: frozenset({S.CONSIDERING}),
    S.TRANSFERRED: frozenset(),
    S.ENDED_BY_OPERATOR: frozenset(),
}
UNDECIDED = frozenset({*CHAIN, S.DECLINED})  # no outcome yet, none announced

CASES_LOOK_BACK_DAYS = 60  # leases that ended before the first run are counted, too
NEIGHBOUR_DAYS = 14  # a lease that starts this near another's end belongs to the same move
SILENCE_DAYS = 7  # nobody renewed, nobody said anything: after so many days they have left


class UnlawfulMove(Exception):
    """A case cannot go from its state to that one."""

    def __init__(self, case: Case, to: Case.State) -> None:
        super().__init__(f"A case cannot go from {case.get_state_display()} to {to.label}.")


def case_of(lease: Lease) -> Case | None:
    """The lease's case, if one is open or was."""
    return Case.objects.filter(lease=lease).first()


@transaction.atomic
def move(case: Case, to: str, *, now: datetime, cause: str, by: str) -> Case:
    """The case is in state `to`, and the change is on record. Raises `UnlawfulMove`; the same state is no change."""
    case = Case.objects.select_for_update().get(pk=case.pk)
    was, wanted = S(case.state), S(to)
    if was == wanted:
        return case
    if wanted not in LAWFUL[was]:
        raise UnlawfulMove(case, wanted)
    case.state, case.since = wanted, now
    case.save(update_fields=["state", "since"])
    CaseChange.objects.create(case=case, was=was, now=wanted, at=now, cause=cause, by=by)
    return case


def open_due(*, today: date, now: datetime) -> int:
    """Every signed lease whose end is in sight, or only just past, has a case. Counts the new ones."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            with opened as (
                insert into renewal_case (lease_id, state, since, opened_at)
                select id, 'upcoming', %(now)s, %(now)s from tenants_lease
                where state = 'signed' and last_day between %(first)s and %(last)s
                order by last_day, id
                on conflict (lease_id) do nothing
                returning id
            )
            insert into renewal_casechange (case_id, was, now, at, cause, by)
            select id, '', 'upcoming', %(now)s, 'the end of the lease is in sight', 'cases.open_due' from opened
            """,
            {
                "now": now,
                "first": today - timedelta(days=CASES_LOOK_BACK_DAYS),
                "last": today + timedelta(days=settings.CASE_OPENS_DAYS),
            },
        )
        return cursor.rowcount


def open_for(leases: Collection[int], *, now: datetime) -> None:
    """Each of these leases has a case, opened earlier than its day if need be."""
    new = [Case(lease_id=lease, state=S.UPCOMING, since=now, opened_at=now) for lease in leases]
    known = set(Case.objects.filter(lease__in=leases).values_list("lease", flat=True))
    Case.objects.bulk_create([each for each in new if each.lease_id not in known], ignore_conflicts=True)
    opened = Case.objects.filter(lease__in=leases).exclude(lease__in=known)
    changes = [
        CaseChange(case=case, was="", now=S.UPCOMING, at=now, cause="a batch was approved", by="cases.open_for")
        for case in opened.filter(opened_at=now)
    ]
    CaseChange.objects.bulk_create(changes)


# In all SQL here and in the figures: `l` is the ending lease, `s` the one that may follow it.
_SAME_TENANT = """exists (
    select from tenants_leasetenant lt join tenants_tenant t on t.id = lt.tenant_id
    join tenants_tenant u on coalesce(u.merged_into_id, u.id) = coalesce(t.merged_into_id, t.id)
    join tenants_leasetenant st on st.tenant_id = u.id
    where lt.lease_id = l.id and st.lease_id = s.id
)"""
_FOLLOWS = f"""s.state = 'signed' and s.id <> l.id and s.signed_on <= %(day)s and s.recorded_at <= %(known_at)s
    and {_SAME_TENANT}"""
RENEWED = f"""exists (
    select from tenants_lease s where s.unit_id = l.unit_id and {_FOLLOWS} and (
        s.renews_id = l.id
        or s.renews_id is null and s.first_day > l.last_day and s.first_day <= l.last_day + {NEIGHBOUR_DAYS}
    )
)"""
_TRANSFERRED = f"""exists (
    select from tenants_leasetenant lt0 join tenants_tenant t0 on t0.id = lt0.tenant_id
    join tenants_tenant u0 on coalesce(u0.merged_into_id, u0.id) = coalesce(t0.merged_into_id, t0.id)
    join tenants_leasetenant st0 on st0.tenant_id = u0.id join tenants_lease s on s.id = st0.lease_id
    where lt0.lease_id = l.id and s.unit_id <> l.unit_id and {_FOLLOWS} and (
        s.renews_id = l.id or s.renews_id is null
        and s.first_day between l.last_day - {NEIGHBOUR_DAYS} and l.last_day + {NEIGHBOUR_DAYS}
    )
)"""
_LET_TO_OTHERS = """exists (
    select from tenants_lease s where s.unit_id = l.unit_id and s.state = 'signed' and s.first_day > l.last_day
        and s.first_day <= %(day)s
)"""
# That somebody still lives there, without a look at the doors: door logs serve no such purpose (PIPL 28).
_STILL_THERE = """exists (
    select from tenants_leasetenant lt join tenants_tenant t on t.id = lt.tenant_id
    join tenants_tenant u
        on u.id = coalesce(t.merged_into_id, t.id) or u.merged_into_id = coalesce(t.merged_into_id, t.id)
    join tenants_event e on e.tenant_id = u.id
    where lt.lease_id = l.id and e.at <= %(now)s
        and e.kind in ('facility.used', 'ticket.reported', 'payment.made')
        and (e.at at time zone 'Asia/Shanghai')::date > l.last_day
        and (e.at at time zone 'Asia/Shanghai')::date > %(day)s - {days}
        and (e.kind <> 'payment.made' or e.data->>'item' = 'rent' and e.data->>'due_on' > l.last_day::text)
)"""


@dataclass(frozen=True, slots=True)
class Rule:
    """Cases in one of `came_from` for which `holds` are moved to `to`."""

    name: str
    came_from: frozenset[Case.State]
    to: Case.State
    holds: str
    cause: str


_WITHOUT_OUTCOME = frozenset({*CHAIN, S.NOTICE, S.DECLINED, S.HOLDOVER})
RULES = (
    Rule("void", frozenset({S.SIGNED}), S.CONSIDERING, f"not {RENEWED}", "the renewal was made void"),
    Rule("reconsidered", frozenset({S.NOTICE, S.DECLINED}), S.CONSIDERING, RENEWED, "signed after all"),
    Rule("renewed", frozenset({*CHAIN, S.HOLDOVER, S.MOVED_OUT}), S.SIGNED, RENEWED, "a signed lease renews this one"),
    Rule(
        "ended_by_operator",
        _WITHOUT_OUTCOME,
        S.ENDED_BY_OPERATOR,
        "l.ended_by = 'operator'",
        "the operator ended the lease",
    ),
    Rule(
        "transferred",
        _WITHOUT_OUTCOME | {S.MOVED_OUT},
        S.TRANSFERRED,
        _TRANSFERRED,
        "the tenant signed for another unit",
    ),
    Rule(
        "noticed",
        frozenset({*CHAIN, S.DECLINED}),
        S.NOTICE,
        "l.ended_by = 'tenant' and l.last_day >= %(day)s",
        "the tenant ends the lease early",
    ),
    Rule(
        "contacted",
        frozenset({S.UPCOMING}),
        S.CONTACTED,
        """exists (
            select from campaigns_push p join tenants_message m on m.id = p.message_id
            where p.lease_id = l.id and m.sent_at <= %(now)s
        )""",
        "a push was accepted by its channel",
    ),
    Rule(
        "moved_out",
        _WITHOUT_OUTCOME - {S.HOLDOVER},
        S.MOVED_OUT,
        f"""l.last_day < %(day)s and (
            c.state = 'notice' or l.ended_by = 'tenant' or {_LET_TO_OTHERS}
            or l.last_day < %(day)s - {SILENCE_DAYS} and not {_STILL_THERE.format(days=10_000)}
        )""",
        "the lease ended unsigned",
    ),
    Rule(
        "holdover",
        UNDECIDED,
        S.HOLDOVER,
        f"l.last_day < %(day)s and {_STILL_THERE.format(days=10_000)}",
        "the lease ended and the tenant stayed on",
    ),
    Rule(
        "left",
        frozenset({S.HOLDOVER}),
        S.MOVED_OUT,
        f"{_LET_TO_OTHERS} or not {_STILL_THERE.format(days=45)}",
        "nothing has been heard since the lease ended",
    ),
)
assert all(rule.to in LAWFUL[state] for rule in RULES for state in rule.came_from)  # noqa: S101


@transaction.atomic
def advance(*, today: date, now: datetime) -> dict[str, int]:
    """Every case is where the facts of leases, pushes and contracts put it. Counts the moves per rule."""
    facts = {"day": today, "now": now, "known_at": "infinity"}
    return {rule.name: _apply(rule, facts) for rule in RULES}


def _apply(rule: Rule, facts: dict[str, Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            with due as (
                select c.id, c.state from renewal_case c join tenants_lease l on l.id = c.lease_id
                where c.state = any(%(came_from)s) and ({rule.holds})
                order by c.id for update of c
            ), moved as (
                update renewal_case c set state = %(to)s, since = %(now)s from due where due.id = c.id returning c.id
            )
            insert into renewal_casechange (case_id, was, now, at, cause, by)
            select id, state, %(to)s, %(now)s, %(cause)s, %(by)s from due order by id
            """,  # noqa: S608
            {
                **facts,
                "came_from": [str(state) for state in rule.came_from],
                "to": str(rule.to),
                "cause": rule.cause,
                "by": f"cases.{rule.name}",
            },
        )
        return cursor.rowcount
