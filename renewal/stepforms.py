"""The forms of a playbook's draft read back, right or wrong, as plain data that can be shown again.

A step's draft is what `campaigns.draftchecks` names, but that its rule is one that the editor of rules builds: with a
group at its root, which is empty where everybody is meant.
"""

from __future__ import annotations

import json
from typing import Any

from django.http import QueryDict

from campaigns.draftchecks import ENDS, anchors_of
from campaigns.grammar import Rule
from campaigns.kinds import KINDS
from campaigns.models import PlaybookVersion, Release, StepVersion
from renewal import ruleedits, rulereading
from renewal.ruleedits import NoSuchPlace

TYPED = ("anchor", "days", "on", "ends_from", "ends_to", "kind", "text", "claims_topic", "general_text", "grants")
MOST_TYPED = 400
# Of either wording the templates, each under a prefix and the name of a channel.
TEMPLATES = {"templates": "template.", "general_templates": "general."}
BUILDINGS = "buildings"
WHOM = ("everybody", BUILDINGS, "list", "rule")


def opened(rule: Rule | None) -> Rule:
    """A rule as its editor shows it; one that selects everybody is an empty group."""
    return ruleedits.opened(rule) if rule is not None else ruleedits.new_rule()


def closed(rule: Rule) -> Rule | None:
    """The rule that was built, or nothing."""
    return None if rule in ({"all": []}, {"any": []}) else ruleedits.closed(rule)


# --- A step ------------------------------------------------------------------------------------------------


def new_step(version: PlaybookVersion) -> dict[str, Any]:
    kind = StepVersion.Kind.CARE if version.starts_on else StepVersion.Kind.ASK
    anchors = anchors_of(version.starts_on)
    anchor = StepVersion.Anchor.END if StepVersion.Anchor.END in anchors else anchors[0]
    said: dict[str, Any] = {
        "anchor": anchor.value,
        "days": "1" if version.starts_on else "30",
        "on": "",
        "kind": kind.value,
    }
    return {
        **said,
        "text": "",
        "claims_topic": "",
        "general_text": "",
        "grants": "",
        **{name: {} for name in TEMPLATES},
        **_ends(),
        "rule": ruleedits.new_rule(),
    }


def step(form: QueryDict) -> dict[str, Any]:
    """A step as the form has it. Raises `NoSuchPlace`."""
    return {
        **{name: form.get(name, "")[:MOST_TYPED] for name in TYPED},
        **{
            column: _templates({name.removeprefix(at): form[name] for name in form if name.startswith(at)})
            for column, at in TEMPLATES.items()
        },
        "rule": rulereading.read(form),
    }


def restored_step(text: str) -> dict[str, Any]:
    """A step as the page kept it, to undo or redo. Raises `NoSuchPlace`."""
    kept, rule = _kept(text)
    return {
        **{name: str(kept.get(name, ""))[:MOST_TYPED] for name in TYPED},
        **{column: _templates(kept.get(column)) for column in TEMPLATES},
        "rule": rule,
    }


def shown_step(said: dict[str, Any]) -> dict[str, Any]:
    """A stored step as the form shows it."""
    return {
        **{name: str(said[name]) for name in TYPED},
        **{column: dict(said[column]) for column in TEMPLATES},
        "rule": opened(said["rule"]),
    }


def _templates(given: Any) -> dict[str, str]:
    if not isinstance(given, dict):
        return {}
    return {str(name)[:16]: str(code)[:40] for name, code in list(given.items())[:20] if code}


# --- What starts it, and the other facts -------------------------------------------------------------------


def facts(form: QueryDict) -> dict[str, Any]:
    """The facts as the form has them."""
    return {
        "lead_days": form.get("lead_days", "")[:MOST_TYPED],
        "starts_on": starts_on(form),
        "leaves_with_segment": "leaves_with_segment" in form,
        "fix_first": "fix_first" in form,
        "unfixed_percent": form.get("unfixed_percent", "")[:MOST_TYPED],
        "under_way": form.get("under_way", PlaybookVersion.UnderWay.FINISH.value),
        "note": form.get("note", "")[:MOST_TYPED],
    }


def starts_on(form: QueryDict) -> Rule:
    """The events that start it, if it is any."""
    kind = form.get("s.events", "")
    if form.get("starts") != "event" or kind not in KINDS:
        return {}
    # What was chosen about events of another kind is no question of this one.
    where = rulereading.comparisons(form, "s.where", kind) if form.get("s.was", kind) == kind else []
    return {"events": kind, **({"where": where} if where else {})}


def acted_start(rule: Rule, do: str) -> Rule:
    """What starts it after a button: one more comparison, or one less."""
    act, *at = do.split()
    number = at[-1] if at else ""
    where = list(rule.get("where", []))
    if act == "compare" and rule:
        where.append(ruleedits.plain_comparison(ruleedits.fields_of(rule["events"])))
    elif act == "uncompare" and number.isdecimal() and int(number) < len(where):
        del where[int(number)]
    return {"events": rule["events"], **({"where": where} if where else {})} if rule else rule


# --- Whom a release is for ---------------------------------------------------------------------------------


def release(form: QueryDict) -> dict[str, Any]:
    """A release as the form has it. Raises `NoSuchPlace`."""
    whom = form.get("whom", "")
    return {
        "percent": form.get("percent", "")[:MOST_TYPED],
        "whom": whom if whom in WHOM else "everybody",
        BUILDINGS: form.getlist(BUILDINGS)[:100],
        "list": form.get("list", "")[:MOST_TYPED],
        "why": form.get("why", "")[:MOST_TYPED],
        "rule": rulereading.read(form) if "r.kind" in form else ruleedits.new_rule(),
    }


def restored_release(text: str) -> dict[str, Any]:
    """A release as the page kept it, to undo or redo. Raises `NoSuchPlace`."""
    kept, rule = _kept(text)
    codes = kept.get(BUILDINGS, [])
    return {
        **{name: str(kept.get(name, ""))[:MOST_TYPED] for name in ("percent", "list", "why")},
        "whom": kept["whom"] if kept.get("whom") in WHOM else "everybody",
        BUILDINGS: [str(code) for code in codes][:100] if isinstance(codes, list) else [],
        "rule": rule,
    }


def shown_release(last: Release | None) -> dict[str, Any]:
    """The form of a release begins with how it is released now, or with a small share of everybody."""
    rule = last.rule if last else None
    shown: dict[str, Any] = {"percent": str(last.percent if last else 10), "list": "", BUILDINGS: [], "why": ""}
    shown |= {"whom": "everybody", "rule": ruleedits.new_rule()}
    match rule:
        case None:
            pass
        case {"lease": "building", "op": "in", "value": codes}:
            shown |= {"whom": BUILDINGS, BUILDINGS: codes}
        case {"list": code}:
            shown |= {"whom": "list", "list": code}
        case _:
            shown |= {"whom": "rule", "rule": opened(rule)}
    return shown


def released_to(draft: dict[str, Any]) -> Rule | None:
    """The rule of a release."""
    match draft["whom"]:
        case "buildings":
            return {"lease": "building", "op": "in", "value": list(draft[BUILDINGS])}
        case "list":
            return {"list": draft["list"]}
        case "rule":
            return ruleedits.closed(draft["rule"])
    return None


def _kept(text: str) -> tuple[dict[str, Any], Rule]:
    try:
        kept = json.loads(text)
        return kept, rulereading.restored(json.dumps(kept["rule"], ensure_ascii=False))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise NoSuchPlace from error


def _ends() -> dict[str, str]:
    return {name: str(days) for name, days in ENDS.items()}
