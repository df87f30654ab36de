"""How the staff site writes figures, and how its links are made."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from connectors import channels
from renewal import answers, bookwords, phrases, rounds, sources
from renewal.models import Case
from renewal.perkboard import STATES
from tenants import clock
from tenants.access import masked
from tenants.history import FIELDS
from tenants.models import Event, Lease
from tenants.tags import TAGS

register = template.Library()
register.filter("masked", masked)
register.filter("masked_name", rounds.short)


@register.filter
def moment(text: str) -> datetime:
    """The moment that a stored result writes as text."""
    return datetime.fromisoformat(text)


@register.filter
def percent(rate: float | None) -> str:
    """A share with one decimal; a whole one without."""
    if rate is None:
        return "–"
    return "100%" if rate == 1 else f"{rate:.1%}"


@register.filter
def interval(share: dict[str, Any]) -> str:
    """The 95 % interval of a share, in whole percent."""
    if share["low"] is None:
        return ""
    return f"{share['low'] * 100:.0f}–{share['high'] * 100:.0f}%"


@register.filter
def percentage_points(apart: float) -> str:
    """A difference of two shares in percentage points, with its sign: +8.3, −0.4, 0.0."""
    said = f"{apart * 100:+.1f}"
    return "0.0" if said in ("+0.0", "-0.0") else said.replace("-", "−")


@register.filter
def points(rate: float | None) -> str:
    """A share as a CSS length along a scale of 0 to 100 %."""
    return f"{(rate or 0) * 100:.2f}%"


@register.filter
def hours(value: float | None) -> str:
    return "–" if value is None else _("%.1f h") % value


@register.filter
def yuan(value: Decimal | str | None) -> str:
    """Yuan without the fen: a staff figure, not an invoice."""
    return "–" if value is None else f"{Decimal(value):,.0f}"


@register.filter
def fen(value: Decimal) -> str:
    """Yuan to the fen, as a contract has it."""
    return f"{value:,.2f}"


@register.filter
def day(value: date | str) -> str:
    """A day as 12-01: the year is said once, above."""
    return (value.isoformat() if isinstance(value, date) else value)[5:10]


@register.filter
def part_of(n: int, whole: int) -> str:
    """n of whole as a CSS length."""
    return f"{100 * n / whole:.2f}%" if whole else "0%"


@register.filter
def get(mapping: dict[Any, Any], key: Any) -> Any:
    return mapping.get(key)


@register.filter
def term(value: Any, field: str) -> str:
    """One fact of a contract as a person reads it."""
    if value in (None, "", []):
        return "–"
    if field == "phone":
        return masked(str(value))
    if field in {"monthly_rent", "deposit"}:
        return fen(Decimal(value))
    if field == "cotenants":
        return "、".join(other["name"] for other in value)
    if field == "state":
        return str(Lease.State(value).label)
    if field == "ended_by":
        return str(dict(Lease.EndedBy.choices).get(value, value))
    return value.isoformat() if isinstance(value, date) else str(value)


@register.filter
def term_name(field: str) -> str:
    return str(FIELDS.get(field, field))


@register.filter
def tag_name(code: str) -> str:
    return str(TAGS[code].name) if code in TAGS else code


@register.filter
def said(event: Event) -> str:
    return phrases.say(event)


@register.simple_tag
def band(share: dict[str, Any]) -> SafeString:
    """A share on a scale of 0 to 100 %: its interval as a band, its value as a mark."""
    if share["rate"] is None:
        return SafeString('<span class="band band--empty"></span>')
    return format_html(
        '<span class="band" role="img" aria-label="{}"><i style="left:{};right:{}"></i><b style="left:{}"></b></span>',
        f"{percent(share['rate'])} ({interval(share)})",
        points(share["low"]),
        points(1 - share["high"]),
        points(share["rate"]),
    )


@register.filter
def state_name(code: str) -> str:
    return str(dict(Case.State.choices).get(code, code))


@register.filter
def in_words(cause: str) -> str:
    """A cause as a rule wrote it down, in the language of who reads it."""
    if cause.startswith("signature "):
        return _("signature %s") % cause.removeprefix("signature ")
    return answers.reason_words(_(cause)) if cause else ""


@register.filter
def chance(p: float) -> str:
    """A probability with four decimals; below them it is not nought."""
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"


@register.filter
def thousands(n: int) -> str:
    return f"{n:,}"


@register.filter
def source_name(code: str) -> str:
    return str(sources.NAMES.get(code, code))  # type: ignore[call-overload]


@register.filter
def channel_title(name: str) -> str:
    """A channel as staff call it."""
    return channels.title(name) if name else ""


@register.filter
def for_so_long(span: timedelta | None) -> str:
    """A span of time as one says it: in its largest unit, with a half where that tells something."""
    if span is None:
        return "–"
    seconds = span.total_seconds()
    if seconds < 120:
        return _("%d s") % seconds
    if seconds < 3600:
        return _("%d min") % (seconds / 60)
    if seconds < 172800:
        return _("%s h") % _half(seconds / 3600)
    return _("%s days") % _half(seconds / 86400)


def _half(value: float) -> str:
    rounded = int(value * 2) / 2
    return f"{rounded:g}" if value < 10 else f"{int(value)}"


@register.filter
def field_kind(code: str) -> str:
    """What may stand in a field of a template; a kind of a provider's that has no word stays as the provider has it."""
    kinds = {
        "text": pgettext("a field", "words"),
        "number": pgettext("a field", "number"),
        "date": pgettext("a field", "date"),
        "code": pgettext("message", "code"),
    }
    return kinds.get(code, code)


@register.filter
def topic_name(code: str) -> str:
    return bookwords.topic(code)


@register.filter
def split_words(text: str) -> list[str]:
    return text.split()


@register.filter
def voucher_state(state: str) -> str:
    """How a perk stands that was given."""
    return str(STATES[state])


@register.filter
def last_day(until: datetime | None) -> str:
    """The last day of what ends at this moment."""
    return "–" if until is None else clock.day_of(until - timedelta(microseconds=1)).isoformat()
