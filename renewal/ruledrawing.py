"""A draft as the editor's page shows it: groups, conditions, and the lines of controls that a condition has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext, pgettext_lazy

from campaigns.conditions import FEATURES, LEASE
from campaigns.grammar import SIGNS, BadRule, Field, Rule
from campaigns.kinds import KINDS
from campaigns.questions import QUESTIONS
from campaigns.windows import anchor_of
from renewal import ruleedits
from renewal.ruleedits import GROUPS, ROOT
from renewal.rulewords import EVERY, GROUP_NAMES, KEYS, KIND_NAMES, OP_NAMES, QUESTION_NAMES, WINDOW_NAMES, YES_NO
from tenants import tags
from tenants.models import Consent
from tenants.vocabulary import MOODS


@dataclass(slots=True)
class Control:
    """One thing to choose or to type. `what` names the template's part; `shapes` redraws what follows from it."""

    what: str  # select, number, text, date, checks, check, hidden or words
    name: str = ""
    label: str = ""
    value: str = ""
    options: list[tuple[str, str, bool]] = field(default_factory=list)
    shapes: bool = False


@dataclass(slots=True)
class Line:
    """Controls beside each other, what a button beside them does, and what is wrong there."""

    place: str
    controls: list[Control]
    title: str = ""
    remove: str = ""
    add: str = ""
    add_title: str = ""
    fault: str = ""

    @property
    def spot(self) -> str:
        """The name of where its fault stands."""
        return f"line {self.place} {self.add}"


@dataclass(slots=True)
class Node:
    """A group with its parts or a condition with its lines."""

    at: str  # as the form names it
    place: str  # as a fault names it
    number: str  # as a person says it: "2.1"
    kind: str
    holds: str  # of what kind it is part
    choice: Control
    lines: list[Line] = field(default_factory=list)
    parts: list[Node] = field(default_factory=list)
    fault: str = ""

    @property
    def spot(self) -> str:
        """The name of where its fault stands."""
        return f"node {self.at}"

    @property
    def is_group(self) -> bool:
        return self.kind in GROUPS

    @property
    def may_move(self) -> bool:
        """Whether it stands in a list; the root does not, nor what is negated."""
        return self.holds in GROUPS


def drawn(draft: Rule, fault: BadRule | None) -> tuple[Node, Node | Line | None]:
    """The draft, and the innermost place on the page where its fault stands."""
    root = _node(draft, ROOT, "", "", "")
    spot = None
    if fault:
        spots = [spot for spot in _spots(root) if _is_within(fault.place, spot[0].place)]
        spot, number, node = max(spots, key=lambda spot: len(spot[0].place))
        where = _("Condition %(number)s: %(fault)s") if number else _("The rule: %(fault)s")
        spot.fault = where % {"number": number, "fault": _in_words(fault.fault, node)}
    return root, spot


def _in_words(fault: str, node: Node) -> str:
    """A fault with the names that stand on the page instead of the codes."""
    names: dict[str, Any] = {**KEYS, **{name: what.name for name, what in (FEATURES | LEASE).items()}}
    for happening in KINDS.values():
        names |= {name: what.name for name, what in happening.fields.items()}
    names |= {**GROUP_NAMES, **MOODS}
    for code, name in names.items():
        fault = fault.replace(f"“{code}”", f"“{name}”")
    return fault


def _spots(node: Node) -> Iterable[tuple[Node | Line, str, Node]]:
    yield node, node.number, node
    for line in node.lines:
        yield line, node.number, node
    for part in node.parts:
        yield from _spots(part)


def _is_within(place: str, outer: str) -> bool:
    return place == outer or not outer or place.startswith((f"{outer}.", f"{outer}["))


# --- Groups and conditions ---------------------------------------------------------------------------------------


def _node(rule: Rule, at: str, place: str, number: str, holds: str) -> Node:
    kind = ruleedits.kind_of(rule)
    if kind in GROUPS:
        choice = _select(f"{at}.kind", _("These hold"), GROUP_NAMES, kind, shapes=True)
        node = Node(at, place, number, kind, holds, choice)
        for n, part in enumerate(rule[kind]):
            inner = f"{place}.{kind}[{n}]".lstrip(".")
            node.parts.append(_node(part, f"{at}.{n}", inner, f"{number}.{n + 1}".lstrip("."), kind))
        return node
    if kind == "not":
        node = Node(at, place, number, kind, holds, Control("hidden", f"{at}.kind", value="not"))
        node.parts.append(_node(rule["not"], f"{at}.0", f"{place}.not".lstrip("."), number, kind))
        return node
    choice = _select(f"{at}.kind", _("Kind of condition"), KIND_NAMES, kind, shapes=True)
    node = Node(at, place, number, kind, holds, choice)
    if kind == "tag":
        names = {tag.code: tag.name for tag in tags.TAGS.values()}
        node.lines.append(Line(place, [_select(f"{at}.name", _("Tag"), names, rule[kind])]))
    elif kind == "consent":
        purposes = {purpose.value: purpose.label for purpose in Consent.Purpose}
        ways = ruleedits.channels(rule.get("channel", ""))
        choices = [_select(f"{at}.name", _("Purpose"), purposes, rule[kind])]
        choices.append(_select(f"{at}.channel", _("Channel"), ways, rule.get("channel", "")))
        node.lines.append(Line(place, choices))
    elif kind == "list":
        lists = ruleedits.lists(rule[kind])
        node.lines.append(Line(place, [_select(f"{at}.name", _("List of names"), lists, rule[kind])]))
    elif kind == "moods":
        node.lines.append(Line(place, _moods(rule, at)))
    elif kind == "events":
        node.lines = _events(rule, at, place)
    else:
        fields = FEATURES if kind == "feature" else LEASE
        node.lines.append(Line(place, _comparison(at, {"field": rule[kind], **rule}, fields)))
    return node


def _comparison(at: str, each: Rule, fields: dict[str, Field]) -> list[Control]:
    name, op, value = each["field"], each["op"], each["value"]
    what = fields.get(name) or next(iter(fields.values()))
    ops = {op: OP_NAMES[op] for op in ruleedits.ops_of(name, what)}
    controls = [
        Control("hidden", f"{at}.fieldwas", value=name),
        _select(f"{at}.field", _("Field"), {code: each.name for code, each in fields.items()}, name, shapes=True),
        _select(f"{at}.op", _("Comparison"), ops, op, shapes=True),
    ]
    known = {str(code): said for code, said in what.values().items()}
    label = str(what.name)
    if op == "between":
        low, high = value if isinstance(value, list) and len(value) == 2 else ("", "")
        return [
            *controls,
            Control("number", f"{at}.from", _("From hour"), str(low)),
            Control("words", value=pgettext("a rule", ":00 to")),
            Control("number", f"{at}.to", _("To hour"), str(high)),
            Control("words", value=pgettext("a rule", ":00")),
        ]
    if what.type is bool:
        return [*controls, _select(f"{at}.value", label, YES_NO, "true" if value else "false")]
    if op == "in":
        chosen = [str(each) for each in value] if isinstance(value, list) else [str(value)]
        if not known:
            return [*controls, Control("text", f"{at}.value", label, "、".join(chosen))]
        known |= {code: code for code in chosen if code not in known}
        return [*controls, Control("checks", f"{at}.value", label, options=_options(known, chosen))]
    if known:
        if str(value) not in known:
            known = {str(value): str(value), **known}
        return [*controls, _select(f"{at}.value", label, known, str(value))]
    return [*controls, Control("number" if what.type is int else "text", f"{at}.value", label, str(value))]


def _moods(rule: Rule, at: str) -> list[Control]:
    chosen = [str(mood) for mood in rule["moods"]] if isinstance(rule["moods"], list) else []
    return [
        Control("words", value=pgettext("a rule", "on the last")),
        Control("number", f"{at}.bills", _("Number of bills"), str(rule.get("bills", ""))),
        Control("words", value=pgettext("a rule", "bills at least")),
        Control("number", f"{at}.at_least", _("At least how many"), str(rule.get("at_least", ""))),
        Control("words", value=pgettext("a rule", "(empty: all) have the mood")),
        Control("checks", f"{at}.moods", _("Moods"), options=_options(MOODS, chosen)),
    ]


# --- What happened -----------------------------------------------------------------------------------------------


def _events(leaf: Rule, at: str, place: str) -> list[Line]:
    kinds = {kind: happening.name for kind, happening in KINDS.items()}
    question = next(name for name in QUESTIONS if name in leaf)
    fields = ruleedits.fields_of(leaf["events"])
    inner = f"{place}.{question}".lstrip(".")
    lines = [Line(place, [_select(f"{at}.events", _("What happened"), kinds, leaf["events"], shapes=True)])]
    lines += _comparisons(f"{at}.where", leaf.get("where", []), fields, f"{place}.where".lstrip("."), at, "where")
    if QUESTIONS[question].has_window:
        lines.append(_window(leaf.get("window", {}), f"{at}.window", f"{place}.window".lstrip(".")))
    asked = _select(f"{at}.question", _("Question"), QUESTION_NAMES, question, shapes=True)
    here = f"{at}.{question}"
    lines.append(Line(inner, [asked, *_question(question, leaf[question], here)], pgettext("a rule", "asked")))
    if question in ("last", "share"):
        satisfy = leaf[question]["satisfy"]
        lines += _comparisons(f"{here}.satisfy", satisfy, fields, f"{inner}.satisfy", at, "satisfy")
    elif question == "then":
        then = leaf[question]
        theirs = ruleedits.fields_of(then["events"])
        lines += _comparisons(f"{here}.where", then.get("where", []), theirs, f"{inner}.where", at, "then")
    return lines


def start(rule: Rule, at: str) -> list[Line]:
    """The events that start a playbook: which, and what narrows them down."""
    kinds = {kind: happening.name for kind, happening in KINDS.items()}
    lines = [Line("", [_select(f"{at}.events", _("What happened"), kinds, rule["events"], shapes=True)])]
    fields = ruleedits.fields_of(rule["events"])
    return lines + _comparisons(f"{at}.where", rule.get("where", []), fields, "where", at, "where")


TITLES = {
    "where": (pgettext_lazy("a rule", "with"), gettext_lazy("Narrow down these events")),
    "satisfy": (pgettext_lazy("a rule", "of which"), gettext_lazy("One more that they satisfy")),
    "then": (pgettext_lazy("a rule", "which has"), gettext_lazy("Narrow down what follows")),
}


def _comparisons(at: str, where: list[Rule], fields: dict[str, Field], place: str, leaf: str, key: str) -> list[Line]:
    title, add = TITLES[key]
    lines = [
        Line(
            f"{place}[{n}]",
            _comparison(f"{at}.{n}", each, fields),
            str(title) if n == 0 else pgettext("a rule", "and"),
            remove=f"uncompare {leaf} {key} {n}",
        )
        for n, each in enumerate(where)
    ]
    count = Control("hidden", f"{at}.n", value=str(len(where)))
    return [*lines, Line(place, [count], add=f"compare {leaf} {key}", add_title=str(add))]


def _question(name: str, it: Any, at: str) -> list[Control]:
    def told(key: str, label: str) -> Control:
        return Control("number", f"{at}.{key}", label, str(it.get(key, "")))

    def words(text: str) -> Control:
        return Control("words", value=text)

    def compared() -> list[Control]:
        ops = {op: OP_NAMES[op] for op in SIGNS}
        return [_select(f"{at}.op", _("Comparison"), ops, it["op"]), told("value", _("Value"))]

    match name:
        case "count":
            return [*compared(), words(pgettext("a rule", "times"))]
        case "share" | "trend":
            return [
                *compared(),
                words(
                    pgettext("a rule", "(1 is all of them)")
                    if name == "share"
                    else pgettext("a rule", "(1 is as many)")
                ),
            ]
        case "last":
            few, least = told("events", _("Number of events")), told("at_least", _("At least how many"))
            return [
                few,
                words(pgettext("a rule", "events; of them at least")),
                least,
                words(pgettext("a rule", "(empty: all)")),
            ]
        case "stopped":
            return [
                words(pgettext("a rule", "none in the last")),
                told("days", _("Days")),
                words(pgettext("a rule", "days")),
            ]
        case "restarted":
            return [
                words(pgettext("a rule", "after a break of")),
                told("days", _("Days")),
                words(pgettext("a rule", "days")),
            ]
        case "regular":
            return [
                _select(f"{at}.every", _("Every"), EVERY, it["every"]),
                words(pgettext("a rule", "of the last")),
                told("periods", _("Number of weeks or months")),
                words(pgettext("a rule", "at least")),
                told("at_least", _("In at least how many")),
                words(pgettext("a rule", "(empty: all), each with")),
                told("times", _("Times each")),
                words(pgettext("a rule", "or more (empty: 1)")),
            ]
        case "then":
            kinds = {kind: happening.name for kind, happening in KINDS.items()}
            events = _select(f"{at}.events", _("What follows"), kinds, it["events"], shapes=True)
            return [
                events,
                words(pgettext("a rule", "within")),
                told("hours", _("Hours")),
                words(pgettext("a rule", "hours")),
            ]
    return []


def _window(window: Rule, at: str, place: str) -> Line:
    anchor = anchor_of(window)
    kind = anchor or ("days" if "days" in window else "dates" if "from" in window else "year")
    controls = [_select(at, _("Window"), WINDOW_NAMES, kind, shapes=True)]

    def told(what: str, key: str, label: str) -> Control:
        return Control(what, f"{at}.{key}", label, str(window.get(key, "")))

    working = Control("check", f"{at}.working", _("working days"), "1" if window.get("working") else "")
    match kind:
        case "days":
            controls += [told("number", "days", _("Days")), Control("words", value=pgettext("a rule", "days")), working]
        case "dates":
            controls += [
                told("date", "from", _("First day of the window")),
                Control("words", value=pgettext("a rule", "to")),
                told("date", "to", _("Last day of the window")),
            ]
        case "year":
            pass
        case _:
            if kind == "day":
                controls.append(told("date", "day", _("Day")))
            controls += [
                told("number", f"from_{kind}", _("First day of the window")),
                Control("words", value=pgettext("a rule", "to")),
                told("number", f"to_{kind}", _("Last day of the window")),
                Control("words", value=pgettext("a rule", "days after it (before it: −)")),
                working,
            ]
    return Line(place, controls, pgettext("a rule", "when"))


# --- Controls ----------------------------------------------------------------------------------------------------


def _select(name: str, label: str, names: Mapping[str, Any], chosen: Any, *, shapes: bool = False) -> Control:
    return Control("select", name, label, str(chosen), _options(names, [str(chosen)]), shapes)


def _options(names: Mapping[str, Any], chosen: list[str]) -> list[tuple[str, str, bool]]:
    return [(code, str(name), code in chosen) for code, name in names.items()]
