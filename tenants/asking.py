"""Which questions the house asks by itself: off until somebody of the head office switches them on."""

from __future__ import annotations

from datetime import datetime

from tenants.models import Asking, User

MOODS, SURVEYS = Asking.What.MOODS, Asking.What.SURVEYS


def latest(what: str) -> Asking | None:
    """The line that holds."""
    return Asking.objects.select_related("by").filter(what=what).order_by("-at", "-pk").first()


def is_on(what: str) -> bool:
    """Whether questions of this kind are asked."""
    line = latest(what)
    return line is not None and line.is_on


def switch(what: str, *, on: bool, by: User | None, now: datetime) -> bool:
    """Questions of this kind are asked from the next day's run on, or no more; whether that is a change."""
    if what not in Asking.What.values or is_on(what) == on:
        return False
    Asking.objects.create(what=what, is_on=on, by=by, at=now)
    return True
