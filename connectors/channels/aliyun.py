"""SMS by Alibaba Cloud: approved templates, up to sixty messages in a call, and no idempotency of its own.

What became of a message whose answer was lost is found in the provider's list of what it sent to that number on
that day, where our key stands as `OutId`. It is proved absent only where that list is complete, lacks it, and has
had a quarter of an hour to take it up. docs/channels/sms.md
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from secrets import token_hex
from typing import Any, NoReturn
from urllib.parse import urlencode

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from connectors.channels import Answer, Channel, Envelope, Forged, Heard, Outcome, Reach, ReceiptRecord, Unreadable
from connectors.channels.acs3 import authorization, canonical_query, hashed
from connectors.channels.aliyun_codes import CODES, OF_ONE, OF_ONE_CODES, SAID_NO, SHANGHAI, wait_after
from connectors.http import NotSent, Reply, Unclear, Way
from connectors.records import AliasSource, OptOutRecord
from connectors.refusals import is_refusal

VERSION = "2017-05-25"
ALONE = {"code", "staff"}  # a batch may be late; these are waited for
MANY = 60  # a call takes a hundred, an OutId four characters of each of sixty
SETTLED = timedelta(minutes=15)  # ten for their list to be complete, five between our claim and the call
LONGEST = 4.0  # seconds: no call of a batch is begun later, so that all are over in the time that a claim has left
PAGE, PAGES = 50, 10  # of the list of what was sent to a number on a day

WAITING, DELIVERED = 1, 3  # the state of a message in their list; 2: failed


class AliyunSms(Channel):
    """Alibaba Cloud SMS, for numbers of mainland China."""

    name = "sms"
    title = gettext_lazy("text message (SMS)")
    reaches = Reach.PHONE
    carries = frozenset({"marketing", "service", "code", "staff"})
    needs_template = True
    batch = MANY
    patience = timedelta(hours=72)  # so late may a carrier report

    def __init__(self) -> None:
        self.way = Way(connections=self.senders)
        self.host = settings.ALIYUN_SMS_URL.split("://", 1)[-1].split("/", 1)[0]

    def close(self) -> None:
        self.way.close()

    # --- Sending ------------------------------------------------------------------------------------------

    def send(self, envelope: Envelope) -> Answer:
        query = {
            "PhoneNumbers": envelope.address,
            "SignName": settings.ALIYUN_SMS_SIGN,
            "TemplateCode": envelope.template,
            "OutId": envelope.key,
        }
        if envelope.values:
            query["TemplateParam"] = _json(dict(envelope.values))
        return _answer(lambda: self._call("SendSms", query), envelope.sent_at)

    def send_many(self, envelopes: Sequence[Envelope]) -> list[Answer]:
        answers: dict[str, Answer] = {}
        ends = time.monotonic() + LONGEST
        for group in _groups(envelopes):
            answers |= self._send_group(group, ends)
            if stopped := _holds_for_all(answers[group[-1].key]):
                return [answers.get(one.key, stopped) for one in envelopes]
        return [answers[one.key] for one in envelopes]

    def _send_group(self, group: Sequence[Envelope], ends: float) -> dict[str, Answer]:
        """An answer for each key. A call is refused as a whole; which message is at fault is found by halves."""
        if time.monotonic() > ends:
            return _all(
                group, Answer(Outcome.SLOW_DOWN, detail=_("The calls before it took too long."), wait=timedelta(0))
            )
        if len(group) == 1:
            return {group[0].key: self.send(group[0])}
        out_id = batch_id(group)
        query = {"TemplateCode": group[0].template, "OutId": out_id}
        form = {
            "PhoneNumberJson": _json([one.address for one in group]),
            "SignNameJson": _json([settings.ALIYUN_SMS_SIGN] * len(group)),
        }
        if any(one.values for one in group):
            form["TemplateParamJson"] = _json([dict(one.values) for one in group])
        answer = _answer(lambda: self._call("SendBatchSms", query, form), group[0].sent_at)
        if answer.outcome in OF_ONE or _code(answer) in OF_ONE_CODES:
            half = len(group) // 2
            first = self._send_group(group[:half], ends)
            if stopped := _holds_for_all(first[group[half - 1].key]):
                return first | _all(group[half:], stopped)
            return first | self._send_group(group[half:], ends)
        # The receipts of a batch bear its OutId, whether or not we ever learn its number.
        detail = f"BizId {answer.ref}" if answer.ref else answer.detail
        return _all(group, Answer(answer.outcome, batch_ref(out_id), detail, answer.wait))

    def _call(self, action: str, query: Mapping[str, str], form: Mapping[str, str] | None = None) -> Reply:
        body = urlencode(form).encode() if form else b""
        headers = {
            "host": self.host,
            "accept": "application/json",
            "x-acs-action": action,
            "x-acs-version": VERSION,
            "x-acs-date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "x-acs-signature-nonce": token_hex(16),
            "x-acs-content-sha256": hashed(body),
        }
        if form:
            headers["content-type"] = "application/x-www-form-urlencoded"
        headers["authorization"] = authorization(
            "POST", "/", query, headers, key_id=settings.ALIYUN_SMS_KEY_ID, secret=settings.ALIYUN_SMS_KEY_SECRET
        )
        url = f"{settings.ALIYUN_SMS_URL.rstrip('/')}/?{canonical_query(query)}"
        return self.way.call("POST", url, headers=headers, body=body)

    # --- Asking -------------------------------------------------------------------------------------------

    def find(self, envelope: Envelope) -> Answer:
        last = envelope.last_sent_at or envelope.first_sent_at or envelope.sent_at
        first = envelope.first_sent_at or last
        found: list[Mapping[str, Any]] = []
        try:
            # On its day, and on the next one: a message sent at midnight is listed on either.
            for day in _days(first, min(envelope.sent_at, last + SETTLED)):
                found += [row for row in self._sent_to(envelope.address, day) if _is_of(row, envelope.key)]
        except (NotSent, Unclear, _Incomplete) as error:
            return Answer(Outcome.UNKNOWN, detail=str(error))
        if not found:
            if envelope.sent_at - last < SETTLED:
                return Answer(Outcome.UNKNOWN, detail=_("The provider does not list it yet."))
            return Answer(Outcome.NOT_SENT, detail=_("The provider does not list it."))
        states = {int(row.get("SendStatus") or WAITING) for row in found}
        detail = " ".join(sorted({str(row.get("ErrCode") or "") for row in found} - {""}))
        return Answer(Outcome.ACCEPTED if states & {WAITING, DELIVERED} else Outcome.FAILED, detail=detail)

    def _sent_to(self, number: str, day: date) -> Iterator[Mapping[str, Any]]:
        """All that was sent to this number on this day. Raises `_Incomplete` if the list may lack something."""
        seen = 0
        for page in range(1, PAGES + 1):
            query = {
                "PhoneNumber": number, "SendDate": f"{day:%Y%m%d}", "PageSize": str(PAGE), "CurrentPage": str(page),
            }  # fmt: skip
            said = _object(self._call("QuerySendDetails", query))
            if said.get("Code") != "OK":
                raise _Incomplete(f"{said.get('Code')} {said.get('Message')}")
            rows = (said.get("SmsSendDetailDTOs") or {}).get("SmsSendDetailDTO") or []
            yield from rows
            seen += len(rows)
            if seen >= int(said.get("TotalCount") or 0):
                return
            if not rows:  # it counts some and shows none, as it has been seen to do
                break
        raise _Incomplete(_("The provider's list is not complete."))

    # --- Call backs ---------------------------------------------------------------------------------------

    def read(self, *, headers: Mapping[str, str], query: Mapping[str, str], body: bytes) -> Heard:
        """Receipts (SmsReport) and answers of people (SmsUp), which may share an address. They bear no signature."""
        secret = settings.ALIYUN_SMS_RECEIPTS_SECRET
        if not secret or not hmac.compare_digest(query.get("secret", "").encode(), secret.encode()):
            raise Forged
        try:
            items = json.loads(body)
        except ValueError:
            _refuse()
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            _refuse()
        reports = [item for item in items if isinstance(item.get("success"), bool)]
        letters = [item for item in items if "success" not in item and isinstance(item.get("content"), str)]
        if len(reports) + len(letters) < len(items):
            _refuse()
        refusals = [_refusal(one, f"短信 {one['content'].strip()}") for one in letters if is_refusal(one["content"])]
        refusals += [_refusal(one, f"短信回执 {one['err_code']}") for one in reports if one.get("err_code") in SAID_NO]
        return Heard(
            receipts=[_receipt(item) for item in reports],
            refusals=[one for one in refusals if one],
            answer=_json({"code": 0, "msg": "接收成功"}).encode(),
            content_type="application/json",
        )


class _Incomplete(Exception):
    """The provider's list cannot prove anything."""


def batch_id(group: Sequence[Envelope]) -> str:
    """The OutId of a batch, in which each of its messages can be found again."""
    return "many." + "".join(_mark(one.key) for one in group)


def batch_ref(out_id: str) -> str:
    """A batch's OutId, short enough to be kept."""
    return "many." + hashlib.sha256(out_id.encode()).hexdigest()[:40]


def _mark(key: str) -> str:
    """Four characters of 64: of what else one number is sent on a day, one in 280,000 is taken for it."""
    return base64.urlsafe_b64encode(hashlib.sha256(key.encode()).digest()[:3]).decode()


def _is_of(row: Mapping[str, Any], key: str) -> bool:
    out_id = str(row.get("OutId") or "")
    if not out_id.startswith("many."):
        return out_id == key
    marks = out_id.removeprefix("many.")
    return _mark(key) in (marks[at : at + 4] for at in range(0, len(marks), 4))


def _groups(envelopes: Sequence[Envelope]) -> list[list[Envelope]]:
    """What can go in one call: one template, no number twice, and nothing that somebody waits for."""
    groups: list[list[Envelope]] = [[one] for one in envelopes if one.klass in ALONE]
    by_template: dict[str, list[dict[str, Envelope]]] = {}
    for one in envelopes:
        if one.klass not in ALONE:
            calls = by_template.setdefault(one.template, [])
            call = next((call for call in calls if one.address not in call), None)
            if call is None:
                calls.append(call := {})
            call[one.address] = one
    return groups + [list(call.values()) for calls in by_template.values() for call in calls]


def _answer(call: Callable[[], Reply], at: datetime) -> Answer:
    """What came of a call that sends."""
    try:
        reply = call()
        said = _object(reply)
    except NotSent as error:
        return Answer(Outcome.NOT_SENT, detail=str(error))
    except Unclear as error:
        return Answer(Outcome.UNKNOWN, detail=str(error))
    code, number = str(said.get("Code") or ""), str(said.get("BizId") or "")
    if code == "OK" and reply.status == 200:
        return Answer(Outcome.ACCEPTED, ref=number)
    detail = f"{code or reply.status} {said.get('Message') or ''}"[:200].strip()
    # A code we do not know, a server's failure and a number in spite of a refusal: anything may have happened.
    outcome = CODES.get(code, Outcome.UNKNOWN)
    if number or (reply.status >= 500 and outcome != Outcome.SLOW_DOWN):
        outcome = Outcome.UNKNOWN
    return Answer(outcome, detail=detail, wait=wait_after(code, detail, at) if outcome == Outcome.SLOW_DOWN else None)


def _holds_for_all(answer: Answer) -> Answer | None:
    """What would be said to every other call, too; it is then not made."""
    is_slow = answer.outcome == Outcome.SLOW_DOWN and _code(answer) not in OF_ONE_CODES
    return answer if answer.outcome == Outcome.STOP or is_slow else None


def _code(answer: Answer) -> str:
    return answer.detail.split(" ", 1)[0]


def _all(group: Sequence[Envelope], answer: Answer) -> dict[str, Answer]:
    return {one.key: answer for one in group}


def _days(first: datetime, last: datetime) -> list[date]:
    begins, ends = first.astimezone(SHANGHAI).date(), last.astimezone(SHANGHAI).date()
    return [begins + timedelta(days=n) for n in range((ends - begins).days + 1)]


def _receipt(item: Mapping[str, Any]) -> ReceiptRecord:
    out_id = str(item.get("out_id") or "")
    is_batch = out_id.startswith("many.")
    return ReceiptRecord(
        outcome="delivered" if item["success"] else "undelivered",
        key="" if is_batch else out_id,
        ref=batch_ref(out_id) if is_batch else str(item.get("biz_id") or ""),
        address=_number(item),
        at=_moment(item.get("report_time")),
        detail=f"{item.get('err_code') or ''} {item.get('err_msg') or ''}".strip()[:200],
    )


def _refusal(item: Mapping[str, Any], proof: str) -> OptOutRecord | None:
    number = _number(item)
    # Whoever refuses is heard, though the hour at which they did were unreadable.
    at = _moment(item.get("send_time")) or datetime.now(UTC)
    known_by = item.get("sequence_id") or item.get("biz_id") or ""
    return (
        OptOutRecord(0, (AliasSource.PHONE, number), at, proof=f"{proof} {known_by}".strip()[:200]) if number else None
    )


def _number(item: Mapping[str, Any]) -> str:
    """Eleven digits, also where it comes with the country's."""
    return re.sub(r"^(\+|00)?86(?=1\d{10}$)", "", str(item.get("phone_number") or ""))


def _moment(text: Any) -> datetime | None:
    for form in ("%Y-%m-%d %H:%M:%S", "%Y%m%d%H%M%S"):
        try:
            return datetime.strptime(str(text), form).replace(tzinfo=SHANGHAI)
        except ValueError:
            continue
    return None


def _object(reply: Reply) -> Mapping[str, Any]:
    said = reply.json()
    if not isinstance(said, dict):
        raise Unclear(f"HTTP {reply.status}, not an object")
    return said


def _json(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _refuse() -> NoReturn:
    raise Unreadable(_("This is no report of Alibaba Cloud SMS."))
