"""System checks that refuse nonsense before it serves anybody."""

import re
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

LEAST_KEY = 20  # characters
OFFERS_BY_LAW = (8, 22)  # hours between which commercial SMS may go, the second not in them


@register(Tags.security)
def check_stage(**kwargs: Any) -> list[CheckMessage]:
    """Outside the demo and tests there is no simulated phone, no demo login and no public key."""
    if settings.STAGE not in {"demo", "test", "production"}:
        return [Error(f"STAGE is {settings.STAGE!r}.", hint="Use demo, test or production.", id="renewal.E001")]
    if settings.IS_SHELTERED:
        loopback = {"localhost", "127.0.0.1", "[::1]", "testserver"}
        if not loopback.issuperset(settings.ALLOWED_HOSTS):
            return [
                Error(
                    "The demo serves loopback only, but ALLOWED_HOSTS names other hosts.",
                    hint="Set STAGE=production, or leave ALLOWED_HOSTS alone.",
                    id="renewal.E002",
                )
            ]
        return []
    problems: list[CheckMessage] = []
    if "phone" in settings.CHANNELS:
        problems.append(
            Error(
                "The simulated phone is configured outside the demo and tests.",
                hint="Take `phone` out of CHANNELS.",
                id="renewal.E003",
            )
        )
    if settings.DEMO_LOGIN:
        problems.append(Error("The demo login is on outside the demo.", hint="Unset DEMO_LOGIN.", id="renewal.E004"))
    if settings.SECRET_KEY == settings.PUBLIC_SECRET_KEY or settings.LINK_KEY == settings.PUBLIC_LINK_KEY:
        problems.append(
            Error(
                "SECRET_KEY or LINK_KEY is the public one of the demo.",
                hint="Set both to long random values of their own.",
                id="renewal.E005",
            )
        )
    if settings.IDENTITY_KEY == settings.PUBLIC_IDENTITY_KEY:
        problems.append(
            Error(
                "IDENTITY_KEY is the public one of the demo.",
                hint="Set it to a long random value of its own before the first contract is loaded.",
                id="renewal.E008",
            )
        )
    if settings.FILE_KEY == settings.PUBLIC_FILE_KEY or len(settings.FILE_KEY) < LEAST_KEY:
        problems.append(
            Error(
                "FILE_KEY is the public one of the demo, or short.",
                hint="Set it to a long random value of its own before the first file is handed in.",
                id="renewal.E010",
            )
        )
    if settings.DEBUG:
        problems.append(Error("DEBUG is on in production.", hint="Unset DEBUG.", id="renewal.E006"))
    return problems


@register(Tags.security)
def check_wechat(**kwargs: Any) -> list[CheckMessage]:
    """The key that opens WeChat's messages has its 43 characters, and whoever sets one sets the account, too."""
    key = settings.WECHAT_AES_KEY
    if not key or (re.fullmatch(r"[A-Za-z0-9+/]{43}", key) and settings.WECHAT_TOKEN and settings.WECHAT_APPID):
        return []
    hint = "Copy EncodingAESKey, Token and AppID from the account's settings at mp.weixin.qq.com."
    return [Error("WECHAT_AES_KEY is not 43 letters and digits, or lacks its account.", hint=hint, id="renewal.E011")]


@register
def check_hours(**kwargs: Any) -> list[CheckMessage]:
    """The hours of messages are hours of a day, some on working days, and keep offers within what the law allows."""
    problems: list[CheckMessage] = []
    for before, until in (("QUIET_BEFORE_HOUR", "QUIET_FROM_HOUR"), ("QUIET_REST_BEFORE_HOUR", "QUIET_REST_FROM_HOUR")):
        first, end = getattr(settings, before), getattr(settings, until)
        is_rest = "REST" in before
        if not 0 <= first <= end <= 24:
            problem = f"{before}={first} and {until}={end} are no hours of a day, the first before the second."
            problems.append(Error(problem, hint="Use whole hours from 0 to 24.", id="renewal.E030"))
        elif first == end and not is_rest:
            problem = f"{before} and {until} are both {first}, so nothing would ever be sent."
            problems.append(Error(problem, hint="Leave some hours between them.", id="renewal.E030"))
        elif first < end and (first < OFFERS_BY_LAW[0] or end > OFFERS_BY_LAW[1]):
            problem = (
                f"{before}={first} and {until}={end} let offers go outside of 8 to 22, which the law forbids for SMS."
            )
            problems.append(Error(problem, hint="Stay between 8 and 22.", id="renewal.E031"))
    first = max(settings.QUIET_BEFORE_HOUR, settings.QUIET_REST_BEFORE_HOUR)
    if not problems and first >= min(settings.QUIET_FROM_HOUR, settings.QUIET_REST_FROM_HOUR):
        problem = "Working days and days off share no hour: in a year whose holidays are not known yet, no offer goes."
        hint = (
            "Let both have an hour in common, or bring the package chinesecalendar up to date before the year begins."
        )
        problems.append(Warning(problem, hint=hint, id="renewal.W033"))
    if settings.MARKETING_GAP_HOURS < 0:
        problem = f"MARKETING_GAP_HOURS={settings.MARKETING_GAP_HOURS} is no length of time."
        problems.append(Error(problem, hint="Use 0 or more hours.", id="renewal.E032"))
    return problems


@register(Tags.security)
def check_lead(**kwargs: Any) -> list[CheckMessage]:
    """The lowest-priced line itself has to be one with which a letter may begin."""
    if settings.LEAD_ABOVE_PERCENT >= 0:
        return []
    problem = f"LEAD_ABOVE_PERCENT={settings.LEAD_ABOVE_PERCENT} leaves no line with which a letter may begin."
    return [Error(problem, hint="Use 0 or more per cent.", id="renewal.E034")]


# What each channel cannot do without, and the address it calls.
CHANNEL_NEEDS = {
    "sms": ("ALIYUN_SMS_KEY_ID", "ALIYUN_SMS_KEY_SECRET", "ALIYUN_SMS_SIGN", "ALIYUN_SMS_RECEIPTS_SECRET"),
    "jpush": ("JPUSH_APPKEY", "JPUSH_SECRET"),
    "erp": ("ERP_URL", "ERP_SECRET"),
    "wechat": ("WECHAT_APPID", "WECHAT_SECRET", "WECHAT_TOKEN"),  # without the token no receipt is heard
    "wechat_subscribe": ("WECHAT_APPID", "WECHAT_SECRET", "WECHAT_TOKEN"),
    "wecom": ("WECOM_CORPID", "WECOM_AGENT", "WECOM_SECRET"),
    "wecom_robot": ("WECOM_ROBOT_KEY",),
}
CHANNEL_URLS = {
    "sms": "ALIYUN_SMS_URL", "jpush": "JPUSH_URL", "erp": "ERP_URL", "wechat": "WECHAT_URL",
    "wechat_subscribe": "WECHAT_URL", "wecom": "WECOM_URL", "wecom_robot": "WECOM_URL",
}  # fmt: skip
CHANNEL_DOCS = {"wechat_subscribe": "wechat", "wecom_robot": "robot"}  # where the page is not called as its channel
OWN_SECRETS = ("ALIYUN_SMS_RECEIPTS_SECRET", "ERP_SECRET")  # chosen here, and so short if they are careless
LOOPBACK = re.compile(r"http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?(/|$)")


@register(Tags.security)
def check_channels(**kwargs: Any) -> list[CheckMessage]:
    """A channel that is used has its secrets, and calls its provider over TLS."""
    problems: list[CheckMessage] = []
    for name in settings.CHANNELS:
        hint = f"See docs/channels/{CHANNEL_DOCS.get(name, name)}.md, or take `{name}` out of CHANNELS."
        lacking = [need for need in CHANNEL_NEEDS.get(name, ()) if not getattr(settings, need)]
        if lacking:
            problem = f"The channel {name} is used, but {', '.join(lacking)} is not set."
            problems.append(Error(problem, hint=hint, id="renewal.E020"))
        for secret in OWN_SECRETS:
            value = getattr(settings, secret)
            if secret in CHANNEL_NEEDS.get(name, ()) and 0 < len(value) < LEAST_KEY:
                problem = f"{secret} is shorter than {LEAST_KEY} characters."
                problems.append(Error(problem, hint="Set it to a long random value of its own.", id="renewal.E021"))
        url = getattr(settings, CHANNEL_URLS[name]) if name in CHANNEL_URLS else ""
        if url and not url.startswith("https://") and not LOOPBACK.match(url):
            problem = f"{CHANNEL_URLS[name]} is no https address: names and numbers would travel in the open."
            problems.append(Error(problem, hint=hint, id="renewal.E022"))
    return problems


@register(Tags.database)
def check_templates(*, databases: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """A channel that sends approved templates alone has one, or nothing goes by it."""
    from connectors.channels import KNOWN, kind

    known = [name for name in settings.CHANNELS if name in KNOWN or name in settings.MORE_CHANNELS]
    if not databases or not any(kind(name).needs_template for name in known):
        return []
    from django.db import connections

    with connections["default"].cursor() as cursor:
        if "tenants_templateversion" not in connections["default"].introspection.table_names(cursor):
            return []
    from tenants import templating

    approved = {channel for channel, _code in templating.shelf()}
    return [
        Warning(
            f"The channel {name} sends approved templates alone, and no template has its provider's number.",
            hint="Have one approved and save its number under /admin/templates/ (docs/templates.md).",
            id="renewal.W023",
        )
        for name in templating.needing()
        if name not in approved
    ]


@register(Tags.database)
def check_clock(*, databases: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """The clock is shifted only in the demo and in tests."""
    if settings.IS_SHELTERED or not databases:
        return []
    from django.db import connections

    with connections["default"].cursor() as cursor:
        if "tenants_clock" not in connections["default"].introspection.table_names(cursor):
            return []
        cursor.execute("select count(*) from tenants_clock where \"offset\" <> interval '0'")
        shifted = cursor.fetchone()[0]
    if not shifted:
        return []
    return [
        Error("The product's clock is shifted.", hint="Run `manage.py clock --real`.", id="renewal.E007"),
    ]
