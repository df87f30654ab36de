"""公众号: what tenants write there, as WeChat's server passes it on.

A message is a report of something to repair, its kind guessed from its words; 退订, R or TD is a refusal of
offers. What people do in the menu is kept as something done in the app. A QR code with a scene teaches no
identity: WeChat does not say who was given the code.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from xml.parsers import expat

from django.utils.translation import gettext as _

from connectors.records import AliasSource, BadRecord, EventRecord, Kind, OptOutRecord, Source
from connectors.refusals import is_refusal
from connectors.sources import calls, files

KEPT = (
    "MsgType", "MsgId", "FromUserName", "CreateTime", "Content", "Recognition", "Label", "Title", "Event", "EventKey",
    "MsgID", "Status", "SubscribeMsgSentEvent",
)  # fmt: skip
# The first that has one of its words in the message. What is not said in words is somebody's to look at.
WORDS = {
    "water": ("漏水", "渗水", "滴水", "水管", "马桶", "下水", "堵", "水龙头", "花洒", "没水", "停水", "热水"),
    "lock": ("门锁", "打不开门", "开不了门", "锁坏", "钥匙", "门禁", "密码锁"),
    "network": ("网络", "断网", "没网", "宽带", "上不了网", "路由", "WIFI", "网速"),
    "air": ("空调", "不制冷", "不制热", "暖气"),
    "power": ("停电", "跳闸", "没电", "断电", "电路", "插座", "灯"),
    "parcel": ("快递", "包裹", "错柜", "取件"),
}
SHOWN = {"image": "图片", "voice": "语音", "video": "视频", "shortvideo": "视频", "location": "位置", "link": "链接"}
TALK = {"text", *SHOWN}
# What a person did. All other events are the server's own; the address of a VIEW may hold somebody's token.
DONE = {"subscribe", "unsubscribe", "SCAN", "CLICK", "VIEW"}
MOST_FIELDS = 200


class NotXml(ValueError):
    """What came is no XML of the kind WeChat sends."""


def fields(xml: bytes) -> dict[str, str]:
    """The text of each element inside the outermost one; of one with a <List> or several, these as JSON.

    A document type, and so every entity, is refused.
    """
    parser = expat.ParserCreate()
    path: list[str] = []
    found: dict[str, str] = {}
    lists: dict[str, list[dict[str, str]]] = {}
    parts = 0

    def refuse(*_facts: Any) -> None:
        raise NotXml

    def start(name: str, _attributes: dict[str, str]) -> None:
        nonlocal parts
        path.append(name)
        parts += 1
        if len(path) > 8 or parts > MOST_FIELDS:
            raise NotXml
        if len(path) == 3 and name == "List":
            lists.setdefault(path[1], []).append({})

    def end(_name: str) -> None:
        path.pop()

    def text(part: str) -> None:
        if len(path) == 2:
            found[path[1]] = found.get(path[1], "") + part
        elif len(path) == 4 and path[2] == "List":
            item = lists[path[1]][-1]
            item[path[3]] = item.get(path[3], "") + part

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    try:
        parser.Parse(xml, True)
    # What expat raises, and what Python's codecs do about an encoding that is named and is none.
    except (expat.ExpatError, ValueError, LookupError, TypeError) as broken:
        raise NotXml from broken
    found |= {name: json.dumps(items, ensure_ascii=False) for name, items in lists.items()}
    return {name: value.strip() for name, value in found.items()}


def read(path: Path) -> Iterator[EventRecord | OptOutRecord | BadRecord]:
    """Messages as the quarantine keeps them, one on a line."""
    for number, line in files.lines(path):
        try:
            yield from records(number, calls.parse(line))
        except calls.Problem as problem:
            yield BadRecord(number, str(problem))


def unpack(body: dict[str, Any], *, received_at: datetime, key: str) -> Iterator[calls.Told]:
    """`body` is {"message": the fields as they came, "ahead": seconds our clock was ahead of the real one}."""
    message = {name: str(body["message"][name])[:2000] for name in KEPT if body["message"].get(name)}
    created = str(message.get("CreateTime", ""))
    at = None
    if created.isascii() and created.isdigit() and len(created) <= 11:
        at = datetime.fromtimestamp(int(created), tz=received_at.tzinfo) + timedelta(seconds=body.get("ahead", 0))
    believed = calls.believed(at, received_at=received_at)
    yield calls.Told({**message, "at": (believed or received_at).isoformat()})


def records(number: int, message: dict[str, Any]) -> list[EventRecord | OptOutRecord]:
    """What a message says; nothing for one that says nothing to us. Raises `calls.Problem`."""
    openid = calls.text(message, "FromUserName")
    at = calls.moment(message, "at")
    kind = message.get("MsgType")
    who = (AliasSource.WECHAT, openid)
    if kind == "event":
        return _event(number, message, who, at)
    if kind not in TALK:
        raise calls.Problem(_("The message is of no kind we know."))
    known_by = source_id(message)
    words = calls.optional(message, "Content", most=2000)
    if is_refusal(words):
        return [OptOutRecord(number, who, at, proof=f"公众号 {known_by}")]
    said = words or str(message.get("Recognition") or message.get("Label") or message.get("Title") or "")
    shown = f"[{SHOWN[kind]}]" if kind in SHOWN else ""
    data = {"ticket": f"WX{known_by}", "category": category(said), "channel": "wechat", "text": f"{shown}{said}"[:2000]}
    return [EventRecord(number, Source.WECHAT, known_by, Kind.TICKET_REPORTED, at, who, None, data)]


def _event(
    number: int, message: dict[str, Any], who: tuple[str, str], at: datetime
) -> list[EventRecord | OptOutRecord]:
    name = calls.text(message, "Event", most=64)
    if name not in DONE:
        return []
    data = {"name": f"wechat.{name.lower()}"}
    if name != "VIEW" and (key := message.get("EventKey")):
        data["key"] = str(key)[:128]
    return [EventRecord(number, Source.WECHAT, source_id(message), Kind.APP_TRACKED, at, who, None, data)]


def source_id(message: dict[str, Any]) -> str:
    """What a message is known by, however often WeChat sends it. No openid can be read from it."""
    if number := message.get("MsgId"):
        return calls.text(message, "MsgId", most=100) if message.get("MsgType") != "event" else f"event:{number}"[:128]
    parts = "\n".join(
        str(message.get(name, "")) for name in ("FromUserName", "CreateTime", "Event", "EventKey", "Content")
    )
    return "event:" + hashlib.sha256(parts.encode()).hexdigest()[:40]


def category(said: str) -> str:
    """What a report is about, by its words."""
    upper = said.upper()
    return next((name for name, words in WORDS.items() if any(word in upper for word in words)), "other")
