"""Words of the pages on who is one person."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.translation import gettext_lazy

from renewal.persons import Pair, Side
from tenants.access import masked
from tenants.attributes import ALIASES
from tenants.candidates import Candidate, Evidence
from tenants.models import Tenant

register = template.Library()
PROOFS = {
    "id_hash": gettext_lazy("The same identity card"),
    "phone": gettext_lazy("The same phone number and name: they may be one person"),
    "wechat": gettext_lazy("The same WeChat account"),
    "app": gettext_lazy("The same app account"),
    "community": gettext_lazy("The same community number"),
    "locker": gettext_lazy("The same locker account"),
}


@register.filter
def proof(evidence: Evidence) -> str:
    return str(PROOFS[evidence.source])


@register.filter
def sides(pair: Pair) -> list[Side]:
    return [pair.kept, pair.merged]


@register.filter
def other_than(pair: Candidate, tenant: Tenant) -> Tenant:
    return pair.other if pair.one == tenant else pair.one


@register.filter
def alias_name(source: str) -> str:
    return str(ALIASES.get(source, source))


@register.filter
def reference(row: dict[str, Any]) -> str:
    """Whose events wait; no whole phone number."""
    return masked(row["who_ref"]) if row["who_source"] == "phone" else str(row["who_ref"])
