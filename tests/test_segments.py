"""Rules: they select whom a brute-force reading of the tree selects, say what they mean, and refuse what is wrong."""

from __future__ import annotations

import json
import random
from datetime import date, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils.translation import override
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns import segments, shipped
from tenants.models import Feature, LeaseTenant, Tenant, TenantTag
from tests.makers import NOW, TODAY, make_building, make_event, make_lease, make_tenant, make_unit

pytestmark = pytest.mark.django_db

# --- An independent reading of the tree ---------------------------------------------------------------------

Facts = dict[str, Any]


def selects(rule: Any, facts: Facts) -> bool:
    match rule:
        case {"all": parts}:
            return all(selects(part, facts) for part in parts)
        case {"any": parts}:
            return any(selects(part, facts) for part in parts)
        case {"not": part}:
            return not selects(part, facts)
        case {"tag": tag}:
            return tag in facts["tags"]
        case {"consent": purpose}:
            return purpose in facts["consents"]
        case {"feature": name} | {"lease": name}:
            return compares(facts.get(name), rule["op"], rule["value"])
    raise AssertionError(rule)


def compares(found: Any, op: str, value: Any) -> bool:
    if found is None:
        return False
    match op:
        case "=":
            return found == value
        case "!=":
            return found != value
        case "<":
            return found < value
        case "<=":
            return found <= value
        case ">":
            return found > value
        case ">=":
            return found >= value
        case "in":
            return found in value
    raise AssertionError(op)


def people(dice: random.Random, n: int) -> dict[int, Facts]:
    """Residents with random features, tags, consents and leases; what is true of each, by id."""
    known = {}
    for _ in range(n):
        consents = tuple(purpose for purpose in ("marketing", "profiling", "door_logs") if dice.random() < 0.5)
        tenant = make_tenant(consents=consents)
        unit = make_unit(building=make_building(dice.choice(["B1", "B2"])), room_type=dice.choice(["一居", "单间"]))
        first_day, last_day = TODAY - timedelta(days=dice.randint(-3, 20)), TODAY + timedelta(days=dice.randint(0, 5))
        rent = Decimal(dice.randint(0, 4)) + Decimal("0.50")
        make_lease(tenant, unit, first_day=min(first_day, last_day), last_day=last_day, monthly_rent=rent)
        held = {tag for tag in ("social", "kitchen_regular", "mood_flat") if dice.random() < 0.4}
        for tag in held:
            TenantTag.objects.create(tenant=tenant, tag=tag, since=TODAY, evidence={}, computed_at=NOW)
        features = {
            "gym_365": dice.randint(0, 4),
            "power_30": dice.choice([None, 0.5, 2.0]),
            "last3_night": dice.random() < 0.5,
        }
        if dice.random() < 0.8:  # a newcomer has no row yet
            Feature.objects.create(tenant=tenant, day=TODAY, computed_at=NOW, **features)
        else:
            features = dict.fromkeys(features)
        known[tenant.pk] = {
            **features,
            "tags": held,
            "consents": consents,
            "days_to_end": (last_day - TODAY).days,
            "tenure_days": (TODAY - min(first_day, last_day)).days + 1,
            "room_type": unit.room_type,
            "building": unit.building.code,
            "monthly_rent": rent,
        }
    return known


number_ops = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
conditions = st.one_of(
    st.builds(lambda tag: {"tag": tag}, st.sampled_from(["social", "kitchen_regular", "mood_flat", "steady_payer"])),
    st.builds(lambda purpose: {"consent": purpose}, st.sampled_from(["marketing", "profiling", "door_logs"])),
    st.builds(
        lambda kind, op, value: {kind[0]: kind[1], "op": op, "value": value},
        st.sampled_from(
            [
                ("feature", "gym_365"),
                ("feature", "power_30"),
                ("lease", "days_to_end"),
                ("lease", "tenure_days"),
                ("lease", "monthly_rent"),
            ]
        ),
        number_ops,
        st.sampled_from([-1, 0, 0.5, 1, 2, 2.5, 3, 4, 20]),
    ),
    st.builds(lambda value: {"feature": "last3_night", "op": "=", "value": value}, st.booleans()),
    st.builds(
        lambda op, value: {"lease": "building", "op": op, "value": value},
        st.sampled_from(["=", "!="]),
        st.sampled_from(["B1", "B2", "B9"]),
    ),
    st.builds(
        lambda value: {"lease": "room_type", "op": "in", "value": value},
        st.lists(st.sampled_from(["一居", "单间", "两居"]), min_size=1),
    ),
)
rules = st.recursive(
    conditions,
    lambda inner: st.one_of(
        st.builds(lambda part: {"not": part}, inner),
        st.builds(lambda parts: {"all": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: {"any": parts}, st.lists(inner, min_size=1, max_size=3)),
    ),
    max_leaves=8,
).filter(lambda rule: depth(rule) <= segments.MAX_DEPTH)


def depth(rule: Any) -> int:
    match rule:
        case {"all": parts} | {"any": parts}:
            return 1 + max(map(depth, parts))
        case {"not": part}:
            return 1 + depth(part)
    return 1


def test_random_rules_select_and_explain_as_a_brute_force_reading_does() -> None:
    known = people(random.Random(5), 25)

    @settings(max_examples=150, deadline=None, database=None)
    @given(rule=rules)
    def agree(rule: segments.Rule) -> None:
        expected = [tenant for tenant, facts in known.items() if selects(rule, facts)]
        assert segments.members(rule, today=TODAY) == expected
        one = next(iter(known))
        assert segments.explain(rule, one, today=TODAY)["holds"] == (one in expected)

    agree()


def test_what_is_unknown_does_not_hold_and_its_negation_does() -> None:
    lease = make_lease()
    rule = {"feature": "power_30", "op": ">=", "value": 0}
    assert segments.members(rule, today=TODAY) == []
    assert segments.members({"not": rule}, today=TODAY) == [lease.tenants.get().pk]


@pytest.mark.parametrize(
    ("first", "last", "months"),
    [
        (date(2025, 1, 1), date(2025, 12, 31), 12),
        (date(2025, 1, 1), date(2025, 12, 30), 11),
        (date(2025, 1, 31), date(2025, 2, 27), 1),  # a month from the 31st ends before the 28th
        (date(2025, 1, 31), date(2025, 2, 26), 0),
        (date(2024, 2, 29), date(2025, 2, 27), 12),
        (date(2025, 8, 31), date(2026, 2, 27), 6),
    ],
)
def test_a_term_is_the_whole_months_agreed_even_if_it_ends_early(first: date, last: date, months: int) -> None:
    tenant = make_lease(first_day=first, last_day=max(first, TODAY), agreed_last_day=last).tenants.get()
    assert segments.members({"lease": "term_months", "op": "=", "value": months}, today=TODAY) == [tenant.pk]


def test_what_a_lease_lacks_is_told_in_numbers_and_its_state_by_code() -> None:
    unit = make_unit(list_rent=Decimal("4000.00"))
    tenant = make_lease(unit=unit, monthly_rent=Decimal("4100.00"), first_day=TODAY + timedelta(days=1)).tenants.get()
    above = segments.explain({"lease": "rent_above_list", "op": ">=", "value": 5}, tenant.pk, today=TODAY)
    state = segments.explain({"lease": "state", "op": "=", "value": "running"}, tenant.pk, today=TODAY)
    assert (above["value"], above["miss"]) == (2.5, "月租高于挂牌价的百分比：还差 2.5")
    assert (state["value"], state["miss"]) == ("coming", "")
    assert segments.nearest(state) == ["租约状态 = 在租"]


def bill(tenant: Tenant, month: str, *moods: str) -> list[str]:
    """A bill of a month, and the moods given on it one after the other; the names of the bill and the last mood."""
    facts = {"bill": f"{tenant.pk}-{month}", "month": month}
    at = datetime.fromisoformat(f"{month}-01T00:00:00+08:00")
    named = [make_event("bill.issued", tenant, at=at, source="bills", data=facts).source_id]
    for n, mood in enumerate(moods, 1):
        later = make_event("mood.given", tenant, at=at + timedelta(days=n), data={**facts, "mood": mood})
        named = [named[0], later.source_id]
    return named


def test_a_streak_is_of_bills_in_a_row_and_one_without_a_mood_breaks_it() -> None:
    kept, broken, answered, changed = (make_lease().tenants.get() for _ in range(4))
    for tenant, moods in (
        (kept, [["soso"], ["soso"], ["soso"], []]),  # the newest is still to be answered
        (broken, [["soso"], [], ["soso"], ["soso"]]),
        (answered, [["soso"], ["soso"], ["soso"], ["good"]]),
        (changed, [["soso"], ["good", "soso"], ["soso"], []]),  # one vote a bill: the last
    ):
        for month, those in zip(("2025-08", "2025-09", "2025-10", "2025-11"), moods, strict=True):
            bill(tenant, month, *those)

    def of(rule: dict[str, Any]) -> list[int]:
        return segments.members({"moods": ["soso"]} | rule, today=TODAY)

    assert of({"bills": 3}) == [kept.pk, changed.pk]
    assert of({"bills": 3, "at_least": 2}) == [kept.pk, broken.pk, answered.pk, changed.pk]
    assert of({"bills": 2}) == [kept.pk, broken.pk, changed.pk]
    assert of({"bills": 1}) == [kept.pk, broken.pk, changed.pk]
    assert of({"bills": 4}) == []
    assert of({"bills": 4, "at_least": 3}) == [kept.pk, broken.pk, answered.pk, changed.pk]
    assert of({"bills": 4, "moods": ["good", "soso"]}) == [answered.pk]


def test_a_flatmate_has_a_streak_of_their_own_on_the_bills_of_the_lease() -> None:
    lease = make_lease()
    payer, flat, silent = lease.tenants.get(), make_tenant(), make_tenant()
    for tenant in (flat, silent):
        LeaseTenant.objects.create(lease=lease, tenant=tenant, is_primary=False)
    rule = {"moods": ["soso"], "bills": 3}
    for month in ("2025-08", "2025-09", "2025-10"):
        bill(payer, month, "good")
    for month in ("2025-08", "2025-10"):
        data = {"bill": f"{payer.pk}-{month}", "mood": "soso"}
        make_event("mood.given", flat, at=datetime.fromisoformat(f"{month}-09T00:00:00+08:00"), data=data)
    assert segments.members(rule, today=TODAY) == []
    told = segments.explain(rule, flat.pk, today=TODAY)
    assert (told["value"]["value"], told["miss"]) == (2, "这种心情的账单：还差 1")
    assert [source for source, _source_id, _at in told["value"]["events"]] == ["app", "bills", "app"]
    data = {"bill": f"{payer.pk}-2025-09", "mood": "soso"}
    make_event("mood.given", flat, at=NOW - timedelta(days=1), data=data)
    assert segments.members(rule, today=TODAY) == [flat.pk]
    assert segments.explain(rule, flat.pk, today=TODAY)["holds"]
    assert segments.explain(rule, silent.pk, today=TODAY)["value"]["events"] == []
    assert segments.members(rule | {"moods": ["good"]}, today=TODAY) == [payer.pk]


def test_behind_moods_stand_the_moods_and_the_bills_without_one() -> None:
    tenant = make_lease().tenants.get()
    _first, oldest = bill(tenant, "2025-08", "soso")
    (silent,) = bill(tenant, "2025-09")
    _third, newest = bill(tenant, "2025-10", "bad", "soso")
    bill(tenant, "2025-11")

    told = segments.explain({"moods": ["soso"], "bills": 3}, tenant.pk, today=TODAY)

    assert (told["holds"], told["value"]["value"], told["miss"]) == (False, 2, "这种心情的账单：还差 1")
    assert [source_id for _source, source_id, _at in told["value"]["events"]] == [newest, silent, oldest]


def test_a_feature_row_alone_makes_no_member_and_a_lease_under_another_row_does() -> None:
    lives, left, voided, kept = (make_tenant(name) for name in ("在住", "已搬走", "作废", "同一个人"))
    make_lease(lives)
    make_lease(left, last_day=TODAY - timedelta(days=1))
    make_lease(voided, state="void")
    make_lease(make_tenant("同一个人", merged_into=kept))
    make_lease(make_tenant("没有特征行"))
    for tenant in (lives, left, voided, kept):
        Feature.objects.create(tenant=tenant, day=TODAY, gym_365=3, computed_at=NOW)

    often = {"feature": "gym_365", "op": ">=", "value": 3}
    assert segments.members(often, today=TODAY) == [lives.pk, kept.pk]
    assert segments.members({"all": [often, {"consent": "marketing"}]}, today=TODAY) == [lives.pk, kept.pk]


def test_a_merged_person_counts_once_with_all_their_stays() -> None:
    person = make_tenant()
    earlier = make_tenant(merged_into=person)
    make_lease(earlier, first_day=TODAY - timedelta(days=500), last_day=TODAY - timedelta(days=101))
    make_lease(earlier, first_day=TODAY - timedelta(days=100))

    assert segments.members({"lease": "tenure_days", "op": "=", "value": 501}, today=TODAY) == [person.pk]


SENTENCES = [
    (
        {"consent": "marketing", "channel": "jpush"},
        "同意续租优惠（App 推送）",
        "agrees to renewal offers (push to the app)",
    ),
    ({"tag": "social"}, "有“社交活跃型”标签", "tagged “socially active”"),
    (
        {
            "all": [
                {"tag": "social"},
                {"any": [{"consent": "marketing"}, {"feature": "gym_365", "op": ">", "value": 9}]},
            ]
        },
        "有“社交活跃型”标签，且（同意续租优惠，或近 365 天健身房次数 > 9）",
        "tagged “socially active” and (agrees to renewal offers or gym visits, 365 days > 9)",
    ),
    (
        {"any": [{"all": [{"tag": "social"}, {"consent": "profiling"}]}, {"not": {"tag": "mood_flat"}}]},
        "（有“社交活跃型”标签，且同意个性化内容），或并非（有“连续三月😐”标签）",
        "(tagged “socially active” and agrees to personalised wording) or not (tagged “three 😐 in a row”)",
    ),
    (
        {"not": {"any": [{"lease": "days_to_end", "op": "<=", "value": 60}, {"tag": "social"}]}},
        "并非（距租约到期天数 ≤ 60，或有“社交活跃型”标签）",
        "not (days to the lease's end ≤ 60 or tagged “socially active”)",
    ),
    (
        {
            "all": [
                {"lease": "room_type", "op": "in", "value": ["一居", "两居"]},
                {"feature": "last3_night", "op": "=", "value": False},
            ]
        },
        "户型为其中之一：一居 / 两居，且并非（最近三次报修都在夜间）",
        "room type is one of 一居 / 两居 and not (last three repairs at night)",
    ),
    (
        {"any": [{"moods": ["soso"], "bills": 3}, {"all": [{"tag": "social"}, {"moods": ["bad"], "bills": 1}]}]},
        "最近 3 张账单的心情都是：一般，或（有“社交活跃型”标签，且最近一张账单的心情：不满意）",
        "mood on each of the last 3 bills: so-so or (tagged “socially active” and mood on the last bill: displeased)",
    ),
    (
        {"not": {"moods": ["soso", "bad"], "bills": 4, "at_least": 2}},
        "并非（最近 4 张账单中至少 2 张的心情是：一般 / 不满意）",
        "not (mood on at least 2 of the last 4 bills: so-so / displeased)",
    ),
    (
        {
            "all": [
                {"lease": "state", "op": "=", "value": "running"},
                {"lease": "rent_above_list", "op": "<=", "value": -2.5},
                {"lease": "ends_early", "op": "=", "value": False},
                {"lease": "ended_by", "op": "!=", "value": "operator"},
                {"lease": "term_months", "op": ">=", "value": 12},
            ]
        },
        "租约状态 = 在租，且月租高于挂牌价的百分比 ≤ -2.5，且并非（已约定提前终止），"
        "且提前终止方 ≠ 运营方，且约定租期（整月数） ≥ 12",
        "state of the lease = running and monthly rent above the list rent, percent ≤ -2.5"
        " and not (ends early, as agreed) and ended early by ≠ the operator and agreed term, whole months ≥ 12",
    ),
    (
        {
            "any": [
                {"feature": "night_share_365", "op": ">=", "value": 0.5},
                {"feature": "days_since_bad_mood", "op": "<=", "value": 30},
            ]
        },
        "近 365 天夜间报修占比 ≥ 0.5，或距最近一次😞天数 ≤ 30",
        "share of repairs at night, 365 days ≥ 0.5 or days since the last bad mood ≤ 30",
    ),
    (None, "所有租客", "everybody"),
]


@pytest.mark.parametrize(("rule", "chinese", "english"), SENTENCES)
def test_a_rule_is_a_chinese_and_an_english_sentence(rule: segments.Rule | None, chinese: str, english: str) -> None:
    assert segments.sentences(rule) == {"zh": chinese, "en": english}


def nested(levels: int) -> Any:
    rule: Any = {"tag": "social"}
    for _ in range(levels - 1):
        rule = {"not": rule}
    return rule


NO_MOODS = "rule: “moods” is a list of some of these, each once: “good”, “soso”, “bad”."
NAMES = "all, any, not, tag, list, feature, lease, consent, moods, events"
BAD_RULES = [
    ([], "rule: here a condition or a group is expected, not “[]”."),
    ({}, f"rule: exactly one of these is expected: {NAMES}."),
    ({"tag": "social", "all": []}, f"rule: exactly one of these is expected: {NAMES}."),
    ({"all": []}, "rule: “all” needs a list of at least one condition."),
    ({"any": {"tag": "social"}}, "rule: “any” needs a list of at least one condition."),
    ({"all": [{"tag": "social"}, {"not": {"tag": "rich"}}]}, "all[1].not: there is no tag “rich”."),
    ({"any": [{"feature": "tenant_id", "op": "=", "value": 1}]}, "any[0]: there is no feature “tenant_id”."),
    ({"feature": "last_moods", "op": "=", "value": 1}, "rule: there is no feature “last_moods”."),
    ({"feature": ["gym_365"], "op": "=", "value": 1}, "rule: there is no feature “['gym_365']”."),
    (
        {"feature": "gym_365", "op": "like", "value": 1},
        "rule: “like” does not fit “gym_365”; these do: = != < <= > >=.",
    ),
    ({"feature": "gym_365", "op": ">", "value": "1"}, "rule: “1” is no value for “gym_365”."),
    ({"feature": "gym_365", "op": ">", "value": True}, "rule: “True” is no value for “gym_365”."),
    ({"feature": "gym_365", "op": ">", "value": float("nan")}, "rule: “nan” is no value for “gym_365”."),
    ({"feature": "gym_365", "op": ">", "value": None}, "rule: “None” is no value for “gym_365”."),
    ({"lease": "building", "op": "=", "value": "B\x001"}, "rule: “B\x001” is no value for “building”."),
    ({"lease": "building", "op": "in", "value": "B1"}, "rule: the value of “in” is a list of 1 to 100 texts."),
    ({"tag": "social", "_connector": "OR 1=1"}, "rule: “_connector” does not belong here."),
    ({"consent": "marketing'; --"}, "rule: there is no consent “marketing'; --”."),
    ({"consent": ["marketing"]}, "rule: there is no consent “['marketing']”."),
    ({"consent": "marketing", "channel": "pigeon"}, "rule: there is no channel “pigeon”."),
    ({"consent": "marketing", "channel": "wecom"}, "rule: there is no channel “wecom”."),  # one for staff
    ({"consent": "marketing", "channel": None}, "rule: there is no channel “None”."),
    ({"tag": "social", "channel": "sms"}, "rule: “channel” does not belong here."),
    ({"list": "nobody"}, "rule: there is no list “nobody”."),
    ({"lease": "state", "op": ">", "value": "over"}, "rule: “>” does not fit “state”; these do: = != in."),
    ({"moods": [], "bills": 3}, NO_MOODS),
    (
        {"moods": ["soso", "soso"], "bills": 3},
        NO_MOODS,
    ),
    ({"moods": ["angry"], "bills": 3}, NO_MOODS),
    ({"moods": ["soso"]}, "rule: “bills” is a whole number from 1 to 24."),
    ({"not": {"moods": ["soso"], "bills": 25}}, "not: “bills” is a whole number from 1 to 24."),
    ({"moods": ["soso"], "bills": 2, "at_least": 3}, "rule: “at_least” is a whole number from 1 to 2."),
    (nested(9), ".".join(["not"] * 8) + ": a rule is at most 8 levels deep."),
    ({"any": [{"tag": "social"}] * 100}, "any[99]: a rule has at most 100 conditions and groups."),
]


@pytest.mark.parametrize(("rule", "sentence"), BAD_RULES)
def test_a_bad_rule_is_one_sentence_that_names_the_place(rule: Any, sentence: str) -> None:
    with override("en"), pytest.raises(segments.BadRule) as refused:
        segments.members(rule, today=TODAY)
    assert str(refused.value) == sentence


def test_the_largest_rule_allowed_is_answered() -> None:
    make_lease()
    inner: Any = {"any": [{"feature": "gym_365", "op": ">", "value": n} for n in range(92)]}
    for _ in range(segments.MAX_DEPTH - 2):
        inner = {"not": inner}
    assert segments.members(inner, today=TODAY) == []


def test_shipped_segments_and_steps_are_rules() -> None:
    for rule in [s["rule"] for s in shipped.SEGMENTS] + [step["rule"] for step in shipped.RULED.values()]:
        segments.check(rule)


# --- The command --------------------------------------------------------------------------------------------


def run(*args: Any) -> str:
    out = StringIO()
    call_command("segment", *map(str, args), stdout=out)
    return out.getvalue()


def written(folder: Path, content: str) -> Path:
    path = folder / "rule.json"
    path.write_text(content, encoding="utf-8")
    return path


def test_segment_prints_members_count_and_both_sentences(tmp_path: Path) -> None:
    ending, staying = make_lease(), make_lease(last_day=date(2026, 9, 1))
    path = written(tmp_path, '{"lease": "days_to_end", "op": "<=", "value": 60}')

    answer = json.loads(run(path, "--today", "2025-12-01", "--json"))

    assert answer == {
        "sentence": {"zh": "距租约到期天数 ≤ 60", "en": "days to the lease's end ≤ 60"},
        "count": 1,
        "members": [ending.tenants.get().pk],
    }
    assert run(path, "--today", "2026-08-01").splitlines()[-1] == f"1: {staying.tenants.get().pk}"


def test_segment_explains_one_tenant_as_a_tree_with_values_and_evidence(tmp_path: Path) -> None:
    tenant = make_lease().tenants.get()
    evidence = {"facts": {"count": 9, "days": 90}, "events": [["app", "k1"]]}
    TenantTag.objects.create(tenant=tenant, tag="kitchen_regular", since=TODAY, evidence=evidence, computed_at=NOW)
    rule = {"all": [{"tag": "kitchen_regular"}, {"not": {"lease": "days_to_end", "op": ">", "value": 20}}]}
    path = written(tmp_path, json.dumps(rule))

    tree = json.loads(run(path, "--today", "2025-12-01", "--explain", tenant.pk, "--json"))["explanation"]

    assert (tree["group"], tree["holds"]) == ("all", False)
    kitchen, lasts = tree["children"]
    assert (kitchen["holds"], kitchen["value"]) == (True, evidence)
    assert (lasts["group"], lasts["holds"]) == ("not", False)
    assert lasts["children"][0] == {
        "condition": {"lease": "days_to_end", "op": ">", "value": 20},
        "sentence": "距租约到期天数 > 20",
        "holds": True,
        "value": 25,
        "miss": "",
    }


@pytest.mark.parametrize(
    "content", ["", "{", '{"tag": "rich"}', "[" * 100_000, '{"feature": "gym_365", "op": ">", "value": NaN}']
)
def test_segment_refuses_what_is_no_rule_with_exit_status_2(content: str, tmp_path: Path) -> None:
    with pytest.raises(CommandError) as refused:
        run(written(tmp_path, content))
    assert refused.value.returncode == 2
    with pytest.raises(CommandError):
        run(tmp_path / "missing.json")


def test_segment_refuses_to_explain_a_stranger(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="租客 987654 没有当前或将来的租约。"):
        run(written(tmp_path, '{"tag": "social"}'), "--today", "2025-12-01", "--explain", 987654)
