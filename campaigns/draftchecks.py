"""Whether a playbook's draft is sound. Every fault is one sentence; `place` names the field it is about.

A draft's parts come as plain data with any values in them, as a person typed them:

    facts   {"lead_days", "starts_on", "leaves_with_segment", "fix_first", "unfixed_percent", "under_way", "note"}
    a step  {"anchor", "days", "on", "ends_from", "ends_to", "kind", "rule", "text", "claims_topic", "templates",
             "general_text", "general_templates", "grants"}

`on` is a day as text or empty, `rule` a rule or nothing, `templates` a code for each channel that has one, `grants` a
perk's code or empty; the general wording may be left out, and is dropped where nobody could hear it. What is sound
comes back as the columns of its table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from django.utils.translation import gettext as _

from campaigns import general, granting, kinds, pushes, segments, starts
from campaigns.grammar import BadRule
from campaigns.models import PlaybookVersion, StepVersion
from campaigns.pushes import ROADMAP, wording
from tenants import templating
from tenants.models import Announcement, Perk

MOST_TEXT = 200
LONG = 40  # from so many characters on a push is long
MOST_DAYS = 365
NAMES = ("{last_day}", "{announcement}", ROADMAP)
BRACED = re.compile(r"\{[^{}]*\}?|\}")
RENEWING = re.compile(r"续租|续签|续约|续住|renew", re.IGNORECASE)
# Urges, threatens, praises, or may be untrue on the day it is read (campaigns/shipped.py).
UNFIT = re.compile(r"[!！]|尊敬|仅剩|最后|尽快|抓紧|立即|马上|否则|逾期|邻居都|最好|一流|优质|天后")
A_LAST_DAY = date(2025, 12, 26)  # as long as any other

Anchor, Kind = StepVersion.Anchor, StepVersion.Kind
ENDS = {"ends_from": 20, "ends_to": 75}  # of what is no wave, as the table has it


class NotSaved(Exception):
    """Something that cannot be saved so, in one sentence; nothing was changed."""

    def __init__(self, fault: str, place: str = "") -> None:
        self.place = place
        super().__init__(fault)


def anchors_of(starts_on: Any) -> list[StepVersion.Anchor]:
    """What the steps of a playbook may hang on, by what starts it."""
    return [Anchor.EVENT] if starts_on else [Anchor.START, Anchor.END, Anchor.WAVE]


def facts(given: dict[str, Any]) -> dict[str, Any]:
    """The columns of a version's facts. Raises `NotSaved`."""
    starts_on = given["starts_on"] or {}
    if starts_on:
        try:
            kinds.check_start(starts_on)
        except BadRule as bad:
            raise NotSaved(_("What starts it: %(fault)s") % {"fault": bad.fault}, "starts_on") from bad
    if given["under_way"] not in PlaybookVersion.UnderWay.values:
        raise NotSaved(_("Say what becomes of those under way."), "under_way")
    note = str(given["note"]).strip()
    if len(note) > MOST_TEXT:
        raise NotSaved(_("The note has %(n)d characters; %(most)d is the most.") % _lengths(note), "note")
    fix_first = bool(given["fix_first"])
    return {
        "lead_days": _whole(given["lead_days"], _("The days before the end"), 0, MOST_DAYS, "lead_days"),
        "starts_on": starts_on,
        "leaves_with_segment": bool(given["leaves_with_segment"]),
        "fix_first": fix_first,
        # Where nobody waits there is nobody to hold them against.
        "unfixed_percent": _whole(given["unfixed_percent"], _("The share by lot"), 0, 100, "unfixed_percent")
        if fix_first
        else 0,
        "under_way": given["under_way"],
        "note": note,
    }


def step(given: dict[str, Any], version: PlaybookVersion, *, known: set[date], today: date) -> dict[str, Any]:
    """The columns of a step. `known`: days on which an earlier version had this wave. Raises `NotSaved`."""
    if given["anchor"] not in anchors_of(version.starts_on):
        raise NotSaved(
            _("A playbook that starts by what happened has steps so many days after it, and no others.")
            if version.starts_on
            else _("Only a playbook that starts by what happened has steps so many days after it."),
            "anchor",
        )
    if given["kind"] not in Kind.values:
        raise NotSaved(_("Say whether it is about renewing or about a service."), "kind")
    said = {
        "anchor": given["anchor"],
        "kind": given["kind"],
        "days": 0,
        "on": None,
        **ENDS,
        **_wording(given),
    }
    if given["anchor"] == Anchor.WAVE:
        said |= _wave(given, version, known=known, today=today)
    else:
        said["days"] = _whole(given["days"], _("The days"), 0, MOST_DAYS, "days")
    said |= {**_audience(given), "templates": _templates(given)}
    return said | _general(given, said, version)


def words(given: Mapping[str, Any]) -> dict[str, Any]:
    """The wording and the templates of what says this, as columns. Raises `NotSaved`."""
    return {"text": _wording(given)["text"], "templates": _templates(given)}


def _wording(given: Mapping[str, Any]) -> dict[str, Any]:
    topic = str(given["claims_topic"]).strip()
    text = _text(given["text"], topic, "text")
    if not text:
        raise NotSaved(_("The wording is empty."), "text")
    if topic and "{announcement}" not in text:
        raise NotSaved(_("An announcement is claimed, so the wording has to name {announcement}."), "text")
    if len(topic) > 32:
        raise NotSaved(_("There is no such topic."), "claims_topic")
    if given["kind"] == Kind.CARE and (found := RENEWING.search(text)):
        fault = _("A message about a service says nothing about renewing: “%(word)s”.")
        raise NotSaved(fault % {"word": found.group()}, "text")
    if given["kind"] != Kind.CARE and ROADMAP in text:
        raise NotSaved(_("{roadmap} may stand in a message about a service; this one leads to the letter."), "text")
    return {"text": text, "claims_topic": topic}


def _text(given: Any, topic: str, place: str) -> str:
    text = " ".join(str(given).replace("\0", "").split())
    if len(text) > MOST_TEXT:
        raise NotSaved(_("The wording has %(n)d characters; %(most)d is the most.") % _lengths(text), place)
    for braced in BRACED.findall(text):
        if braced not in NAMES:
            fault = _("“%(name)s” cannot stand in the wording: only {last_day} and {announcement} are filled in.")
            raise NotSaved(fault % {"name": braced[:40]}, place)
    if "{announcement}" in text and not topic:
        raise NotSaved(_("The wording names {announcement}, but claims no topic."), "claims_topic")
    return text


def _general(given: dict[str, Any], said: dict[str, Any], version: PlaybookVersion) -> dict[str, Any]:
    """What those hear who do not agree to personal wording; nothing where the step is not chosen by what they do."""
    may = general.may_have(said["kind"], said["rule"], version.playbook.segment_id)
    text = _text(given.get("general_text") or "", said["claims_topic"], "general_text") if may else ""
    templates = _templates(given, "general_templates", "general") if text else {}
    return {"general_text": text, "general_templates": templates}


def _templates(given: Mapping[str, Any], name: str = "templates", place: str = "template") -> dict[str, str]:
    chosen = {str(channel): str(code) for channel, code in (given.get(name) or {}).items() if code}
    for channel, code in chosen.items():
        if fault := templating.unchoosable(channel, code, pushes.class_of(given["kind"])):
            raise NotSaved(fault, f"{place}.{channel}")
    return chosen


def _wave(given: dict[str, Any], version: PlaybookVersion, *, known: set[date], today: date) -> dict[str, Any]:
    try:
        on = date.fromisoformat(str(given["on"]))
    except ValueError:
        raise NotSaved(_("A wave needs its day, such as 2025-12-20."), "on") from None
    if on < today and on not in known:
        raise NotSaved(_("The day of the wave, %(day)s, is past.") % {"day": on}, "on")
    first = _whole(given["ends_from"], _("The first day of the leases' ends"), 0, MOST_DAYS, "ends_from")
    last = _whole(given["ends_to"], _("The last day of the leases' ends"), 0, MOST_DAYS, "ends_to")
    if first > last:
        raise NotSaved(_("Leases end from %(first)d to %(last)d days later: that is none.") % _ends(given), "ends_to")
    most = starts.most_days(version.lead_days)
    if first > most:
        fault = _(
            "Nobody can have entered by then: its leases end %(first)d days later, and none enters %(most)d before."
        )
        raise NotSaved(fault % {"first": first, "most": most}, "ends_from")
    return {"on": on, "ends_from": first, "ends_to": last}


def _audience(given: dict[str, Any]) -> dict[str, Any]:
    rule, code = given["rule"], str(given["grants"])
    if rule is not None:
        try:
            segments.check(rule)
        except BadRule as bad:
            raise NotSaved(_("The rule: %(fault)s") % {"fault": bad.fault}, "rule") from bad
    perk = Perk.objects.filter(code=code).first() if code else None
    if code and perk is None:
        raise NotSaved(_("There is no such perk."), "grants")
    if perk and given["kind"] == Kind.CARE:
        raise NotSaved(_("A message about a service grants no perk."), "grants")
    if perk and not granting.is_published(rule):
        fault = _(
            "A perk follows only from published facts of service or tenure, and the rule asks for others or none."
        )
        raise NotSaved(fault, "grants")
    return {"rule": rule, "grants": perk}


def warnings(text: str, topic: str) -> list[str]:
    """What speaks against a wording that may still be used."""
    found = []
    longest = max((row.text for row in Announcement.objects.filter(topic=topic)), key=len, default="") if topic else ""
    n = len(wording(text.strip(), last_day=A_LAST_DAY, announcement=longest))
    if n >= LONG:
        found.append(
            _("Filled in it has %(n)d characters; a push is read at a glance under %(most)d.") % {"n": n, "most": LONG}
        )
    if words := sorted(set(UNFIT.findall(text))):
        found.append(
            _("It urges, threatens, praises, or may be untrue once it is read: %(words)s") % {"words": " ".join(words)}
        )
    return found


def _whole(value: Any, name: str, least: int, most: int, place: str) -> int:
    if isinstance(value, str) and re.fullmatch(r"\d{1,6}", value.strip()):
        value = int(value)
    if type(value) is not int or not least <= value <= most:
        facts = {"name": name, "least": least, "most": most}
        raise NotSaved(_("%(name)s: a whole number from %(least)d to %(most)d.") % facts, place)
    return value


def _lengths(text: str) -> dict[str, int]:
    return {"n": len(text), "most": MOST_TEXT}


def _ends(given: dict[str, Any]) -> dict[str, int]:
    return {"first": int(given["ends_from"]), "last": int(given["ends_to"])}
