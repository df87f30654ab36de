"""Retiring a template, which no playbook may need any more."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from campaigns import releases
from campaigns.models import Enrolment, Release, StepVersion
from tenants import templating
from tenants.models import Template
from tenants.templating import BadTemplate


def holders(template: Template) -> list[str]:
    """The names of the playbooks with a released version that says something by it, to whoever follows or will."""
    said = StepVersion.objects.filter(naming(template), version__is_draft=False)
    takes = [each.version.pk for is_active in (True, False) for each in releases.live(is_active=is_active)]
    waits = Release.objects.filter(state=Release.State.WAITING).values("version")
    followed = Enrolment.objects.filter(left_on=None).values("version")
    needed = said.filter(Q(version__in=takes) | Q(version__in=waits) | Q(version__in=followed))
    return list(needed.order_by("version__playbook__name").values_list("version__playbook__name", flat=True).distinct())


def naming(template: Template) -> Q:
    """The steps that name it, for either of their wordings."""
    named = {template.channel: template.code}
    return Q(templates__contains=named) | Q(general_templates__contains=named)


def retire(template: int, *, now: datetime) -> None:
    """No new step is offered it. Raises `BadTemplate` while a playbook needs it.

    A version released in this very moment may slip through: what it says is sent all the same.
    """
    with transaction.atomic():
        row = Template.objects.select_for_update().get(pk=template)
        if names := holders(row):
            fault = _("Released playbooks still speak by this template: %(names)s. Release them without it first.")
            raise BadTemplate(fault % {"names": _(", ").join(names)})
        templating.retire(template, now=now)
