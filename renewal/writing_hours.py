"""When a tenant likes to be written to, in words: the choices of the tenant's own page and of the staff's.

A form names a choice by `hours` (any, morning, noon, evening, or own with `first` and `end`); hours are whole ones of
Shanghai, the end not in them. What can be chosen lies in the hours at which the house writes at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from tenants.models import Preference
from tenants.outbox.hours import widest
from tenants.preferred import Hours, span

ANY, OWN = "any", "own"


@dataclass(frozen=True, slots=True)
class Named:
    """Hours that have a name."""

    code: str
    title: str
    hours: Hours

    @property
    def words(self) -> str:
        """Which hours they are."""
        return _between(self.hours or window())


class NotOffered(Exception):
    """Why nobody can choose these hours, in words."""


def window() -> tuple[int, int]:
    """The hours outside of which the house never writes to a tenant about offers."""
    return widest("marketing")


def named() -> list[Named]:
    """The choices with a name, as far as the house writes at them."""
    first, end = window()
    parts = [
        ("morning", _("In the morning"), first, min(12, end)),
        ("noon", _("At noon"), max(12, first), min(14, end)),
    ]
    parts.append(("evening", _("In the evening"), max(18, first), end))
    found = [Named(code, title, (start, stop)) for code, title, start, stop in parts if start < stop]
    return [Named(ANY, _("At any time"), None), *found]


def chosen(hours: str, first: str, end: str) -> Hours:
    """The hours that a form names. Raises `NotOffered`."""
    for each in named():
        if each.code == hours:
            return each.hours
    if hours != OWN:
        raise NotOffered(_("Choose when."))
    try:
        start, stop = int(first), int(end)
    except ValueError:
        raise NotOffered(_("Choose from which hour until which.")) from None
    earliest, latest = window()
    if start >= stop:
        raise NotOffered(_("The hours have to end later than they begin."))
    if start < earliest or stop > latest:
        raise NotOffered(_("We write from %(first)s to %(end)s only.") % {"first": earliest, "end": latest})
    return start, stop


def words(hours: Hours) -> str:
    """The hours, with their name where they have one."""
    for each in named():
        if each.hours == hours:
            return _("%(name)s, %(hours)s") % {"name": each.title, "hours": each.words}
    return _between(hours or window())


def form(line: Preference | None, typed: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What a form of the choices needs: the choices, and which is made; `typed` is what it was sent, and refused."""
    first, end = window()
    hours = span(line)
    facts: dict[str, Any] = {
        "named": named(),
        "code": next((each.code for each in named() if each.hours == hours), OWN),
        "starts": range(first, end),
        "ends": range(first + 1, end + 1),
    }
    facts["first"], facts["end"] = hours or (first, end)
    if typed:
        numbers = {name: int(typed[name]) for name in ("first", "end") if re.fullmatch("[0-9]{1,2}", typed[name])}
        facts |= {"code": typed["hours"], "error": typed["error"], **numbers}
    return facts


def is_offered(hours: Sequence[int] | None) -> bool:
    """Whether a form could name these hours."""
    first, end = window()
    return hours is None or first <= hours[0] < hours[1] <= end


def is_set_aside(line: Preference | None) -> bool:
    """Whether the house writes at none of the hours, so that they do not hold."""
    hours = span(line)
    first, end = window()
    return hours is not None and max(first, hours[0]) >= min(end, hours[1])


def rest_words() -> str:
    """When the house writes on days off, where that differs; else nothing."""
    rest = settings.QUIET_REST_BEFORE_HOUR, settings.QUIET_REST_FROM_HOUR
    if rest == (settings.QUIET_BEFORE_HOUR, settings.QUIET_FROM_HOUR):
        return ""
    if rest[0] >= rest[1]:
        return _("On days off we do not write about renewing.")
    return _("On days off we write from %(first)s to %(end)s.") % {"first": rest[0], "end": rest[1]}


def _between(hours: tuple[int, int]) -> str:
    return _("%(first)s:00 to %(end)s:00") % {"first": hours[0], "end": hours[1]}
