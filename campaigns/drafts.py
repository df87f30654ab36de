"""A playbook's next version while it is written: the only writer of drafts.

A draft is saved a part at a time, its facts or one step. Whoever saves says which draft was seen (`mark`): what
somebody else saved meanwhile is not overwritten. It ends by being released (`ask`), and stands from then on, or by
being thrown away, from which it can be restored.
"""

from __future__ import annotations

import hashlib
import json
from datetime import date, datetime
from typing import Any
from uuid import uuid4

from django.db import transaction
from django.utils.translation import gettext as _

from campaigns import draftchecks, joining, releases
from campaigns.draftchecks import Anchor, NotSaved
from campaigns.models import Playbook, PlaybookVersion, Push, Release, Step, StepVersion
from tenants.models import User

FACTS = ("lead_days", "starts_on", "leaves_with_segment", "fix_first", "unfixed_percent", "under_way", "note")
SAID = (
    "anchor", "days", "on", "ends_from", "ends_to", "kind", "rule", "text", "claims_topic", "templates",
    "general_text", "general_templates", "grants",
)  # fmt: skip


class Overtaken(NotSaved):
    """Somebody else saved in the meantime."""

    def __init__(self, draft: PlaybookVersion | None) -> None:
        by = draft.by.get_username() if draft and draft.by else "–"
        super().__init__(
            _("%(by)s has saved this draft in the meantime. What you typed is kept here.") % {"by": by}
            if draft
            else _("The draft is gone: it was released or thrown away in the meantime. What you typed is kept here.")
        )


# --- Reading -----------------------------------------------------------------------------------------------


def draft_of(playbook: int) -> PlaybookVersion | None:
    return (
        PlaybookVersion.objects.filter(playbook=playbook, is_draft=True)
        .select_related("playbook__segment", "by")
        .first()
    )


def latest(playbook: int) -> PlaybookVersion | None:
    """The newest version, a draft or not."""
    rows = PlaybookVersion.objects.filter(playbook=playbook).select_related("playbook__segment", "by")
    return rows.order_by("-number").first()


def steps(version: PlaybookVersion) -> list[StepVersion]:
    """What a version says, in the order in which it is due; its waves by their days at the end."""

    def moment(said: StepVersion) -> tuple[bool, int, int]:
        match said.anchor:
            case Anchor.WAVE:
                return True, said.on.toordinal() if said.on else 0, said.pk
            case Anchor.END:
                return False, -said.days, said.pk
            case Anchor.START:
                return False, said.days - version.lead_days, said.pk
        return False, said.days, said.pk

    return sorted(StepVersion.objects.filter(version=version).select_related("step", "grants"), key=moment)


def facts_of(version: PlaybookVersion) -> dict[str, Any]:
    """The facts as plain data."""
    return {name: getattr(version, name) for name in FACTS}


def said_of(said: StepVersion) -> dict[str, Any]:
    """A step as plain data."""
    return {
        **{name: getattr(said, name) for name in SAID},
        "on": said.on.isoformat() if said.on else "",
        "grants": said.grants.code if said.grants else "",
    }


def mark(draft: PlaybookVersion) -> str:
    """Stands for all that a draft says: another one, another mark."""
    rows = [(said.step_id, said_of(said)) for said in StepVersion.objects.filter(version=draft).order_by("step")]
    told = json.dumps([draft.pk, facts_of(draft), rows], sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(told.encode()).hexdigest()[:24]


def faults(draft: PlaybookVersion, *, today: date) -> list[str]:
    """Why a draft cannot be released, each in one sentence that names the step."""
    found = []
    try:
        draftchecks.facts(facts_of(draft))
        _check_kept_start(draft, draft.starts_on)
    except NotSaved as fault:
        found.append(str(fault))
    rows = steps(draft)
    if not rows:
        found.append(_("It has no step yet."))
    for n, said in enumerate(rows, start=1):
        try:
            draftchecks.step(said_of(said), draft, known=waves(said.step_id), today=today)
        except NotSaved as fault:
            found.append(_("Step %(n)d: %(fault)s") % {"n": n, "fault": fault})
    return found


def waves(step: int) -> set[date]:
    """The days of a wave in the versions that were released."""
    rows = StepVersion.objects.filter(step=step, anchor=Anchor.WAVE, version__is_draft=False)
    return {on for on in rows.values_list("on", flat=True) if on}


# --- Writing -----------------------------------------------------------------------------------------------


def begin(playbook: int, *, like: int | None, by: User | None, now: datetime) -> PlaybookVersion:
    """There is a draft as version `like` is, or the newest one. Raises `NotSaved` if there was one before."""
    with transaction.atomic():
        Playbook.objects.select_for_update().get(pk=playbook)
        newest = latest(playbook)
        if newest and newest.is_draft:
            raise NotSaved(_("There is a draft already: release it or throw it away first."))
        model = PlaybookVersion.objects.get(playbook=playbook, number=like) if like else newest
        number = newest.number + 1 if newest else 1
        draft = PlaybookVersion(playbook_id=playbook, number=number, by=by, at=now)
        if model:
            for name, value in facts_of(model).items():
                setattr(draft, name, value)
        draft.note = _("as in version %(n)d") % {"n": model.number} if model and like else ""
        draft.save()
        if model:
            repeat(model, draft)
    return draft


def repeat(model: PlaybookVersion, draft: PlaybookVersion) -> None:
    """The draft says what another version does; in another playbook with steps of its own."""
    for said in StepVersion.objects.filter(version=model).order_by("pk"):
        said.pk, said._state.adding, said.version = None, True, draft
        if model.playbook_id != draft.playbook_id:
            said.step = _new_step(draft.playbook_id)
        said.save()


def save_facts(playbook: int, given: dict[str, Any], *, seen: str, by: User | None, now: datetime) -> PlaybookVersion:
    """The draft has these facts. Raises `NotSaved`."""
    with transaction.atomic():
        draft = _locked(playbook, seen)
        columns = draftchecks.facts(given)
        _check_kept_start(draft, columns["starts_on"])
        fitting = draftchecks.anchors_of(columns["starts_on"])
        for n, said in enumerate(steps(draft), start=1):
            if said.anchor not in fitting:
                fault = _("Step %(n)d does not fit what starts it now: change or remove it first.")
                raise NotSaved(fault % {"n": n}, "starts_on")
        for name, value in columns.items():
            setattr(draft, name, value)
        return _touched(draft, by=by, now=now)


def save_step(
    playbook: int, code: str, given: dict[str, Any], *, seen: str, by: User | None, today: date, now: datetime
) -> StepVersion:
    """The draft says this in the step named, or in a new one where `code` is empty. Raises `NotSaved`."""
    with transaction.atomic():
        draft = _locked(playbook, seen)
        step = Step.objects.get(playbook=playbook, code=code) if code else None
        columns = draftchecks.step(given, draft, known=waves(step.pk) if step else set(), today=today)
        said, _new = StepVersion.objects.update_or_create(
            version=draft, step=step or _new_step(playbook), defaults=columns
        )
        _touched(draft, by=by, now=now)
    return said


def remove_step(playbook: int, code: str, *, seen: str, by: User | None, now: datetime) -> dict[str, Any]:
    """The draft is without the step; returns what it said, for `save_step` to put it back. Raises `NotSaved`."""
    with transaction.atomic():
        draft = _locked(playbook, seen)
        said = StepVersion.objects.select_related("step", "grants").get(version=draft, step__code=code)
        kept = said_of(said)
        said.delete()
        _touched(draft, by=by, now=now)
    return kept


def discard(playbook: int, *, seen: str) -> dict[str, Any]:
    """The draft is gone, with a playbook that never was more; returns what `restore` needs. Raises `NotSaved`."""
    with transaction.atomic():
        draft = _locked(playbook, seen)
        book = draft.playbook
        kept = {
            "number": draft.number,
            "facts": facts_of(draft),
            "steps": [(said.step.code, said_of(said)) for said in steps(draft)],
            "playbook": None,
        }
        used = [said.step_id for said in steps(draft)]
        draft.delete()
        for model in (StepVersion, Push):
            used = list(set(used) - set(model.objects.filter(step__in=used).values_list("step", flat=True)))
        Step.objects.filter(pk__in=used).delete()
        if not PlaybookVersion.objects.filter(playbook=book).exists():
            names = ("id", "code", "name", "segment_id", "rank", "is_active")
            kept["playbook"] = {name: getattr(book, name) for name in names}
            Step.objects.filter(playbook=book).delete()
            book.delete()
    return kept


def restore(playbook: int, kept: dict[str, Any], *, by: User | None, now: datetime) -> PlaybookVersion:
    """A draft that was thrown away is there again. Raises `NotSaved` if there is another one by now."""
    with transaction.atomic():
        if kept["playbook"] and not Playbook.objects.filter(pk=playbook).exists():
            last = Playbook.objects.order_by("-rank").first()
            is_taken = Playbook.objects.filter(rank=kept["playbook"]["rank"]).exists()
            rank = {"rank": last.rank + 10} if is_taken and last else {}
            Playbook.objects.create(**{**kept["playbook"], **rank})
        Playbook.objects.select_for_update().get(pk=playbook)
        newest = latest(playbook)
        if newest and (newest.is_draft or newest.number >= kept["number"]):
            raise NotSaved(_("There is another draft or version by now."))
        draft = PlaybookVersion.objects.create(
            playbook_id=playbook, number=kept["number"], by=by, at=now, **kept["facts"]
        )
        for code, said in kept["steps"]:
            step = Step.objects.get_or_create(code=code, defaults={"playbook_id": playbook})[0]
            # Its waves may be past by now: that is said when it is to be released.
            columns = draftchecks.step(said, draft, known=set(), today=date.min)
            StepVersion.objects.create(version=draft, step=step, **columns)
    return draft


def ask(version: int, *, percent: int, rule: Any, why: str, seen: str, by: User, today: date, now: datetime) -> Release:
    """A version may take these from now on, or once a second person says so (`campaigns.releases`).

    A draft has to be sound and the one that was `seen`. Raises `NotSaved`, `BadRule` or `NotReleased`.
    """
    with transaction.atomic():
        of = PlaybookVersion.objects.select_related("playbook__segment").get(pk=version)
        Playbook.objects.select_for_update().get(pk=of.playbook_id)
        of.refresh_from_db(fields=[*FACTS, "is_draft"])
        if of.is_draft:
            if mark(of) != seen:
                raise Overtaken(of)
            if found := faults(of, today=today):
                raise NotSaved(found[0])
        reach = joining.reach(of, percent=percent, rule=rule, today=today)
        return releases.ask(of, percent=percent, rule=rule, why=why, by=by, reach=reach, now=now)


# --- Parts -------------------------------------------------------------------------------------------------


def _locked(playbook: int, seen: str) -> PlaybookVersion:
    Playbook.objects.select_for_update().filter(pk=playbook).first()
    draft = draft_of(playbook)
    if draft is None or mark(draft) != seen:
        raise Overtaken(draft)
    return draft


def _touched(draft: PlaybookVersion, *, by: User | None, now: datetime) -> PlaybookVersion:
    draft.by, draft.at = by, now
    draft.save()
    return draft


def _check_kept_start(draft: PlaybookVersion, starts_on: Any) -> None:
    """Those under way entered by what started it: that stays what kind of thing it was."""
    for before in PlaybookVersion.objects.filter(playbook=draft.playbook_id, is_draft=False):
        if bool(before.starts_on) != bool(starts_on):
            fault = _(
                "A released playbook goes on to start by a lease's end, or by what happened; a copy may change that."
            )
            raise NotSaved(fault, "starts_on")


def _new_step(playbook: int) -> Step:
    step = Step.objects.create(playbook_id=playbook, code=uuid4().hex)
    step.code = f"step-{step.pk}"
    step.save(update_fields=["code"])
    return step
