"""The condition on what a tenant agrees to: one kind in `campaigns.conditions`.

    {"consent": "marketing"}                       on the first channel of the house, which would carry the message
    {"consent": "marketing", "channel": "jpush"}   on that one

The latest line of the ledger decides, of those for every channel and those for the asked one.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from campaigns.grammar import BadRule, Bound, Leaf, Rule, shown
from connectors.channels import KNOWN, TENANTS, kind, title
from tenants import consents
from tenants.models import Consent

_CONSENT_SQL = f"({consents.CURRENT_SQL}) consent WHERE consent.purpose = {{purpose}}"
# Who chose the version that knows nothing about them agrees to no profile, whatever they agreed to before.
_AGREES_SQL = f"""consent.granted AND (
    consent.purpose <> '{Consent.Purpose.PROFILING}' OR consent.tenant_id NOT IN ({consents.GENERAL_SQL}))"""
_VALUE_SQL = f"(SELECT {_AGREES_SQL} FROM {_CONSENT_SQL} AND consent.tenant_id = subject.tenant_id)"  # noqa: S608


def channels() -> list[str]:
    """The channels that can be asked for: all that can carry an offer to a tenant, used by the house or not."""
    ways = [(name, kind(name)) for name in (*KNOWN, *settings.MORE_CHANNELS)]
    return [name for name, way in ways if way.reaches in TENANTS and "marketing" in way.carries]


def _check(leaf: Rule, place: str) -> None:
    known = {"consent": Consent.Purpose.values, "channel": channels() if "channel" in leaf else ()}
    for key, names in known.items():
        name = leaf.get(key)
        if key in leaf and (not isinstance(name, str) or name not in names):
            raise BadRule(place, _("there is no %(kind)s “%(name)s”.") % {"kind": key, "name": shown(name)})


def _sql(sql: str, leaf: Rule, bound: Bound) -> str:
    asked = sql.format(purpose=bound.add(leaf["consent"]))
    return asked.replace("%(channel)s", bound.add(leaf["channel"])) if "channel" in leaf else asked


def _those(leaf: Rule, bound: Bound) -> str:
    return _sql(consents.AGREED_SQL, leaf, bound)


def _sentence(leaf: Rule) -> str:
    facts: dict[str, Any] = {"name": Consent.Purpose(leaf["consent"]).label}
    if "channel" not in leaf:
        return _("agrees to %(name)s") % facts
    return _("agrees to %(name)s (%(channel)s)") % {**facts, "channel": title(leaf["channel"])}


LEAF = Leaf(
    keys=frozenset({"consent", "channel"}),
    check=_check,
    # Not EXISTS: inside OR and NOT the planner hashes IN once, and would run EXISTS per row.
    holds=lambda leaf, bound: f"subject.tenant_id IN ({_those(leaf, bound)})",
    names_them=lambda leaf: True,
    those=_those,
    value=lambda leaf, bound: _sql(_VALUE_SQL, leaf, bound),
    sentence=_sentence,
)
