"""The terms of a contract as JSON: what a lease's revisions and the contracts that wait keep of a record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from connectors.records import AliasSource, ContractRecord, CoTenant
from tenants.models import Lease, Tenant

Terms = dict[str, Any]
Ref = tuple[str, str]

# Columns a file may lack: left out of terms where they say nothing, so that a row says the same with and without them.
OPTIONAL = ("id_hash", "wechat", "locker", "cotenants")


class Party(NamedTuple):
    """Somebody a contract names: the phone first among `refs`, then the identity number's hash, if it is known."""

    name: str
    refs: list[Ref]

    @property
    def phone(self) -> str:
        return self.refs[0][1]

    @property
    def id_hash(self) -> str:
        return next((ref for source, ref in self.refs if source == AliasSource.ID_HASH), "")


def terms_of(record: ContractRecord) -> Terms:
    """What the record says."""
    terms = {name: value for name, value in asdict(record).items() if name != "line"}
    terms = {name: value for name, value in terms.items() if name not in OPTIONAL or value is not None}
    if record.cotenants is not None:
        terms["cotenants"] = [_cotenant(other) for other in record.cotenants]
    return {name: str(value) if isinstance(value, date | Decimal) else value for name, value in terms.items()}


def _cotenant(other: CoTenant) -> dict[str, str]:
    return {name: value for name, value in asdict(other).items() if value}


def record_of(terms: Terms) -> ContractRecord:
    """The record that said this; the line it stood on is forgotten."""
    said: Terms = {
        "line": 0,
        **{field.name: terms[field.name] for field in fields(ContractRecord) if field.name in terms},
    }
    for name in ("signed_on", "first_day", "last_day", "ended_on", "ended_agreed_on"):
        said[name] = date.fromisoformat(said[name]) if said.get(name) else None
    said |= {name: Decimal(said[name]) for name in ("monthly_rent", "deposit")}
    if "cotenants" in said:
        said["cotenants"] = tuple(CoTenant(**other) for other in said["cotenants"])
    return ContractRecord(**said)


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
        "cotenants": [{"name": tenant.name, "phone": tenant.phone} for tenant in tenants[1:]],
    }


def days_of(terms: Terms) -> tuple[date, date]:
    """First and last day as they came to be: a lease that ended early frees the days after."""
    return date.fromisoformat(terms["first_day"]), date.fromisoformat(terms.get("ended_on") or terms["last_day"])


def write_on(lease: Lease, terms: Terms, *, unit: int) -> None:
    """The lease's row says what the terms say."""
    lease.unit_id = unit
    lease.contract_no = terms["contract_no"]
    lease.revision = terms["revision"]
    lease.signed_on = date.fromisoformat(terms["signed_on"])
    lease.first_day, lease.last_day = days_of(terms)
    lease.agreed_last_day = date.fromisoformat(terms["last_day"])
    lease.monthly_rent = Decimal(terms["monthly_rent"])
    lease.deposit = Decimal(terms["deposit"])
    lease.anchor_day = terms["anchor_day"]
    lease.state = Lease.State.VOID if terms["state"] == "void" else Lease.State.SIGNED
    lease.ended_by = terms.get("ended_by") or ""
    agreed = terms.get("ended_agreed_on")
    lease.ended_agreed_on = date.fromisoformat(agreed) if agreed else None


def differs(lease: Lease, terms: Terms) -> bool:
    said = (Decimal(terms["monthly_rent"]), Decimal(terms["deposit"]), date.fromisoformat(terms["last_day"]))
    return said != (lease.monthly_rent, lease.deposit, lease.agreed_last_day)


def parties_of(terms: Terms) -> list[Party]:
    """Everybody the terms name, the first tenant first."""
    first = [
        (AliasSource.PHONE, terms["phone"]),
        (AliasSource.ID_HASH, terms.get("id_hash")),
        (AliasSource.APP, terms.get("app_user")),
        (AliasSource.COMMUNITY, terms.get("community_member")),
        (AliasSource.WECHAT, terms.get("wechat")),
        (AliasSource.LOCKER, terms.get("locker")),
    ]
    others = [
        (other["name"], [(AliasSource.PHONE, other["phone"]), (AliasSource.ID_HASH, other.get("id_hash"))])
        for other in terms.get("cotenants") or []
    ]
    return [
        Party(name, [(str(source), ref) for source, ref in named if ref])
        for name, named in [(terms["tenant_name"], first), *others]
        if named[0][1]  # of whom we signed with and have no phone, nothing is known by which to find them again
    ]


def party_at(known: Mapping[int, Terms], revision: int) -> list[Party]:
    """Who stands on the contract at that revision; one that says nothing of co-tenants leaves them as they were."""
    first = parties_of(known[revision])[:1]
    for earlier in sorted((number for number in known if number <= revision), reverse=True):
        if "cotenants" in known[earlier]:
            others = parties_of(known[earlier])[1:]
            # Who has become the first tenant is not a co-tenant besides.
            return first + [other for other in others if other.phone != first[0].phone and other.name != first[0].name]
    return first
