"""Words of the pages on cases."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import template
from django.utils.translation import gettext as _

from renewal import answers, facts, notices, spoken
from renewal.models import Fact, Notice
from tenants import clock

register = template.Library()


@register.filter
def lean(code: str) -> str:
    return str(facts.LEANS.get(code, code))


@register.filter
def fact_reason(said: dict[str, Any]) -> str:
    """Why an intent is what it is, in words."""
    return answers.reason_words(": ".join(filter(None, [said.get("reason", ""), said.get("more", "")])))


@register.filter
def fact_said(fact: Fact) -> str:
    """A fact in one line."""
    said = fact.said
    if fact.kind == Fact.Kind.NOTE:
        return str(said["text"])
    if fact.kind == Fact.Kind.INTENT:
        reason = fact_reason(said)
        words = str(facts.LEANS.get(said["lean"], said["lean"]))
        return _("%(what)s (%(why)s)") % {"what": words, "why": reason} if reason else words
    if fact.kind == Fact.Kind.WORD:
        return spoken.words(fact)
    if fact.kind == Fact.Kind.REMINDER:
        return _("wants to be reminded on %(day)s") % {"day": said["on"]} if said["on"] else _("wants no reminder")
    return facts.wish_words(said)


@register.filter
def doer(by: str) -> str:
    """Who did it: the tenant, a rule, or a member of the staff by their name for signing in."""
    if by == answers.TENANT:
        return _("the tenant")
    return _("by rule: %(name)s") % {"name": by.partition(".")[2]} if by.startswith("cases.") else by


@register.filter
def day_before(moment: datetime) -> datetime:
    """The last day that a moment of midnight ends."""
    return moment.astimezone(clock.SHANGHAI) - timedelta(microseconds=1)


@register.filter
def why(notice: Notice) -> str:
    """The reason of a notice, with what was written to it."""
    return answers.reason_words(": ".join(filter(None, [notice.reason, notice.more])))


@register.filter
def forwarding(notice: Notice) -> str:
    """Where post is to follow, as much of it as a page shows."""
    return notices.masked(notices.forwarding(notice))
