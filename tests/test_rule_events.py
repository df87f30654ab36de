"""What a rule asks of events is what reading them one by one, in plain Python, would answer."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.utils.translation import override
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns import narrowing, segments, shipped, windows
from campaigns.conditions import FEATURES, JOINS_SQL, LEASE, LEAVES
from campaigns.grammar import Bound
from campaigns.kinds import KINDS
from campaigns.questions import QUESTIONS
from faults import rule_world
from faults.rule_reading import Person, Stay, bounds, selects, start
from tenants import features
from tenants.models import Feature, Lease, Tenant, TenantTag
from tests.makers import NOW, TODAY, make_event, make_lease, make_tenant

pytestmark = pytest.mark.django_db
SHANGHAI = ZoneInfo("Asia/Shanghai")
MIDNIGHT = datetime.combine(TODAY, datetime.min.time(), SHANGHAI)
TOMORROW = MIDNIGHT + timedelta(days=1)

# --- Against a reading in plain Python ----------------------------------------------------------------------
# The full size of this is the fault campaign R1, of which the suite runs a tenth: a thousand rules. Here a rule that
# is read otherwise is made small.


def rule_of(dice: random.Random) -> dict[str, Any]:
    return rule_world.rule(dice, [rule_world.window(dice) for _each in range(3)])


rules = st.randoms(use_true_random=False).map(rule_of)


def test_random_rules_over_random_histories_agree_with_reading_event_by_event() -> None:
    dice = random.Random(7)
    among = [rule_world.window(dice) for _each in range(12)]
    people = rule_world.crowd(dice, among)

    @settings(max_examples=100, deadline=None, database=None)
    @given(dice=st.randoms(use_true_random=False))
    def agree(dice: random.Random) -> None:
        rule = rule_world.rule(dice, among)
        assert segments.members(rule, today=TODAY) == [one.pk for one in people if selects(rule, one, TODAY)]

    agree()


def test_the_random_rules_ask_everything_there_is_to_ask() -> None:
    dice = random.Random(3)
    asked: set[tuple[str, str]] = set()
    for _rule in range(3000):
        for kind, leaf in segments.leaves(rule_of(dice)):
            said = leaf[kind] if isinstance(leaf[kind], str) else ""
            asked.add((kind, said if kind in ("feature", "lease", "events") else ""))
            asked |= {("question", name) for name in QUESTIONS if kind == "events" and name in leaf}
            span = leaf.get("window", {})
            asked.add(("window", f"{windows.anchor_of(span) or ' '.join(span)} {span.get('working', '')}"))

    assert {said for kind, said in asked if kind == "feature"} == set(FEATURES)
    assert {said for kind, said in asked if kind == "lease"} == set(LEASE)
    assert {said for kind, said in asked if kind == "events"} == set(KINDS)
    assert {said for kind, said in asked if kind == "question"} == set(QUESTIONS)
    assert {kind for kind, _said in asked} == {*LEAVES, "question", "window"}
    for form in (*windows.ANCHORS, "day"):
        assert {("window", f"{form} {working}") for working in ("", True, False)} <= asked, form


WINDOWS: list[dict[str, Any]] = [
    {"days": 1}, {"days": 7}, {"days": 5, "working": True}, {"days": 400},
    {"from": "2025-10-01", "to": "2025-10-31"}, {"from": "2025-11-30", "to": "2025-12-05"},
    {"from_end": -60, "to_end": -25}, {"from_end": -10, "to_end": 0}, {"from_end": -12, "to_end": -3, "working": True},
    {"from_start": 0, "to_start": 6}, {"from_start": 1, "to_start": 10, "working": True},
    {"from_signed": -3, "to_signed": 0}, {"from_signed": 0, "to_signed": 5, "working": True},
    {"from_previous": -30, "to_previous": 0}, {"from_previous": 1, "to_previous": 3, "working": True},
    {"day": "2025-11-11", "from_day": -3, "to_day": 3},
    {"day": "2025-10-01", "from_day": -2, "to_day": 1, "working": True},
]  # fmt: skip


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_a_window_holds_its_first_moment_and_not_the_one_after_its_last(window: dict[str, Any]) -> None:
    tenant = make_tenant()
    first_day = TODAY - timedelta(days=90)
    earlier = make_lease(tenant, last_day=first_day - timedelta(days=9))
    lease = make_lease(tenant, first_day=first_day, last_day=TODAY)
    found = bounds(window, Person(tenant.pk, [stay_of(earlier), stay_of(lease)]), TODAY)
    assert found
    first, end = found[0], min(found[1], TOMORROW)  # what is still to happen has not happened
    second = timedelta(seconds=1)
    for at in (first - second, first, end - second, end):
        make_event("mood.given", tenant, at=at)

    rule = {"events": "mood.given", "window": window, "count": {"op": "=", "value": 2}}
    assert segments.members(rule, today=TODAY) == [tenant.pk]


def stay_of(lease: Lease) -> Stay:
    unit = lease.unit
    return Stay(
        lease.pk, lease.signed_on, lease.first_day, lease.last_day, lease.agreed_last_day, lease.monthly_rent,
        unit.list_rent, lease.state == "void", lease.ended_by, lease.renews_id, unit.room_type, unit.building.code,
        unit.floor, unit.area,
    )  # fmt: skip


def test_about_the_lease_before_nothing_is_known_of_whom_it_is_the_first() -> None:
    """Neither that something happened then, nor that nothing did."""
    tenant = make_lease().tenants.get()
    make_event("app.viewed", tenant)
    window = {"from_previous": -30, "to_previous": 400}
    for op in ("=", ">=", "<"):
        rule = {"events": "app.viewed", "window": window, "count": {"op": op, "value": int(op == "<")}}
        assert segments.members(rule, today=TODAY) == []
        assert segments.members({"not": rule}, today=TODAY) == [tenant.pk]
        assert segments.explain(rule, tenant.pk, today=TODAY)["value"] == {"value": None, "events": []}


def test_a_window_about_a_lease_is_that_of_each_lease() -> None:
    """Who has two leases is asked about each with its own days, as a playbook does."""
    tenant = make_tenant()
    ending, staying = (make_lease(tenant, last_day=TODAY + timedelta(days=days)) for days in (20, 200))
    make_event("app.viewed", tenant, at=NOW - timedelta(days=1))
    rule = {"events": "app.viewed", "window": {"from_end": -30, "to_end": 0}, "count": {"op": "=", "value": 1}}
    bound = Bound(TODAY)
    where = segments.condition(rule, bound)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""WITH {features.PERSON_SQL}, subject AS (
                SELECT person.root AS tenant_id, lt.lease_id FROM tenants_leasetenant lt
                JOIN person ON person.id = lt.tenant_id)
            SELECT subject.lease_id, {where} FROM subject {JOINS_SQL}""",
            bound.values,
        )
        assert dict(cursor.fetchall()) == {ending.pk: True, staying.pk: False}


# --- Faults that others had ---------------------------------------------------------------------------------


def test_absence_is_no_event_in_the_window_whatever_happened_before() -> None:
    """Not read for 180 days: whoever read once, long ago, is among them, and so is who never did."""
    long_ago, lately, never = (make_lease().tenants.get() for _ in range(3))
    make_event("app.viewed", long_ago, at=TOMORROW - timedelta(days=180, seconds=1))
    make_event("app.viewed", lately, at=TOMORROW - timedelta(days=180))
    rule = {"events": "app.viewed", "window": {"days": 180}, "count": {"op": "=", "value": 0}}

    assert segments.members(rule, today=TODAY) == [long_ago.pk, never.pk]


def test_all_comparisons_of_a_condition_bind_to_one_event() -> None:
    """The page on that weekday: not the page some day and any page on that weekday."""
    both, apart = (make_lease().tenants.get() for _ in range(2))
    monday, tuesday = start(date(2025, 11, 24)), start(date(2025, 11, 25))
    make_event("app.viewed", both, at=monday, data={"name": "rent_prices"})
    make_event("app.viewed", apart, at=monday, data={"name": "home"})
    make_event("app.viewed", apart, at=tuesday, data={"name": "rent_prices"})
    where = [{"field": "name", "op": "=", "value": "rent_prices"}, {"field": "weekday", "op": "=", "value": 1}]
    rule = {"events": "app.viewed", "where": where, "count": {"op": ">=", "value": 1}}

    assert segments.members(rule, today=TODAY) == [both.pk]


def test_a_number_that_is_none_satisfies_nothing_and_breaks_nothing() -> None:
    tenant = make_lease().tenants.get()
    make_event("ticket.rated", tenant, data={"score": "sehr gut"})
    where = [{"field": "score", "op": "<=", "value": 5}]
    assert (
        segments.members({"events": "ticket.rated", "where": where, "count": {"op": ">", "value": 0}}, today=TODAY)
        == []
    )


# --- Whom a rule is asked of --------------------------------------------------------------------------------


@pytest.mark.parametrize("shipped_one", shipped.SEGMENTS, ids=lambda one: one["code"])
def test_no_shipped_rule_is_asked_of_everybody(shipped_one: dict[str, Any]) -> None:
    assert narrowing.narrow(shipped_one["rule"], Bound(TODAY))


def test_what_somebody_did_under_two_rows_is_put_together_and_the_merged_row_is_nobody() -> None:
    """Whatever is still known of the row that was merged, until it is computed again."""
    tenant = make_lease().tenants.get()
    other = make_lease().tenants.get()
    make_event("ticket.reported", tenant, at=NOW - timedelta(days=3), data={"category": "water"})
    make_event("ticket.reported", other, at=NOW - timedelta(days=2), data={"category": "water"})
    for row in (tenant, other):
        Feature.objects.create(tenant=row, day=TODAY, computed_at=NOW, kitchen_90=9)
        TenantTag.objects.create(tenant=row, tag="social", since=TODAY, evidence={"facts": {}}, computed_at=NOW)
    Tenant.objects.filter(pk=other.pk).update(merged_into=tenant)

    twice = {"events": "ticket.reported", "where": [{"field": "category", "op": "=", "value": "water"}]}
    for rule in (
        {"feature": "kitchen_90", "op": ">=", "value": 8},
        {"tag": "social"},
        {**twice, "count": {"op": ">=", "value": 2}},
        {**twice, "last": {"events": 2, "satisfy": [{"field": "category", "op": "=", "value": "water"}]}},
        {"all": [{"tag": "social"}, {**twice, "count": {"op": "=", "value": 2}}]},
    ):
        assert segments.members(rule, today=TODAY) == [tenant.pk], rule


def test_somebody_without_figures_is_asked_of_them_where_that_may_hold() -> None:
    """No more than two late payments: of whom none is counted that holds too, beside what needs no figures."""
    tenant = make_lease().tenants.get()
    make_event("app.viewed", tenant)
    few = {"not": {"feature": "late_payments_365", "op": ">", "value": 2}}
    seen = {"events": "app.viewed", "count": {"op": ">=", "value": 1}}

    assert segments.members(few, today=TODAY) == [tenant.pk]
    assert segments.members({"all": [few, seen]}, today=TODAY) == [tenant.pk]
    assert segments.members({"all": [few, {"feature": "app_30", "op": ">=", "value": 0}]}, today=TODAY) == []


# --- Words and misses ---------------------------------------------------------------------------------------

NIGHT = {
    "events": "ticket.reported",
    "window": {"days": 365},
    "last": {"events": 3, "satisfy": [{"field": "hour", "op": "between", "value": [22, 6]}]},
}
LATE = {
    "events": "ticket.reported",
    "where": [{"field": "category", "op": "in", "value": ["water", "power"]}],
    "window": {"days": 90},
    "count": {"op": ">=", "value": 3},
}
SENTENCES = [
    (
        LATE,
        "近 90 天报修（类型为其中之一：漏水 / 电路） ≥ 3",
        "in the last 90 days repair reports (category is one of water / power) ≥ 3",
    ),
    (
        NIGHT,
        "近 365 天报修最近 3 次都满足：22:00 至 06:00 之间",
        "in the last 365 days of the repair reports the last 3 all: between 22:00 and 06:00",
    ),
]


@pytest.mark.parametrize(("rule", "chinese", "english"), SENTENCES)
def test_the_sentence_says_what_is_asked(rule: dict[str, Any], chinese: str, english: str) -> None:
    assert segments.sentences(rule) == {"zh": chinese, "en": english}


@pytest.mark.parametrize(
    ("window", "chinese", "english"),
    [
        (
            {"from_end": -60, "to_end": -25},
            "自租约到期日前 60 天至租约到期日前 25 天",
            "from 60 days before the lease's last day to 25 days before the lease's last day",
        ),
        (
            {"from_start": 0, "to_start": 7, "working": True},
            "自起租日至起租日后 7 个工作日",
            "from the lease's first day to 7 working days after the lease's first day",
        ),
        (
            {"from_signed": -1, "to_signed": 0},
            "自签约日前 1 天至签约日",
            "from 1 day before the day the lease was signed to the day the lease was signed",
        ),
        (
            {"from_previous": -30, "to_previous": 0},
            "自上一份租约到期日前 30 天至上一份租约到期日",
            "from 30 days before the last day of the lease before to the last day of the lease before",
        ),
        (
            {"day": "2025-10-01", "from_day": -2, "to_day": 1, "working": True},
            "自2025年10月1日前 2 个工作日至2025年10月1日后 1 个工作日",
            "from 2 working days before 2025-10-01 to 1 working day after 2025-10-01",
        ),
        (
            {"from": "2025-11-01", "to": "2025-11-30"},
            "自2025年11月1日至2025年11月30日",
            "from 2025-11-01 to 2025-11-30",
        ),
    ],
)
def test_a_window_about_a_day_is_said_in_words(window: dict[str, Any], chinese: str, english: str) -> None:
    rule = {"events": "app.viewed", "window": window, "count": {"op": "=", "value": 0}}
    said = {"zh": f"{chinese}，App 页面浏览 = 0", "en": f"{english}, app pages seen = 0"}
    assert segments.sentences(rule) == said


def test_an_explanation_shows_the_events_and_what_is_missing() -> None:
    tenant = make_lease().tenants.get()
    first = make_event("ticket.reported", tenant, at=NOW - timedelta(days=9), data={"category": "water"})
    make_event("ticket.reported", tenant, at=NOW - timedelta(days=100), data={"category": "water"})
    second = make_event("ticket.reported", tenant, at=NOW - timedelta(days=2), data={"category": "power"})

    with override("en"):
        said = segments.explain(LATE, tenant.pk, today=TODAY)

    assert said["holds"] is False
    assert said["value"]["value"] == 2
    assert [source_id for _source, source_id, _at in said["value"]["events"]] == [second.source_id, first.source_id]
    assert said["miss"] == "repair reports: 1 more"


def test_the_nearest_miss_is_the_fewest_things_that_would_have_to_be_otherwise() -> None:
    lease = make_lease(last_day=TODAY + timedelta(days=70))
    tenant = lease.tenants.get()
    make_event("ticket.reported", tenant, data={"category": "water"})
    late = LATE | {"count": {"op": ">=", "value": 2}}
    ending = {"lease": "days_to_end", "op": "<=", "value": 60}
    rule = {"all": [{"any": [{"all": [ending, {"tag": "social"}]}, late]}, {"not": {"consent": "marketing"}}]}

    with override("en"):
        assert segments.nearest(segments.explain(rule, tenant.pk, today=TODAY)) == [
            "repair reports: 1 more",
            "not (agrees to renewal offers)",
        ]
        assert segments.nearest(segments.explain(ending, tenant.pk, today=TODAY)) == [
            "days to the lease's end: 10 fewer"
        ]
        assert segments.nearest(segments.explain({"not": ending}, tenant.pk, today=TODAY)) == []


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("door.opened", {"first": True}, "rule: there are no events “door.opened”; there are: "),
    ("mood.given", {}, "rule: exactly one of these is expected: count, last, share, trend, first, "),
    ("mood.given", {"first": True, "count": {"op": "=", "value": 1}}, "rule: exactly one of these is expected: "),
    ("mood.given", {"first": False}, "first: “first” can only be true."),
    ("mood.given", {"first": True, "window": {"days": 0}}, "window: “days” is a whole number from 1 to 1100."),
    ("mood.given", {"first": True, "window": {"from": "2025-02-30", "to": "2025-03-01"}}, "window: “2025-02-30” is no"),
    ("mood.given", {"first": True, "window": {"from": "2025-03-02", "to": "2025-03-01"}}, "window: the window ends be"),
    ("mood.given", {"first": True, "window": {"days": 3, "hours": 1}}, "window: a window is one of "),
    (
        "mood.given",
        {"first": True, "window": {"from_end": 1, "to_start": 2}},
        "window: a window is one of {“days”}, {“from”, “to”}, {“from_end”, “to_end”}, {“from_start”, “to_start”}, "
        "{“from_signed”, “to_signed”}, {“from_previous”, “to_previous”}, {“day”, “from_day”, “to_day”}.",
    ),
    ("mood.given", {"first": True, "window": {"from_day": 1, "to_day": 2}}, "window: a window is one of "),
    ("mood.given", {"first": True, "window": {"from_start": 1, "to_start": 1101}}, "window: “to_start” is a whole num"),
    ("mood.given", {"first": True, "window": {"from_signed": 2, "to_signed": 1}}, "window: the window ends be"),
    (
        "mood.given",
        {"first": True, "window": {"from": "2025-01-01", "to": "9999-12-31"}},
        "window: “9999-12-31” is no day from 2000 to 2049.",
    ),
    (
        "mood.given",
        {"first": True, "window": {"day": "1999-12-31", "from_day": 0, "to_day": 1}},
        "window: “1999-12-31” is no day from 2000 to 2049.",
    ),
    ("mood.given", {"first": True, "where": []}, "where: a list of one to 10 comparisons is expected here."),
    (
        "mood.given",
        {"first": True, "where": [{"field": "e.data", "op": "=", "value": "x"}]},
        "where[0]: there is no field “e.data” here; there are: mood, hour, weekday.",
    ),
    (
        "mood.given",
        {"first": True, "where": [{"field": "hour", "op": "between", "value": [22, 25]}]},
        "where[0]: “hour” is a whole number from 0 to 24.",
    ),
    (
        "mood.given",
        {"last": {"events": 3, "satisfy": [{"field": "mood", "op": "=", "value": "bad"}], "at_least": 4}},
        "last: “at_least” is a whole number from 1 to 3.",
    ),
    ("mood.given", {"regular": {"every": "day", "periods": 3}}, "regular: “every” is “week” or “month”."),
    (
        "mood.given",
        {"regular": {"every": "week", "periods": 3}, "window": {"days": 3}},
        "rule: “window” does not belong here.",
    ),
    ("mood.given", {"then": {"events": "door.opened", "hours": 3}}, "then: there are no events “door.opened”; "),
]


@pytest.mark.parametrize(("kind", "question", "sentence"), BAD)
def test_a_bad_question_is_one_sentence_that_names_the_place(kind: str, question: Any, sentence: str) -> None:
    with override("en"), pytest.raises(segments.BadRule) as refused:
        segments.check({"events": kind} | question)
    assert str(refused.value).startswith(sentence)
