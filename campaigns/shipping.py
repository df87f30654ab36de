"""What comes with the product is there: perks, segments, and each playbook with its first version, released to all."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from campaigns import drafts, general, pushes, shipped
from campaigns.draftchecks import NotSaved
from campaigns.models import Playbook, PlaybookVersion, Release, Segment, Step, StepVersion
from tenants import catalogue, templating
from tenants.models import Perk, User


def ship(*, now: datetime) -> None:
    """Every shipped perk, template, segment and playbook exists; those that did stay as staff left them."""
    catalogue.ship()
    templating.ship(now=now)
    Segment.objects.bulk_create([Segment(**facts) for facts in shipped.SEGMENTS], ignore_conflicts=True)
    segment_of = {segment.code: segment for segment in Segment.objects.all()}
    Playbook.objects.bulk_create(
        [Playbook(**{**facts, "segment": segment_of.get(facts["segment"])}) for facts in shipped.PLAYBOOKS],
        ignore_conflicts=True,
    )
    codes = {facts["code"] for facts in shipped.PLAYBOOKS}
    for playbook in Playbook.objects.filter(code__in=codes).exclude(pk__in=PlaybookVersion.objects.values("playbook")):
        _first_version(playbook, now=now)


def lacking(version: PlaybookVersion) -> dict[int, dict[str, str]]:
    """By step, the shipped templates on channels for which this version names none: {step: {channel: code}}.

    A playbook that was released before templates came names none until a new version does. A step that staff have
    added is none of ours: nothing is proposed for it.
    """
    shipped_for = {step["code"]: step for step in shipped.steps(version.playbook.code)} if _is_ours(version) else {}
    found = {}
    for said in StepVersion.objects.filter(version=version).select_related("step"):
        proposed = shipped_for.get(said.step.code, {}).get("templates", {})
        more = {
            channel: code
            for channel, code in proposed.items()
            if channel not in said.templates and not templating.unchoosable(channel, code, pushes.class_of(said.kind))
        }
        if more:
            found[said.step_id] = more
    return found


def lacking_general(version: PlaybookVersion) -> dict[int, dict[str, Any]]:
    """By step, the shipped general wording as columns, where this version has none: {step: {column: value}}.

    As with templates: a playbook that was released before there was one. Not where staff gave the step another topic.
    """
    if not _is_ours(version):
        return {}
    names = ("general_text", "general_templates")
    shipped_for = {step["code"]: step for step in shipped.steps(version.playbook.code) if step.get("general_text")}
    return {
        said.step_id: {name: step[name] for name in names}
        for said in StepVersion.objects.filter(version=version, general_text="").select_related("step")
        if (step := shipped_for.get(said.step.code))
        and general.may_have(said.kind, said.rule, version.playbook.segment_id)
        and said.claims_topic == step.get("claims_topic", "")
    }


def _is_ours(version: PlaybookVersion) -> bool:
    return version.playbook.code in {facts["code"] for facts in shipped.PLAYBOOKS}


def begin_with_templates(playbook: int, *, by: User | None, now: datetime) -> PlaybookVersion:
    """There is a draft as the newest version is, with the shipped templates and general wordings it lacks.

    Raises `NotSaved`.
    """
    with transaction.atomic():
        draft = drafts.begin(playbook, like=None, by=by, now=now)
        templates, wordings = lacking(draft), lacking_general(draft)
        if not templates and not wordings:
            raise NotSaved(_("Its steps name every template that comes with the product already."))
        for said in StepVersion.objects.filter(version=draft, step__in=[*templates, *wordings]):
            said.templates = said.templates | templates.get(said.step_id, {})
            for name, value in wordings.get(said.step_id, {}).items():
                setattr(said, name, value)
            said.save()
        notes = [_("with the shipped templates")] if templates else []
        draft.note = _("; ").join([*notes, _("with the shipped general wording")] if wordings else notes)
        draft.save(update_fields=["note"])
    return draft


def _first_version(playbook: Playbook, *, now: datetime) -> None:
    perk_of = {perk.code: perk for perk in Perk.objects.all()}
    version = PlaybookVersion.objects.create(
        playbook=playbook,
        number=1,
        lead_days=shipped.LEAD_DAYS,
        starts_on=shipped.CARES.get(playbook.code, {}).get("starts_on", {}),
        at=now,
    )
    StepVersion.objects.bulk_create(
        StepVersion(
            version=version,
            step=Step.objects.get_or_create(code=code, defaults={"playbook": playbook})[0],
            **{**facts, "grants": perk_of.get(facts.get("grants", ""))},
        )
        for code, facts in ((step.pop("code"), step) for step in shipped.steps(playbook.code))
    )
    PlaybookVersion.objects.filter(pk=version.pk).update(is_draft=False)
    Release.objects.create(version=version, reach=0, state=Release.State.STANDING, asked_at=now, decided_at=now)
