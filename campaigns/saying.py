"""What a push says: its step's wording, in an experiment its arm's, after a verdict the verdict's.

Who hears a step's general wording (`campaigns.general`) hears that alone: it is no part of any experiment.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from campaigns.models import Arm, Assigned, Push, Verdict


@dataclass(frozen=True, slots=True)
class Said:
    """What a push says, and by which arm of which experiment, if any."""

    text: str
    templates: Mapping[str, str]
    arm: Arm | None = None


def said(pushes: Collection[Push]) -> dict[int, Said]:
    """What each push says, by its id: in an experiment its arm's wording, after a verdict the verdict's."""
    steps = {push.step_id for push in pushes}
    drawn = {
        (row.experiment.step_id, row.lease_id, row.tenant_id): row.arm
        for row in Assigned.objects.filter(experiment__step__in=steps).select_related("experiment", "arm")
    }
    decided = winners(steps)
    found = {}
    for push in pushes:
        if push.general:
            found[push.pk] = Said(push.said.general_text, push.said.general_templates)
            continue
        arm = drawn.get((push.step_id, push.lease_id, push.tenant_id)) or decided.get(push.step_id)
        found[push.pk] = Said(arm.text, arm.templates, arm) if arm else Said(push.said.text, push.said.templates)
    return found


def winners(steps: Collection[int]) -> dict[int, Arm]:
    """The arm that the latest verdict on each of these steps rolled out, by step."""
    latest = (
        Verdict.objects.filter(experiment__step__in=steps, arm__isnull=False)
        .exclude(kind=Verdict.Kind.DROPPED)
        .select_related("experiment", "arm")
        .order_by("at", "pk")
    )
    return {verdict.experiment.step_id: verdict.arm for verdict in latest if verdict.arm}
