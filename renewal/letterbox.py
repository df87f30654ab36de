"""Templates as staff see and type them: their form read back, what one reads like to a tenant, where one is used."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Any

from django.db.models import Q
from django.http import QueryDict
from django.utils.translation import gettext_lazy

from campaigns import pushes, retiring
from campaigns.models import Step, StepVersion
from tenants import access, filling, templatechecks, templating
from tenants.access import Somebody
from tenants.filling import Field
from tenants.models import Announcement, Lease, LeaseTenant, Template, TemplateVersion

PARTS = ("name", "value", "kind", "most", "fallback")
MOST_FIELDS = 12
SPARE = 2  # empty rows under those that are filled
STATES = {  # what a list of templates can be narrowed to
    "sent": gettext_lazy("may be sent"),
    "waiting": gettext_lazy("not approved"),
    "unnamed": gettext_lazy("named by no step"),
    "retired": gettext_lazy("retired"),
}


def listed(*, words: str = "", channel: str = "", state: str = "") -> list[dict[str, Any]]:
    """The templates that fit, each with its newest version and the one that is sent: template, newest, sent."""
    newest = TemplateVersion.objects.order_by("template", "-number").distinct("template").select_related("template")
    standing = templating.shelf()
    rows: list[dict[str, Any]] = [
        {"template": row.template, "newest": row, "sent": standing.get((row.template.channel, row.template.code))}
        for row in newest
        if bool(row.template.retired_at) == (state == "retired")
    ]
    if channel:
        rows = [row for row in rows if row["template"].channel == channel]
    if state in ("sent", "waiting"):
        rows = [row for row in rows if bool(row["sent"]) == (state == "sent")]
    if state == "unnamed":
        rows = [row for row in rows if not users(row["template"])]
    for word in words.lower().split():
        rows = [
            row for row in rows
            if any(word in said.lower() for said in (row["template"].name, row["template"].code, row["newest"].text))
        ]  # fmt: skip
    return sorted(rows, key=lambda row: (row["template"].channel, row["template"].klass, row["template"].name))


def typed(form: QueryDict) -> dict[str, Any]:
    """A version as the form has it; rows of fields without a name are none."""
    columns = [form.getlist(f"field.{part}")[:MOST_FIELDS] for part in PARTS]
    rows = [dict(zip(PARTS, row, strict=True)) for row in zip(*columns, strict=False)]
    return {
        "provider_id": form.get("provider_id", "")[:80],
        "text": form.get("text", "")[:1000],
        "fields": [row for row in rows if row["name"].strip()],
        "note": form.get("note", "")[:300],
    }


def shown(version: TemplateVersion | None) -> dict[str, Any]:
    """A stored version as the form shows it."""
    if version is None:
        return {"provider_id": "", "text": "", "fields": [], "note": ""}
    fields = [asdict(each) for each in templating.fields_of(version)]
    return {"provider_id": version.provider_id, "text": version.text, "fields": fields, "note": ""}


def rows(given: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of fields, and room for more."""
    empty = [dict.fromkeys(PARTS, "") for _n in range(SPARE)]
    return [*given["fields"], *empty][:MOST_FIELDS]


def reader(user: Somebody, words: str, *, today: date) -> LeaseTenant | None:
    """The tenant of a lease by name or room, among those `user` may see; without words whose lease ends next."""
    mine = access.leases_for(user, today=today).filter(state=Lease.State.SIGNED, last_day__gte=today)
    found = LeaseTenant.objects.filter(lease__in=mine, is_primary=True, tenant__merged_into=None)
    if words:
        found = found.filter(Q(tenant__name__icontains=words) | Q(lease__unit__code__icontains=words))
    return found.select_related("tenant", "lease__unit__building").order_by("lease__last_day", "pk").first()


def values(to: LeaseTenant | None, *, today: date) -> dict[str, str]:
    """What can be filled in for a tenant; what is usual where there is none."""
    usual = {name: sample for name, (_label, sample) in templatechecks.VALUES.items()}
    if to is None:
        return usual
    live = Announcement.objects.filter(building=to.lease.unit.building_id, until__gte=today, withdrawn_at=None)
    first = live.order_by("on", "pk").first()
    return usual | pushes.values(to.lease, announcement=first.text if first else "")


def preview(channel: str, klass: str, given: dict[str, Any], said: dict[str, str]) -> dict[str, str]:
    """How it reads, how it reads where nothing is known, and what the provider has to approve. Raises `BadTemplate`."""
    facts = {name: given[name] for name in ("provider_id", "text", "fields")}
    number, text, fields = templatechecks.check(channel, klass, **facts)
    code = {"code": filling.CODE}
    return {
        "number": number,
        "read": _digits(_read(text, fields, said)),
        "bare": "" if klass == templatechecks.CODE else _read(text, fields, code),
        "approved": _approved(text, channel),
    }


def _read(text: str, fields: list[Field], said: dict[str, str]) -> str:
    return filling.compose(text, templatechecks.fixed() | filling.said(fields, said))


def _digits(text: str) -> str:
    """A code's digits come into being as it leaves: some stand for them here."""
    return text.replace(filling.CODE, "123456")


def _approved(text: str, channel: str) -> str:
    """The text with its names as the provider writes them."""
    fixed = templatechecks.fixed()
    mark = "{{{{{}.DATA}}}}" if templatechecks.rules(channel).named_by_kind else "${{{}}}"
    return filling.NAME.sub(lambda found: fixed.get(found[1]) or mark.format(found[1]), text)


def users(template: Template) -> list[str]:
    """The codes of the steps that name it, in any version of their playbooks."""
    said = StepVersion.objects.filter(retiring.naming(template))
    return list(Step.objects.filter(pk__in=said.values("step")).order_by("code").values_list("code", flat=True))
