"""System checks that refuse nonsense before it serves anybody."""

import re
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register

LEAST_KEY = 20  # characters


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
