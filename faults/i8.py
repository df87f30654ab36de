"""I8: WeChat's callback, sent again, late, forged, with entities, and while the database cannot keep it.

Each message comes as its very call three times and once more sealed anew, between forgeries; some while the table
is locked for longer than WeChat waits. What must hold: one effect a message, none of a forgery, and no answer
“success” for what is not stored. Red twin: signatures and numbers are not looked at, and errors answered with success.
"""

from __future__ import annotations

import hashlib
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from typing import Any
from unittest.mock import patch
from urllib.parse import urlencode
from uuid import uuid4

import psycopg2
from django.conf import settings
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from wechatpy.crypto import WeChatCrypto

from connectors.models import Landed, Refusal, Run
from connectors.sources import wechat
from faults import Outcome, outcome
from tenants import clock, identity, landing
from tenants.api import wechat as edge
from tenants.models import Consent, Event, Tenant

MESSAGES, LOCKS = 500, 5  # in full
PEOPLE = 20
TOKEN, APPID, AES_KEY = "lan-yu", "wx1234567890abcdef", "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
PATH = "/api/sources/wechat"
XXE = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><xml><MsgType>text</MsgType><Content>&e;</Content></xml>'


def run(seed: int, share: float) -> Outcome:
    settings.WECHAT_TOKEN, settings.WECHAT_APPID, settings.WECHAT_AES_KEY = TOKEN, APPID, AES_KEY
    settings.ALLOWED_HOSTS = ["testserver"]
    green = _campaign(random.Random(seed), share)
    with ExitStack() as off:
        off.enter_context(patch.object(edge, "check", lambda *facts: None))
        off.enter_context(patch.object(wechat, "source_id", lambda message: uuid4().hex))
        off.enter_context(patch.object(edge.WeChat, "handle_exception", lambda view, error: HttpResponse("success")))
        red = _campaign(random.Random(seed), share)
    return outcome(*green, red=red)


def _campaign(dice: random.Random, share: float) -> tuple[bool, dict[str, Any]]:
    _empty()
    now = clock.now()
    people = [Tenant.objects.create(name=f"租客{n}", phone=f"199{n:08}", created_at=now) for n in range(PEOPLE)]
    identity.name_tenants({("wechat", f"o{n}"): person.pk for n, person in enumerate(people)}, now=now)
    counts: Counter[str] = Counter()
    answered: set[str] = set()
    began = int(time.time())
    messages = [_message(dice, number, began=began) for number in range(max(20, round(MESSAGES * share)))]
    deliveries = [(key, call) for key, xml in messages for call in _deliveries(xml)]
    deliveries += [("", call) for call in _forgeries(dice, [xml for _key, xml in messages])]
    dice.shuffle(deliveries)
    for nth, (key, call) in enumerate(deliveries):
        _deliver(key, call, counts, answered)
        if nth % 97 == 0:
            _drain()
    for number in range(max(1, round(LOCKS * share))):
        key, xml = _message(dice, 10_000 + number, began=began)
        with _locked():
            _deliver(key, sealed(xml), counts, answered, "while_locked")
    _drain()
    effects = _effects()
    stored = set(effects)
    counts["double_effects"] = len(effects) - len(stored)
    counts["answered_not_stored"] = len(answered - stored)
    counts["lost"] = len({key for key, _xml in messages} - stored)
    counts["left_over"] = Landed.objects.count() + Refusal.objects.count()
    bad = ("double_effects", "answered_not_stored", "lost", "left_over", "forged_taken", "locked_acknowledged")
    held = not any(counts[name] for name in bad) and counts["forged"] > 0 and counts["while_locked"] > 0
    return held, {
        "messages": len(messages),
        **{name: counts[name] for name in (*bad, "forged", "while_locked", "calls")},
    }


def _deliver(key: str, call: tuple[str, bytes], counts: Counter[str], answered: set[str], how: str = "") -> None:
    address, body = call
    answer = Client(raise_request_exception=False).post(address, body, content_type="text/xml")
    is_taken = answer.status_code == 200 and answer.content == b"success"
    counts["calls"] += 1
    if how:
        counts[how] += 1
        counts["locked_acknowledged"] += is_taken
    if not key:
        counts["forged"] += 1
        counts["forged_taken"] += is_taken
    elif is_taken:
        answered.add(key)


def _effects() -> list[str]:
    """What the database says happened, by what was said: not by the numbers that should make it once."""
    reports = [text.partition("#")[2] for text in Event.objects.values_list("data__text", flat=True)]
    refusals = Consent.objects.values_list("at", flat=True)
    return reports + [f"stop-{at.timestamp():.0f}" for at in refusals]


def _message(dice: random.Random, number: int, *, began: int) -> tuple[str, str]:
    """What its effect is known by, and its XML. A few are refusals of offers, each of another second."""
    stops = number % 25 == 7
    created = began - 5 * (number // 25) % 200 if stops else began
    said = "退订" if stops else dice.choice(["漏水", "空调不制冷", "跳闸了", "门锁打不开"]) + f"#{number}"
    facts = {
        "FromUserName": f"o{dice.randrange(PEOPLE)}", "CreateTime": created, "MsgType": "text", "MsgId": f"m{number}",
        "Content": said,
    }  # fmt: skip
    return f"stop-{created}" if stops else str(number), "<xml>" + "".join(
        f"<{name}>{value}</{name}>" for name, value in facts.items()
    ) + "</xml>"


def _deliveries(xml: str) -> Iterator[tuple[str, bytes]]:
    """The call with its retries, and the message sealed anew."""
    call = sealed(xml)
    yield from (call, call, call, sealed(xml))


def _forgeries(dice: random.Random, known: list[str]) -> Iterator[tuple[str, bytes]]:
    now = int(time.time())
    for _nth in range(max(2, len(known) // 10)):
        xml = dice.choice(known).replace("<MsgId>m", "<MsgId>forged-")
        address, body = sealed(xml)
        yield sealed(xml, at=now - dice.randint(301, 10**6))
        yield sealed(xml, at=now + dice.randint(360, 10**6))
        yield sealed(xml, appid="wx-other")
        yield sealed(xml, aes_key=AES_KEY[::-1])
        yield address.replace("msg_signature=", "msg_signature=0"), body
        yield address, sealed(xml.replace("m", "n", 1))[1]
        yield address.replace("encrypt_type=aes", "encrypt_type=raw"), xml.encode()
        yield sealed(XXE)
        yield address, XXE.encode()


def sealed(xml: str, *, at: int | None = None, appid: str = APPID, aes_key: str = AES_KEY) -> tuple[str, bytes]:
    stamp, nonce = str(at if at is not None else int(time.time())), uuid4().hex[:10]
    body = WeChatCrypto(TOKEN, aes_key, appid).encrypt_message(xml, nonce, stamp).encode()
    parts = sorted([TOKEN, stamp, nonce, wechat.fields(body)["Encrypt"]])
    signature = hashlib.sha1("".join(parts).encode(), usedforsecurity=False).hexdigest()
    query = {"timestamp": stamp, "nonce": nonce, "encrypt_type": "aes", "msg_signature": signature}
    return f"{PATH}?{urlencode(query)}", body


@contextmanager
def _locked() -> Iterator[None]:
    """Somebody else holds the table for longer than WeChat waits for its answer."""
    with closing(psycopg2.connect(os.environ["DATABASE_URL"])) as other:
        other.cursor().execute("LOCK TABLE connectors_landed IN ACCESS EXCLUSIVE MODE")
        release = threading.Timer(landing.WITHIN + 2, other.rollback)
        release.start()
        yield
        release.join()


def _drain() -> None:
    while landing.take(now=clock.now() + timedelta(seconds=1)):
        pass
    landing.take_again(now=clock.now())


def _empty() -> None:
    with connection.cursor() as cursor:
        tables = ", ".join(f'"{model._meta.db_table}"' for model in (Landed, Refusal, Run, Consent, Event, Tenant))
        cursor.execute(f"TRUNCATE {tables} CASCADE")
