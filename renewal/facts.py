"""What is said about a case and is no state of it: an intent, a wish, a reminder, a note. Only ever added to.

What `Fact.said` holds, by kind:

    intent    {"lean": "stay" | "unsure" | "leave", "reason": code or "", "more": text}
    reminder  {"choice": "3" | "7" | "day" | "none", "on": ISO date or null, "key": of its message, or ""}
    wish      {"room_type": text, "floor": text, "month": "YYYY-MM" or "", "more": text}
    note      {"text": text}
    word      {"via": "phone" | "spoken" | "chat", "more": text, "until": ISO date}, or taken back {"why": text}
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from renewal.models import Case, Fact

LEANS = {
    "stay": gettext_lazy("wants to stay"),
    "unsure": gettext_lazy("not decided yet"),
    "leave": gettext_lazy("may leave"),
}
STALE_DAYS = 30  # an intent of longer ago says nothing any more
MOST = 400  # characters of what is typed


def add(case: Case, kind: str, said: dict[str, Any], *, now: datetime, by: str) -> Fact:
    """The fact stands from now on; what was said before stays on record."""
    return Fact.objects.create(case=case, kind=kind, said=said, at=now, by=by[:80])


def note(case: Case, text: str, *, now: datetime, by: str) -> Fact | None:
    """A word of the staff on the case; none where nothing was written."""
    text = text.strip()[:MOST]
    return add(case, Fact.Kind.NOTE, {"text": text}, now=now, by=by) if text else None


def latest(case: Case, kind: str) -> Fact | None:
    """The fact of that kind that counts."""
    return Fact.objects.filter(case=case, kind=kind).order_by("-at", "-pk").first()


def latest_of(cases: Collection[int], kind: str) -> dict[int, Fact]:
    """The fact of that kind that counts, per case."""
    rows = Fact.objects.filter(case__in=cases, kind=kind).order_by("case_id", "-at", "-pk").distinct("case_id")
    return {fact.case_id: fact for fact in rows}


def is_stale(fact: Fact, *, now: datetime) -> bool:
    """Whether an intent is too old to say anything."""
    return fact.at + timedelta(days=STALE_DAYS) <= now


def wish_words(said: dict[str, Any]) -> str:
    """What other room is wished for, in one line."""
    parts = [
        said.get("room_type", ""),
        _("floor %(floor)s") % {"floor": said["floor"]} if said.get("floor") else "",
        _("from %(month)s") % {"month": said["month"]} if said.get("month") else "",
        said.get("more", ""),
    ]
    return " · ".join(filter(None, parts))
