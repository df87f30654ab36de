"""Revisions of contracts from files that do not count them: each row says how its contract stands now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date
from itertools import islice
from typing import Any

from django.utils.translation import gettext as _

from connectors.records import BadRecord, ContractRecord
from tenants.models import ContractDecision, LeaseRevision, WaitingContract
from tenants.terms import Terms, terms_of

BATCH = 2000


def numbered(records: Iterable[Any]) -> Iterator[Any]:
    """The records of a file; one without a revision (0) has the contract's latest if it says the same, or the next.

    Of two rows about one contract nobody could tell the later, and a lease that begins after the contract has ended
    is another contract: such rows are refused.
    """
    stream = iter(records)
    seen: dict[str, ContractRecord] = {}
    while batch := list(islice(stream, BATCH)):
        bare = [record for record in batch if isinstance(record, ContractRecord) and not record.revision]
        latest = _latest({record.contract_no for record in bare}) if bare else {}
        for record in batch:
            if isinstance(record, ContractRecord) and not record.revision:
                yield _number(record, latest.get(record.contract_no), seen)
            else:
                yield record


def _number(
    record: ContractRecord, latest: Terms | None, seen: dict[str, ContractRecord]
) -> ContractRecord | BadRecord:
    facts = {"number": record.contract_no}
    if before := seen.get(record.contract_no):
        if _says(record) != _says(before):
            reason = _(
                "Contract %(number)s stands in row %(line)s too and says something else there: without a revision "
                "nobody can tell which is the later. A renewal needs a number of its own."
            )
            return BadRecord(record.line, reason % {**facts, "line": before.line}, column="合同编号")
        return replace(before, line=record.line)
    if latest and record.first_day > date.fromisoformat(latest["last_day"]):
        reason = _(
            "Contract %(number)s ended on %(last)s, before this row begins: a renewal needs a number of its own."
        )
        return BadRecord(record.line, reason % {**facts, "last": latest["last_day"]}, column="合同编号")
    revision = latest["revision"] if latest else 0
    if latest is None or _says(record) != _without_revision(latest):
        revision += 1
    seen[record.contract_no] = replace(record, revision=revision)
    return seen[record.contract_no]


def _latest(numbers: set[str]) -> dict[str, Terms]:
    """What the highest revision of each contract says, whether it holds, waits or was refused by a person."""
    every = [
        *LeaseRevision.objects.filter(lease__contract_no__in=numbers).values_list(
            "lease__contract_no", "revision", "terms"
        ),
        *WaitingContract.objects.filter(contract_no__in=numbers).values_list("contract_no", "revision", "terms"),
        *ContractDecision.objects.filter(contract_no__in=numbers).values_list("contract_no", "revision", "terms"),
    ]
    return {number: terms for number, _revision, terms in sorted(every, key=lambda one: one[1])}


def _says(record: ContractRecord) -> Terms:
    return _without_revision(terms_of(record))


def _without_revision(terms: Terms) -> Terms:
    return {name: value for name, value in terms.items() if name != "revision" and value is not None}
