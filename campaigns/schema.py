"""The rule language as a JSON schema, put together from what the conditions themselves allow.

A rule that the schema refuses is refused by `segments.check` too. The other way round there is more that `check` knows:
how large and how deep a rule may be, days that do not exist, and windows that end before they begin.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from campaigns.conditions import FEATURES, LEASE, LEAVES
from campaigns.grammar import MAX_TEXT, MAX_VALUES, OPS, Field
from campaigns.kinds import KINDS, MOST_COMPARISONS, TIME
from campaigns.moods import MOST_BILLS
from campaigns.questions import MOST_EVENTS, Regular
from campaigns.windows import ANCHORS, MOST_DAYS
from tenants import tags
from tenants.models import Consent
from tenants.vocabulary import MOODS

Schema = dict[str, Any]
FILE = Path(__file__).resolve().parent.parent / "docs" / "rules.schema.json"

TEXT: Schema = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT}
NUMBER: Schema = {"type": "number", "minimum": -1e9, "maximum": 1e9}
DAY: Schema = {"type": "string", "format": "date"}


def schema() -> Schema:
    """The schema of a rule, draft 2020-12."""
    group = {"type": "array", "minItems": 1, "items": _ref("rule")}
    fields = {"feature": FEATURES, "lease": LEASE}
    purposes = [purpose.value for purpose in Consent.Purpose]
    conditions = [_object({"tag": {"enum": sorted(tags.TAGS)}})]
    # Which channels there are is a setting.
    conditions.append(_object({"consent": {"enum": purposes}}, {"channel": TEXT}))
    conditions.append(_object({"list": TEXT}))
    conditions.append(_moods())
    conditions += [_compares(kind, name, what) for kind, of in fields.items() for name, what in of.items()]
    conditions += [_asks(kind) for kind in KINDS]
    assert set(LEAVES) == {*fields, "tag", "consent", "list", "moods", "events"}  # noqa: S101 - a new kind of condition is to stand here too
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A rule: it selects tenants",
        **_ref("rule"),
        "$defs": {
            "rule": {
                "oneOf": [
                    _object({"all": group}),
                    _object({"any": group}),
                    _object({"not": _ref("rule")}),
                    *conditions,
                ]
            },
            "window": _window(),
            **{f"where-{kind}": _where(kind) for kind in KINDS},
        },
    }


def _object(properties: Schema, optional: Schema | None = None) -> Schema:
    """An object with these properties, perhaps the optional ones, and no others."""
    return {
        "type": "object",
        "properties": properties | (optional or {}),
        "required": list(properties),
        "additionalProperties": False,
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _whole(least: int, most: int) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most}


def _comparison(what: Field) -> list[Schema]:
    """What "op" and "value" may be, one of these each."""
    if what.type is bool:
        return [{"op": {"const": "="}, "value": {"type": "boolean"}}]
    if what.type is int:
        return [{"op": {"enum": list(OPS[int])}, "value": NUMBER}]
    several = {"type": "array", "minItems": 1, "maxItems": MAX_VALUES, "items": TEXT}
    return [{"op": {"enum": ["=", "!="]}, "value": TEXT}, {"op": {"const": "in"}, "value": several}]


def _compares(key: str, name: str, what: Field) -> Schema:
    return _one_of([_object({key: {"const": name}, **each}) for each in _comparison(what)])


def _one_of(options: list[Schema]) -> Schema:
    return options[0] if len(options) == 1 else {"oneOf": options}


def _where(kind: str) -> Schema:
    options = []
    for name, what in (KINDS[kind].fields | TIME).items():
        options += [_object({"field": {"const": name}, **each}) for each in _comparison(what)]
    hours = {"type": "array", "minItems": 2, "maxItems": 2, "items": _whole(0, 24)}
    options.append(_object({"field": {"const": "hour"}, "op": {"const": "between"}, "value": hours}))
    return {"type": "array", "minItems": 1, "maxItems": MOST_COMPARISONS, "items": {"oneOf": options}}


def _window() -> Schema:
    working: Schema = {"working": {"type": "boolean"}}
    days = _whole(-MOST_DAYS, MOST_DAYS)
    return {
        "oneOf": [
            _object({"days": _whole(1, MOST_DAYS)}, working),
            _object({"from": DAY, "to": DAY}),
            *(_object({f"from_{name}": days, f"to_{name}": days}, working) for name in ANCHORS),
            _object({"day": DAY, "from_day": days, "to_day": days}, working),
        ]
    }


def _moods() -> Schema:
    moods = {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"enum": list(MOODS)}}
    return _object({"moods": moods, "bills": _whole(1, MOST_BILLS)}, {"at_least": _whole(1, MOST_BILLS)})


def _asks(kind: str) -> Schema:
    number = _comparison(Field("", "", int))[0]
    satisfy = {"satisfy": _ref(f"where-{kind}")}
    asked: list[tuple[Schema, bool]] = [
        ({"count": _object(number)}, True),
        ({"last": _object({"events": _whole(1, MOST_EVENTS), **satisfy}, {"at_least": _whole(1, MOST_EVENTS)})}, True),
        ({"share": _object({**satisfy, **number})}, True),
        ({"trend": _object(number)}, True),
        ({"first": {"const": True}}, True),
        ({"stopped": _object({"days": _whole(1, MOST_DAYS)})}, True),
        ({"restarted": _object({"days": _whole(1, MOST_DAYS)})}, True),
        ({"regular": {"oneOf": [_regular(every, most) for every, most in Regular.most.items()]}}, False),
        ({"then": {"oneOf": [_then(other) for other in KINDS]}}, True),
    ]
    where, window = {"where": _ref(f"where-{kind}")}, {"window": _ref("window")}
    return {
        "oneOf": [
            _object({"events": {"const": kind}, **question}, where | (window if has_window else {}))
            for question, has_window in asked
        ]
    }


def _regular(every: str, most: int) -> Schema:
    return _object(
        {"every": {"const": every}, "periods": _whole(1, most)},
        {"times": _whole(1, MOST_EVENTS), "at_least": _whole(1, most)},
    )


def _then(kind: str) -> Schema:
    return _object({"events": {"const": kind}, "hours": _whole(1, 24 * 366)}, {"where": _ref(f"where-{kind}")})


def text() -> str:
    """The schema as it stands in docs/rules.schema.json: a line each definition."""
    whole = schema()
    defs = ",\n".join(f"  {json.dumps(name)}: {_line(each)}" for name, each in whole.pop("$defs").items())
    head = ",\n".join(f" {json.dumps(name)}: {_line(value)}" for name, value in whole.items())
    return f'{{\n{head},\n "$defs": {{\n{defs}\n }}\n}}\n'


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
