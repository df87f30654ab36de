"""公众号 against a stand-in that checks tokens and fields: every code in its class, one token for all, told once."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from connectors import sealing
from connectors.channels import Answer, Envelope, Outcome, tokens
from connectors.channels.wechat import WechatSubscribe, WechatTemplate, client_msg_id, receipts
from connectors.channels.wechat_codes import OUTCOMES, WAITS, complaint, until_tomorrow
from connectors.models import AccessToken
from tests.product import free_port
from tests.standins import wechat
from tests.standins.base import Fault, serving
from tests.standins.wechat import WeChat

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC)
KEY = "push:1:1:day30:1"
SEND = "/cgi-bin/message/template/send"
TOKEN = "/cgi-bin/stable_token"


@pytest.fixture
def account(settings: Any) -> Iterator[WeChat]:
    settings.WECHAT_APPID, settings.WECHAT_SECRET = wechat.APPID, wechat.SECRET
    tokens.forget()
    with serving(WeChat()) as standin:
        settings.WECHAT_URL = standin.url
        yield standin


@pytest.fixture
def way(account: WeChat) -> Iterator[WechatTemplate]:
    channel = WechatTemplate()
    yield channel
    channel.close()


@pytest.fixture
def subscribe(account: WeChat) -> Iterator[WechatSubscribe]:
    channel = WechatSubscribe()
    yield channel
    channel.close()


def notice(n: int = 1, **more: Any) -> Envelope:
    facts: dict[str, Any] = {
        "key": f"push:{n}:{n}:day30:1", "address": "oLin", "text": "租约还有30天到期", "url": "https://r.example/r/x",
        "sent_at": NOW, "klass": "service", "template": wechat.TEMPLATE,
        "values": {"thing1": "B1-0301A", "character_string2": "HT000001", "time3": "2025年12月31日"},
    }  # fmt: skip
    return Envelope(**{**facts, **more})


def later(envelope: Envelope, waited: timedelta = timedelta(minutes=1)) -> Envelope:
    return replace(envelope, first_sent_at=NOW, sent_at=NOW + waited)


# --- Sending ----------------------------------------------------------------------------------------------


def test_a_template_message_arrives_with_its_fields_its_link_and_its_key(account: WeChat, way: WechatTemplate) -> None:
    assert way.send(notice()) == Answer(Outcome.ACCEPTED, ref="2000000000000000001")
    assert account.notices == [
        {
            "touser": "oLin", "template_id": "T-days-left", "url": "https://r.example/r/x",
            "client_msg_id": client_msg_id(KEY),
            "data": {
                "thing1": {"value": "B1-0301A"}, "character_string2": {"value": "HT000001"},
                "time3": {"value": "2025年12月31日"},
            },
        }
    ]  # fmt: skip
    assert re.fullmatch("[0-9a-f]{32}", client_msg_id(KEY))


def test_what_is_subscribed_to_goes_by_its_own_call_and_bears_no_key(
    account: WeChat, subscribe: WechatSubscribe
) -> None:
    one = notice(template=wechat.SUBSCRIBED, values={"thing1": "维修上门"})
    assert subscribe.send(one) == Answer(Outcome.ACCEPTED, ref="2000000000000000001")
    (sent,) = account.notices
    assert sent == {
        "touser": "oLin", "template_id": "S-visit", "page": "https://r.example/r/x",
        "data": {"thing1": {"value": "维修上门"}},
    }  # fmt: skip
    account.followers = set()
    assert subscribe.send(one).outcome == Outcome.NO_RECIPIENT  # 43101: they have not subscribed


def test_the_same_message_twice_is_told_once_and_bears_one_number(account: WeChat, way: WechatTemplate) -> None:
    assert {way.send(notice()).ref for _time in range(3)} == {"2000000000000000001"}
    assert (account.counts.handed.total(), account.counts.arrived.total()) == (3, 1)


def test_a_provider_that_ignores_keys_tells_twice(account: WeChat, way: WechatTemplate) -> None:
    """The red twin: it is the key that keeps it to one."""
    account.keyless = True
    way.send(notice())
    way.find(later(notice()))
    assert account.counts.doubles() == 1


@pytest.mark.parametrize(
    ("kind", "came"), [("lost", 0), ("drop", 1), ("reset", 1), ("cut", 1), ("hang", 1), ("fail", 1), ("garble", 1)]
)
def test_what_was_not_answered_is_asked_about_by_sending_and_arrives_once(
    account: WeChat, way: WechatTemplate, kind: str, came: int
) -> None:
    way.account.way.pool.connection_pool_kw["timeout"] = 0.3
    account.faults = [Fault(kind, times=1, path=SEND)]
    assert way.send(notice()).outcome == Outcome.UNKNOWN
    assert account.counts.arrived.total() == came
    assert way.find(later(notice())).outcome == Outcome.ACCEPTED
    assert account.counts.arrived == {f"oLin {client_msg_id(KEY)}": 1}


def test_after_eight_minutes_it_is_not_asked_about_and_nothing_is_sent(account: WeChat, way: WechatTemplate) -> None:
    assert way.find(later(notice(), timedelta(minutes=8))).outcome == Outcome.UNKNOWN
    assert account.counts.requests == 0
    assert way.find(later(notice(), timedelta(minutes=7, seconds=59))).outcome == Outcome.ACCEPTED


def test_that_asking_did_not_leave_proves_nothing(settings: Any, account: WeChat, way: WechatTemplate) -> None:
    way.send(notice())
    way.account.url = f"http://127.0.0.1:{free_port()}"
    assert way.send(notice()).outcome == Outcome.NOT_SENT
    assert way.find(later(notice())).outcome == Outcome.UNKNOWN


def test_without_a_key_what_was_not_answered_stays_unknown(account: WeChat, subscribe: WechatSubscribe) -> None:
    one = notice(template=wechat.SUBSCRIBED)
    account.faults = [Fault("drop", times=1, path="/cgi-bin/message")]
    assert subscribe.send(one).outcome == Outcome.UNKNOWN
    assert subscribe.find(later(one)).outcome == Outcome.UNKNOWN
    assert account.counts.arrived == {"oLin": 1}


# --- Codes and fields -------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", sorted(OUTCOMES))
def test_every_documented_code_has_its_class(account: WeChat, way: WechatTemplate, code: int) -> None:
    account.faults = [Fault("code", code=str(code), path=SEND)]
    answer = way.send(notice())
    assert (answer.outcome, answer.detail) == (OUTCOMES[code], f"{code} as scripted rid: 1-2-3")
    assert (answer.wait is not None) == (answer.outcome == Outcome.SLOW_DOWN)
    assert account.counts.arrived.total() == 0


def test_busy_is_cleared_up_by_the_key_and_without_one_taken_at_its_word(
    account: WeChat, way: WechatTemplate, subscribe: WechatSubscribe
) -> None:
    account.faults = [Fault("code", code="-1", path="/cgi-bin/message")]
    assert way.send(notice()).outcome == Outcome.UNKNOWN
    assert subscribe.send(notice(template=wechat.SUBSCRIBED)).outcome == Outcome.NOT_SENT


def test_a_code_nobody_has_heard_of_is_unknown_and_a_known_key_is_taken(account: WeChat, way: WechatTemplate) -> None:
    account.faults = [Fault("code", code="99999", path=SEND, times=1), Fault("code", code="45065", path=SEND)]
    assert way.send(notice()) == Answer(Outcome.UNKNOWN, detail="99999 as scripted rid: 1-2-3")
    assert way.send(notice()) == Answer(Outcome.ACCEPTED)


def test_the_codes_are_those_of_the_page() -> None:
    text = Path("docs/channels/wechat.md").read_text()
    named = {int(code) for code in re.findall(r"`(-?\d{1,5})`", text.split("## Codes")[1])}
    assert named == {*OUTCOMES, -1, 40001, 40014, 41001, 42001, 45065}


def test_they_say_for_how_long() -> None:
    assert timedelta(0) < until_tomorrow() <= timedelta(days=1, minutes=5)
    assert set(WAITS) <= {code for code, outcome in OUTCOMES.items() if outcome == Outcome.SLOW_DOWN}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"thing1": "一" * 20, "character_string2": "A" * 32, "name3": "欧阳娜娜", "phrase4": "已受理"}, ""),
        ({"name3": "A" * 20, "number4": "3900.00", "amount5": "¥3900.00", "keyword6": "滨江店"}, ""),
        ({"thing1": "一" * 21}, "字段 thing1 超过 20 个字。"),
        ({"keyword1": "一" * 21}, "字段 keyword1 超过 20 个字。"),
        ({"character_string2": "A" * 33}, "字段 character_string2 超过 32 个字。"),
        ({"character_string2": "合同1"}, "字段 character_string2 只能是字母、数字和符号。"),
        ({"phrase4": "已经受理了"}, ""),
        ({"phrase4": "已经受理了吗"}, "字段 phrase4 超过 5 个字。"),
        ({"name3": "一" * 11}, "字段 name3 超过 10 个字。"),
        ({"thing1": "两\n行"}, "字段 thing1 里有换行。"),
        ({"thing1": "两\u2028行"}, "字段 thing1 里有换行。"),
        ({"thing1": "好😊"}, "字段 thing1 里有表情符号。"),
        ({"thing1": "𠮷田"}, ""),  # a rare name is no picture
        ({"thing1": " "}, "字段 thing1 是空的。"),
    ],
)
def test_what_a_field_cannot_hold_is_refused_before_it_is_sent(
    account: WeChat, way: WechatTemplate, values: dict[str, str], said: str
) -> None:
    assert complaint(values) == said
    answer = way.send(notice(values=values))
    assert answer == (Answer(Outcome.FAILED, detail=said) if said else Answer(Outcome.ACCEPTED, ref=answer.ref))
    assert (account.counts.requests == 0) == bool(said)


# --- The token --------------------------------------------------------------------------------------------


def test_one_token_serves_many_messages_and_stands_sealed_in_the_database(account: WeChat, way: WechatTemplate) -> None:
    for n in range(5):
        way.send(notice(n))
    assert (account.token_calls, account.counts.arrived.total()) == (1, 5)
    row = AccessToken.objects.get()
    assert sealing.unseal(bytes(row.sealed)).decode() == account.token
    assert account.token.encode() not in bytes(row.sealed)
    assert wechat.SECRET not in row.account
    tokens.forget()  # as another process
    WechatTemplate().send(notice(6))
    assert account.token_calls == 1


@pytest.mark.parametrize("code", ["40001", "40014", "42001", "41001"])
def test_a_token_that_is_refused_is_changed_once_and_the_message_arrives_once(
    account: WeChat, way: WechatTemplate, code: str
) -> None:
    way.send(notice(1))
    account.revoke()
    account.faults = [Fault("code", code=code, path=SEND, times=1)]
    assert way.send(notice(2)).outcome == Outcome.ACCEPTED
    assert (account.given, account.forced, account.token_calls) == (2, 0, 2)
    assert account.counts.arrived[f"oLin {client_msg_id('push:2:2:day30:1')}"] == 1


def test_one_that_is_given_again_though_it_was_refused_is_wanted_anew(account: WeChat, way: WechatTemplate) -> None:
    way.send(notice(1))
    account.faults = [Fault("code", code="40001", path=SEND, times=1)]
    assert way.send(notice(2)).outcome == Outcome.ACCEPTED
    assert (account.given, account.forced, account.token_calls) == (2, 1, 3)


def test_one_that_is_refused_twice_holds_up_the_message_and_spends_no_try(account: WeChat, way: WechatTemplate) -> None:
    account.faults = [Fault("code", code="40001", path=SEND)]
    answer = way.send(notice())
    assert (answer.outcome, answer.wait) == (Outcome.SLOW_DOWN, timedelta(minutes=1))
    assert account.counts.refused == {"40001": 2}


def test_before_its_end_the_next_one_is_got(account: WeChat, way: WechatTemplate) -> None:
    account.lasts = 301
    way.send(notice(1))
    account.ages = timedelta(seconds=62)
    AccessToken.objects.update(expires_at=NOW + timedelta(seconds=tokens.SPARE - 1))
    tokens.forget()
    assert way.send(notice(2)).outcome == Outcome.ACCEPTED
    assert account.given == 2


def test_under_another_key_of_the_files_another_token_is_got(
    settings: Any, account: WeChat, way: WechatTemplate
) -> None:
    way.send(notice(1))
    settings.FILE_KEY = "another" * 4
    tokens.forget()
    assert way.send(notice(2)).outcome == Outcome.ACCEPTED
    assert account.token_calls == 2


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (Fault("code", code="40125", path=TOKEN), Outcome.STOP),
        (Fault("code", code="40001", path=TOKEN), Outcome.STOP),
        (Fault("code", code="40164", path=TOKEN), Outcome.STOP),
        (Fault("code", code="45009", path=TOKEN), Outcome.SLOW_DOWN),
        (Fault("code", code="-1", path=TOKEN), Outcome.NOT_SENT),
        (Fault("code", code="99999", path=TOKEN), Outcome.NOT_SENT),
        (Fault("fail", path=TOKEN), Outcome.NOT_SENT),
        (Fault("drop", path=TOKEN), Outcome.NOT_SENT),
        (Fault("garble", path=TOKEN), Outcome.NOT_SENT),
    ],
)
def test_without_a_token_nothing_was_sent(account: WeChat, way: WechatTemplate, fault: Fault, outcome: Outcome) -> None:
    account.faults = [fault]
    assert way.send(notice()).outcome == outcome
    assert way.send(notice()).outcome == outcome  # for a moment nobody asks again
    assert account.counts.requests == 1
    account.faults = []
    tokens.forget()
    assert way.send(notice()).outcome == Outcome.ACCEPTED


def test_a_wrong_secret_stops_the_channel(settings: Any, account: WeChat) -> None:
    settings.WECHAT_SECRET = "wrong"
    assert WechatTemplate().send(notice()).outcome == Outcome.STOP


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("as_processes", [False, True], ids=["one process", "two processes"])
def test_many_at_once_ask_for_one_token(
    account: WeChat, way: WechatTemplate, monkeypatch: pytest.MonkeyPatch, as_processes: bool
) -> None:
    """Two processes share no memory and no lock, only the database."""
    account.faults = [Fault("delay", seconds=0.3, path=TOKEN)]
    if as_processes:
        monkeypatch.setattr(tokens, "_held", _Nothing())
        monkeypatch.setattr(tokens, "_locks", _Nothing())
    together(lambda n: way.send(notice(n)))
    assert (account.token_calls, account.counts.arrived.total()) == (1, 4)
    # And when it is refused to all of them, one gets the next.
    account.revoke()
    together(lambda n: way.send(notice(10 + n)))
    assert (account.given, account.counts.arrived.total()) == (2, 8)
    assert account.forced == 0


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_was_killed_while_it_asked_holds_up_nobody_for_long(
    account: WeChat, way: WechatTemplate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "PATIENCE", 0.2)
    row = AccessToken.objects.create(account=way.account.account, asking_until=datetime.now(UTC) + timedelta(minutes=1))
    answer = way.send(notice())
    assert (answer.outcome, answer.detail) == (Outcome.NOT_SENT, "另一个进程正在获取访问令牌。")
    row.asking_until = datetime.now(UTC) - timedelta(seconds=1)
    row.save()
    tokens.forget()
    assert way.send(notice()).outcome == Outcome.ACCEPTED


class _Nothing(dict[Any, Any]):
    """Keeps nothing."""

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def setdefault(self, key: Any, value: Any = None) -> Any:
        return value


def together(call: Any, many: int = 4) -> None:
    barrier = threading.Barrier(many)
    answers: list[Answer] = []

    def run(n: int) -> None:
        barrier.wait()
        answers.append(call(n))
        connection.close()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.outcome for answer in answers] == [Outcome.ACCEPTED] * many


# --- Receipts, as they are read ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"Event": "TEMPLATESENDJOBFINISH", "MsgID": "7", "Status": "success"}, ("wechat", "7", "delivered", "")),
        (
            {"Event": "TEMPLATESENDJOBFINISH", "MsgID": "7", "Status": "failed:user block"},
            ("wechat", "7", "undelivered", "failed:user block"),
        ),
        (
            {"Event": "TEMPLATESENDJOBFINISH", "MsgID": "7", "Status": "failed: system failed"},
            ("wechat", "7", "undelivered", "failed: system failed"),
        ),
        (
            {
                "Event": "subscribe_msg_sent_event",
                "SubscribeMsgSentEvent": '[{"MsgID": "8", "ErrorCode": "0", "ErrorStatus": "success"}]',
            },
            ("wechat_subscribe", "8", "delivered", ""),
        ),
        (
            {
                "Event": "subscribe_msg_sent_event",
                "SubscribeMsgSentEvent": '[{"MsgID": "8", "ErrorCode": "1", "ErrorStatus": "system"}]',
            },
            ("wechat_subscribe", "8", "undelivered", "1 system"),
        ),
    ],
)
def test_an_event_says_what_became_of_a_message(message: dict[str, str], said: tuple[str, ...]) -> None:
    ((channel, receipt),) = receipts({**message, "at": "2025-12-01T10:00:00+08:00"})
    assert (channel, receipt.ref, receipt.outcome, receipt.detail) == said
    assert receipt.at == datetime(2025, 12, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    "message",
    [
        {}, {"Event": "CLICK", "MsgID": "7"}, {"Event": "TEMPLATESENDJOBFINISH", "Status": "success"},
        {"Event": "TEMPLATESENDJOBFINISH", "MsgID": "7"}, {"Event": "subscribe_msg_sent_event"},
        {"Event": "subscribe_msg_sent_event", "SubscribeMsgSentEvent": "[1, {"},
        {"Event": "subscribe_msg_sent_event", "SubscribeMsgSentEvent": "[1, {}]"},
        {"Event": "subscribe_msg_sent_event", "SubscribeMsgSentEvent": "7"},
    ],
)  # fmt: skip
def test_what_says_nothing_of_a_message_is_no_receipt(message: dict[str, str]) -> None:
    assert list(receipts(message)) == []
