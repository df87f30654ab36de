"""Alibaba Cloud SMS: it checks the signature, knows no key, and lists what it sent to a number on a day.

What reached a phone is counted under the number and four characters of our key (`counted`), which is all that a
batch says of it. `GET /__receipts` hands out the receipts of what was not reported yet, as SmsReport posts them.

    python -m tests.standins.sms PORT
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from tests.standins.base import Asked, Said, Standin, main, said

SHANGHAI = ZoneInfo("Asia/Shanghai")
KEY_ID, KEY_SECRET, SIGN = "standin-key", "standin-secret", "蓝寓"
FAR = timedelta(minutes=15)


def counted(number: str, key: str) -> str:
    """Under what a message is counted."""
    return f"{number} {base64.urlsafe_b64encode(hashlib.sha256(key.encode()).digest()[:3]).decode()}"


class Sms(Standin):
    """Sends nothing to anybody."""

    name = "sms"

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.shows_nothing = False  # its list counts messages and shows none, as has been seen
        self.forget()

    def forget(self) -> None:
        super().forget()
        self.lists: defaultdict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
        self.unreported: list[dict[str, Any]] = []
        self.nonces: set[str] = set()
        self.numbers = count(900_000_000_001)

    def action(self, asked: Asked) -> str:
        return asked.headers.get("x-acs-action", "")

    def answer(self, asked: Asked) -> Said:
        if wrong := self._unsigned(asked):
            self.counts.refused[wrong] += 1
            return said({"Code": wrong, "Message": "refused by the gateway", "RequestId": "R"}, 400)
        if code := self.refusing(asked):
            return _no(code)
        match asked.action:
            case "SendSms":
                query = asked.query
                return self._send(
                    asked, [query["PhoneNumbers"]], [query.get("TemplateParam", "")], [query["SignName"]], query
                )
            case "SendBatchSms":
                form = {name: json.loads(value) for name, value in parse_qsl(asked.body.decode())}
                numbers = form["PhoneNumberJson"]
                values = form.get("TemplateParamJson") or [{} for _number in numbers]
                return self._send(
                    asked, numbers, [json.dumps(one) for one in values], form["SignNameJson"], asked.query
                )
            case "QuerySendDetails":
                return self._list(asked)
        return _no("InvalidAction.NotFound")

    def _unsigned(self, asked: Asked) -> str:
        """What is wrong with the signature, rebuilt from what came over the wire."""
        found = re.fullmatch(
            r"ACS3-HMAC-SHA256 Credential=([^,]+),SignedHeaders=([^,]+),Signature=([0-9a-f]{64})",
            asked.headers.get("authorization", ""),
        )
        if not found or asked.method != "POST":
            return "IncompleteSignature"
        if found[1] != KEY_ID:
            return "InvalidAccessKeyId.NotFound"
        if asked.headers["x-acs-version"] != "2017-05-25":
            return "InvalidVersion"
        at = datetime.strptime(asked.headers["x-acs-date"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        if abs(datetime.now(UTC) - at) > FAR:
            return "InvalidTimeStamp.Expired"
        if asked.headers["x-acs-signature-nonce"] in self.nonces:
            return "SignatureNonceUsed"
        wanted = hashlib.sha256(asked.body).hexdigest()
        query = "&".join(sorted(part if "=" in part else f"{part}=" for part in asked._query.split("&")))
        lines = [asked.method, asked.path, query]
        lines += [f"{name}:{asked.headers[name]}" for name in found[2].split(";")]
        request = "\n".join([*lines, "", found[2], wanted])
        text = "ACS3-HMAC-SHA256\n" + hashlib.sha256(request.encode()).hexdigest()
        signature = hmac.new(KEY_SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
        must = {"host", "x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256"}
        if not must <= set(found[2].split(";")) or signature != found[3]:
            return "SignatureDoesNotMatch"
        self.nonces.add(asked.headers["x-acs-signature-nonce"])
        return ""

    def _send(
        self, asked: Asked, numbers: list[str], values: list[str], signs: list[str], query: dict[str, str]
    ) -> Said:
        if len(numbers) > 100:
            return _no("isv.MOBILE_COUNT_OVER_LIMIT")
        if code := self.refusing(asked, *numbers):
            return _no(code)
        for number, text, sign in zip(numbers, values, signs, strict=True):
            if code := _wrong(number, text, sign, query):
                self.counts.refused[code] += 1
                return _no(code)
        out_id, number_of_all = query.get("OutId", ""), f"{next(self.numbers)}^0"
        marks = re.findall("....", out_id.removeprefix("many.")) if out_id.startswith("many.") else []
        now, template = datetime.now(SHANGHAI), query["TemplateCode"]
        for place, number in enumerate(numbers):
            self.took(f"{number} {marks[place]}" if marks else counted(number, out_id))
            row = {
                "PhoneNum": number, "SendStatus": 1, "ErrCode": "", "TemplateCode": template, "OutId": out_id,
                "Content": f"【{signs[place]}】{values[place]}", "SendDate": f"{now:%Y-%m-%d %H:%M:%S}",
            }  # fmt: skip
            self.lists[number, f"{now:%Y%m%d}"].append(row)
            self.unreported.append({**row, "biz_id": number_of_all})
        return said({"Code": "OK", "Message": "OK", "BizId": number_of_all, "RequestId": "R"})

    def _list(self, asked: Asked) -> Said:
        query = asked.query
        rows = self.lists.get((query["PhoneNumber"], query["SendDate"]), [])
        self.counts.found[query["PhoneNumber"]] += 1
        size, page = int(query["PageSize"]), int(query["CurrentPage"])
        if not 1 <= size <= 50:
            return _no("isv.INVALID_PARAMETERS")
        shown = [] if self.shows_nothing else rows[size * (page - 1) : size * page]
        return said(
            {
                "Code": "OK", "Message": "OK", "RequestId": "R", "TotalCount": str(len(rows)),
                "SmsSendDetailDTOs": {"SmsSendDetailDTO": shown},
            }
        )  # fmt: skip

    def receipts(self, code: str = "DELIVERED") -> list[dict[str, Any]]:
        """The body of SmsReport for all that was not reported yet."""
        rows, self.unreported = self.unreported, []
        now, words = f"{datetime.now(SHANGHAI):%Y-%m-%d %H:%M:%S}", "用户接收成功" if code == "DELIVERED" else ""
        for number, day in {(row["PhoneNum"], row["SendDate"][:10].replace("-", "")) for row in rows}:
            for row in self.lists[number, day]:
                row["SendStatus"], row["ErrCode"] = (3 if code == "DELIVERED" else 2), code
        return [
            {
                "phone_number": row["PhoneNum"], "send_time": row["SendDate"], "report_time": now,
                "success": code == "DELIVERED", "err_code": code, "err_msg": words,
                "sms_size": "1", "biz_id": row["biz_id"], "out_id": row["OutId"],
            }
            for row in rows
        ]  # fmt: skip

    def more(self, asked: Asked) -> Said:
        if asked.path == "/__receipts":
            return said(self.receipts(asked.query.get("code", "DELIVERED")))
        return super().more(asked)


def _wrong(number: str, text: str, sign: str, query: dict[str, str]) -> str:
    if sign != SIGN:
        return "isv.SMS_SIGNATURE_ILLEGAL"
    if not re.fullmatch(r"1\d{10}", number):
        return "isv.MOBILE_NUMBER_ILLEGAL"
    if not re.fullmatch(r"SMS_\d+", query["TemplateCode"]):
        return "isv.SMS_TEMPLATE_ILLEGAL"
    if len(query.get("OutId", "")) > 255:
        return "isv.INVALID_PARAMETERS"
    values = json.loads(text) if text else {}
    if not all(isinstance(value, str) for value in values.values()):
        return "isv.INVALID_JSON_PARAM"
    if any("http" in value for value in values.values()):
        return "isv.PARAM_NOT_SUPPORT_URL"
    return "isv.PARAM_LENGTH_LIMIT" if any(len(value) > 35 for value in values.values()) else ""


def _no(code: str) -> Said:
    gateway = code.startswith(("Throttling", "Invalid", "Signature", "Incomplete"))
    return said({"Code": code, "Message": "", "RequestId": "R"}, 400 if gateway else 200)


if __name__ == "__main__":
    main(Sms())
