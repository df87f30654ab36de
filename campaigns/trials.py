"""实验: wordings of one step are laid down before the start, and stopped. The sums are `campaigns.experiments`.

An arm is a wording and nothing else: the same people, the same day, the same offers (PIPL 24). Whom it is drawn for is
decided in `campaigns.rosters`, what a push says in `campaigns.saying`, what came of it in `campaigns.looking`.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from campaigns import draftchecks, releases
from campaigns.draftchecks import NotSaved
from campaigns.models import Arm, Experiment, Step, StepVersion, Verdict
from tenants import clock
from tenants.models import User

LETTERS = "ABCD"
MOST_ARMS = len(LETTERS)
State = Experiment.State


class NotMade(Exception):
    """An experiment that cannot be made, changed or stopped so, in one sentence; `field` is where the fault is."""

    def __init__(self, words: str, field: str = "") -> None:
        super().__init__(words)
        self.field = field


@transaction.atomic
def make(
    said: StepVersion, wordings: Collection[Mapping[str, Any]], *, name: str, by: User | None, now: datetime
) -> Experiment:
    """An experiment of the step beside what it says now (A). `wordings`: of B and further ones, {"text", "templates"}.

    Raises `NotMade`; nothing is there then.
    """
    name, wave = " ".join(name.split())[:80], said.anchor == StepVersion.Anchor.WAVE
    if not name:
        raise NotMade(_("An experiment needs a name."), "name")
    if said.kind != StepVersion.Kind.ASK:
        raise NotMade(_("Only what asks about renewing is tested: a word about a service is not."))
    if said.version_id not in {each.version.pk for each in releases.live()}:
        raise NotMade(_("Only a step that is released can be tested."))
    if wave and (said.on is None or said.on <= clock.day_of(now)):
        raise NotMade(_("The wave of %(on)s has begun or is over: an audience is frozen beforehand.") % {"on": said.on})
    if not 1 <= len(wordings) < MOST_ARMS:
        raise NotMade(_("An experiment has two to %(n)d wordings.") % {"n": MOST_ARMS}, "text")
    Step.objects.select_for_update().get(pk=said.step_id)
    if Experiment.objects.filter(step=said.step_id, state__in=[State.READY, State.RUNNING]).exists():
        raise NotMade(_("An experiment of this step is under way."))
    checked = [{"text": said.text, "templates": said.templates}, *(_checked(each, said) for each in wordings)]
    if len({(each["text"], *sorted(each["templates"].items())) for each in checked}) < len(checked):
        raise NotMade(_("Two wordings are the same."), "text")
    made = Experiment.objects.create(
        name=name,
        step_id=said.step_id,
        on=said.on if wave else None,
        seed=secrets.token_hex(16),
        made_by=by,
        made_at=now,
    )
    Arm.objects.bulk_create(
        Arm(experiment=made, letter=letter, **each) for letter, each in zip(LETTERS, checked, strict=False)
    )
    return made


def _checked(given: Mapping[str, Any], said: StepVersion) -> dict[str, Any]:
    """A wording as a step of a draft would take it."""
    try:
        return draftchecks.words({**given, "kind": said.kind, "claims_topic": said.claims_topic})
    except NotSaved as fault:
        raise NotMade(str(fault), fault.place) from fault


@transaction.atomic
def stop(pk: int, *, why: str, by: User | None, now: datetime) -> Experiment:
    """The experiment is over, and everybody hears A from now on. Raises `NotMade`."""
    found = Experiment.objects.select_for_update().get(pk=pk)
    why = " ".join(why.split())
    if found.state == State.STOPPED:
        raise NotMade(_("The experiment is stopped already."))
    if not why:
        raise NotMade(_("Say why it is stopped."), "why")
    first = Arm.objects.get(experiment=found, letter=LETTERS[0])
    Verdict.objects.create(experiment=found, kind=Verdict.Kind.STOPPED, arm=first, why=why[:300], by=by, at=now)
    end(found, State.STOPPED, now=now)
    return found


def block(
    experiment: Experiment, reason: str, step: str, *, found: Mapping[str, Any] | None = None, now: datetime
) -> None:
    """Nothing can be concluded for `reason`, seen in `step` (`experiments.verdicts.Block`): stopped, A is said."""
    first = Arm.objects.get(experiment=experiment, letter=LETTERS[0])
    why = _why_blocked(reason, step)
    Verdict.objects.create(
        experiment=experiment, kind=Verdict.Kind.BLOCKED, arm=first, why=why, found=found or {}, at=now
    )
    end(experiment, State.STOPPED, now=now)


def _why_blocked(reason: str, step: str) -> str:
    if reason == "guardrail" and step == "refused":
        return _("A version drove tenants off: more of them refused further offers.")
    if reason == "guardrail" and step == "complained":
        return _("A version drove tenants off: more of them complained.")
    if reason == "guardrail":
        return _("A version drove tenants off: more of them said no or gave notice.")
    if step == "accepted":
        return _("One version lost more of its messages than another before a channel took them: nothing can be told.")
    return _("The lot did not fill the versions as it should have: nothing can be told.")


def end(experiment: Experiment, state: str, *, now: datetime) -> None:
    """No more arms are drawn."""
    experiment.state, experiment.ended_at = state, now
    experiment.save(update_fields=["state", "ended_at"])
