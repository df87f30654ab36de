"""Contracts as staff meet them: a lease's whole story, and both sides of what waits for a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from renewal.cases import case_of
from renewal.models import Signature
from tenants import access, clock, history, terms
from tenants.access import Role, Somebody
from tenants.history import FIELDS, Change, Known
from tenants.models import ContractDecision, Lease, LeaseTenant, Unit, WaitingContract

DECIDES = frozenset({Role.HQ, Role.MANAGER})
CHAIN = 12  # so many leases of a unit are shown


@dataclass(frozen=True, slots=True)
class Stay:
    """A lease in the chain of its unit."""

    known: Known
    tenants: str
    is_this: bool


def story(user: Somebody, lease_id: int, *, known_on: date | None, today: date) -> dict[str, Any]:
    """A lease's revisions, how it was known at the end of `known_on`, and who held its unit, as known then.

    Raises `Lease.DoesNotExist` for one behind no door of theirs.
    """
    lease = access.leases_for(user, today=today).select_related("unit__building", "renews").get(pk=lease_id)
    at = clock.at((known_on or today) + timedelta(days=1)) - timedelta(microseconds=1)
    known = next(iter(history.leases_as_known(at, leases=[lease.pk])), None)
    # A lease that stood in another building then is told of there.
    mine = set(access.buildings_for(user, today=today, roles=access.SEES_PEOPLE).values_list("pk", flat=True))
    unit = Unit.objects.select_related("building").get(pk=known.unit) if known else lease.unit
    may_see_unit = unit.building_id in mine
    chain = history.chain_of(unit, at=at)[:CHAIN] if may_see_unit else []
    people = LeaseTenant.objects.filter(lease=lease).select_related("tenant__merged_into")
    return {
        "lease": lease,
        "known": known,
        "known_on": known_on,
        "at": at,
        "unit": unit,
        "facts": _facts(known, unit) if known else [],
        "people": [row.tenant.merged_into or row.tenant for row in people.order_by("-is_primary", "pk")],
        "case": case_of(lease),
        "signature": Signature.objects.filter(lease=lease).select_related("signer").first(),
        "steps": history.steps_of(lease),
        "chain": [Stay(stay, "、".join(stay.tenants), stay.lease == lease.pk) for stay in chain],
        "renewed_by": Lease.objects.filter(renews=lease, state=Lease.State.SIGNED).first(),
        "waiting": list(
            WaitingContract.objects.filter(contract_no=lease.contract_no, unit__building__in=mine).order_by("-revision")
        )
        if lease.contract_no
        else [],
        "refused": list(_refused(lease).filter(unit__building__in=mine)),
    }


def _refused(lease: Lease) -> QuerySet[ContractDecision]:
    """The revisions of this contract that somebody refused, and has not taken back."""
    stands = ContractDecision.objects.filter(verdict=ContractDecision.Verdict.REFUSED, undone_at=None)
    return (
        stands.exclude(contract_no="").filter(contract_no=lease.contract_no).select_related("by").order_by("-revision")
    )


def _facts(known: Known, unit: Unit) -> list[tuple[str, Any, str]]:
    """What the contract said: name of the fact, value, and the field it is written like."""
    facts: list[tuple[str, Any, str]] = [
        ("unit", unit.code, "unit"),
        ("tenant_name", "、".join(known.tenants), "tenant_name"),
        ("first_day", known.first_day, "first_day"),
        ("last_day", known.agreed_last_day, "last_day"),
    ]
    if known.last_day != known.agreed_last_day:
        facts += [("ended_on", known.last_day, "ended_on"), ("ended_by", known.ended_by, "ended_by")]
        facts += [("ended_agreed_on", known.ended_agreed_on, "ended_agreed_on")] if known.ended_agreed_on else []
    facts += [
        ("monthly_rent", known.monthly_rent, "monthly_rent"),
        ("deposit", known.deposit, "deposit"),
        ("signed_on", known.signed_on, "signed_on"),
        ("contract_no", known.contract_no, "contract_no"),
        ("state", known.state, "state"),
    ]
    return facts


# --- What waits -------------------------------------------------------------------------------------------

COMPARED = (
    "unit", "tenant_name", "phone", "cotenants", "first_day", "last_day", "ended_on", "monthly_rent", "deposit",
    "signed_on", "state",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Side:
    """A lease that stands beside the contract that waits."""

    lease: Lease
    title: str
    terms: terms.Terms


def waiting_for(user: Somebody, *, today: date) -> Any:
    """The contracts that wait in the buildings a person decides for."""
    mine = access.buildings_for(user, today=today, roles=DECIDES)
    return WaitingContract.objects.filter(unit__building__in=mine).select_related("unit__building")


def decisions_of(user: Somebody, *, today: date) -> Any:
    """The decisions of the buildings a person decides for."""
    mine = access.buildings_for(user, today=today, roles=DECIDES)
    return ContractDecision.objects.filter(unit__building__in=mine).select_related("unit__building", "by")


def both_sides(row: WaitingContract) -> dict[str, Any]:
    """What the ERP says beside what stands in its way, field by field, and what a person may do about it."""
    first, last = terms.days_of(row.terms)
    standing = Lease.objects.filter(
        Q(contract_no=row.contract_no)
        | Q(unit=row.unit, state=Lease.State.SIGNED, first_day__lte=last, last_day__gte=first)
    )
    sides = [_side(lease, row) for lease in standing.select_related("unit", "renews").order_by("first_day", "pk")]
    ours = next((side.lease for side in sides if _is_signed_here(side.lease, row)), None)
    fields = [field for field in COMPARED if any(each.get(field) for each in [row.terms, *(s.terms for s in sides)])]
    return {
        "row": row,
        "sides": sides,
        "lines": [
            {
                "field": field,
                "name": FIELDS[field],
                "erp": row.terms.get(field),
                "others": [
                    Change(field, side.terms.get(field), _differs(field, side.terms, row.terms)) for side in sides
                ],
            }
            for field in fields
        ],
        "ours": ours,
        "earlier": list(ContractDecision.objects.filter(contract_no=row.contract_no).select_related("by", "undone_by")),
    }


def _differs(field: str, ours: terms.Terms, said: terms.Terms) -> bool:
    """Whether the ERP says something else; a file without the column of co-tenants says nothing of them."""
    return ours.get(field) != said.get(field) and not (field == "cotenants" and field not in said)


def _is_signed_here(lease: Lease, row: WaitingContract) -> bool:
    """Whether the contract seems to be this lease, signed online; whether its tenant is the same, a verb checks."""
    same = lease.unit_id == row.unit_id and str(lease.first_day) == row.terms["first_day"]
    return same and lease.revision == 0 and not lease.contract_no and terms.differs(lease, row.terms)


def _side(lease: Lease, row: WaitingContract) -> Side:
    rows = LeaseTenant.objects.filter(lease=lease).select_related("tenant").order_by("-is_primary", "pk")
    said = terms.signed_terms(lease, [one.tenant for one in rows])
    said["ended_on"] = str(lease.last_day) if lease.last_day != lease.agreed_last_day else None
    if not lease.contract_no:
        title = _("signed online on %(day)s") % {"day": lease.signed_on}
    elif lease.contract_no == row.contract_no:
        title = _("the same contract, as it stands (revision %(revision)s)") % {"revision": lease.revision}
    else:
        title = _("contract %(number)s") % {"number": lease.contract_no}
    return Side(lease, title, said)
