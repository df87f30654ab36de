"""The editor's form read back as a draft: what was typed stands in it as typed, right or wrong."""

from __future__ import annotations

import json
import re
from typing import Any

from django.http import QueryDict

from campaigns.conditions import FEATURES, LEASE, LEAVES
from campaigns.grammar import MAX_TEXT, Field, Rule
from campaigns.kinds import KINDS
from campaigns.questions import QUESTIONS
from campaigns.windows import ANCHORS
from renewal import ruleedits
from renewal.ruleedits import GROUPS, ROOT, NoSuchPlace

MOST_PARTS = 150
MOST_LEVELS = 16
MOST_CHARACTERS = 60_000
DAYS_ABOUT = {"end": (-60, -25), "previous": (-30, 0), "day": (-10, 0)}  # of a window just chosen
WHOLE = re.compile(r"[-+]?\d{1,12}")
NUMBER = re.compile(r"[-+]?\d{1,12}(\.\d{1,9})?")
BETWEEN_TEXTS = re.compile(r"[\n,，、;；]+")


def read(form: QueryDict) -> Rule:
    """The draft in a form. Raises `NoSuchPlace` if it is none that the editor made."""
    return _Reader(form).node(ROOT, 1)


def comparisons(form: QueryDict, at: str, kind: str) -> list[Rule]:
    """The comparisons in a form that stand at `at`, of events of a kind. Raises `NoSuchPlace`."""
    return _Reader(form).comparisons(at, ruleedits.fields_of(kind))


def restored(text: str) -> Rule:
    """A draft as the page kept it, to undo or redo. Raises `NoSuchPlace` if it is none that the editor made."""
    if len(text) > MOST_CHARACTERS:
        raise NoSuchPlace
    try:
        draft: Rule = json.loads(text)
        _look_through(draft, 1)
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration, RecursionError) as error:
        raise NoSuchPlace from error
    return draft


def _look_through(node: Rule, level: int) -> None:
    """Raises something if this cannot be drawn."""
    if level > MOST_LEVELS or not isinstance(node, dict):
        raise ValueError
    kind = ruleedits.kind_of(node)
    if kind in GROUPS:
        for part in list(node[kind]):
            _look_through(part, level + 1)
    elif kind == "not":
        _look_through(node["not"], level + 1)


class _Reader:
    def __init__(self, form: QueryDict) -> None:
        self.form = form
        self.parts = 0

    def node(self, at: str, level: int) -> Rule:
        self.parts += 1
        kind = self.form.get(f"{at}.kind", "")
        if self.parts > MOST_PARTS or level > MOST_LEVELS:
            raise NoSuchPlace(at)
        if kind in GROUPS:
            return {kind: [self.node(f"{at}.{n}", level + 1) for n in range(self.count(f"{at}.n"))]}
        if kind == "not":
            return {"not": self.node(f"{at}.0", level + 1)}
        if kind not in LEAVES:
            raise NoSuchPlace(at)
        if self.form.get(f"{at}.was") != kind:
            return ruleedits.plain(kind)
        if kind == "events":
            return self.events(at)
        if kind in ("tag", "list"):
            return {kind: self.text(f"{at}.name")}
        if kind == "consent":
            channel = self.text(f"{at}.channel")
            return {kind: self.text(f"{at}.name"), **({"channel": channel} if channel else {})}
        if kind == "moods":
            moods = [mood.strip()[:MAX_TEXT] for mood in self.form.getlist(f"{at}.moods")[:MOST_PARTS]]
            return {"moods": moods, "bills": number(self.text(f"{at}.bills")), **self.perhaps(f"{at}.at_least")}
        compared = self.comparison(at, FEATURES if kind == "feature" else LEASE)
        return {kind: compared.pop("field"), **compared}

    def comparison(self, at: str, fields: dict[str, Field]) -> Rule:
        name = self.form.get(f"{at}.field", "")
        if name not in fields:
            name = next(iter(fields))
        what, op = fields[name], self.form.get(f"{at}.op", "")
        if name != self.form.get(f"{at}.fieldwas") or op not in ruleedits.ops_of(name, what):
            return {"field": name, **ruleedits.plain_value(name, what)}
        return {"field": name, "op": op, "value": self.value(at, op, what)}

    def value(self, at: str, op: str, what: Field) -> Any:
        given = self.form.getlist(f"{at}.value")
        first = given[0] if given else self.form.get(f"{at}.from", "")
        if op == "between":
            if f"{at}.from" not in self.form:
                return list(ruleedits.NIGHT)
            return [number(self.text(f"{at}.from")), number(self.text(f"{at}.to"))]
        if what.type is bool:
            return first == "true"
        if what.type is int:
            return number(first)
        if op != "in":
            return first.strip()[: MAX_TEXT + 1]
        texts = [text for each in given for text in ([each] if what.values() else BETWEEN_TEXTS.split(each))]
        return [text.strip() for text in texts if text.strip()][:MOST_PARTS]

    def comparisons(self, at: str, fields: dict[str, Field]) -> list[Rule]:
        kept = [n for n in range(self.count(f"{at}.n")) if self.form.get(f"{at}.{n}.field") in fields]
        return [self.comparison(f"{at}.{n}", fields) for n in kept]

    def events(self, at: str) -> Rule:
        kind = self.form.get(f"{at}.events", "")
        question = self.form.get(f"{at}.question", "")
        if kind not in KINDS or question not in QUESTIONS:
            raise NoSuchPlace(at)
        fields = ruleedits.fields_of(kind)
        leaf: Rule = {"events": kind}
        if where := self.comparisons(f"{at}.where", fields):
            leaf["where"] = where
        leaf[question] = self.question(f"{at}.{question}", question, fields)
        if QUESTIONS[question].has_window and (window := self.window(f"{at}.window")):
            leaf["window"] = window
        return leaf

    def question(self, at: str, name: str, fields: dict[str, Field]) -> Any:
        def told(key: str, otherwise: float) -> Any:
            return number(self.text(f"{at}.{key}")) if f"{at}.{key}" in self.form else otherwise

        def perhaps(key: str) -> Rule:
            return self.perhaps(f"{at}.{key}")

        def satisfying() -> list[Rule]:
            if f"{at}.satisfy.n" in self.form:
                return self.comparisons(f"{at}.satisfy", fields)
            return [{"field": "hour", **ruleedits.plain_value("hour", fields["hour"])}]

        op = self.form.get(f"{at}.op", ">=")
        match name:
            case "first":
                return True
            case "count" | "trend":
                return {"op": op, "value": told("value", 1)}
            case "share":
                return {"satisfy": satisfying(), "op": op, "value": told("value", 0.5)}
            case "last":
                return {"events": told("events", 3), "satisfy": satisfying(), **perhaps("at_least")}
            case "regular":
                every = self.form.get(f"{at}.every", "week")
                return {"every": every, "periods": told("periods", 8), **perhaps("times"), **perhaps("at_least")}
            case "then":
                kind = self.form.get(f"{at}.events", "")
                kind = kind if kind in KINDS else next(iter(KINDS))
                where = self.comparisons(f"{at}.where", ruleedits.fields_of(kind))
                return {"events": kind, "hours": told("hours", 48), **({"where": where} if where else {})}
        return {"days": told("days", 30)}

    def window(self, at: str) -> Rule:
        def told(key: str, otherwise: Any) -> Any:
            return number(self.text(f"{at}.{key}")) if f"{at}.{key}" in self.form else otherwise

        working = {"working": True} if self.form.get(f"{at}.working") else {}
        match self.form.get(at, ""):
            case "days":
                return {"days": told("days", 90), **working}
            case "dates":
                return {"from": self.text(f"{at}.from"), "to": self.text(f"{at}.to")}
            case name if name in (*ANCHORS, "day"):
                first, last = DAYS_ABOUT.get(name, (0, 30))
                day = {"day": self.text(f"{at}.day")} if name == "day" else {}
                about = {f"from_{name}": told(f"from_{name}", first), f"to_{name}": told(f"to_{name}", last)}
                return {**day, **about, **working}
        return {}

    def perhaps(self, name: str) -> Rule:
        """A number under the last part of its name, if one was typed."""
        said = self.form.get(name, "").strip()
        return {name.rpartition(".")[2]: number(said)} if said else {}

    def count(self, name: str) -> int:
        said = self.form.get(name, "0")
        if not said.isdecimal() or len(said) > 3 or int(said) > MOST_PARTS:
            raise NoSuchPlace(name)
        return int(said)

    def text(self, name: str) -> str:
        return self.form.get(name, "").strip()[: MAX_TEXT + 1]


def number(text: str) -> int | float | str:
    """The number that was typed; what is none stays as it is."""
    text = text.strip()
    if WHOLE.fullmatch(text):
        return int(text)
    return float(text) if NUMBER.fullmatch(text) else text[:MAX_TEXT]
