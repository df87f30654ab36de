"""The templates that come with the product, as data: of those channels that send approved templates alone. None has a
provider's number yet: an installation has them approved and saves the number it is given (docs/templates.md).
"""

from __future__ import annotations

from typing import Any

LAST_DAY = {"name": "last_day", "value": "last_day", "kind": "text", "most": 12, "fallback": "近期"}
ROOM = {"name": "room", "value": "room", "kind": "text", "most": 20, "fallback": "您的房间"}
MONTH = {"name": "month", "value": "month", "kind": "text", "most": 10, "fallback": "最近一期"}
CODE = {"name": "code", "value": "code", "kind": "code", "most": 6, "fallback": ""}

# What a step says in its own words travels where a provider takes our words. An SMS gives one fact and the way in.
OFFERS = {
    "renewal-letter": (
        "您的居住信",
        "您的租约{last_day}到期，续租方案和这一年的记录已经备好，凭手机号在 {door} 查看，",
    ),
    "renewal-terms": ("租期与月租", "您的租约{last_day}到期，各租期的月租已经公布，凭手机号在 {door} 对比，"),
    "renewal-choices": ("续租、换房或不续", "您的租约{last_day}到期，续租、换房或者不续，凭手机号在 {door} 选，"),
}
REFUSE = "拒收请回复R"


def _offers() -> list[dict[str, Any]]:
    return [
        {
            "channel": "sms",
            "code": code,
            "klass": "marketing",
            "name": name,
            "text": text + REFUSE,
            "fields": [LAST_DAY],
        }
        for code, (name, text) in OFFERS.items()
    ]


def _care() -> list[dict[str, Any]]:
    sms = {
        "care-repair": (
            "报修久等之后",
            "您在{room}报修的问题已处理完。这次让您久等了，抱歉。若没修好，请在 App 里告诉我们。",
        ),
        "care-rating": (
            "差评之后",
            "您对{room}的这次维修不满意，我们看到了，抱歉。哪里还没修好，请在 App 里告诉我们。",
        ),
    }
    found: list[dict[str, Any]] = []
    for code, (name, text) in sms.items():
        facts = {"code": code, "klass": "service", "name": name}
        found.append({**facts, "channel": "sms", "text": text, "fields": [ROOM]})
        for channel in ("wechat", "wechat_subscribe"):
            thing = {**ROOM, "name": "thing1", "kind": "thing"}
            said = "处理结果：已处理完" if code == "care-repair" else "处理结果：已收到您的评价，将再联系您"
            found.append({**facts, "channel": channel, "text": f"报修房间：{{thing1}}\n{said}", "fields": [thing]})
    return found


def _reminders() -> list[dict[str, Any]]:
    """What a tenant asked to be reminded of (renewal/thinking.py)."""
    facts = {"code": "think-reminder", "klass": "service", "name": "想一想之后的提醒"}
    thing = {**LAST_DAY, "name": "thing1", "kind": "thing"}
    return [
        {
            **facts,
            "channel": "sms",
            "text": "您让我们今天提醒您：租约{last_day}到期，您的信凭手机号在 {door} 查看。",
            "fields": [LAST_DAY],
        },
        *(
            {**facts, "channel": channel, "text": "租约到期：{thing1}\n提醒内容：您让我们今天提醒您", "fields": [thing]}
            for channel in ("wechat", "wechat_subscribe")
        ),
    ]


def _rounds() -> list[dict[str, Any]]:
    """What several who sign one agreement are told of each other (renewal/rounds.py). Nobody's name is in it."""
    told = {
        "cosign-ask": (
            "等您确认新租约",
            "{room}的新租约，同住人已经同意，还等您确认，凭手机号在 {door} 查看。",
            "等您确认，或者不同意",
        ),
        "cosign-done": (
            "全部承租人已确认",
            "{room}的新租约，全部承租人都已确认，凭手机号在 {door} 查看。",
            "都已确认，协议生效",
        ),
        "cosign-over": (
            "这次没有签成",
            "{room}的新租约没有签成，您的确认已作废，凭手机号在 {door} 查看和重新选择。",
            "没有签成，可重新选择",
        ),
    }
    found: list[dict[str, Any]] = []
    for code, (name, text, state) in told.items():
        facts = {"code": code, "klass": "service", "name": name}
        found.append({**facts, "channel": "sms", "text": text, "fields": [ROOM]})
        thing = {**ROOM, "name": "thing1", "kind": "thing"}
        for channel in ("wechat", "wechat_subscribe"):
            text_there = f"房间：{{thing1}}\n签署状态：{state}"
            found.append({**facts, "channel": channel, "text": text_there, "fields": [thing]})
    return found


def _questions() -> list[dict[str, Any]]:
    """The mood on a bill and the quarterly survey (tenants/feedback.py, tenants/surveys.py). An SMS bears no link of
    one's own: it leads through the common door to one's own question."""
    asked: list[tuple[dict[str, Any], str, str, dict[str, Any]]] = [
        (
            {"code": "mood-ask", "klass": "service", "name": "账单上的心情"},
            "{month}的账单出来了。这个月住得怎么样？凭手机号在 {door}?then=mood 点一个表情就好。",
            "账单月份：{thing1}\n提醒内容：这个月住得怎么样，点个表情就好",
            MONTH,
        ),
        (
            {"code": "survey-ask", "klass": "service", "name": "季度问卷"},
            "每季度一问：您愿意向朋友推荐住在这里吗？凭手机号在 {door}?then=survey 回答，一分钟就好。",
            "房间：{thing1}\n提醒内容：每季度一问，您愿意推荐这里吗",
            ROOM,
        ),
    ]
    found: list[dict[str, Any]] = []
    for facts, sms, there, variable in asked:
        fields = [variable] if f"{{{variable['name']}}}" in sms else []
        found.append({**facts, "channel": "sms", "text": sms, "fields": fields})
        thing = {**variable, "name": "thing1", "kind": "thing"}
        for channel in ("wechat", "wechat_subscribe"):
            found.append({**facts, "channel": channel, "text": there, "fields": [thing]})
    return found


TEMPLATES: list[dict[str, Any]] = [
    *_offers(),
    *_care(),
    *_reminders(),
    *_rounds(),
    *_questions(),
    {
        "channel": "sms",
        "code": "code",
        "klass": "code",
        "name": "验证码",
        "text": "您的验证码是 {code}，请勿告诉他人。",
        "fields": [CODE],
    },
]
