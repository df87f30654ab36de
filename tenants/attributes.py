"""What we hold of a person, attribute by attribute: its value, who told us, when it was true and since when we know."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from connectors.records import AliasSource, Kind
from tenants import clock, consents
from tenants.access import masked
from tenants.merges import rows_of
from tenants.models import Alias, Consent, Event, LeaseRevision, Tenant
from tenants.terms import parties_of

ALIASES: dict[str, str | Promise] = {
    AliasSource.CONTRACT: gettext_lazy("contract no."),
    AliasSource.PHONE: gettext_lazy("phone"),
    AliasSource.ID_HASH: gettext_lazy("identity card"),
    AliasSource.APP: gettext_lazy("app account"),
    AliasSource.ANONYMOUS: gettext_lazy("app device"),
    AliasSource.WECHAT: gettext_lazy("WeChat openid"),
    AliasSource.COMMUNITY: gettext_lazy("community number"),
    AliasSource.LOCKER: gettext_lazy("locker account"),
}
# Of these there is one at a time, shown on its own; the rest stand in the list of aliases only.
BY_HAND = "hand"  # begins the origin of an alias that somebody entered; the account follows
SINGLE = (AliasSource.APP, AliasSource.WECHAT, AliasSource.COMMUNITY, AliasSource.LOCKER)


Seen = Collection[str] | None  # numbers of contracts; None: all


@dataclass(frozen=True, slots=True)
class Attribute:
    """One thing we hold. `learnt_on` is None where nothing recorded when we learnt it."""

    name: str | Promise
    value: str
    source: str
    true_on: date | None = None
    learnt_on: date | None = None


def attributes(person: Tenant, *, seen: Seen = None, until: datetime | None = None) -> list[Attribute]:
    """All we hold of a person whom `tenants.merges` knows as a root, each with source and age.

    For who may see only some of their contracts (`seen`), the others have no number, and what was told in the app
    after `until` is not shown.
    """
    rows = rows_of(person.pk)
    latest: dict[str, Alias] = {}
    # What a source told stands first: what somebody added is one more of its kind, and stands in the list of all.
    for alias in sorted(aliases(person), key=lambda alias: alias.origin.partition(" ")[0] == BY_HAND):
        latest.setdefault(alias.source, alias)
    found = [
        _told(gettext_lazy("tenant's name"), person.name, rows, seen, lambda party: party.name == person.name),
        _told(ALIASES[AliasSource.PHONE], masked(person.phone), rows, seen, lambda party: party.phone == person.phone),
    ]
    found.append(_card(person, latest.get(AliasSource.ID_HASH), rows, seen))
    found += [_known(latest[source], shown(latest[source]), seen) for source in SINGLE if source in latest]
    found += _workplace(rows, until)
    general = consents.chose_general(person)
    found.append(
        Attribute(
            gettext_lazy("general version"),
            _("chosen") if general else _("not chosen"),
            _("the tenant's letter") if general else "",
        )
    )
    return found + _consents(rows)


def aliases(person: Tenant) -> list[Alias]:
    """Everything that stands for a person, the latest first."""
    held = Alias.objects.filter(tenant__in=rows_of(person.pk)).select_related("tenant")
    return list(held.order_by("-recorded_at", "-pk"))


def shown(alias: Alias) -> str:
    """An alias as staff see it: no whole phone number, and nothing of an identity card."""
    match alias.source:
        case AliasSource.PHONE:
            return masked(alias.ref)
        case AliasSource.ID_HASH:
            return _("keyed hash …%(end)s") % {"end": alias.ref[-6:]}
        case _:
            return alias.ref


def said_by(origin: str, *, seen: Seen = None) -> str:
    """What told us, in words. Contracts say "contracts HT1 r2"; an alias told beside another says that one."""
    what, _space, ref = origin.partition(" ")
    if what == BY_HAND:
        return _("entered by %(who)s") % {"who": ref} if ref else _("entered by hand")
    if what == "contracts":
        number, _space, revision = ref.rpartition(" r")
        return _contract(number, revision, seen)
    if what == AliasSource.CONTRACT and seen is not None and ref not in seen:
        return _("a contract of another building")
    if what in ALIASES:
        ref = masked(ref) if what == AliasSource.PHONE else ref
        return _("named together with %(what)s %(ref)s") % {"what": ALIASES[what], "ref": ref}
    return origin


def age(day: date | None, *, today: date) -> str:
    """How long ago, as one says it; empty for a day nobody knows."""
    if day is None:
        return ""
    days = (today - day).days
    if days <= 0:
        return _("today")
    if days == 1:
        return _("yesterday")
    return _("%(n)d days ago") % {"n": days}


def _contract(number: str, revision: int | str, seen: Seen) -> str:
    if seen is not None and number not in seen:
        return _("a contract of another building")
    return _("contract %(number)s, revision %(revision)s") % {"number": number, "revision": revision}


def _known(alias: Alias, value: str, seen: Seen) -> Attribute:
    learnt = clock.day_of(alias.recorded_at)
    return Attribute(ALIASES[alias.source], value, said_by(alias.origin, seen=seen), learnt_on=learnt)


def _told(name: str | Promise, value: str, rows: list[int], seen: Seen, says: Callable[[Any], bool]) -> Attribute:
    """By the contract that was signed last of those that say it, and its first revision that does."""
    said = (
        LeaseRevision.objects.filter(lease__tenants__in=rows, revision__gt=0)
        .select_related("lease")
        .order_by("-lease__signed_on", "-lease_id", "revision")
    )
    for revision in said:
        if any(says(party) for party in parties_of(revision.terms)):
            source = _contract(revision.lease.contract_no, revision.revision, seen)
            return Attribute(name, value, source, revision.lease.signed_on, clock.day_of(revision.recorded_at))
    return Attribute(name, value, "")


def _card(person: Tenant, known: Alias | None, rows: list[int], seen: Seen) -> Attribute:
    """Whether the number of the identity card is on file; the number itself never is."""
    if known:
        return _known(known, _("on file, as a keyed hash"), seen)
    name, claimed = ALIASES[AliasSource.ID_HASH], _("given in a contract, and that of another record")
    told = _told(name, claimed, rows, seen, lambda party: party.phone == person.phone and bool(party.id_hash))
    return told if told.source else Attribute(name, _("not on file"), "")


def _workplace(rows: list[int], until: datetime | None) -> list[Attribute]:
    told = Event.objects.filter(tenant__in=rows, kind=Kind.PROFILE_STATED, data__workplace__isnull=False)
    if until:
        told = told.filter(at__lt=until)
    stated = told.order_by("-at", "-source_id").first()
    if stated is None:
        return []
    latitude, longitude = stated.data["workplace"]
    return [
        Attribute(
            gettext_lazy("workplace"),
            f"{latitude:.2f}, {longitude:.2f}",
            _("told in the app"),
            clock.day_of(stated.at),
            clock.day_of(stated.recorded_at),
        )
    ]


def _consents(rows: list[int]) -> list[Attribute]:
    """Each purpose and channel as it was answered last; at one moment the refusal holds, as `consents` has it."""
    lines = Consent.objects.filter(tenant__in=rows).order_by("purpose", "channel", "-at", "granted", "-pk")
    return [
        Attribute(
            line.get_purpose_display() + ("" if line.channel == consents.ANY else f" · {line.channel}"),
            _("yes") if line.granted else _("no"),
            line.proof,
            clock.day_of(line.at),
            clock.day_of(line.recorded_at),
        )
        for line in lines.distinct("purpose", "channel")
    ]
