"""Sums over the ledger of perks: what is left to give, what was promised, and what is still owed.

Every grant is one of four: open, redeemed, expired or revoked; so their counts add up to those granted, and what is
owed is the cost, as it was when given, of the open ones.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import connection
from django.db.models import DecimalField, F, Sum

from tenants.models import Grant, Perk

ZERO = Decimal("0.00")
# Each grant of the ledger with how it stands at %(now)s: id, perk_id, tenant_id, cost, granted_at, state.
STATE_SQL = """
    SELECT line.id, line.perk_id, line.tenant_id, line.lease_id, line.cost, line.granted_at,
        CASE
            WHEN answer.kind IN ('redeemed', 'revoked') THEN answer.kind
            WHEN line.expires_at <= %(now)s THEN 'expired'
            ELSE 'open'
        END AS state
    FROM tenants_grant line
    LEFT JOIN LATERAL (
        SELECT kind FROM tenants_grant later WHERE later.of_id = line.id ORDER BY later.number DESC LIMIT 1
    ) answer ON TRUE
    WHERE line.kind = 'granted'
"""
_FIGURES_SQL = f"""
    SELECT perk_id, state, count(*), sum(cost) FROM ({STATE_SQL}) line GROUP BY perk_id, state
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Figures:
    """What the ledger says of one perk, or of all: counts, and yuan."""

    granted: int = 0
    open: int = 0
    redeemed: int = 0
    expired: int = 0
    revoked: int = 0
    owed: Decimal = ZERO  # open ones, at the cost of when they were given
    spent: Decimal = ZERO  # redeemed ones
    promised: Decimal = ZERO  # all but the revoked: what counts against the budget


def figures(*, now: datetime) -> dict[int, Figures]:
    """By perk, of those of which anything was given."""
    with connection.cursor() as cursor:
        cursor.execute(_FIGURES_SQL, {"now": now})
        rows = cursor.fetchall()
    counts: dict[int, dict[str, tuple[int, Decimal]]] = {}
    for perk, state, count, cost in rows:
        counts.setdefault(perk, {})[state] = (count, cost)
    return {perk: _figures(states) for perk, states in counts.items()}


def total(rows: Collection[Figures]) -> Figures:
    """Over several perks."""
    return Figures(
        *(sum(getattr(row, name) for row in rows) for name in ("granted", "open", "redeemed", "expired", "revoked")),
        *(sum((getattr(row, name) for row in rows), ZERO) for name in ("owed", "spent", "promised")),
    )


def _figures(states: dict[str, tuple[int, Decimal]]) -> Figures:
    n = {name: states.get(name, (0, ZERO))[0] for name in ("open", "redeemed", "expired", "revoked")}
    yuan = {name: states.get(name, (0, ZERO))[1] for name in n}
    return Figures(
        **n,
        granted=sum(n.values()),
        owed=yuan["open"],
        spent=yuan["redeemed"],
        promised=yuan["open"] + yuan["redeemed"] + yuan["expired"],
    )


# --- What is left, asked and changed by whoever holds the perk's row ----------------------------------------


def left(perk: Perk) -> int | None:
    """How many may still be given, by stock and budget, besides those kept for somebody; None: not limited."""
    limits = [] if perk.stock is None else [perk.stock]
    if perk.budget is not None and perk.cost:
        promised = Grant.objects.filter(perk=perk).aggregate(
            sum=Sum(F("cost") * F("quantity"), output_field=DecimalField(max_digits=20, decimal_places=2))
        )["sum"]
        limits.append(max(0, int((perk.budget - (promised or ZERO)) // perk.cost) - perk.aside))
    return min(limits, default=None)


def take(perk: Perk, n: int) -> None:
    """So many fewer are in stock, where it is limited; below zero, more."""
    if n and perk.stock is not None:
        Perk.objects.filter(pk=perk.pk).update(stock=F("stock") - n)
