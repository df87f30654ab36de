"""Four people who are there whatever the size and the seed: tests and tours meet them.

Their dice come from the role's own seed, so that they also behave alike in every portfolio; 林晓 and
周航 share theirs and differ only in the consent to marketing. Days are counted from today.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from connectors.sample.days import Calendar
from connectors.sample.leases import Tenancy, chain
from connectors.sample.people import Latent, Person
from connectors.sample.places import Unit

CAST_SEED = "cast"


@dataclass(frozen=True, slots=True)
class Role:
    role: str
    name: str
    number: int  # of phone, app account and group member
    key: str
    latent: Latent
    building: str
    flat_index: int  # the first or second flat of the building, always a studio
    ends_in: int  # days after today
    terms: tuple[int, ...]  # months, oldest first
    workplace: tuple[float, float]
    marketing: bool = True
    counts: dict[str, int] = field(default_factory=dict)


_RIVERSIDE = (30.2468, 120.2107)  # 钱江新城, 4.3 km from B1
_KITCHEN = {"gym": 47, "shared_kitchen": 64, "laundry": 22, "study": 6, "activities": 8, "posts": 19, "tickets": 1}
ROLES = (
    Role("kitchen", "林晓", 1, "lin", Latent.SOCIAL, "B1", 0, 25, (12, 12), _RIVERSIDE, counts=_KITCHEN),
    Role(
        *("kitchen_refused", "周航", 2, "lin", Latent.SOCIAL, "B1", 1, 25, (12, 12), _RIVERSIDE),
        marketing=False,
        counts=_KITCHEN,
    ),
    Role("late_repair", "陈默", 3, "chen", Latent.SERVICE, "B2", 0, 30, (12,), (30.2042, 120.2166)),
    Role("old_building", "何静", 4, "he", Latent.OTHER, "B8", 0, 40, (12, 12, 12), (30.2468, 120.2107)),
)
NAMES = {role.name for role in ROLES}
REFUSES_MARKETING = {role.role for role in ROLES if not role.marketing}


def move_in(units: list[Unit], calendar: Calendar) -> list[Tenancy]:
    """Each of them lives in a studio of their building, on contracts with fixed numbers."""
    return [_tenancy(role, units, calendar) for role in ROLES]


def _tenancy(role: Role, units: list[Unit], calendar: Calendar) -> Tenancy:
    unit = [unit for unit in units if unit.building.code == role.building][role.flat_index]
    person = Person(
        key=role.key,
        seed=CAST_SEED,
        name=role.name,
        phone=f"100{role.number:08}",
        latent=role.latent,
        app_user=f"app-{100_000 + role.number}",
        member=f"Q{200_000 + role.number}",
        workplace=role.workplace,
        cast=role.role,
        counts=role.counts,
    )
    last_day = calendar.today + timedelta(days=role.ends_in)
    tenancy = chain(person, unit, last_day=last_day, terms=role.terms, calendar=calendar, exact=True)
    for index, contract in enumerate(reversed(tenancy.contracts)):
        contract.no = f"HT-{9000 + role.number * 10 + index}"
    return tenancy
