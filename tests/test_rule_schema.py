"""The schema in docs/ is that of the code: it takes every rule that is one, and refuses what it can see is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.management import call_command
from hypothesis import given, settings
from jsonschema import Draft202012Validator

from campaigns import schema, segments, shipped
from campaigns.models import NameList
from faults import rule_world
from tests.test_rule_events import BAD, rules

VALIDATOR = Draft202012Validator(json.loads(schema.FILE.read_text(encoding="utf-8")))


def test_the_document_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("rules")
    assert capsys.readouterr().out == schema.FILE.read_text(encoding="utf-8")


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(schema.schema())


@pytest.mark.django_db
def test_every_rule_that_is_taken_is_one() -> None:
    NameList.objects.bulk_create([NameList(code=code, name=code) for code in rule_world.LISTS])

    @settings(max_examples=200, deadline=None, database=None)
    @given(rule=rules)
    def agree(rule: dict[str, Any]) -> None:
        segments.check(rule)
        assert list(VALIDATOR.iter_errors(rule)) == []

    agree()


def test_the_shipped_rules_are_rules() -> None:
    for rule in [s["rule"] for s in shipped.SEGMENTS] + [step["rule"] for step in shipped.RULED.values()]:
        assert VALIDATOR.is_valid(rule)


# What only `check` knows: days that do not exist, windows that end before they begin, more asked of than looked at.
BEYOND = (
    *("window: “2025-02-30” is no", "window: “9999-12-31” is no", "window: “1999-12-31” is no"),
    *("window: the window ends be", "last: “at_least” is a whole"),
)


@pytest.mark.parametrize(("kind", "question", "sentence"), [each for each in BAD if not each[2].startswith(BEYOND)])
def test_what_is_wrong_is_none(kind: str, question: Any, sentence: str) -> None:
    assert not VALIDATOR.is_valid({"events": kind} | question)


def test_the_code_and_the_schema_name_the_same_conditions() -> None:
    said = {"tag": "social"}, {"consent": "marketing"}, {"feature": "gym_365", "op": ">", "value": 1}
    more = (
        {"list": "list-1"},
        {"consent": "marketing", "channel": "sms"},
        {"moods": ["soso", "bad"], "bills": 3, "at_least": 2},
    )
    for rule in (*said, *more, {"lease": "building", "op": "in", "value": ["B1"]}):
        assert VALIDATOR.is_valid(rule)
        assert not VALIDATOR.is_valid(rule | {"extra": 1})
    assert not VALIDATOR.is_valid({"feature": "gym_365", "op": ">", "value": "1"})
    assert not VALIDATOR.is_valid({"moods": ["soso", "soso"], "bills": 3})
    assert not VALIDATOR.is_valid({"consent": "marketing", "channel": 5})
    assert not VALIDATOR.is_valid({"all": []})
