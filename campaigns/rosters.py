"""The audience of an experiment: frozen on the day of the wave, with an arm for each, from a seed that is kept.

Between planning and handing over, an arm is drawn for every push that was planned. That is the audience, whatever
becomes of the pushes afterwards (intention to treat). Who hears the general wording is not of it, nor is what was held
back for a repair and goes out later.
A step that trickles by lease end draws as its pushes come, by a hash that anyone can verify.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from campaigns import tallies, trials
from campaigns.experiments import assigning
from campaigns.experiments.assigning import Household
from campaigns.models import Arm, Assigned, Experiment, Look, Push, Verdict
from tenants.holdout import HOUSEHOLD

LOOK_HOURS = (12, 24, 36, 48, 60, 72)  # after the wave began to be sent
MOODS = {"bad": 0, "soso": 1, "good": 2}
UNKNOWN = 1
State = Experiment.State

# Who a planned push speaks to, for the roster: neighbours in this order are alike.
_ROSTER_SQL = f"""
    SELECT push.lease_id, push.tenant_id, {HOUSEHOLD} AS household, building.code,
        coalesce(f.last_moods ->> 0, '') AS mood, %(today)s - min(first.first_day) AS tenure
    FROM campaigns_push push
    JOIN tenants_lease lease ON lease.id = push.lease_id
    JOIN tenants_unit u ON u.id = lease.unit_id
    JOIN tenants_building building ON building.id = u.building_id
    JOIN tenants_tenant t ON t.id = push.tenant_id
    LEFT JOIN tenants_feature f ON f.tenant_id = coalesce(t.merged_into_id, t.id)
    JOIN tenants_leasetenant lt ON lt.tenant_id = push.tenant_id
    JOIN tenants_lease first ON first.id = lt.lease_id AND first.state = 'signed'
    WHERE push.id = ANY(%(pushes)s)
    GROUP BY push.id, u.id, building.id, f.tenant_id
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Seat:
    """A push that was planned, and whom it speaks to."""

    lease: int
    tenant: int
    household: str
    building: str
    mood: str
    tenure: int  # days since their first lease began


def freeze(*, today: date, now: datetime) -> dict[str, int]:
    """Whoever is to hear a step under test has an arm: of a wave on its day, all at once, otherwise as pushes come."""
    assigned = 0
    with transaction.atomic():
        for experiment in Experiment.objects.filter(state__in=[State.READY, State.RUNNING]).select_for_update():
            planned = Push.objects.filter(step=experiment.step_id, state=Push.State.PLANNED, general=False)
            if experiment.on is None:
                assigned += _trickle(experiment, planned, today=today, now=now)
            elif experiment.state == State.READY and experiment.on <= today:
                assigned += _wave(experiment, planned.filter(due_on=experiment.on), today=today, now=now)
    return {"assigned": assigned}


def _wave(experiment: Experiment, planned: QuerySet[Push], *, today: date, now: datetime) -> int:
    """The audience is frozen and its looks are laid down; an experiment of nobody is over."""
    seats = _seats(planned, today=today)
    if not seats:
        nobody = _("Nobody was to hear the step on the day of the wave.")
        Verdict.objects.create(experiment=experiment, kind=Verdict.Kind.BLOCKED, why=nobody, at=now)
        trials.end(experiment, State.STOPPED, now=now)
        return 0
    arms = _arms(experiment)
    roster = households(seats)
    experiment.roster = [[each.key, each.building, each.mood, each.tenure, each.persons] for each in roster]
    experiment.usual = tallies.usual(at=now)
    experiment.save(update_fields=["roster", "usual"])
    arm_of = assigning.assign(roster, experiment.seed, len(arms))
    blocks = assigning.blocks(roster, len(arms))
    block_of = {each.key: number for number, block in enumerate(blocks) for each in block}
    _seat(experiment, [(seat, arms[arm_of[seat.household]], block_of[seat.household]) for seat in seats], now=now)
    Look.objects.bulk_create(
        Look(experiment=experiment, number=number, due_at=now + timedelta(hours=hours))
        for number, hours in enumerate(LOOK_HOURS, 1)
    )
    return len(seats)


def _trickle(experiment: Experiment, planned: QuerySet[Push], *, today: date, now: datetime) -> int:
    """Whoever is new has the arm of their household's hash, by equal parts of the arms that were laid down."""
    drawn = set(Assigned.objects.filter(experiment=experiment).values_list("lease", "tenant"))
    seats = [seat for seat in _seats(planned, today=today) if (seat.lease, seat.tenant) not in drawn]
    arms = _arms(experiment)
    parts = assigning.ranges(len(arms))
    placed = [(seat, assigning.arm_at(assigning.bucket(experiment.seed, seat.household), parts)) for seat in seats]
    _seat(experiment, [(seat, arms[arm], 0) for seat, arm in placed if arm is not None], now=now)
    return len(seats)


def _seat(experiment: Experiment, those: Collection[tuple[Seat, Arm, int]], *, now: datetime) -> None:
    Assigned.objects.bulk_create(
        [
            Assigned(
                experiment=experiment,
                arm=arm,
                lease_id=seat.lease,
                tenant_id=seat.tenant,
                household=seat.household,
                block=block,
                at=now,
            )
            for seat, arm, block in those
        ],
        batch_size=1000,
    )
    if those and experiment.state == State.READY:
        experiment.state, experiment.started_at = State.RUNNING, now
        experiment.save(update_fields=["state", "started_at"])


def _arms(experiment: Experiment) -> list[Arm]:
    return list(Arm.objects.filter(experiment=experiment).order_by("letter"))


def _seats(planned: QuerySet[Push], *, today: date) -> list[Seat]:
    with connection.cursor() as cursor:
        cursor.execute(_ROSTER_SQL, {"pushes": list(planned.values_list("pk", flat=True)), "today": today})
        return [Seat(*row) for row in cursor.fetchall()]


def households(seats: Collection[Seat]) -> list[Household]:
    """Those who live together, as the lot has to know them."""
    groups: dict[str, list[Seat]] = defaultdict(list)
    for seat in seats:
        groups[seat.household].append(seat)
    return [
        Household(
            key=key,
            building=group[0].building,
            mood=min(MOODS.get(seat.mood, UNKNOWN) for seat in group),
            tenure=max(seat.tenure for seat in group),
            persons=len(group),
        )
        for key, group in groups.items()
    ]


def frozen(experiment: Experiment) -> list[Household]:
    """The households of a wave's audience, as the lot knew them."""
    return [Household(*each) for each in experiment.roster]
