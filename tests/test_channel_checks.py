"""A channel that is used without what it needs is refused before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import run_checks

SETTINGS = {
    "ALIYUN_SMS_KEY_ID": "id", "ALIYUN_SMS_KEY_SECRET": "secret", "ALIYUN_SMS_SIGN": "蓝寓",
    "ALIYUN_SMS_RECEIPTS_SECRET": "r" * 20, "JPUSH_APPKEY": "key", "JPUSH_SECRET": "secret",
    "ERP_URL": "https://erp.example.com/renewals", "ERP_SECRET": "e" * 20,
    "WECHAT_APPID": "wx1", "WECHAT_SECRET": "secret", "WECHAT_TOKEN": "lan-yu",
    "WECOM_CORPID": "ww1", "WECOM_AGENT": 1000002, "WECOM_SECRET": "secret", "WECOM_ROBOT_KEY": "key",
}  # fmt: skip


@pytest.fixture(autouse=True)
def all_of_them(settings: Any) -> None:
    settings.CHANNELS = ["phone", "sms", "jpush", "erp", "wechat", "wecom", "wecom_robot"]
    for name, value in SETTINGS.items():
        setattr(settings, name, value)


def found() -> list[tuple[str | None, str]]:
    ids = ("renewal.E020", "renewal.E021", "renewal.E022")
    return [(problem.id, problem.msg) for problem in run_checks() if problem.id in ids]


def test_with_all_it_needs_a_channel_is_allowed() -> None:
    assert found() == []


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_each_secret_is_asked_for_where_its_channel_is_used(settings: Any, name: str) -> None:
    setattr(settings, name, "")
    ((number, words),) = found()
    assert number == "renewal.E020"
    assert name in words
    settings.CHANNELS = ["phone"]
    assert found() == []


@pytest.mark.parametrize("name", ["ALIYUN_SMS_RECEIPTS_SECRET", "ERP_SECRET"])
def test_a_short_secret_of_ones_own_is_refused(settings: Any, name: str) -> None:
    setattr(settings, name, "x" * 19)
    assert found() == [("renewal.E021", f"{name} is shorter than 20 characters.")]


@pytest.mark.parametrize("name", ["ALIYUN_SMS_URL", "JPUSH_URL", "ERP_URL", "WECHAT_URL"])
@pytest.mark.parametrize(
    ("url", "is_refused"),
    [
        ("http://erp.example.com/x", True), ("ftp://erp.example.com", True), ("erp.example.com", True),
        ("http://127.0.0.1.example.com/", True), ("http://localhost.example.com", True),
        ("https://erp.example.com", False), ("http://127.0.0.1:8300/x", False), ("http://localhost", False),
    ],
)  # fmt: skip
def test_nothing_travels_in_the_open_but_on_loopback(settings: Any, name: str, url: str, is_refused: bool) -> None:
    setattr(settings, name, url)
    assert [number for number, _words in found()] == ["renewal.E022"] * is_refused


def test_channels_of_one_account_ask_for_the_same_and_point_to_its_page(settings: Any) -> None:
    settings.CHANNELS, settings.WECHAT_SECRET = ["wechat_subscribe", "wecom", "wecom_robot"], ""
    settings.WECOM_AGENT, settings.WECOM_URL = 0, "http://qyapi.example.com"
    problems = [problem for problem in run_checks() if str(problem.id).startswith("renewal.E02")]
    assert [(problem.id, str(problem.hint).partition(",")[0]) for problem in problems] == [
        ("renewal.E020", "See docs/channels/wechat.md"),
        ("renewal.E020", "See docs/channels/wecom.md"),
        ("renewal.E022", "See docs/channels/wecom.md"),
        ("renewal.E022", "See docs/channels/robot.md"),
    ]
