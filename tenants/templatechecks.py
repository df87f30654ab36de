"""Whether a template may be saved: what its provider would refuse is refused here, in one sentence, before anything
is planned with it. `place` names the field at fault: "text", "provider_id", "fields.0.fallback" …
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from connectors.channels import KNOWN, kind, wechat_codes
from tenants import filling
from tenants.filling import Field
from tenants.models import Message

MARKETING, SERVICE, CODE, STAFF = (
    Message.Class.MARKETING.value,
    Message.Class.SERVICE.value,
    Message.Class.CODE.value,
    Message.Class.STAFF.value,
)
REFUSE = "拒收请回复R"
# What a message about a service does not speak of.
COMMERCIAL = re.compile(r"续租|续签|续约|续住|renew|优惠|折扣|立减|促销|特价|免租|礼券|让利", re.IGNORECASE)
ADDRESS = re.compile(r"https?://|www\.|[a-z0-9-]+\.(?:com|cn|net|org|io|top|link)\b", re.IGNORECASE)
FIXED = ("door", "operator")  # part of the text that a provider approves, and so no variables

# What may fill a field: its name for staff, and one as long as any usual one.
VALUES: dict[str, tuple[Any, str]] = {
    "last_day": (gettext_lazy("the lease's last day"), "12 月 26 日"),
    "building": (gettext_lazy("the building"), "滨江店"),
    "room": (gettext_lazy("the room"), "3-1204"),
    "announcement": (gettext_lazy("what the building announces"), "共享厨房 12 月 20 日升级烘焙区"),
    "month": (gettext_lazy("the bill's month"), "2025年12月"),
    "code": (gettext_lazy("the one-time code"), filling.CODE),
}
OF_CODES = {"code"}


class BadTemplate(Exception):
    """A template that cannot be saved so, in one sentence; nothing was changed."""

    def __init__(self, fault: str, place: str = "") -> None:
        self.place = place
        super().__init__(fault)


@dataclass(frozen=True, slots=True)
class Rules:
    """What one channel asks of its templates."""

    kinds: Mapping[str, int]  # of fields: the most characters of each
    most: int = 500  # characters of the whole
    number: str = ""  # the form of the provider's numbers
    named_by_kind: bool = False  # a field is called by its kind and a digit: thing1
    may_drop: bool = True  # a sentence may go, since it is we who write the text
    links: bool = True  # an address may stand in the text


USUAL = {"text": 200}
OWN_TEXT = Rules(USUAL)
WECHAT = Rules(wechat_codes.MOST, number=r"[A-Za-z0-9_-]{20,64}", named_by_kind=True, may_drop=False)
RULES = {
    # What the approved text holds; docs/channels/sms.md.
    "sms": Rules(
        {"text": 35, "number": 20, "date": 20, "code": 6}, number=r"SMS_\d{3,20}", may_drop=False, links=False
    ),
    "wechat": WECHAT,
    "wechat_subscribe": WECHAT,
    "jpush": Rules(USUAL, most=120),
    "phone": OWN_TEXT,
    "wecom": OWN_TEXT,
}
TAKES = {"number": r"\d+(\.\d+)?", "code": r"[A-Za-z0-9]{4,6}"}  # kinds that take no words


def rules(channel: str) -> Rules:
    """What this channel asks; one that an installation has added is taken for one of its own kind."""
    return RULES.get(channel) or Rules(USUAL, number=r"\S+" if kind(channel).needs_template else "")


def channels() -> list[str]:
    """The channels that templates can be written for: those that speak to people, used here or not."""
    spoken = {MARKETING, SERVICE, CODE, STAFF}
    return [
        name
        for name in dict.fromkeys([*KNOWN, *settings.MORE_CHANNELS])
        if kind(name).carries & spoken and name != "wecom_robot"
    ]


def check(
    channel: str, klass: str, *, provider_id: str, text: str, fields: Sequence[Mapping[str, Any]]
) -> tuple[str, str, list[Field]]:
    """The number, text and fields as they are to be stored. Raises `BadTemplate`."""
    if channel not in channels():
        raise BadTemplate(_("There is no template for this channel."), "channel")
    if klass not in kind(channel).carries or klass == Message.Class.SYSTEM:
        fault = _("The channel %(channel)s does not carry messages of this class.")
        raise BadTemplate(fault % {"channel": channel}, "klass")
    asked = rules(channel)
    text = "\n".join(" ".join(line.split()) for line in text.replace("\0", "").strip().splitlines())
    found = [_field(n, given, asked, klass) for n, given in enumerate(fields)]
    _check_text(text, found, asked, channel, klass)
    return _number(provider_id.strip(), channel, asked), text, found


def _number(number: str, channel: str, asked: Rules) -> str:
    if not kind(channel).needs_template:
        if number:
            raise BadTemplate(_("This channel knows no approved templates: leave the number empty."), "provider_id")
        return ""
    if number and not re.fullmatch(asked.number, number):
        fault = _("“%(number)s” is not a template's number as this provider gives them.")
        raise BadTemplate(fault % {"number": number[:40]}, "provider_id")
    return number


def _field(n: int, given: Mapping[str, Any], asked: Rules, klass: str) -> Field:
    place = f"fields.{n}"
    name, value = str(given.get("name", "")).strip(), str(given.get("value", ""))
    kind_of = str(given.get("kind", "")) or "text"
    facts: dict[str, Any] = {"name": name[:40]}
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,31}", name) or name in FIXED:
        fault = _("“%(name)s” is no name for a field: small letters, digits and _, beginning with a letter.")
        raise BadTemplate(fault % facts, f"{place}.name")
    if asked.named_by_kind:
        kind_of = re.sub(r"\d+$", "", name)
    if kind_of not in asked.kinds:
        raise BadTemplate(_("The field %(name)s is of no kind that this channel knows.") % facts, f"{place}.kind")
    if value not in VALUES or (value in OF_CODES) != (klass == CODE):
        raise BadTemplate(_("Say what fills the field %(name)s.") % facts, f"{place}.value")
    most = str(given.get("most", "")).strip() or str(asked.kinds[kind_of])
    limit = asked.kinds[kind_of]
    if not most.isascii() or not most.isdecimal() or not 1 <= int(most) <= limit:
        fault = _("The field %(name)s takes from 1 to %(most)d characters.")
        raise BadTemplate(fault % (facts | {"most": limit}), f"{place}.most")
    fallback = " ".join(str(given.get("fallback", "")).split())
    found = Field(name, value, kind_of, int(most), fallback)
    _check_fallback(found, asked, klass, f"{place}.fallback")
    return found


def _check_fallback(each: Field, asked: Rules, klass: str, place: str) -> None:
    facts = {"name": each.name, "most": each.most}
    if klass == CODE:
        if each.fallback:
            raise BadTemplate(_("A code has no fallback: leave it empty."), place)
        return
    if not each.fallback:
        if not asked.may_drop:
            fault = _("The field %(name)s needs a fallback: an approved text keeps all its sentences.")
            raise BadTemplate(fault % facts, place)
        return
    if len(each.fallback) > each.most:
        raise BadTemplate(_("The fallback of %(name)s is longer than its %(most)d characters.") % facts, place)
    if filling.plain(each.fallback) != each.fallback:
        fault = _("The fallback of %(name)s has braces, or a full stop of its own.")
        raise BadTemplate(fault % facts, place)
    if ADDRESS.search(each.fallback):
        raise BadTemplate(_("The field %(name)s may hold no link.") % facts, place)
    takes = TAKES.get(each.kind)
    if takes and not asked.named_by_kind and not re.fullmatch(takes, each.fallback):
        raise BadTemplate(_("The fallback of %(name)s is not of its kind.") % facts, place)
    if asked.named_by_kind and (wrong := wechat_codes.complaint({each.name: each.fallback})):
        raise BadTemplate(wrong, place)


def _check_text(text: str, fields: Sequence[Field], asked: Rules, channel: str, klass: str) -> None:
    def refuse(fault: str, **facts: Any) -> BadTemplate:
        return BadTemplate(fault % facts if facts else fault, "text")

    if not text:
        raise refuse(_("The text is empty."))
    known = [each.name for each in fields]
    used = filling.names(text)
    for name in known:
        if known.count(name) > 1:
            raise refuse(_("The field %(name)s is there twice."), name=name)
        if name not in used:
            raise refuse(_("The text does not name the field %(name)s."), name=name)
    for name in used:
        if name not in known and name not in FIXED:
            raise refuse(_("The text names %(name)s, which is no field."), name=name)
    if re.search(r"[{}]", filling.NAME.sub("", text)):
        raise refuse(_("The text has a brace that belongs to no name."))
    if klass == CODE and "code" not in {each.value for each in fields}:
        raise refuse(_("The text names no one-time code."))
    longest = len(filling.compose(text, {**fixed(), **{each.name: "一" * each.most for each in fields}}))
    if longest > asked.most:
        raise refuse(
            _("Filled in, the text may have %(n)d characters; %(most)d is the most."), n=longest, most=asked.most
        )
    optional = {each.name for each in fields if not each.fallback} if klass != CODE else set()
    if optional and all(optional & set(filling.names(each)) for each in filling.sentences(text)):
        raise refuse(_("Without its values nothing would be left of the text: one sentence has to stand by itself."))
    if not asked.links and ADDRESS.search(text):
        raise refuse(_("An SMS points to the common door alone: write {door} for its address."))
    if channel == "sms" and re.search(r"[【】]", text):
        raise refuse(_("The signature in 【】 is put there by the provider: leave it out."))
    if channel == "sms" and klass == MARKETING and not text.endswith(REFUSE):
        raise refuse(_("An SMS with an offer ends with “%(words)s”."), words=REFUSE)
    whole = text + "".join(each.fallback for each in fields)
    if klass in {SERVICE, CODE} and (sold := COMMERCIAL.search(whole)):
        raise refuse(_("A message about a service offers nothing: “%(word)s”."), word=sold.group())


def fixed() -> dict[str, str]:
    """What stands for the fixed names."""
    return {"door": f"{settings.SITE_URL}/r/", "operator": settings.OPERATOR_NAME}


def is_code(code: str) -> bool:
    return bool(re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", code))
