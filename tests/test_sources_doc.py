"""Every call of docs/sources.md is made as it stands there, against a running server, and does what the page says."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import shlex
import shutil
import subprocess
import time
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus, urlsplit

import pytest

from connectors.models import Refusal
from tenants import clock, listening
from tenants.models import Alias, Consent, Event, Lease
from tests.inbound import drain, make_key
from tests.makers import NOW, make_device, make_lease, make_tenant, make_unit
from tests.product import ROOT

pytestmark = pytest.mark.django_db(transaction=True)
TOKEN = "lan-yu"
Answer = tuple[int, str]

# What each call is answered, and what is then stored: kind, its number at the source, its data.
GYM = {"facility": "shared_kitchen"}
EXPECTED: dict[str, list[tuple[str, Answer, list[tuple[str, str, Any]]]]] = {
    "TTLock": [("ttlock", (200, "success"), [("door.opened", "ttlock:4711:1764550740000:4", {"way": "code"})])],
    "Segment": [
        ("segment", (200, '{"success": true}'), [("facility.used", "booking-17", GYM)]),
        ("segment-server", (200, '{"success": true}'), [("profile.stated", "sign-in-17", {})]),
        (
            "segment",
            (200, '{"success": true}'),
            [("app.viewed", "page-1", {"name": "price"}), ("app.viewed", "screen-1", {"name": "renewal"})],
        ),
    ],
    "CloudEvents": [
        (
            "cloudevents",
            (202, ""),
            [("payment.made", "/finance pay-1", {"item": "rent", "amount": "3800.00", "due_on": "2025-12-01"})],
        ),
        (
            "cloudevents",
            (202, ""),
            [
                (
                    "ticket.reported",
                    "/tickets T-1#reported",
                    {"ticket": "T-1", "category": "water", "channel": "desk", "text": "厨房漏水"},
                )
            ],
        ),
        (
            "cloudevents",
            (202, ""),
            [
                ("bill.issued", "/bills B-11#issued", {"bill": "B-11", "amount": "128.40", "month": "2025-11"}),
                ("mood.given", "/bills B-11#mood", {"bill": "B-11", "mood": "good"}),
            ],
        ),
    ],
    "WeChat": [
        (
            "",
            (200, "success"),
            [
                (
                    "ticket.reported",
                    "23847101",
                    {"ticket": "WX23847101", "category": "water", "channel": "wechat", "text": "厨房水管漏水了"},
                )
            ],
        )
    ],
}


def blocks() -> dict[str, list[str]]:
    """The commands of the page, by the heading they stand under."""
    found: dict[str, list[str]] = {}
    for part in re.split(r"^## ", (ROOT / "docs" / "sources.md").read_text(), flags=re.MULTILINE)[1:]:
        found[part.partition("\n")[0]] = re.findall(r"^```sh\n(.*?)^```$", part, flags=re.MULTILINE | re.DOTALL)
    return found


COMMANDS = blocks()
CALLS = {heading: [each for each in some if "curl " in each] for heading, some in COMMANDS.items()}
HTTP = [(heading, n) for heading, some in CALLS.items() for n in range(len(some))]


def by_curl(block: str, env: dict[str, str]) -> Answer:
    """A shell runs the words of the page; curl says the status after the body."""
    told = 'curl() { command curl -sS -w "\\n%{http_code}" "$@"; }\n' + block
    done = subprocess.run(
        ["sh", "-c", told], env={**os.environ, **env}, capture_output=True, text=True, check=True, timeout=60
    )
    body, _line, status = done.stdout.rpartition("\n")
    return int(status), body


def by_hand(block: str, env: dict[str, str]) -> Answer:
    """The same where curl is missing: its words are read as a shell would, and sent."""
    call = block[block.index("curl ") :].replace("\\\n", " ")
    words = shlex.split(re.sub(r"\$(\w+)", lambda name: env[name[1]], call))[1:]
    address, headers, data, encoded = "", {}, "", []
    while words:
        match words.pop(0):
            case "-H":
                name, _colon, value = words.pop(0).partition(":")
                headers[name] = value.strip()
            case "-u":
                headers["Authorization"] = "Basic " + b64encode(words.pop(0).encode()).decode()
            case "-d":
                data = words.pop(0).replace("\n", "")  # as curl does
            case "--data-urlencode":
                name, _sign, value = words.pop(0).partition("=")
                encoded.append(f"{name}={quote_plus(value)}")
            case word:
                assert not word.startswith("-") and not address, word  # noqa: PT018
                address = word
    headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
    url = urlsplit(address)
    client = http.client.HTTPConnection(url.netloc, timeout=60)
    client.request("POST", f"{url.path}?{url.query}", (data or "&".join(encoded)).encode(), headers)
    answer = client.getresponse()
    return answer.status, answer.read().decode()


@pytest.fixture
def lease(settings: Any) -> Lease:
    """林晓 of the page: a contract, a room with its devices, an account, and consent to door logs."""
    clock.set_to(NOW)
    settings.WECHAT_TOKEN, settings.WECHAT_APPID, settings.WECHAT_AES_KEY = TOKEN, "wx1", ""
    unit = make_unit("B1-0301")
    for ref, what in (("4711", "lock"), ("E-0301", "power"), ("S-0301", "water")):
        make_device(unit, ref, what)
    tenant = make_tenant(phone="13800000017")
    for source, ref in (("app", "u-17"), ("anonymous", "device-4f2a"), ("wechat", "oLin")):
        Alias.objects.create(source=source, ref=ref, tenant=tenant, recorded_at=NOW)
    Consent.objects.create(
        tenant=tenant, purpose="door_logs", channel="any", granted=True, at=datetime(2025, 1, 1, tzinfo=UTC),
        text_version="1", proof="入住登记", recorded_at=NOW,
    )  # fmt: skip
    return make_lease(tenant, unit, contract_no="HT000017")


def test_the_page_holds_the_calls_that_are_expected_of_it() -> None:
    assert {heading: len(some) for heading, some in CALLS.items() if some} == {
        heading: len(some) for heading, some in EXPECTED.items()
    }


@pytest.mark.parametrize("send", [by_curl, by_hand])
@pytest.mark.parametrize(("heading", "n"), HTTP)
def test_a_call_of_the_page_is_answered_and_taken_in_as_it_says(
    lease: Lease, live_server: Any, heading: str, n: int, send: Callable[[str, dict[str, str]], Answer]
) -> None:
    if send is by_curl and shutil.which("curl") is None:
        pytest.skip("curl is not installed: the calls of docs/sources.md are made by Python only")
    sender, answer, events = EXPECTED[heading][n]
    stamp = str(int(time.time()))
    signature = hashlib.sha1("".join(sorted([TOKEN, stamp, "1847"])).encode(), usedforsecurity=False).hexdigest()
    env = {"HOST": live_server.url, "KEY": make_key(sender) if sender else "", "WECHAT_TOKEN": TOKEN}
    if send is by_hand:
        env |= {"TIME": stamp, "NONCE": "1847", "SIGNATURE": signature}
    for _again in range(2):  # sending a call again changes nothing
        assert send(CALLS[heading][n], env) == answer
        drain()
        assert sorted(Event.objects.values_list("kind", "source_id", "data")) == events
    assert set(Event.objects.values_list("tenant", flat=True)) == {lease.tenants.get().pk}
    assert Refusal.objects.count() == 0
    if sender:
        assert send(CALLS[heading][n], env | {"KEY": "another"})[0] == 401
    else:
        assert send(CALLS[heading][n], env | {"WECHAT_TOKEN": "another", "SIGNATURE": "0" * 40})[0] == 403


def test_what_the_page_publishes_by_mqtt_is_taken_in(lease: Lease) -> None:
    said = []
    for command in " ".join(COMMANDS["MQTT"]).split("mosquitto_pub")[1:]:
        words = shlex.split(command)
        said.append((words[words.index("-t") + 1], words[words.index("-m") + 1].encode()))
    counts = listening.take(said, now=NOW)
    assert (counts.accepted, counts.refused) == (3, [])
    assert sorted(Event.objects.values_list("kind", "source_id", "tenant")) == [
        ("door.opened", "4711-77", lease.tenants.get().pk),
        ("power.read", "E-0301-8821", lease.tenants.get().pk),
        ("water.read", "S-0301-412", lease.tenants.get().pk),
    ]


def test_both_readmes_lead_to_the_page() -> None:
    for name in ("README.md", "README.zh-CN.md"):
        assert "(docs/sources.md)" in (ROOT / name).read_text(), name
