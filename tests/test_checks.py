"""What the system checks refuse: the demo's conveniences anywhere but in the demo and in tests."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from renewal import checks
from tenants import clock


@pytest.fixture
def production(settings: Any) -> Any:
    """Settings as an installation would have them."""
    settings.STAGE = "production"
    settings.IS_SHELTERED = False
    settings.CHANNELS = []
    settings.DEMO_LOGIN = False
    settings.DEBUG = False
    settings.SECRET_KEY = "a-key-of-its-own"
    settings.LINK_KEY = "another-key-of-its-own"
    settings.IDENTITY_KEY = "a-third-key-of-its-own"
    settings.FILE_KEY = "a-fourth-key-of-its-own"
    return settings


def found() -> list[str | None]:
    return [problem.id for problem in checks.check_stage()]


def test_an_installation_with_keys_of_its_own_is_fine(production: Any) -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("CHANNELS", ["phone"], "renewal.E003"),
        ("DEMO_LOGIN", True, "renewal.E004"),
        ("SECRET_KEY", "demo-only-and-public", "renewal.E005"),
        ("LINK_KEY", "demo-only-and-public-link", "renewal.E005"),
        ("IDENTITY_KEY", "demo-only-and-public-identity", "renewal.E008"),
        ("FILE_KEY", "demo-only-and-public-file", "renewal.E010"),
        ("FILE_KEY", "short", "renewal.E010"),
        ("DEBUG", True, "renewal.E006"),
        ("STAGE", "staging", "renewal.E001"),
    ],
)
def test_production_refuses_what_belongs_to_the_demo(production: Any, name: str, value: Any, problem: str) -> None:
    setattr(production, name, value)
    assert found() == [problem]


def test_the_demo_serves_nobody_outside_this_machine(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["localhost", "renewal.example"]
    assert found() == ["renewal.E002"]


@pytest.mark.django_db
def test_a_shifted_clock_is_refused_in_production(settings: Any) -> None:
    clock.advance(timedelta(hours=1))
    assert checks.check_clock(databases=["default"]) == []
    settings.IS_SHELTERED = False
    assert [problem.id for problem in checks.check_clock(databases=["default"])] == ["renewal.E007"]
    with pytest.raises(clock.ClockIsReal):
        clock.advance(timedelta(hours=1))
    settings.IS_SHELTERED = True
    clock.reset()
    settings.IS_SHELTERED = False
    assert checks.check_clock(databases=["default"]) == []


WORKING, REST = ("QUIET_BEFORE_HOUR", "QUIET_FROM_HOUR"), ("QUIET_REST_BEFORE_HOUR", "QUIET_REST_FROM_HOUR")
ORDER = "the first before the second."
NO_COMMON = "Working days and days off share no hour: in a year whose holidays are not known yet, no offer goes."
FORBIDDEN = "which the law forbids for SMS."


def said(names: tuple[str, str], hours: tuple[int, int]) -> str:
    return " and ".join(f"{name}={hour}" for name, hour in zip(names, hours, strict=True))


@pytest.mark.parametrize(
    ("names", "hours", "problem"),
    [
        (WORKING, (8, 22), None),
        (REST, (8, 22), None),
        (REST, (0, 0), ("renewal.W033", NO_COMMON)),  # days off are silent
        (REST, (21, 22), ("renewal.W033", NO_COMMON)),
        (REST, (20, 22), None),
        (WORKING, (9, 9), ("renewal.E030", f"{' and '.join(WORKING)} are both 9, so nothing would ever be sent.")),
        *(
            (names, hours, ("renewal.E030", f"{said(names, hours)} are no hours of a day, {ORDER}"))
            for names in (WORKING, REST)
            for hours in ((21, 9), (-1, 21), (9, 25))
        ),
        *(
            (names, hours, ("renewal.E031", f"{said(names, hours)} let offers go outside of 8 to 22, {FORBIDDEN}"))
            for names in (WORKING, REST)
            for hours in ((7, 21), (9, 23), (0, 24))
        ),
        (("MARKETING_GAP_HOURS",), (0,), None),
        (("MARKETING_GAP_HOURS",), (-1,), ("renewal.E032", "MARKETING_GAP_HOURS=-1 is no length of time.")),
    ],
)  # fmt: skip
def test_the_hours_of_messages_are_sane_and_lawful(
    settings: Any, names: tuple[str, ...], hours: tuple[int, ...], problem: tuple[str, str] | None
) -> None:
    for name, hour in zip(names, hours, strict=True):
        setattr(settings, name, hour)
    assert [(each.id, each.msg) for each in checks.check_hours()] == ([problem] if problem else [])


def test_there_is_always_a_line_with_which_a_letter_may_begin(settings: Any) -> None:
    settings.LEAD_ABOVE_PERCENT = 0
    assert checks.check_lead() == []
    settings.LEAD_ABOVE_PERCENT = -1
    (found,) = checks.check_lead()
    assert (found.id, found.msg[:23]) == ("renewal.E034", "LEAD_ABOVE_PERCENT=-1 l")
