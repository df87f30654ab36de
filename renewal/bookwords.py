"""Playbooks in words: what starts them, what a step says and when, whom a release is for, what a version changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from campaigns import drafts, general, kinds, segments
from campaigns.conditions import LEASE
from campaigns.grammar import BadRule, Rule
from campaigns.models import PlaybookVersion, Release, Segment, StepVersion
from campaigns.pushes import class_of, wording
from tenants.models import Announcement, Lease, Perk, Template
from tenants.vocabulary import FACILITIES

Anchor = StepVersion.Anchor


@dataclass(slots=True)
class Line:
    """A step as a page shows it."""

    said: StepVersion
    when: str
    text: str  # as `lease` would read it
    is_silent: bool  # what it claims is not announced there
    rule: str
    general: str | None = None  # its general wording, as they read it; empty without one, nothing where none is needed
    change: str = ""  # against the version before: "new", "changed"


def who(segment: Segment | None) -> str:
    return segment.name if segment else _("everybody")


def start(version: PlaybookVersion) -> str:
    """What starts it."""
    if version.starts_on:
        return _("after %(what)s") % {"what": _said(kinds.start_sentence, version.starts_on)}
    return _("from %(n)d days before the end") % {"n": version.lead_days}


def summary(version: PlaybookVersion, n: int) -> str:
    """What a playbook does, in one sentence."""
    steps = ngettext("%(n)d step", "%(n)d steps", n) % {"n": n}
    facts = {"who": who(version.playbook.segment), "start": start(version), "steps": steps}
    return _("%(who)s, %(start)s, %(steps)s") % facts


def moment(said: StepVersion) -> str:
    """When a step is due."""
    match said.anchor:
        case Anchor.END:
            return _("%(days)d days before the end") % {"days": said.days}
        case Anchor.WAVE:
            facts = {"on": said.on, "first": said.ends_from, "last": said.ends_to}
            return _("wave of %(on)s: leases that end %(first)d to %(last)d days later") % facts
        case Anchor.EVENT:
            return ngettext("%(n)d day after it", "%(n)d days after it", said.days) % {"n": said.days}
    if not said.days:
        return _("on the day it starts")
    return ngettext("%(n)d day after the start", "%(n)d days after the start", said.days) % {"n": said.days}


def audience(rule: Rule | None) -> str:
    """A rule in words; one that cannot be used any more says why."""
    return _said(segments.sentence, rule)


def release(one: Release) -> str:
    """Whom a release is for."""
    if not one.percent:
        return _("takes nobody any more")
    share = _("%(n)d%% of households") % {"n": one.percent} if one.percent < 100 else ""
    match one.rule:
        case None:
            rule = ""
        case {"lease": "building", "op": "in", "value": [*codes]}:
            names = LEASE["building"].values()
            rule = " / ".join(str(names.get(code, code)) for code in codes)
        case _:
            rule = audience(one.rule)
    return " · ".join(part for part in (share, rule) if part) or _("everybody")


def topic(code: str) -> str:
    return str(FACILITIES.get(code, code))


def topics() -> dict[str, str]:
    """What an announcement may be about: what was announced, and the facilities."""
    codes = Announcement.objects.order_by("topic").values_list("topic", flat=True).distinct()
    return {code: topic(code) for code in [*FACILITIES, *codes]}


def template_choices(chosen: dict[str, str], kind: str) -> list[tuple[str, str, list[Template]]]:
    """For each channel that a step of this kind may name a template for: the one it names, and those there are."""
    rows = Template.objects.order_by("channel", "name")
    fitting: dict[str, list[Template]] = {}
    for row in rows:
        is_offered = row.klass == class_of(kind) and row.retired_at is None
        if is_offered or chosen.get(row.channel) == row.code:
            fitting.setdefault(row.channel, []).append(row)
    return [(channel, chosen.get(channel, ""), those) for channel, those in fitting.items()]


def read(text: str, claims: str, lease: Lease | None, *, today: date) -> tuple[str, bool]:
    """The wording as the tenant of a lease reads it, and whether nothing is announced there that it could quote."""
    if lease is None:
        return text, False
    rows = Announcement.objects.filter(
        building=lease.unit.building_id, topic=claims, until__gte=today, withdrawn_at=None
    )
    live = rows.order_by("on", "pk").first() if claims else None
    said = wording(text, last_day=lease.last_day, announcement=live.text if live else "{announcement}")
    return said, bool(claims) and live is None


def lines(version: PlaybookVersion, lease: Lease | None, *, today: date) -> list[Line]:
    """A version's steps as they are due, worded for a lease."""
    shown = []
    for said in drafts.steps(version):
        text, is_silent = read(said.text, said.claims_topic, lease, today=today)
        rule = audience(said.rule) if said.rule is not None else ""
        may = general.may_have(said.kind, said.rule, version.playbook.segment_id)
        plain = read(said.general_text, said.claims_topic, lease, today=today)[0] if may else None
        shown.append(Line(said, moment(said), text, is_silent, rule, plain))
    return shown


# --- What changed ------------------------------------------------------------------------------------------


def changes(before: PlaybookVersion | None, after: PlaybookVersion) -> list[str]:
    """What a version has otherwise than the one before, a sentence each."""
    if before is None:
        return []
    told = []
    if start(before) != start(after):
        told.append(_arrow(_("starts"), start(before), start(after)))
    for name, title in (
        ("leaves_with_segment", _("who leaves the segment leaves the playbook")),
        ("fix_first", _("ask only after repairs")),
        ("unfixed_percent", _("by lot without waiting (%)")),
    ):
        was, now = getattr(before, name), getattr(after, name)
        if was != now:
            told.append(_arrow(title, _plain(was), _plain(now)))
    old = {said.step_id: said for said in drafts.steps(before)}
    new = {said.step_id: said for said in drafts.steps(after)}
    for step, said in new.items():
        if step not in old:
            told.append(_("new: %(when)s, “%(text)s”") % {"when": moment(said), "text": said.text})
            continue
        parts = _parts(old[step], said)
        if parts:
            told.append(_("%(when)s: %(what)s") % {"when": moment(said), "what": _("; ").join(parts)})
    told += [
        _("gone: %(when)s, “%(text)s”") % {"when": moment(said), "text": said.text}
        for step, said in old.items()
        if step not in new
    ]
    return told


def _parts(was: StepVersion, now: StepVersion) -> list[str]:
    parts = []
    if moment(was) != moment(now):
        parts.append(_arrow(_("due"), moment(was), moment(now)))
    if was.text != now.text:
        parts.append(_("“%(was)s” → “%(now)s”") % {"was": was.text, "now": now.text})
    for name, told in (
        (_("only to"), lambda said: audience(said.rule)),
        (_("kind"), lambda said: said.get_kind_display()),
        (_("templates"), lambda said: _named(said.templates)),
        (_("general wording"), lambda said: f"“{said.general_text}”" if said.general_text else "–"),
        (_("its templates"), lambda said: _named(said.general_templates)),
        (_("announcement"), lambda said: topic(said.claims_topic) or "–"),
        (_("perk"), lambda said: _perk(said.grants)),
    ):
        if told(was) != told(now):
            parts.append(_arrow(name, told(was), told(now)))
    return parts


def _named(templates: dict[str, str]) -> str:
    return " / ".join(f"{at} {code}" for at, code in sorted(templates.items())) or "–"


def _arrow(name: str, was: str, now: str) -> str:
    return _("%(name)s: %(was)s → %(now)s") % {"name": name, "was": was, "now": now}


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return pgettext("a fact", "yes") if value else pgettext("a fact", "no")
    return f"{value}%"


def _perk(perk: Perk | None) -> str:
    return perk.name if perk else "–"


def _said(words: Any, rule: Any) -> str:
    try:
        return str(words(rule))
    except BadRule as bad:
        return str(bad)
