"""What the editor of rules calls the codes of a rule."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy, pgettext_lazy

from campaigns.grammar import SIGNS
from campaigns.windows import ANCHORS

Named = Mapping[str, str | Promise]

GROUP_NAMES: Named = {"all": gettext_lazy("all of these hold"), "any": gettext_lazy("at least one of these holds")}
KIND_NAMES: Named = {
    "tag": gettext_lazy("tag"),
    "consent": gettext_lazy("consent"),
    "list": gettext_lazy("list of names"),
    "feature": gettext_lazy("figure"),
    "lease": gettext_lazy("lease"),
    "moods": gettext_lazy("moods on bills"),
    "events": gettext_lazy("what happened"),
}
OP_NAMES: Named = {**SIGNS, "in": gettext_lazy("is one of"), "between": gettext_lazy("between")}
YES_NO: Named = {"true": pgettext_lazy("a fact", "yes"), "false": pgettext_lazy("a fact", "no")}
QUESTION_NAMES: Named = {
    "count": gettext_lazy("how often"),
    "last": gettext_lazy("the last few"),
    "share": gettext_lazy("share"),
    "trend": gettext_lazy("against as long a time before"),
    "first": gettext_lazy("for the first time"),
    "stopped": gettext_lazy("stopped"),
    "restarted": gettext_lazy("begun again"),
    "regular": gettext_lazy("regularly"),
    "then": gettext_lazy("followed by"),
}
WINDOW_NAMES: Named = {
    "year": gettext_lazy("the last 365 days"),
    "days": gettext_lazy("the last days"),
    "dates": gettext_lazy("fixed days"),
    "end": gettext_lazy("about the lease's end"),
    "start": gettext_lazy("about the lease's first day"),
    "signed": gettext_lazy("about the day it was signed"),
    "previous": gettext_lazy("about the end of the lease before"),
    "day": gettext_lazy("about a day"),
}
EVERY: Named = {"week": gettext_lazy("every week"), "month": gettext_lazy("every month")}
KEYS: Named = {
    "days": gettext_lazy("number of days"),
    "events": gettext_lazy("number of events"),
    "at_least": gettext_lazy("at least"),
    "periods": gettext_lazy("number of weeks or months"),
    "times": gettext_lazy("times each"),
    "hours": gettext_lazy("hours"),
    "hour": gettext_lazy("hour"),
    **{f"from_{name}": gettext_lazy("First day of the window") for name in (*ANCHORS, "day")},
    **{f"to_{name}": gettext_lazy("Last day of the window") for name in (*ANCHORS, "day")},
    "bills": gettext_lazy("number of bills"),
    "moods": gettext_lazy("moods on bills"),
    "count": gettext_lazy("how often"),
    "value": gettext_lazy("value"),
    "in": gettext_lazy("is one of"),
    "between": gettext_lazy("between"),
}
