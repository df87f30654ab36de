"""What a broken or hostile sender may cost the real web process: each bad body is refused with a reason, in under two
seconds of the processor and 200 MB of memory, and the good call beside it is there.
"""

from __future__ import annotations

import gzip
import hashlib
import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

import psutil
import pytest

from connectors.models import Landed, Refusal
from tenants import clock
from tenants.models import Alias, Event
from tests import cost
from tests.inbound import drain, make_key
from tests.makers import NOW, make_tenant
from tests.test_inbound_live import env, web  # noqa: F401 - fixtures

pytestmark = pytest.mark.django_db(transaction=True)

MB = 1 << 20
TOKEN = "lan-yu"


def call(number: str, **facts: Any) -> dict[str, Any]:
    return {"messageId": number, "userId": "u1", "event": "Facility Used", "properties": {"facility": "gym"}, **facts}


def pieces() -> Iterator[bytes]:
    """A body in pieces that would go on for long."""
    for _piece in range(200):
        yield b" " * 65_536


# what, body, headers
CASES: list[tuple[str, Any, dict[str, str]]] = [
    ("nothing", b"", {}),
    ("1 MB of blanks", b" " * MB, {}),
    ("1 MB of a call", json.dumps(call("mb", note="x" * MB)).encode(), {}),
    ("not UTF-8", b'{"userId":"\xff\xfe"}', {}),
    ("depth 10,000", b"[" * 10_000 + b"]" * 10_000, {}),
    ("depth 10,000 inside", b'{"userId":"u1","a":' * 10_000 + b"1" + b"}" * 10_000, {}),
    ("NaN", b'{"userId":"u1","event":"x","value":NaN}', {}),
    ("100,000 digits", b'{"userId":"u1","value":' + b"9" * 100_000 + b"}", {}),
    ("a list", b"[]", {}),
    ("a wrong type", json.dumps(call("wt", event=7)).encode(), {}),
    ("no user", json.dumps(call("nu", userId="")).encode(), {}),
    ("an unknown facility", json.dumps(call("uf", properties={"facility": "sauna"})).encode(), {}),
    ("a bomb of 200 MB", gzip.compress(b" " * (200 * MB), compresslevel=1)[: MB // 2], {"Content-Encoding": "gzip"}),
    ("a bomb of brackets", gzip.compress(b"[" * (5 * MB)), {"Content-Encoding": "gzip"}),
    ("no gzip", b"not gzip", {"Content-Encoding": "gzip"}),
    ("pieces without end", pieces, {"Transfer-Encoding": "chunked"}),
]


def post(
    port: int, key: str, body: bytes | Iterable[bytes], *, to: str = "/v1/track", **headers: str
) -> tuple[int, str]:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    whole = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", **headers}
    try:
        client.request("POST", to, body, whole, encode_chunked=not isinstance(body, bytes))
        answer = client.getresponse()
        return answer.status, answer.read().decode()
    except (BrokenPipeError, ConnectionResetError):  # it has heard enough, and hung up before it was told all
        return 400, "hung up"
    finally:
        client.close()


def worker_of(port: int) -> int:
    """The process that answers: gunicorn's child."""
    for process in psutil.Process().children():
        if f"127.0.0.1:{port}" in process.cmdline():
            (child,) = process.children()
            return child.pid
    raise AssertionError("gunicorn is not there")


def test_a_bad_body_costs_the_web_process_little_and_its_neighbours_nothing(web: int) -> None:  # noqa: F811
    clock.set_to(NOW)
    Alias.objects.create(source="app", ref="u1", tenant=make_tenant(), recorded_at=NOW)
    key = make_key("segment")
    assert post(web, key, json.dumps(call("warm")).encode())[0] == 200
    pid = worker_of(web)
    start = cost.of(pid)
    wrong = []
    for number, (what, body, headers) in enumerate(CASES):
        before = cost.of(pid)
        status, said = post(web, key, body() if callable(body) else body, **headers)
        seconds = cost.of(pid).seconds - before.seconds
        assert post(web, key, json.dumps(call(f"good-{number}")).encode())[0] == 200, what
        Refusal.objects.all().delete()
        drain()
        refused = (400 <= status < 500 and said) or list(Refusal.objects.values_list("reason", flat=True))
        if not refused or seconds >= 2:
            wrong.append((what, status, said, round(seconds, 2)))
        assert Event.objects.filter(source_id=f"good-{number}").exists(), what
    assert wrong == []
    assert worker_of(web) == pid  # nothing brought it down
    assert cost.of(pid).most_mb - start.mb < 200


LAUGHS = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
HOSTILE: list[tuple[str, Any, dict[str, str]]] = [
    ("nothing", b"", {}),
    ("1 MB of blanks", b" " * MB, {}),
    ("not UTF-8", b"<xml>\xff\xfe{", {}),
    ("depth 10,000", b"[" * 10_000 + b"]" * 10_000, {}),
    ("elements 10,000 deep", b"<a>" * 10_000 + b"</a>" * 10_000, {}),
    ("a billion laughs", f'<!DOCTYPE x [<!ENTITY a0 "ha">{LAUGHS}]><xml><A>&a9;</A></xml>'.encode(), {}),
    ("10,000 fields", b"&".join(b"a%d=1" % n for n in range(10_000)), {}),
    ("a bomb of 200 MB", gzip.compress(b" " * (200 * MB), compresslevel=1)[: MB // 2], {"Content-Encoding": "gzip"}),
    ("pieces without end", pieces, {"Transfer-Encoding": "chunked"}),
]
ADDRESSES = [
    ("/api/events", "cloudevents", "application/cloudevents+json"),
    ("/api/sources/ttlock", "ttlock", "application/x-www-form-urlencoded"),
    ("/api/sources/wechat", "", "text/xml"),
]


@pytest.fixture(autouse=True)
def _account(monkeypatch: pytest.MonkeyPatch) -> None:
    """The web process has an official account."""
    monkeypatch.setenv("WECHAT_TOKEN", TOKEN)


@pytest.mark.parametrize(("path", "source", "kind"), ADDRESSES)
def test_so_it_is_at_every_address_for_senders(path: str, source: str, kind: str, web: int) -> None:  # noqa: F811
    clock.set_to(NOW)
    key = make_key(source) if source else ""
    stamp = str(int(time.time()))
    signed = hashlib.sha1("".join(sorted([TOKEN, stamp, "n"])).encode()).hexdigest()
    to = path if source else f"{path}?timestamp={stamp}&nonce=n&signature={signed}"
    pid = worker_of(web)
    start = cost.of(pid)
    wrong = []
    for what, body, headers in HOSTILE:
        before = cost.of(pid)
        whole = {"Content-Type": kind, **headers}
        status, said = post(web, key, body() if callable(body) else body, to=to, **whole)
        seconds = cost.of(pid).seconds - before.seconds
        if not 400 <= status < 500 or not said or seconds >= 2:
            wrong.append((what, status, said, round(seconds, 2)))
    assert wrong == []
    assert worker_of(web) == pid
    assert cost.of(pid).most_mb - start.mb < 200
    assert not Landed.objects.exists()


def test_a_process_that_costs_too_much_is_seen() -> None:
    """What the tests of bad calls and bad messages measure by would show it."""
    burn = "\n".join(
        [
            "import time",
            "held = bytearray(300 << 20)",
            "while time.process_time() < 2.5: pass",
            "print(flush=True)",
            "input()",
        ]
    )
    with subprocess.Popen([sys.executable, "-c", burn], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        spent = cost.of(process.pid)
        process.communicate(b"\n")
    assert spent.seconds >= 2
    assert spent.most_mb > 200
