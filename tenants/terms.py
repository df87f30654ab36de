"""The terms of a contract as JSON: what a lease's revisions and the contracts that wait keep of a record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from typing import Any

from connectors.records import AliasSource, ContractRecord
from tenants.models import Lease, Tenant

Terms = dict[str, Any]


def terms_of(record: ContractRecord) -> Terms:
    """What the record says."""
    terms = {name: value for name, value in asdict(record).items() if name != "line"}
    return {name: str(value) if isinstance(value, date | Decimal) else value for name, value in terms.items()}


def signed_terms(lease: Lease, tenants: Sequence[Tenant]) -> Terms:
    """What a renewal signed here says, in the shape of a contract record."""
    return {
        "contract_no": "",
        "revision": 0,
        "unit": lease.unit.code,
        "tenant_name": tenants[0].name,
        "phone": tenants[0].phone,
        "signed_on": str(lease.signed_on),
        "first_day": str(lease.first_day),
        "last_day": str(lease.agreed_last_day),
        "monthly_rent": str(lease.monthly_rent),
        "deposit": str(lease.deposit),
        "anchor_day": lease.anchor_day,
        "state": lease.state,
        "renews": lease.renews.contract_no if lease.renews else None,
    }


def days_of(terms: Terms) -> tuple[date, date]:
    """First and last day as they came to be: a lease that ended early frees the days after."""
    return date.fromisoformat(terms["first_day"]), date.fromisoformat(terms["ended_on"] or terms["last_day"])


def differs(lease: Lease, terms: Terms) -> bool:
    said = (Decimal(terms["monthly_rent"]), Decimal(terms["deposit"]), date.fromisoformat(terms["last_day"]))
    return said != (lease.monthly_rent, lease.deposit, lease.agreed_last_day)


def refs_of(terms: Terms) -> list[tuple[str, str]]:
    """The aliases a contract names, the strongest first."""
    named = [
        (AliasSource.PHONE, terms["phone"]),
        (AliasSource.CONTRACT, terms["contract_no"]),
        (AliasSource.APP, terms.get("app_user")),
        (AliasSource.COMMUNITY, terms.get("community_member")),
    ]
    return [(str(source), ref) for source, ref in named if ref]
