"""The words under which a tenant chooses what to hear, and what they have chosen so far."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from connectors.channels import Reach
from renewal import writing_hours
from tenants import consents, preferences, preferred
from tenants.models import Consent, Link, Preference, Tenant
from tenants.preferences import Shown
from tenants.preferred import Hours, span

VERSION = "h5-2026-11c"  # of the words below: another with every change of them; the ledger keeps them in full besides
OFFERS, PERSONAL, QUESTIONS = "offers", "personal", "questions"
LINES = 10


@dataclass(frozen=True, slots=True)
class Choice:
    """One block of the page."""

    what: str  # OFFERS, PERSONAL, QUESTIONS, or a way
    title: str
    text: str
    granted: bool

    @property
    def is_way(self) -> bool:
        return self.what not in (OFFERS, PERSONAL, QUESTIONS)

    @property
    def state(self) -> str:
        return _("You receive this") if self.granted else _("You do not receive this")

    @property
    def action(self) -> str:
        return _("Turn off") if self.granted else _("Turn on")


@dataclass(frozen=True, slots=True)
class Where:
    """Where a choice is made: the page, and whose browser it is."""

    link: Link
    page: str
    address: str
    device: str


class NoChoice(Exception):
    """What was asked for is no choice of the page."""


def choices(tenant: Tenant) -> list[Choice]:
    """The blocks of the page, as the ledger stands."""
    now = preferences.standing(tenant)
    found = [Choice(OFFERS, *_words(OFFERS), now.offers)]
    if len(now.ways) > 1:
        found += [Choice(str(way), *_words(str(way)), granted) for way, granted in now.ways.items()]
    found.append(Choice(PERSONAL, *_words(PERSONAL), now.personal))
    return [*found, Choice(QUESTIONS, *_words(QUESTIONS), now.questions)]


def choose(what: str, *, granted: bool, where: Where, now: datetime) -> None:
    """The choice stands in the ledger, with the words that were shown. Raises `NoChoice`."""
    tenant = where.link.tenant
    if what not in {OFFERS, PERSONAL, QUESTIONS, *map(str, preferences.ways())}:
        raise NoChoice
    title, text = _words(what)
    answer = _("I agree") if granted else _("I refuse")
    shown = _shown("\n".join(filter(None, [title, text, answer])), where)
    if what == OFFERS:
        preferences.offers(tenant, granted=granted, shown=shown, now=now)
    elif what == PERSONAL:
        preferences.personal(tenant, granted=granted, shown=shown, now=now)
    elif what == QUESTIONS:
        preferences.questions(tenant, granted=granted, shown=shown, now=now)
    else:
        preferences.way(tenant, Reach(what), granted=granted, shown=shown, now=now)


def choose_hours(hours: Hours, *, where: Where, now: datetime) -> Hours:
    """The hours at which the tenant likes to be written to stand, with the words that were shown; what stood before."""
    was = span(preferred.standing(where.link.tenant))
    title, text = hours_words()
    shown = _shown("\n".join([title, text, writing_hours.words(hours)]), where)
    preferences.hours(where.link.tenant, hours, shown=shown, now=now)
    return was


def hours_words() -> tuple[str, str]:
    """The title and the text of the choice of hours."""
    text = _(
        "Letters about renewing go out at these hours; on a day when we write at none of them, at those of that day."
    )
    return _("When we may write"), "\n".join(filter(None, [text, writing_hours.rest_words()]))


def refuse(where: Where, *, now: datetime) -> bool:
    """No more offers, by the one tap at the foot of a page; whether there was a consent that can be given back."""
    was = preferences.standing(where.link.tenant).offers
    shown = _shown(_("No more letters about renewing"), where)
    preferences.offers(where.link.tenant, granted=False, shown=shown, now=now)
    return was


def said(what: str, *, granted: bool) -> str:
    """What was done, in a sentence."""
    title, _text = _words(what)
    return (_("Switched on: %(what)s") if granted else _("Switched off: %(what)s")) % {"what": title}


def lines(tenant: Tenant) -> list[dict[str, Any]]:
    """What the tenant chose last, as whichever row we know them, the newest first."""
    rows = consents.rows_of(tenant)
    said = Consent.objects.filter(tenant__in=rows, purpose__in=["marketing", "profiling", "surveys"])
    # A refusal has a line for each row.
    once = dict.fromkeys((row.at, _line(row)) for row in said.order_by("-at", "channel", "-pk"))
    found: list[dict[str, Any]] = [{"at": at, "said": line} for at, line in list(once)[:LINES]]
    title, _text = hours_words()
    wishes = Preference.objects.filter(tenant__in=rows)  # as each of their rows they may have one
    for row in wishes.order_by("-at", "-pk")[:LINES]:
        found.append({"at": row.at, "said": f"{title}: {writing_hours.words(span(row))}"})
    return sorted(found, key=lambda line: line["at"], reverse=True)[:LINES]


def channel_name(channel: str) -> str:
    """A channel of the ledger in a tenant's words."""
    names = {consents.ANY: _("everywhere"), "phone": _("text message"), "sms": _("text message")}
    names |= {"wechat": _("WeChat"), "wechat_subscribe": _("WeChat"), "jpush": _("the app")}
    return names.get(channel, channel)


def _line(row: Consent) -> str:
    answer = _("yes") if row.granted else _("no")
    where = "" if row.channel == consents.ANY else f" · {channel_name(row.channel)}"
    return f"{row.get_purpose_display()}{where}: {answer}"


def _words(what: str) -> tuple[str, str]:
    """The title and the text of a choice."""
    values = {"operator": settings.OPERATOR_NAME}
    match what:
        case "offers":
            text = _("%(operator)s writes to me about renewing: offers, perks and what they cost.")
            return _("Letters about renewing"), text % values
        case "personal":
            text = _(
                "%(operator)s draws on how I used the house (bookings, repairs, payments) to choose what it writes to "
                "me. Without this I get the general version. Rent and terms are the same in either case."
            )
            return _("Written for me"), text % values
        case "questions":
            text = _(
                "%(operator)s asks me how it is to live here: a face on each bill, and at most once a quarter how "
                "likely I am to recommend it. Answers change neither rent nor terms."
            )
            return _("Questions about living here"), text % values
        case Reach.PHONE:
            return _("By text message"), ""
        case Reach.WECHAT:
            return _("By WeChat"), ""
    return _("In the app"), ""


def _shown(text: str, where: Where) -> Shown:
    evidence = {
        "page": where.page,
        "link": where.link.pk,
        "address": _keyed(where.address),
        "device": _keyed(where.device),
    }
    return Shown(VERSION, text, f"letter:{where.link.pk}", evidence)


def _keyed(fact: str) -> str:
    """A fact of which only that it is the same can be told."""
    mac = hmac.new(settings.LINK_KEY.encode(), f"consent:{fact}".encode(), hashlib.sha256)
    return mac.hexdigest()[:16] if fact else ""
