"""The segments, playbooks and steps that come with the product, as data. Staff may change them; shipping never
undoes that.

Wording: a fact and a reason to tap, under 40 characters once filled in; 您; nothing that urges, threatens or
praises; nothing that could be untrue on the day it is read. So a step never says how many days are left (a late
entrant gets it up to a week later) but names {last_day}; and what a building announces is quoted as {announcement},
whose text begins with the place it is about. Where two steps fall on one day, the one with a rule goes first.
"""

from __future__ import annotations

from typing import Any

SEGMENTS: list[dict[str, Any]] = [
    {"code": "social", "name": "社交活跃型", "rule": {"tag": "social"}},
    {"code": "price", "name": "性价比敏感型", "rule": {"tag": "price_sensitive"}},
    {"code": "service", "name": "服务体验依赖型", "rule": {"tag": "service_dependent"}},
]

# By rank: a tenant follows the first that takes them. The general one has no segment, so it takes everybody,
# those without consent to profiling included.
PLAYBOOKS: list[dict[str, Any]] = [
    {"code": "social", "name": "邻里与日常", "segment": "social", "rank": 10},
    {"code": "price", "name": "价格与租期", "segment": "price", "rank": 20},
    {"code": "service", "name": "服务与安心", "segment": "service", "rank": 30},
    {"code": "general", "name": "通用版", "segment": None, "rank": 1000},
]

# What each playbook says so many days before the end.
TEXTS: dict[str, dict[int, str]] = {
    "social": {
        60: "您这一年的社区生活，记在这封信里；续租方案也在其中。",
        45: "续租可选的租期、房间和权益，都列在这里了。",
        30: "租约 {last_day}到期。各租期的租金和权益，可以在这里对比。",
        14: "租约 {last_day}到期。续租、换房或者不续，都可以在这里选。",
    },
    "price": {
        60: "您这间房各租期的月租已经公布，可以在这里逐项对比。",
        45: "选一个租期，就能看到对应的月租和每一行算法。",
        30: "租约 {last_day}到期。月租以公布价为准，对所有人一致。",
        14: "租约 {last_day}到期。公布的价格和租期，都可以在这里查。",
    },
    "service": {
        60: "租约 {last_day}到期。留在这间或换一间，两种安排都写清楚了。",
        45: "续租后的租期、租金和押金，五行字就能看完。",
        30: "续租在手机上就能办完，签好后的合同备案由我们办理。",
        14: "租约 {last_day}到期。续租、换房或者不续，在这里选就好。",
    },
    "general": {
        60: "您的租约 {last_day}到期，续租方案已经备好，可以先看看。",
        45: "续租可选的租期和房间，都列在这里了。",
        30: "租约 {last_day}到期。各租期的租金和押金，都写在这里。",
        14: "租约 {last_day}到期。续租、换房或者不续，都可以在这里选。",
    },
}

# What every playbook says to those a rule selects, so that a fact counts the same wherever its tenant is.
RULED: dict[str, dict[str, Any]] = {
    # The perk follows from a published fact of service and is open to all who meet it.
    "late-30": {
        "days_before_end": 30,
        "rule": {"tag": "repair_was_late"},
        "text": "您的专属客服通道已开通，有专人对接；续租的安排也在这里。",
        "grants": "care_line",
    },
    "kitchen-25": {
        "days_before_end": 25,
        "rule": {"tag": "kitchen_regular"},
        "text": "您常去的{announcement}，续租的选择在这里。",
        "claims_topic": "shared_kitchen",
    },
}


def steps(playbook: str) -> list[dict[str, Any]]:
    """The shipped steps of a playbook; a perk is named by its code."""
    plain = [
        {"code": f"{playbook}-{days}", "days_before_end": days, "text": text} for days, text in TEXTS[playbook].items()
    ]
    return plain + [{"code": f"{playbook}-{name}", **facts} for name, facts in RULED.items()]
