"""What Alibaba Cloud SMS says no with, and what each no means for a message."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from connectors.channels import Outcome

SHANGHAI = ZoneInfo("Asia/Shanghai")

# Every code that the documentation names for sending (help.aliyun.com, "API错误码"), as of November 2026.
CODES: dict[str, Outcome] = {
    **dict.fromkeys(
        [
            "isp.SYSTEM_ERROR", "isp.GATEWAY_ERROR", "IS_CLOSE",
        ],
        Outcome.NOT_SENT,
    ),
    **dict.fromkeys(
        [
            "isv.BUSINESS_LIMIT_CONTROL", "isv.DAY_LIMIT_CONTROL", "MOBILE_SEND_LIMIT", "Throttling",
            "Throttling.User", "Throttling.Api",
        ],
        Outcome.SLOW_DOWN,
    ),
    **dict.fromkeys(
        [
            # Money, the account and its rights.
            "isv.OUT_OF_SERVICE", "isv.AMOUNT_NOT_ENOUGH", "isv.PRODUCT_UN_SUBSCRIPT", "isv.PRODUCT_UNSUBSCRIBE",
            "isv.ACCOUNT_NOT_EXISTS", "isv.ACCOUNT_ABNORMAL", "isv.SECURITY_FROZEN_ACCOUNT", "isv.DENY_IP_RANGE",
            "isv.MONTH_LIMIT_CONTROL", "isp.RAM_PERMISSION_DENY", "Forbidden.RAM", "NoPermission",
            # Our sign name, which all messages share.
            "isv.SMS_SIGNATURE_ILLEGAL", "isv.SMS_SIGN_ILLEGAL", "isv.SIGN_STATE_ILLEGAL", "isv.SIGN_NAME_ILLEGAL",
            "isv.SMS_SIGN_EMOJI_ILLEGAL", "isv.SIGN_SOURCE_ILLEGAL", "SIGNATURE_BLACKLIST", "isv.SIGNATURE_BLACKLIST",
            "PORT_NOT_REGISTERED", "isv.EXTEND_CODE_ERROR", "isv.ONE_CODE_MULTIPLE_SIGN", "isv.CODE_EXCEED_LIMIT",
            "isv.CODE_ERROR",
            # Our keys, our clock and our version.
            "SignatureDoesNotMatch", "IncompleteSignature", "InvalidAccessKeyId.NotFound",
            "InvalidAccessKeyId.Inactive", "InvalidTimeStamp.Expired", "InvalidTimeStamp.Format", "InvalidVersion",
            "InvalidAction.NotFound",
        ],
        Outcome.STOP,
    ),
    **dict.fromkeys(
        [
            "isv.SMS_TEMPLATE_ILLEGAL", "isv.SMS_SIGNATURE_SCENE_ILLEGAL", "isv.TEMPLATE_MISSING_PARAMETERS",
            "isv.TEMPLATE_PARAMS_ILLEGAL", "isv.INVALID_PARAMETERS", "isv.INVALID_JSON_PARAM",
            "isv.PARAM_LENGTH_LIMIT", "isv.PARAM_NOT_SUPPORT_URL", "isv.SMS_CONTENT_ILLEGAL",
            "isv.SMS_CONTENT_MISMATCH_TEMPLATE_TYPE", "isv.UNSUPPORTED_CONTENT", "isv.MOBILE_COUNT_OVER_LIMIT",
            "isv.DOMESTIC_NUMBER_NOT_SUPPORTED", "isv.SMS_TEST_SIGN_TEMPLATE_LIMIT",
            "isv.SMS_TEST_TEMPLATE_PARAMS_ILLEGAL", "isv.SMS_TEST_NUMBER_LIMIT", "template_parameter_count_illegal",
            "PARAMS_ILLEGAL", "CONTENT_KEYWORD", "CONTENT_ERROR", "NO_ROUTE",
        ],
        Outcome.FAILED,
    ),
    **dict.fromkeys(
        [
            "isv.MOBILE_NUMBER_ILLEGAL", "INVALID_NUMBER", "MOBILE_NOT_ON_SERVICE", "MOBILE_ACCOUNT_ABNORMAL",
            "MOBLLE_TERMINAL_ERROR", "SP_NOT_BY_INTER_SMS",
        ],
        Outcome.NO_RECIPIENT,
    ),
    **dict.fromkeys(
        [
            "isv.CUSTOMER_REFUSED", "isv.BLACK_KEY_CONTROL_LIMIT", "MOBILE_IN_BLACK", "USER_REJECT",
        ],
        Outcome.OPTED_OUT,
    ),
    **dict.fromkeys(
        [
            "REQUEST_SUCCESS", "SP_UNKNOWN_ERROR",
            "SignatureNonceUsed",  # ours are all new: somebody on the way has handed this very call over already
        ],
        Outcome.UNKNOWN,
    ),
}  # fmt: skip
# One message is at fault, not the call: the others of its batch are sent without it.
OF_ONE = {Outcome.FAILED, Outcome.NO_RECIPIENT, Outcome.OPTED_OUT}
OF_ONE_CODES = {"isv.BUSINESS_LIMIT_CONTROL", "MOBILE_SEND_LIMIT"}
SAID_NO = {"isv.CUSTOMER_REFUSED", "USER_REJECT"}  # in a receipt: the person has told them so
WAITS = {"分钟": timedelta(minutes=1), "小时": timedelta(hours=1)}  # 触发分钟级流控Permits:1


def wait_after(code: str, detail: str, at: datetime) -> timedelta:
    """For how long: their limits are by the minute, by the hour and by the day of Shanghai."""
    if code.startswith("Throttling"):
        return timedelta(seconds=10)
    if code == "isv.BUSINESS_LIMIT_CONTROL":
        if found := next((wait for word, wait in WAITS.items() if word in detail), None):
            return found
        if not re.search("天|日", detail):
            return timedelta(hours=1)
    here = at.astimezone(SHANGHAI)
    return here.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1) - here
