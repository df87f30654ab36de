"""名单: lists of names that people make, for rules to ask about. The only writer of them.

Who put whom on a list, who took them off and who called it what is kept for ever; every change can be undone by
another one. A person is on a list whichever of their rows was put on it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _

from campaigns import playbooks, segments
from campaigns.models import ListChange, Listed, NameList, Segment, StepVersion
from connectors.records import AliasSource
from tenants.models import Alias, Lease, LeaseTenant, User

MAX_NAME = 80
MOST_ENTRIES = 5000
BETWEEN = re.compile(r"[,，;；、\t]+")
PHONE = re.compile(r"(?:(?:\+|00)?86)?(1\d{10})")
Kind = ListChange.Kind


class NotDone(Exception):
    """A change of a list that cannot be made, in one sentence; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """What was pasted and names nobody: in which line, counted from 1, and why."""

    line: int
    text: str
    why: str


@dataclass(slots=True)
class Pasted:
    """What became of a paste. `added` and `already` are people by id; `change` can be undone."""

    added: list[int] = field(default_factory=list)
    already: list[int] = field(default_factory=list)
    unknown: list[Unknown] = field(default_factory=list)
    change: ListChange | None = None


def make(name: str, *, by: User | None, now: datetime) -> NameList:
    """A new list with nobody on it. Raises `NotDone`."""
    with transaction.atomic():
        made = NameList.objects.create(code=uuid4().hex, name=_named(name, None))
        made.code = f"list-{made.pk}"
        made.save(update_fields=["code"])
        _record(made, Kind.MADE, by=by, now=now, after=made.name)
    return made


def rename(pk: int, name: str, *, by: User | None, now: datetime, undoes: ListChange | None = None) -> NameList:
    """The list is called so. Raises `NotDone`."""
    with transaction.atomic():
        one = _locked(pk)
        before, one.name = one.name, _named(name, pk)
        if before != one.name:
            one.save(update_fields=["name"])
            _record(one, Kind.RENAMED, by=by, now=now, before=before, after=one.name, undoes=undoes)
    return one


def paste(pk: int, text: str, *, by: User | None, now: datetime) -> Pasted:
    """Whoever the text names by phone or contract number is on the list; what names nobody is told. Raises `NotDone`.

    One to a line, or several with commas between them. A contract stands for everybody who is on it.
    """
    entries = [
        (line, said)
        for line, row in enumerate(text.replace("\0", "").splitlines(), 1)
        for each in BETWEEN.split(unicodedata.normalize("NFKC", row))
        if (said := " ".join(each.split()))
    ]
    if not entries:
        raise NotDone(_("Paste phone or contract numbers first, one to a line."))
    if len(entries) > MOST_ENTRIES:
        raise NotDone(_("At most %(n)d at a time; nothing was added.") % {"n": MOST_ENTRIES})
    people, voids = _people_of({said for _line, said in entries})
    pasted = Pasted()
    with transaction.atomic():
        one = _locked(pk)
        there = set(members(one))
        for line, said in entries:
            for person in people.get(said, ()):
                known = pasted.already if person in there else pasted.added
                if person not in pasted.already and person not in pasted.added:
                    known.append(person)
            if said not in people:
                why = _("this contract is void") if said in voids else _whose(said)
                pasted.unknown.append(Unknown(line, said[:MAX_NAME], why))
        if pasted.added:
            pasted.change = _put(one, pasted.added, by=by, now=now)
    return pasted


def take(pk: int, people: Collection[int], *, by: User | None, now: datetime) -> ListChange | None:
    """These people are not on the list; None if none of them was. Raises `NotDone`."""
    with transaction.atomic():
        return _take(_locked(pk), people, by=by, now=now)


def remove(pk: int, *, by: User | None, now: datetime) -> ListChange:
    """No rule can be made with the list any more; who is on it stays. Raises `NotDone` while a rule asks for it."""
    with transaction.atomic():
        one = _locked(pk)
        if used := users(one):
            names = _(", ").join(f"“{name}”" for name in used)
            raise NotDone(_("It cannot be removed: %(names)s asks for it.") % {"names": names})
        one.removed_at = now
        one.save(update_fields=["removed_at"])
        return _record(one, Kind.REMOVED, by=by, now=now)


def undo(pk: int, change: int, *, by: User | None, now: datetime) -> ListChange | None:
    """What that change did is as before, by another change; whatever was done since stays. Raises `NotDone`."""
    with transaction.atomic():
        one = NameList.objects.select_for_update().get(pk=pk)
        done = ListChange.objects.get(pk=change, list=one)
        if ListChange.objects.filter(undoes=done).exists():
            raise NotDone(_("This is undone already."))
        if done.kind == Kind.REMOVED and one.removed_at:
            _named(one.name, pk)
            one.removed_at = None
            one.save(update_fields=["removed_at"])
            return _record(one, Kind.RESTORED, by=by, now=now, undoes=done)
        if one.removed_at:
            raise NotDone(_("The list is removed; restore it first."))
        match done.kind:
            case Kind.ADDED:
                put = Listed.objects.filter(added=done, taken=None)
                return _take(one, set(_persons(put)), by=by, now=now, undoes=done)
            case Kind.TAKEN:
                back = sorted(set(_persons(Listed.objects.filter(taken=done))) - set(members(one)))
                return _put(one, back, by=by, now=now, undoes=done) if back else None
            case Kind.RENAMED if one.name == done.after:
                rename(pk, done.before, by=by, now=now, undoes=done)
                return None
            case Kind.RENAMED:
                raise NotDone(_("It has been renamed again since."))
        raise NotDone(_("This cannot be undone."))


# --- Reading --------------------------------------------------------------------------------------------------


def live() -> QuerySet[NameList]:
    """The lists that are there, by name."""
    return NameList.objects.filter(removed_at=None).order_by("name", "pk")


def members(one: NameList) -> list[int]:
    """Who is on the list, by id."""
    return sorted(set(_persons(Listed.objects.filter(list=one, taken=None))))


def users(one: NameList) -> list[str]:
    """The names of the segments, and of the playbooks with steps, that ask for the list."""
    rules = [(segment.name, segment.rule) for segment in Segment.objects.order_by("name")]
    drafts = StepVersion.objects.filter(version__is_draft=True).select_related("version__playbook")
    rules += [(step.version.playbook.name, step.rule) for step in (*playbooks.steps(), *drafts)]
    asking = [name for name, rule in rules if {"list": one.code} in [leaf for _kind, leaf in segments.leaves(rule)]]
    return list(dict.fromkeys(asking))


def history(one: NameList) -> QuerySet[Any]:
    """What was done to the list, the latest first; `is_undone` says whether it was undone."""
    undone = ListChange.objects.filter(undoes=OuterRef("pk"))
    rows = ListChange.objects.filter(list=one).annotate(is_undone=Exists(undone))
    return rows.select_related("by", "undoes").order_by("-pk")


# --- Parts ----------------------------------------------------------------------------------------------------


def _locked(pk: int) -> NameList:
    one = NameList.objects.select_for_update().get(pk=pk)
    if one.removed_at:
        raise NotDone(_("The list is removed; restore it first."))
    return one


def _put(
    one: NameList, people: Collection[int], *, by: User | None, now: datetime, undoes: ListChange | None = None
) -> ListChange:
    change = _record(one, Kind.ADDED, by=by, now=now, people=len(people), undoes=undoes)
    Listed.objects.bulk_create([Listed(list=one, tenant_id=person, added=change) for person in sorted(people)])
    return change


def _take(
    one: NameList, people: Collection[int], *, by: User | None, now: datetime, undoes: ListChange | None = None
) -> ListChange | None:
    rows = Listed.objects.filter(list=one, taken=None).annotate(person=Coalesce("tenant__merged_into_id", "tenant_id"))
    those = [(row.pk, row.person) for row in rows.filter(person__in=people)]
    if not those:
        return None
    change = _record(one, Kind.TAKEN, by=by, now=now, people=len({person for _row, person in those}), undoes=undoes)
    Listed.objects.filter(pk__in=[row for row, _person in those]).update(taken=change)
    return change


def _record(
    one: NameList,
    kind: Kind,
    *,
    by: User | None,
    now: datetime,
    people: int = 0,
    before: str = "",
    after: str = "",
    undoes: ListChange | None = None,
) -> ListChange:
    return ListChange.objects.create(
        list=one, kind=kind, people=people, before=before, after=after, by=by, at=now, undoes=undoes
    )


def _persons(rows: QuerySet[Listed]) -> QuerySet[Listed, int]:
    return rows.values_list(Coalesce("tenant__merged_into_id", "tenant_id"), flat=True)


def _people_of(said: Collection[str]) -> tuple[dict[str, list[int]], set[str]]:
    """The people whom each of these phone or contract numbers stands for, and the contracts that are void."""
    phones = {text: match[1] for text in said if (match := PHONE.fullmatch(_digits(text)))}
    found: dict[str, list[int]] = {}
    known = dict(
        Alias.objects.filter(source=AliasSource.PHONE, ref__in=phones.values())
        .exclude(tenant=None)
        .values_list("ref", Coalesce("tenant__merged_into_id", "tenant_id"))
    )
    stands = LeaseTenant.objects.filter(lease__contract_no__in=said, lease__state=Lease.State.SIGNED).order_by("pk")
    for number, person in stands.values_list("lease__contract_no", Coalesce("tenant__merged_into_id", "tenant_id")):
        found.setdefault(number, []).append(person)
    for text, phone in phones.items():
        if phone in known:
            found[text] = [known[phone]]
    void = Lease.objects.filter(contract_no__in=said, state=Lease.State.VOID)
    return found, set(void.values_list("contract_no", flat=True))


def _digits(text: str) -> str:
    return re.sub(r"[\s\-().]", "", text)


def _whose(said: str) -> str:
    if PHONE.fullmatch(_digits(said)):
        return _("no tenant has this phone number")
    return _("no contract has this number, and it is no phone number")


def _named(name: str, pk: int | None) -> str:
    name = " ".join(name.replace("\0", "").split())
    if not name:
        raise NotDone(_("A list needs a name."))
    if len(name) > MAX_NAME:
        raise NotDone(_("A name has at most %(n)d characters.") % {"n": MAX_NAME})
    if NameList.objects.filter(name=name, removed_at=None).exclude(pk=pk or 0).exists():
        raise NotDone(_("There is already a list called “%(name)s”.") % {"name": name})
    return name
