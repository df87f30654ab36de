"""What if: days run again as they were known, beside what really went; and the coming days run ahead.

A back-test runs the deciding stages of `renewal.days` at the moments at which they really ran, with the answers tenants
gave in between, in a world that knows at each moment what was known then (`campaigns.rehearsing`). Over days on which
a playbook really ran it comes to the same pushes; where it does not, each difference is listed with its reason.

A dry run lets the next days pass with nothing else happening, and shows what each tenant would be sent, and given for
the length of their stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db.models import Min, Q
from django.utils.translation import gettext as _
from django.utils.translation import override

from campaigns import playbooks, rehearsing, segments
from campaigns.grammar import Rule
from campaigns.models import Playbook, Release
from campaigns.rehearsing import Decision, Deed, Following, Rehearsal, Setting
from renewal import beside, days, milestones
from renewal.models import Case, CaseChange, Fact
from tenants import clock, holdout, outbox, past
from tenants.models import JobRun, Lease, LeaseTenant

DAYS_AHEAD = 60
MOST_DAYS = 400
S = Case.State

# What tenants answered, after which no playbook asks them (renewal.signing).
_GIVEN = CaseChange.objects.filter(
    Q(now__in=[S.SIGNED, S.TRANSFERRED, S.NOTICE, S.DECLINED]) | Q(was=S.HOLDOVER, now=S.HOLDOVER), by="tenant"
)

Report = Callable[[int, int], None]  # days done, of how many


class CannotRehearse(Exception):
    """What was asked for cannot be run, in one sentence."""


def quiet(done: int, of: int) -> None:
    """Report to nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackTest:
    """What if, from the first day to the last, this playbook had run, with this rule instead of its segment's.

    Without a playbook: everything, as it really was. `as_now`: with today's rules and steps on all days.
    """

    first: date
    last: date
    playbook: Playbook | None = None
    rule: Rule | None = None
    as_now: bool = False
    basis: str = past.RECORDED

    @property
    def is_as_now(self) -> bool:
        """On days before our records begin there were no rules of ours either."""
        return self.as_now or self.basis == past.HAPPENED

    def check(self, *, today: date) -> None:
        """It can be run. Raises `CannotRehearse` or `BadRule`."""
        if self.first > self.last:
            raise CannotRehearse(_("The first day is after the last one."))
        if self.last > today:
            raise CannotRehearse(_("A back-test ends today at the latest; for the days ahead there is the dry run."))
        if (self.last - self.first).days >= MOST_DAYS:
            raise CannotRehearse(_("A back-test covers at most %(n)d days.") % {"n": MOST_DAYS})
        if self.rule is not None:
            segments.check(self.rule)


# --- Back-test ---------------------------------------------------------------------------------------------


def backtest(asked: BackTest, *, now: datetime, report: Report = quiet) -> dict[str, Any]:
    """What the days would have done, beside what really went: plain values, fit for JSON; see docs/rehearsals.md."""
    asked.check(today=clock.day_of(now))
    start, end = clock.at(asked.first), min(clock.at(asked.last + timedelta(days=1)), now)
    runs, not_run = _runs(asked.first, asked.last, now=now)
    # The last day before them that was run is run again too, unseen: by it what was held back is as it stood.
    warm = _day_run_before(asked.first)
    answers = _answers(clock.at(warm), end)
    setting = Setting(
        at=clock.at(warm),
        day=warm,
        basis=asked.basis,
        defined_at=now if asked.is_as_now else None,
        playbook=asked.playbook,
        rule=asked.rule,
        unanswered=_unanswered(clock.at(warm)),
    )
    followed = _members_of(asked)
    table: list[dict[str, Any]] = []
    ever: set[int] = set()
    with rehearsing.rehearsal(setting) as there:
        if warm < asked.first:
            earlier, _none = _runs(warm, asked.first - timedelta(days=1), now=now)
            for deed in _in_order(answers, *earlier.values(), until=start):
                there.do(deed)
            there.send_until(start)
        was: set[int] | None = None
        span = list(_span(asked.first, asked.last))
        for done, day in enumerate(span):
            report(done, len(span))
            for deed in _in_order(_of_day(answers, day), runs.get(day, [])):
                there.do(deed)
            row: dict[str, Any] = {"day": day.isoformat(), "runs": [deed.at.isoformat() for deed in runs.get(day, [])]}
            if followed and day in runs:
                are = set(there.members(followed(there), today=day))
                joined, left = are - (was if was is not None else are), (was or set()) - are
                row |= {"members": len(are), "joined": sorted(joined), "left": sorted(left)}
                was, ever = are, ever | are
            table.append(row)
        there.send_until(end)
        would, followings = rehearsing.decisions(since=start), there.followings(since=asked.first)
        report(len(span), len(span))
    really = rehearsing.decisions(since=start, until=end)
    if asked.playbook:
        would = [each for each in would if each.playbook == asked.playbook.code]
        followings = [each for each in followings if each.playbook == asked.playbook.code]
        really_of_it = [each for each in really if each.playbook == asked.playbook.code]
    else:
        really_of_it = really
    if asked.rule is not None and asked.playbook is None:
        would = []  # a rule alone sends nothing
    pairs = list(beside.pairs(would, really_of_it, set(not_run)))
    beside.count(table, pairs)
    selected = _selected(asked, would, followings, ever)
    return {
        "from": asked.first.isoformat(),
        "to": asked.last.isoformat(),
        "playbook": asked.playbook.code if asked.playbook else None,
        "rule": asked.rule,
        "basis": asked.basis,
        "as_now": asked.is_as_now,
        "days": table,
        "pushes": pairs,
        "followings": [_plain(each) for each in followings],
        "same": sum(pair["same"] for pair in pairs),
        "different": sum(not pair["same"] for pair in pairs),
        "later": beside.later(asked.first, asked.last, selected),
        "notes": list(_notes(asked, not_run, now=now)),
    }


def _runs(first: date, last: date, *, now: datetime) -> tuple[dict[date, list[Deed]], list[date]]:
    """When each day was run, and the days that were not. Before the first day that ever was: as the plan would."""
    rows = {row.period: row for row in JobRun.objects.filter(job=days.JOB)}
    since = min(rows, default="9999")
    runs: dict[date, list[Deed]] = {}
    not_run = []
    for day in _span(first, last):
        if row := rows.get(day.isoformat()):
            runs[day] = [_run(day, at, broke_off) for at, broke_off in _times(row)]
        elif day.isoformat() > since:
            not_run.append(day)
        elif (at := clock.at(day, settings.RUN_DAY_FROM_HOUR)) <= now:
            runs[day] = [_run(day, at)]
    return runs, not_run


def _times(row: JobRun) -> list[tuple[datetime, str]]:
    """When a day was run, and at which stage each run broke off; of old days only the last run is known."""
    if row.times:
        return [(datetime.fromisoformat(each["at"]), each["broke_off"]) for each in row.times]
    return [(row.started_at, "" if row.finished_at else row.stage)]


def _run(day: date, at: datetime, broke_off: str = "", *, ahead: bool = False) -> Deed:
    names = [stage.name for stage in days.STAGES]
    reached = names.index(broke_off) if broke_off in names else len(names)
    stages = [stage for stage in days.STAGES[:reached] if stage.decides or (ahead and stage.ahead)]

    def work() -> None:
        for stage in stages:
            stage.work(day, at)

    return Deed(at, work)


def _answers(start: datetime, end: datetime) -> list[Deed]:
    """By what tenants answered no playbook asks them any more; by what some lean to, what waited is cancelled."""
    given = _GIVEN.filter(at__gte=start, at__lt=end).select_related("case__lease").order_by("at", "pk")
    leaning = Fact.objects.filter(kind=Fact.Kind.INTENT, said__lean="leave", at__gte=start, at__lt=end)
    leaning = leaning.exclude(said__reason="", said__more="").select_related("case__lease").order_by("at", "pk")
    with override(settings.LANGUAGE_CODE):
        called = _("The tenant may leave: a person calls first.")
        answers = [
            Deed(change.at, partial(_answer, change.case.lease, str(S(change.now).label), change.at))
            for change in given
        ]
    return answers + [Deed(fact.at, partial(_quiet, fact.case.lease, called, fact.at)) for fact in leaning]


def _quiet(lease: Lease, because: str, at: datetime) -> None:
    """What waited to ask is cancelled; that nothing asks for a while is known by its line."""
    outbox.cancel_for_lease(lease, reason=because, now=at)


def _answer(lease: Lease, because: str, at: datetime) -> None:
    playbooks.stop(lease, because=because, today=clock.day_of(at))
    outbox.cancel_for_lease(lease, reason=because, now=at)


def _unanswered(at: datetime) -> tuple[int, ...]:
    """The leases about which a tenant has answered since, and not before."""
    given = _GIVEN.values("case__lease").annotate(first=Min("at")).filter(first__gte=at)
    return tuple(given.values_list("case__lease", flat=True))


def _day_run_before(day: date) -> date:
    """The last day before this one that was run; itself, if there is none."""
    rows = JobRun.objects.filter(job=days.JOB, period__lt=day.isoformat()).order_by("-period")
    return next((date.fromisoformat(row.period) for row in rows), day)


def _in_order(*those: Iterable[Deed], until: datetime | None = None) -> list[Deed]:
    deeds = [deed for each in those for deed in each if until is None or deed.at < until]
    return sorted(deeds, key=lambda deed: deed.at)


def _of_day(deeds: Iterable[Deed], day: date) -> list[Deed]:
    return [deed for deed in deeds if clock.day_of(deed.at) == day]


def _members_of(asked: BackTest) -> Callable[[Rehearsal], Rule | None] | None:
    """Whose members are shown: the rule's that is asked about, or those of the playbook's segment of each day."""
    if asked.rule is not None:
        return lambda there: asked.rule
    if asked.playbook is not None and asked.playbook.segment_id is not None:
        playbook = asked.playbook
        return lambda there: there.rule_of(playbook)
    return None


def _selected(asked: BackTest, would: list[Decision], followings: list[Following], ever: set[int]) -> set[int]:
    """The leases selected by the playbook or the rule; of everything, those that were sent something."""
    if asked.playbook:
        return {each.lease for each in followings}
    if asked.rule is not None:
        held = LeaseTenant.objects.filter(is_primary=True)
        held = held.filter(Q(tenant__in=ever) | Q(tenant__merged_into__in=ever))
        return set(held.values_list("lease", flat=True))
    return {each.lease for each in would if each.sent_at}


def _notes(asked: BackTest, not_run: list[date], *, now: datetime) -> Iterator[dict[str, Any]]:
    """What limits the result, as {"note", …}."""
    if not_run:
        yield {"note": "not_run", "days": [day.isoformat() for day in not_run]}
    since = Lease.objects.aggregate(since=Min("recorded_at"))["since"]
    if asked.basis == past.RECORDED and since and clock.at(asked.first) < since:
        yield {"note": "records_begin", "on": clock.day_of(since).isoformat()}
    released = Release.objects.filter(state=Release.State.STANDING).aggregate(since=Min("decided_at"))["since"]
    if not asked.is_as_now and released and clock.at(asked.first) < released:
        yield {"note": "playbooks_begin", "on": clock.day_of(released).isoformat()}
    doors = clock.day_of(now) - timedelta(days=settings.DOOR_LOG_DAYS)
    if asked.first < doors:
        yield {"note": "doors_gone", "before": doors.isoformat()}


# --- Dry run -----------------------------------------------------------------------------------------------


def dry_run(*, now: datetime, ahead: int = DAYS_AHEAD, report: Report = quiet) -> dict[str, Any]:
    """What the next days would send, if nothing else happens: plain values, fit for JSON; see docs/rehearsals.md."""
    if not 1 <= ahead <= MOST_DAYS:
        raise CannotRehearse(_("A dry run covers one to %(n)d days.") % {"n": MOST_DAYS})
    today = clock.day_of(now)
    has_run = JobRun.objects.filter(job=days.JOB, period=today.isoformat(), finished_at__isnull=False).exists()
    first = today + timedelta(days=has_run)
    span = list(_span(first, first + timedelta(days=ahead - 1)))
    # Those of today stand as they are: only what comes after is run.
    holdout.keep(now=now)  # as the next day's run would
    setting = Setting(at=now, day=today + timedelta(days=1), goes_on=False)
    with rehearsing.rehearsal(setting) as there:
        for done, day in enumerate(span):
            report(done, len(span))
            there.do(_run(day, max(now, clock.at(day, settings.RUN_DAY_FROM_HOUR)), ahead=True))
        there.send_until(clock.at(span[-1] + timedelta(days=1)))
        decisions, followings = rehearsing.decisions(since=now), there.followings(since=first)
        roadmap = _roadmap(since=now, last=span[-1])
        report(len(span), len(span))
    return {
        "from": span[0].isoformat(),
        "to": span[-1].isoformat(),
        "pushes": [
            {
                "lease": each.lease,
                "tenant": each.tenant,
                "playbook": each.playbook,
                "step": each.step,
                "cycle": each.cycle,
                "due_on": each.due_on.isoformat(),
                "would": beside.told(each),
            }
            for each in decisions
        ],
        "followings": [_plain(each) for each in followings],
        "roadmap": roadmap,
    }


def _roadmap(*, since: datetime, last: date) -> dict[str, Any]:
    """What the length of stays was given in this world, and by perk how many wait at its end for stock or budget."""
    grants = [
        {
            "on": clock.day_of(line.granted_at).isoformat(),
            "lease": line.lease_id,
            "tenant": line.tenant_id,
            "perk": line.perk.code,
            "milestone": line.key.rpartition(":")[2],
            "why": line.reason,
        }
        for line in milestones.given(since=since)
    ]
    return {"grants": grants, "short": milestones.short(milestones.due(today=last))}


def _plain(following: Following) -> dict[str, Any]:
    return {
        "lease": following.lease,
        "tenant": following.tenant,
        "playbook": following.playbook,
        "cycle": following.cycle,
        "enrolled_on": following.enrolled_on.isoformat(),
        "left_on": following.left_on.isoformat() if following.left_on else None,
        "left_because": following.left_because,
    }


def _span(first: date, last: date) -> Iterator[date]:
    return (first + timedelta(days=n) for n in range((last - first).days + 1))
