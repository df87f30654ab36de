"""`backtest` and `rehearse`: one JSON object on stdout, status 2 with one sentence for what cannot be run."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tenants import clock
from tests.stretch import FIRST, Stretch

pytestmark = pytest.mark.django_db

DAYS = 5
SPAN = ["--from", FIRST.isoformat(), "--to", (FIRST + timedelta(days=DAYS - 1)).isoformat()]


@pytest.fixture(autouse=True)
def _lived() -> None:
    Stretch(2).live(DAYS)
    clock.set_to(clock.at(FIRST + timedelta(days=DAYS - 1), 23))


def printed(*command: str) -> dict[str, Any]:
    out = StringIO()
    call_command(*command, "--json", stdout=out)
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def test_a_back_test_says_that_days_that_ran_come_out_as_they_did() -> None:
    result = printed("backtest", *SPAN)
    assert (result["different"], len(result["days"])) == (0, DAYS)
    assert result["same"] == sum(row["really"]["sent"] + row["really"]["not"] for row in result["days"]) > 0
    assert set(result["later"]) == {"selected", "others"}
    told = StringIO()
    call_command("backtest", *SPAN, stdout=told)
    assert f"the same: {result['same']}; different: 0" in told.getvalue()


def test_a_rule_that_selects_nobody_takes_the_pushes_of_its_playbook_away(tmp_path: Path) -> None:
    path = tmp_path / "rule.json"
    path.write_text(json.dumps({"feature": "gym_365", "op": ">", "value": 100_000}), encoding="utf-8")
    result = printed("backtest", *SPAN, "--playbook", "social", "--rule", str(path))
    assert {row["members"] for row in result["days"] if row["runs"]} == {0}
    assert [pair["would"] for pair in result["pushes"]] == [None] * len(result["pushes"])
    assert result["different"] == len(result["pushes"])
    path.write_text(json.dumps({"lease": "days_to_end", "op": ">=", "value": 0}), encoding="utf-8")
    everybody = printed("backtest", *SPAN, "--playbook", "social", "--rule", str(path))
    assert sum(row["would"]["sent"] for row in everybody["days"]) > 0
    assert everybody["later"]["selected"]["n"] > 0


def test_a_dry_run_shows_one_tenants_days() -> None:
    result = printed("rehearse", "--days", "30")
    tenants = {push["tenant"] for push in result["pushes"]}
    assert len(tenants) > 3
    one = min(tenants)
    assert {push["tenant"] for push in printed("rehearse", "--days", "30", "--tenant", str(one))["pushes"]} == {one}


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["backtest", "--from", "2025-11-22", "--to", "2025-11-20"], "起始日期晚于结束日期。"),
        (["backtest", "--from", "2025-11-20", "--to", "2030-01-01"], "回测最晚到今天为止；今后的日子请用预演。"),
        (["backtest", *SPAN, "--playbook", "nobody"], "There is no playbook “nobody”."),
        (["backtest", *SPAN, "--rule", "/nowhere.json"], "nowhere.json"),
        (["rehearse", "--days", "0"], "预演覆盖 1 到 400 天。"),
    ],
)
def test_what_cannot_be_run_is_said_in_one_sentence(command: list[str], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence) as error:
        call_command(*command)
    assert error.value.returncode == 2
