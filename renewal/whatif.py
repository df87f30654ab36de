"""What limits a back-test, in words of the current language."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from tenants import past


def notes(result: dict[str, Any]) -> Iterator[str]:
    """The sentences that belong beside the result, the plain warning first."""
    yield _(
        "What those selected later did is no evidence that the messages worked: they were selected for what they are, "
        "and nobody was left out by lot."
    )
    if result["basis"] == past.HAPPENED:
        yield _("Each fact counts from the day it happened, though it may have been recorded later.")
    for note in result["notes"]:
        match note["note"]:
            case "not_run":
                n = len(note["days"])
                yield ngettext(
                    "%(n)d day was not run at that time and is not run here: %(days)s.",
                    "%(n)d days were not run at that time and are not run here: %(days)s.",
                    n,
                ) % {"n": n, "days": ", ".join(_day(day) for day in note["days"][:10])}
            case "records_begin":
                yield _(
                    "Our records begin on %(on)s: what was loaded then was not known before. For earlier days, let "
                    "each fact count from the day it happened."
                ) % {"on": _day(note["on"])}
            case "playbooks_begin":
                yield _(
                    "No playbook was released before %(on)s: nothing is sent before, unless today's rules and steps "
                    "are taken for all days."
                ) % {"on": _day(note["on"])}
            case "doors_gone":
                yield _(
                    "Single door openings before %(before)s are gone (they are kept for 90 days). No rule, tag or "
                    "feature reads them, so the result is exact all the same."
                ) % {"before": _day(note["before"])}


def _day(text: str) -> str:
    return date_format(date.fromisoformat(text), "DATE_FORMAT")
