"""The segments, playbooks and steps that come with the product, as data. Staff may change them; shipping never
undoes that.

Wording: a fact and a reason to tap, under 40 characters once filled in; 您; nothing that urges, threatens or
praises; nothing that could be untrue on the day it is read. So a step never says how many days are left (a late
entrant gets it up to a week later) but names {last_day}; and what a building announces is quoted as {announcement},
whose text begins with the place it is about. Where two steps fall on one day, the one with a rule goes first.
"""

from __future__ import annotations

from typing import Any

from tenants import tags


def _at_least(feature: str, value: float) -> dict[str, Any]:
    return {"feature": feature, "op": ">=", "value": value}


def _less(feature: str, value: float) -> dict[str, Any]:
    return {"feature": feature, "op": "<", "value": value}


# The limits are those of the tags of the same name, see there where they come from. The types exclude one another: who
# fits two is of the first. Habits count of those alone who agree to a profile.
_PROFILED = {"consent": "profiling"}
_SOCIAL = {
    "community_365": tags.SOCIAL_ACTIVITIES,
    "posts_90": tags.SOCIAL_POSTS,
    "kitchen_90": tags.KITCHEN_OFTEN,
}
_PRICE = {"price_views_90": tags.PRICE_VIEWS, "coupon_views_90": tags.PRICE_VIEWS}
_SERVICE = {"repairs_365": tags.SERVICE_REPAIRS, "repair_views_90": tags.SERVICE_VIEWS}


def _type(own: dict[str, int], *others: dict[str, int]) -> dict[str, Any]:
    """Any of its own limits is reached and none of the others'."""
    reached = [_at_least(feature, value) for feature, value in own.items()]
    kept = [_less(feature, value) for limits in others for feature, value in limits.items()]
    return {"all": [_PROFILED, {"any": reached}, *kept]}


SEGMENTS: list[dict[str, Any]] = [
    {"code": "social", "name": "社交活跃型", "rule": _type(_SOCIAL)},
    {"code": "price", "name": "性价比敏感型", "rule": _type(_PRICE, _SOCIAL)},
    {"code": "service", "name": "服务体验依赖型", "rule": _type(_SERVICE, _SOCIAL, _PRICE)},
    # What troubles and what pleases, as the house found it in its first winter: to be read, copied and changed.
    {
        "code": "night",
        "name": "夜间报修",
        "rule": {
            "events": "ticket.reported",
            "last": {"events": 3, "satisfy": [{"field": "hour", "op": "between", "value": [22, 6]}]},
        },
    },
    {
        "code": "kitchen-25",
        "name": "厨房常客，25 天内到期",
        "rule": {
            "all": [
                _PROFILED,
                {
                    "events": "facility.used",
                    "where": [{"field": "facility", "op": "=", "value": "shared_kitchen"}],
                    "window": {"days": 90},
                    "count": {"op": ">=", "value": tags.KITCHEN_OFTEN},
                },
                {"lease": "days_to_end", "op": "<=", "value": 25},
            ]
        },
    },
    {"code": "repair-late", "name": "维修接单慢", "rule": _at_least("late_accepts_365", 1)},
    {"code": "moods-soso", "name": "连续三张账单都选😐", "rule": {"moods": ["soso"], "bills": 3}},
    {
        "code": "parcels",
        "name": "快递不止一次放错柜",
        "rule": {
            "events": "ticket.reported",
            "where": [{"field": "category", "op": "=", "value": "parcel"}],
            "count": {"op": ">=", "value": 2},
        },
    },
    {"code": "flatmate-missing", "name": "合租室友空缺", "rule": {"tag": "flatmate_missing"}},
    {
        "code": "steady",
        "name": "缴费规律",
        "rule": {
            "all": [
                _at_least("payments_365", 6),
                {"feature": "late_payments_365", "op": "=", "value": 0},
                _at_least("paid_share", 0.9),
            ]
        },
    },
]

# By rank: a tenant follows the first that takes them. The general one has no segment, so it takes everybody,
# those without consent to profiling included. Those that start by what happened are followed beside them.
PLAYBOOKS: list[dict[str, Any]] = [
    {"code": "care-rating", "name": "差评之后", "segment": None, "rank": 1},
    {"code": "care-repair", "name": "报修久等之后", "segment": None, "rank": 2},
    {"code": "social", "name": "邻里与日常", "segment": "social", "rank": 10},
    {"code": "price", "name": "价格与租期", "segment": "price", "rank": 20},
    {"code": "service", "name": "服务与安心", "segment": "service", "rank": 30},
    {"code": "general", "name": "通用版", "segment": None, "rank": 1000},
]

LEAD_DAYS = 60  # before the lease's end, where nothing in the lease says otherwise
START = LEAD_DAYS

# What each playbook says at its start and so many days before the end.
TEXTS: dict[str, dict[int, str]] = {
    "social": {
        START: "您这一年的社区生活，记在这封信里；续租方案也在其中。",
        45: "续租可选的租期、房间和权益，都列在这里了。",
        30: "租约 {last_day}到期。各租期的租金和权益，可以在这里对比。",
        14: "租约 {last_day}到期。续租、换房或者不续，都可以在这里选。",
    },
    "price": {
        START: "您这间房各租期的月租已经公布，可以在这里逐项对比。",
        45: "选一个租期，就能看到对应的月租和每一行算法。",
        30: "租约 {last_day}到期。月租以公布价为准，对所有人一致。",
        14: "租约 {last_day}到期。公布的价格和租期，都可以在这里查。",
    },
    "service": {
        START: "租约 {last_day}到期。留在这间或换一间，两种安排都写清楚了。",
        45: "续租后的租期、租金和押金，五行字就能看完。",
        30: "续租在手机上就能办完，签好后的合同备案由我们办理。",
        14: "租约 {last_day}到期。续租、换房或者不续，在这里选就好。",
    },
    "general": {
        START: "您的租约 {last_day}到期，续租方案已经备好，可以先看看。",
        45: "续租可选的租期和房间，都列在这里了。",
        30: "租约 {last_day}到期。各租期的租金和押金，都写在这里。",
        14: "租约 {last_day}到期。续租、换房或者不续，都可以在这里选。",
    },
}

# An SMS takes an approved template (tenants/shippedtemplates.py): one for each moment, whatever the playbook.
SMS = {
    START: {"sms": "renewal-letter"},
    45: {"sms": "renewal-terms"},
    30: {"sms": "renewal-terms"},
    14: {"sms": "renewal-choices"},
}

# What every playbook says to those a rule selects, so that a fact counts the same wherever its tenant is. A general
# wording stands in the playbook for everybody alone; on the day of late-30 its plain step of 30 days is as general.
RULED: dict[str, dict[str, Any]] = {
    # The perk follows from a published fact of service and is open to all who meet it.
    "late-30": {
        "days": 30,
        "rule": {"tag": "repair_was_late"},
        "text": "您的专属客服通道已开通，有专人对接；续租的安排也在这里。",
        "grants": "care_line",
    },
    "kitchen-25": {
        "days": 25,
        "rule": {"tag": "kitchen_regular"},
        "text": "您常去的{announcement}，续租的选择在这里。",
        "general_text": "{announcement}；续租的选择也在这里。",
        "claims_topic": "shared_kitchen",
    },
}


# What starts the playbooks of care, and what they say the day after. What follows is the ask that has waited: repair,
# apology and ask are one sequence. A repair was slow if it was not accepted within 6 hours of its report.
CARES: dict[str, dict[str, Any]] = {
    "care-repair": {
        "starts_on": {"events": "ticket.finished"},
        "rule": {
            "all": [
                {
                    "events": "ticket.reported",
                    "window": {"days": 14},
                    "count": {"op": ">=", "value": 1},
                },
                {
                    "not": {
                        "events": "ticket.reported",
                        "window": {"days": 14},
                        "then": {"events": "ticket.accepted", "hours": 6},
                    }
                },
            ]
        },
        "text": "您报修的问题已处理完。这次让您久等了，抱歉；若没修好，请告诉我们，我们再来。",
    },
    "care-rating": {
        "starts_on": {"events": "ticket.rated", "where": [{"field": "score", "op": "<=", "value": 2}]},
        "rule": None,
        "text": "您对这次维修不满意，我们看到了，抱歉。哪里还没修好，请在 App 里告诉我们。",
    },
}


def steps(playbook: str) -> list[dict[str, Any]]:
    """The shipped steps of a playbook, each with its code; a perk is named by its code."""
    if playbook in CARES:
        care = CARES[playbook]
        return [
            {
                "code": f"{playbook}-sorry",
                "anchor": "event",
                "days": 1,
                "kind": "care",
                "rule": care["rule"],
                "text": care["text"],
                "templates": dict.fromkeys(("sms", "wechat", "wechat_subscribe"), playbook),
            }
        ]
    plain: list[dict[str, Any]] = [
        {"code": f"{playbook}-start", "anchor": "start", "days": 0, "text": text, "templates": SMS[START]}
        if days == START
        else {"code": f"{playbook}-{days}", "anchor": "end", "days": days, "text": text, "templates": SMS[days]}
        for days, text in TEXTS[playbook].items()
    ]
    ruled = [{"code": f"{playbook}-{name}", "anchor": "end", **facts} for name, facts in RULED.items()]
    return plain + [_ruled(each, is_general=playbook == "general") for each in ruled]


def _ruled(step: dict[str, Any], *, is_general: bool) -> dict[str, Any]:
    facts = {**step, "templates": SMS[30]}
    if is_general and "general_text" in facts:
        return {**facts, "general_templates": SMS[30]}
    return {name: value for name, value in facts.items() if name != "general_text"}
