"""`.env.example` names what the settings read: no more, no less, each with a comment, and none with a secret."""

from __future__ import annotations

import ast
import re

from tests.product import ROOT

LINES = (ROOT / ".env.example").read_text().splitlines()
SETTING = re.compile(r"(?:# )?([A-Z][A-Z0-9_]*)=(.*)")


def read_by_settings() -> set[str]:
    """The names that renewal/settings.py asks its environment for."""
    tree = ast.parse((ROOT / "renewal" / "settings.py").read_text())
    return {
        str(call.args[0].value)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "env"
        and call.args
        and isinstance(call.args[0], ast.Constant)
    }


def test_every_setting_is_named_once_and_none_that_nobody_reads() -> None:
    named = [found[1] for line in LINES if (found := SETTING.fullmatch(line))]
    assert len(named) == len(set(named))
    assert set(named) == read_by_settings()


def test_numbers_are_named_as_they_stand_in_the_settings() -> None:
    """But those that are none as long as nobody says them."""
    settings = (ROOT / "renewal" / "settings.py").read_text()
    stands = dict(re.findall(r'env\.(?:int|float)\("(\w+)", default=([\d._]*[1-9][\d._]*)\)', settings))
    assert len(stands) > 25
    named = {found[1]: found[2] for line in LINES if (found := SETTING.fullmatch(line))}
    assert {name: named[name] for name in stands} == {name: value.replace("_", "") for name, value in stands.items()}


def test_each_stands_under_a_sentence_of_its_group_and_no_key_is_given_away() -> None:
    values = {}
    explained = False
    for line in LINES:
        if found := SETTING.fullmatch(line):
            assert explained, f"{found[1]} stands under no comment"
            values[found[1]] = found[2]
        else:
            explained = line.startswith("# ") and not line.startswith("# --")
    assert {name for name in values if name.endswith("_KEY")} == {
        "SECRET_KEY", "LINK_KEY", "IDENTITY_KEY", "FILE_KEY", "WECHAT_AES_KEY", "WECOM_ROBOT_KEY",
    }  # fmt: skip
    assert not any(value for name, value in values.items() if name.endswith(("_KEY", "_TOKEN")))
