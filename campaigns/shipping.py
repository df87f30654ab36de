"""What comes with the product is there: perks, segments, and each playbook with its first version, released to all."""

from __future__ import annotations

from datetime import datetime

from campaigns import shipped
from campaigns.models import Playbook, PlaybookVersion, Release, Segment, Step, StepVersion
from tenants import perks, templating
from tenants.models import Perk


def ship(*, now: datetime) -> None:
    """Every shipped perk, template, segment and playbook exists; those that did stay as staff left them."""
    perks.ship_catalogue()
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
