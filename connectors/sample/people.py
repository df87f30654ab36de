"""Who the tenants are: the latent type of each, and the habits it drives.

Shares: socially active 37 %, price-sensitive 29 %, service-dependent 18 %, other 16 %. A habit's yearly
mean belongs to the type; each person multiplies it by a gamma factor of mean 1 (shape 4, so a spread of
half), and what happens is Poisson. Types overlap, but a rule over a few habits finds most of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from connectors.sample.dice import dice, weighted
from connectors.sample.names import Register
from connectors.sample.places import WORKPLACES


class Latent(StrEnum):
    """What drives a person. Known to the generator and to tests, never to the product."""

    SOCIAL = "social"
    PRICE = "price"
    SERVICE = "service"
    OTHER = "other"


SHARES = {Latent.SOCIAL: 37.0, Latent.PRICE: 29.0, Latent.SERVICE: 18.0, Latent.OTHER: 16.0}

# Share of ending leases renewed: before the season, and in its first month.
RENEWED_BEFORE = {Latent.SOCIAL: 0.68, Latent.PRICE: 0.56, Latent.SERVICE: 0.55, Latent.OTHER: 0.54}
RENEWED_IN_SEASON = {Latent.SOCIAL: 0.89, Latent.PRICE: 0.72, Latent.SERVICE: 0.74, Latent.OTHER: 0.68}

# Yearly means, in the order social, price, service, other.
_HABITS = {
    "gym": (36, 12, 14, 8),
    "shared_kitchen": (32, 10, 8, 5),
    "laundry": (20, 22, 20, 16),
    "study": (9, 5, 5, 4),
    "home": (42, 36, 36, 20),
    "community": (36, 7, 7, 4),
    "rent_prices": (4, 20, 4, 4),
    "coupons": (6, 22, 5, 4),
    "bills": (13, 17, 13, 9),
    "repairs": (4, 4, 15, 3),
    "activities": (9, 1.6, 1.4, 0.7),
    "posts": (20, 2.5, 2.5, 1.2),
    "tickets": (1.2, 1.1, 6.4, 0.9),
}
HABITS = {habit: dict(zip(Latent, means, strict=True)) for habit, means in _HABITS.items()}


@dataclass(slots=True, eq=False)
class Person:
    """A tenant. `key` and `seed` name the person's dice, so two people who share them behave alike."""

    key: str
    seed: int | str
    name: str
    phone: str
    latent: Latent
    app_user: str = ""
    member: str = ""  # number in the community group
    workplace: tuple[float, float] | None = None
    cast: str = ""  # the role of a fixed person
    counts: dict[str, int] = field(default_factory=dict)  # fixed yearly counts, in place of habits

    def dice(self, concern: str) -> np.random.Generator:
        return dice(self.seed, concern, self.key)

    def yearly(self, habit: str) -> float:
        """How often a year this person does it on average."""
        return HABITS[habit][self.latent] * float(self.dice(f"habit {habit}").gamma(4, 1 / 4))


class Crowd:
    """Brings new people into being, one after the other."""

    def __init__(self, seed: int, *, taken_names: set[str]) -> None:
        self._seed = seed
        self._register = Register(dice(seed, "names"), taken_names=taken_names)
        self._count = 0

    def dice(self, concern: str) -> np.random.Generator:
        return dice(self._seed, concern)

    def newcomer(self, latent: Latent) -> Person:
        """Somebody new: nine in ten use the app, most are in the group, most app users name a workplace."""
        self._count += 1
        number = self._count
        person = Person(f"p{number}", self._seed, self._register.name(), self._register.phone(), latent)
        rng = person.dice("who")
        if rng.random() < 0.92:
            person.app_user = f"app-{100_100 + number}"
            if rng.random() < 0.75:
                person.workplace = workplace(rng)
        if rng.random() < (0.95 if latent is Latent.SOCIAL else 0.62):
            person.member = f"Q{200_100 + number}"
        return person


def workplace(rng: np.random.Generator) -> tuple[float, float]:
    """A point within some 300 m of a business place."""
    name = weighted(rng, {name: place[2] for name, place in WORKPLACES.items()})
    latitude, longitude, _ = WORKPLACES[name]
    return round(latitude + rng.normal(0, 0.0015), 5), round(longitude + rng.normal(0, 0.0015), 5)
