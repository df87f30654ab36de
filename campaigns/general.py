"""通用版: what somebody hears who does not agree to personal wording, where a step is chosen by what they do (PIPL 24).

A step about renewing that has a rule may carry a second wording. It is for everybody in its playbook who does not agree
to a profile, whatever the rule would find of them: it is not asked. They hear it at the moment of the step, or nothing
where there is none. A playbook with a segment takes nobody of them, so a step there has none; the playbook for
everybody speaks to them.
"""

from __future__ import annotations

from campaigns.grammar import Rule
from campaigns.models import StepVersion

ASK = StepVersion.Kind.ASK


def may_have(kind: str, rule: Rule | None, segment: int | None) -> bool:
    """Whether a step of this kind, with this rule, in a playbook for this segment, may carry a general wording."""
    return kind == ASK and rule is not None and segment is None


def replaces(said: StepVersion, *, is_personal: bool) -> bool:
    """Whether the step's own wording is not for a tenant, who agrees to personal wording or does not."""
    return said.kind == ASK and said.rule is not None and not is_personal


def is_chosen(said: StepVersion, *, general: bool) -> bool:
    """Whether what it says was chosen by what the tenant does: by the step's rule, or by the playbook's segment."""
    return said.kind == ASK and not general and (said.rule is not None or said.version.playbook.segment_id is not None)


def text(said: StepVersion, *, general: bool) -> str:
    """What the step says of itself; empty where it has no general wording."""
    return said.general_text if general else said.text


def claims(said: StepVersion, *, general: bool) -> str:
    """The topic of the announcement it quotes, or nothing: the general wording need not quote any."""
    return "" if general and "{announcement}" not in said.general_text else said.claims_topic
