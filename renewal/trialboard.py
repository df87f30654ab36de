"""The board of experiments: what can be tested, how a test stands, and what its verdict rests on, in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import Count, Value
from django.db.models.functions import Concat
from django.utils.translation import gettext as _

from campaigns import looking, releases, rosters, tallies
from campaigns.experiments import power, shares
from campaigns.models import Arm, Assigned, Experiment, Look, StepVersion, Verdict
from renewal import bookwords, trickleboard
from renewal.figures import rate_words, share
from tenants import clock
from tenants.models import Click, Lease, Message

State, Kind = Experiment.State, Verdict.Kind
BASE_DAYS, BASE_LEAST = 90, 30
ASSUMED = 0.15  # share of clicks, where nothing of one's own is known yet
FIGURES = tallies.COUNTED


@dataclass(slots=True)
class Row:
    """One experiment of the list."""

    experiment: Experiment
    moment: str
    arms: int
    assigned: int
    verdict: str


@dataclass(slots=True)
class Side:
    """One arm of the board: what it says, how many heard it, and each figure as a share of those assigned."""

    arm: Arm
    assigned: int
    figures: dict[str, dict[str, Any]] = field(default_factory=dict)
    is_said: bool = False  # by the latest verdict


def listed() -> list[Row]:
    """All experiments, the latest first."""
    arms = dict(Arm.objects.values_list("experiment").annotate(n=Count("pk")))
    assigned = dict(Assigned.objects.values_list("experiment").annotate(n=Count("pk")))
    latest = {line.experiment_id: line for line in _lines().order_by("at", "pk")}
    return [
        Row(
            each,
            moment(each),
            arms.get(each.pk, 0),
            assigned.get(each.pk, 0),
            verdict(latest[each.pk]) if each.pk in latest else "",
        )
        for each in Experiment.objects.select_related("step__playbook").order_by("-made_at", "-pk")
    ]


def moment(experiment: Experiment) -> str:
    """When it asks."""
    return _("wave of %(on)s") % {"on": experiment.on} if experiment.on else _("as the step comes due")


def verdict(line: Verdict) -> str:
    """A verdict in a few words, with the version that is said from then on."""
    if line.arm is None:
        return line.get_kind_display()
    return _("%(verdict)s: version %(letter)s") % {"verdict": line.get_kind_display(), "letter": line.arm.letter}


def testable(*, today: date) -> list[StepVersion]:
    """The steps an experiment can be made of: asks of released versions, waves that are still to come."""
    taking = {each.version.pk for each in releases.live()}
    under_way = Experiment.objects.filter(state__in=[State.READY, State.RUNNING]).values("step")
    rows = (
        StepVersion.objects.filter(version__in=taking, kind=StepVersion.Kind.ASK)
        .exclude(step__in=under_way)
        .exclude(anchor=StepVersion.Anchor.WAVE, on__lte=today)
        .select_related("step", "version__playbook__segment")
        .order_by("version__playbook__rank", "pk")
    )
    return list(rows)


def expected(said: StepVersion) -> int:
    """About how many leases a wave will speak to: those that end in its window; of what is no wave nothing is said."""
    if said.anchor != StepVersion.Anchor.WAVE or said.on is None:
        return 0
    first, last = said.on + timedelta(days=said.ends_from), said.on + timedelta(days=said.ends_to)
    return Lease.objects.filter(state=Lease.State.SIGNED, last_day__range=(first, last)).count()


def power_words(audience: int, *, now: datetime, arms: int = 2) -> str:
    """What an audience can and cannot show, in one sentence, by the share of clicks that asks have had so far."""
    each = audience // arms
    if each < 2:
        return _("Too few to test anything.")
    base, is_known = _base(now=now)
    facts: dict[str, Any] = {"n": each, "base": rate_words(base)}
    reach = power.reach(each, base, arms=arms)
    if reach.higher is None:
        words = _("%(n)d tenants a version: however different the versions are, nothing can be told.")
    elif reach.lower is None:
        facts["higher"] = rate_words(reach.higher)
        words = _("%(n)d tenants a version: %(base)s can only be told from %(higher)s and more.")
    else:
        facts |= {"higher": rate_words(reach.higher), "lower": rate_words(reach.lower)}
        words = _(
            "%(n)d tenants a version: %(base)s can only be told from %(higher)s and more, or from %(lower)s and less."
        )
    source = _("That share was clicked in the last 90 days.") if is_known else _("That share is assumed.")
    return _("%(words)s %(source)s") % {"words": words % facts, "source": source}


def _base(*, now: datetime) -> tuple[float, bool]:
    """The share of accepted asks with a proven click in 90 days, and whether there were enough of them to say so."""
    sent = Message.objects.filter(
        klass=Message.Class.MARKETING, key__startswith="push:", sent_at__gt=now - timedelta(days=BASE_DAYS)
    )
    n = sent.count()
    if n < BASE_LEAST:
        return ASSUMED, False
    carriers = sent.annotate(carrier=Concat(Value("message:"), "key")).values("carrier")
    clicked = Click.objects.filter(proven_at__isnull=False, link__carrier__in=carriers).count()
    return (clicked / n, True) if clicked else (ASSUMED, False)


def board(experiment: Experiment, *, now: datetime) -> dict[str, Any]:
    """All that the page of an experiment shows, as of `now`."""
    arms = list(Arm.objects.filter(experiment=experiment).order_by("letter"))
    rows = tallies.outcomes(experiment, at=now)
    counts = tallies.count(rows, [arm.letter for arm in arms])
    lines = list(_lines().filter(experiment=experiment).order_by("at", "pk"))
    said = next((line.arm_id for line in reversed(lines) if line.kind != Kind.DROPPED and line.arm_id), None)
    sides = [
        Side(
            arm,
            counts[arm.letter]["assigned"],
            {name: share(counts[arm.letter][name], counts[arm.letter]["assigned"]) for name in FIGURES},
            arm.pk == said,
        )
        for arm in arms
    ]
    example = _example(experiment)
    return {
        "experiment": experiment,
        "moment": moment(experiment),
        "answer": answer(experiment, lines),
        "sides": sides,
        "texts": {arm.letter: _read(experiment, arm, example, now=now) for arm in arms},
        "looks": _looks(experiment, now=now),
        "changes": _changes(experiment, arms) if experiment.state == State.RUNNING else [],
        # An interval for one look: of what trickles, and is looked at all the time, `trickle` has another.
        "difference": _difference(sides) if len(sides) == 2 and experiment.on else None,
        "evidence": _evidence(experiment, rows),
        "usual": _usual(experiment),
        "trickle": None if experiment.on else _trickle(rows, arms, now=now),
        "lines": lines,
        "ends_at": experiment.started_at + timedelta(hours=rosters.LOOK_HOURS[-1]) if experiment.started_at else None,
        "example": example,
    }


def answer(experiment: Experiment, lines: list[Verdict]) -> str:
    """How it stands, in one sentence."""
    last = next((line for line in reversed(lines) if line.kind != Kind.DROPPED), None)
    facts = {"name": experiment.name, "letter": last.arm.letter if last and last.arm else ""}
    if last is None and experiment.state == State.READY and experiment.on:
        return _("“%(name)s” waits for its wave on %(on)s") % {**facts, "on": experiment.on}
    if last is None:
        return _("“%(name)s” is running: nothing is decided yet") % facts
    match last.kind:
        case Kind.CONFIRMED:
            return _("“%(name)s”: version %(letter)s is better, and that is confirmed") % facts
        case Kind.PROVISIONAL:
            return _("“%(name)s”: version %(letter)s is said from now on, though nothing is proven") % facts
        case Kind.NO_DIFFERENCE:
            return _("“%(name)s”: no difference to speak of; version A stays") % facts
        case Kind.UPHELD:
            return _("“%(name)s”: signatures uphold version %(letter)s") % facts
        case Kind.REVERSED:
            return _("“%(name)s”: signatures reversed it; version %(letter)s is said from now on") % facts
        case Kind.BLOCKED:
            return _("“%(name)s”: no verdict; %(why)s") % {**facts, "why": last.why}
    return _("“%(name)s” is stopped: %(why)s") % {**facts, "why": last.why}


def _lines() -> Any:
    return Verdict.objects.select_related("arm", "by", "experiment")


def _looks(experiment: Experiment, *, now: datetime) -> list[dict[str, Any]]:
    """The looks, passed and to come: the p and the level it had to stay below, for the pair that came nearest."""
    found = []
    for number, hours in enumerate(rosters.LOOK_HOURS, 1):
        look = Look.objects.filter(experiment=experiment, number=number).first() if experiment.started_at else None
        told = (look.found or {}).get("comparisons", []) if look else []
        nearest = min(told, key=lambda each: each["p"] / max(each["level"], 1e-12), default=None)
        found.append(
            {
                "number": number,
                "hours": hours,
                "due_at": look.due_at if look else None,
                "is_done": bool(look and look.done_at),
                "counts": (look.found or {}).get("arms", {}) if look and look.done_at else {},
                "p": nearest["p"] if nearest else None,
                "level": nearest["level"] if nearest else None,
                "told": bool(nearest and nearest["worse"] is not None),
            }
        )
    return found


def _evidence(experiment: Experiment, rows: list[tallies.Outcome]) -> list[str]:
    """What the clicks so far bet for, in sentences; it may be looked at at any moment."""
    if experiment.on is None or not experiment.started_at:
        return []
    words = []
    for pair, bets in looking.bets(looking.wave_of(experiment), rows).items():
        one, other = pair[0], pair[1]
        better, worse = (one, other) if bets[0] >= bets[1] else (other, one)
        facts = {"better": better, "worse": worse, "e": f"{max(bets):.1f}"}
        words.append(_("That %(better)s is clicked more than %(worse)s: %(e)s to one.") % facts)
    return words


def _trickle(rows: list[tallies.Outcome], arms: list[Arm], *, now: datetime) -> dict[str, Any]:
    base, _is_known = _base(now=now)
    return trickleboard.panel(rows, [arm.letter for arm in arms], base=base, now=now)


def _usual(experiment: Experiment) -> str:
    """The usual rates that were written down before the start, in a sentence; nothing where too few were asked."""
    if not experiment.usual:
        return ""
    facts = {what: rate_words(experiment.usual[what]) for what in tallies.GUARDED}
    return _(
        "Usual within 72 hours of being asked: %(refused)s refuse, %(answered)s say no, %(complained)s complain "
        "(%(asked)d asks in 90 days). A version at two or three times that is stopped."
    ) % {**facts, "asked": experiment.usual["asked"]}


def _changes(experiment: Experiment, arms: list[Arm]) -> list[str]:
    """What would change the verdict, in sentences; nothing of a step that trickles."""
    if experiment.on is None or not experiment.started_at:
        return []
    wave = looking.wave_of(experiment)
    words = []
    for change in looking.verdicts.changes(wave.plan, looking.taken(wave)):
        facts = {"letter": arms[change.arm].letter, "n": abs(change.clicks)}
        if change.kind == "confirmed":
            words.append(
                _("With %(n)d more clicks at the last look, version %(letter)s would have been confirmed.") % facts
            )
    return words


def _difference(sides: list[Side]) -> dict[str, str] | None:
    """B less A in proven clicks, in percentage points, with Newcombe's interval."""
    (k1, n1), (k2, n2) = [(side.figures["clicked"]["k"], side.assigned) for side in sides]
    if not n1 or not n2:
        return None
    rate, low, high = shares.difference(k2, n2, k1, n1)
    return {name: f"{each * 100:+.1f}" for name, each in (("rate", rate), ("low", low), ("high", high))}


def _example(experiment: Experiment) -> Lease | None:
    """A lease of the audience, or one that could be of it, in whose words the versions are read."""
    row = Assigned.objects.filter(experiment=experiment).select_related("lease__unit__building").order_by("pk").first()
    if row:
        return row.lease
    return Lease.objects.filter(state=Lease.State.SIGNED).select_related("unit__building").order_by("pk").first()


def _read(experiment: Experiment, arm: Arm, lease: Lease | None, *, now: datetime) -> str:
    said = StepVersion.objects.filter(step=experiment.step_id).order_by("-pk").first()
    claims = said.claims_topic if said else ""
    return bookwords.read(arm.text, claims, lease, today=clock.day_of(now))[0]
