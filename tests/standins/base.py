"""What every stand-in for a provider has: a keep-alive server on loopback, counts by key, and faults on demand.

In a test's own process:

    with serving(Sms()) as sms:        # sms.url, sms.counts, sms.faults = [Fault("drop", share=0.2)]

In a process of its own, for campaigns and measurements:

    with process("sms") as sms:        # sms.url, sms.counts(), sms.set(faults=[Fault("hang", times=1)])
    python -m tests.standins.sms PORT

A process is steered by `GET` and `POST /__counts` (posting forgets them) and `GET` and `POST /__faults`, whose body
is {"faults": [{"kind": "drop", "share": 0.2}, …], "keyless": false, "seed": 0}; what is left out stays as it is.

One thread serves all connections, so a stand-in needs no locks and does one thing after the other.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from http import HTTPStatus
from typing import Any, ClassVar, TypeVar
from urllib.parse import parse_qsl
from urllib.request import Request as Call
from urllib.request import urlopen

from tests.product import ROOT, free_port

KINDS = {
    "lost",  # the connection is closed before anything is accepted
    "drop",  # accepted, and the connection is closed without an answer
    "reset",  # accepted, and the connection is reset without an answer
    "cut",  # accepted, and the connection is closed in the middle of the answer
    "fail",  # accepted, and the answer is 500
    "garble",  # accepted, and the answer is 200 with what nobody can read
    "hang",  # accepted, and the answer never comes
    "delay",  # accepted, and the answer comes after `seconds`
    "twice",  # accepted, and the answer comes twice
    "code",  # not accepted: the stand-in answers with the provider's error `code`
}


@dataclass(slots=True)
class Fault:
    """One way to fail. The first that fits a call and whose share of the dice is met happens to it."""

    kind: str
    share: float = 1.0  # of the calls; shares of several faults add up
    times: int | None = None  # so many times, then never again
    path: str = ""  # only calls whose path, or action, begins so
    to: str = ""  # with "code": only messages to this address or with this key
    seconds: float = 0.0
    code: str = ""

    def __post_init__(self) -> None:
        assert self.kind in KINDS, f"no fault is called {self.kind}"


@dataclass(slots=True)
class Counts:
    """What a stand-in saw. `handed` and `arrived` count by the message's key."""

    requests: int = 0
    handed: Counter[str] = field(default_factory=Counter)  # how often it was handed over
    arrived: Counter[str] = field(default_factory=Counter)  # how often the person or the system got it
    found: Counter[str] = field(default_factory=Counter)  # how often it was asked about
    refused: Counter[str] = field(default_factory=Counter)  # by the code or the reason it was refused with
    faults: Counter[str] = field(default_factory=Counter)  # by kind

    def doubles(self) -> int:
        """How often somebody got what they had already."""
        return self.arrived.total() - len(self.arrived)


class Asked:
    """A complete request."""

    def __init__(self, method: str, target: str, head: bytes, body: bytes) -> None:
        self.method, self.target, self.head, self.body = method, target, head, body
        self.path, _, self._query = target.partition("?")
        self.action = ""  # what a provider with one path for everything is asked to do

    @cached_property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self._query, keep_blank_values=True))

    @cached_property
    def headers(self) -> dict[str, str]:
        """By lower-case name."""
        pairs = (line.partition(":") for line in self.head.decode("latin-1").split("\r\n")[1:])
        return {name.lower(): value.strip() for name, _, value in pairs}

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(slots=True)
class Said:
    """An answer."""

    body: bytes = b""
    status: int = 200
    content_type: str = "application/json"
    headers: Sequence[tuple[str, str]] = ()

    def wire(self) -> bytes:
        more = "".join(f"{name}: {value}\r\n" for name, value in self.headers)
        head = (
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}\r\nContent-Type: {self.content_type}\r\n"
            f"Content-Length: {len(self.body)}\r\n{more}\r\n"
        )
        return head.encode("latin-1") + self.body


def said(data: Any, status: int = 200, headers: Sequence[tuple[str, str]] = ()) -> Said:
    """An answer of JSON."""
    return Said(json.dumps(data, ensure_ascii=False).encode(), status, headers=headers)


class Standin:
    """A provider. A subclass answers; what is common to all is here."""

    name: ClassVar[str]

    def __init__(self, *, faults: Sequence[Fault] = (), keyless: bool = False, seed: int = 0) -> None:
        self.url = ""  # once it is served
        self.faults = list(faults)
        self.keyless = keyless  # it forgets every key at once: the red twin of one that knows keys
        self.seed = seed
        self.counts = Counts()

    @property
    def seed(self) -> int:
        return self._seed

    @seed.setter
    def seed(self, seed: int) -> None:
        self._seed = seed
        self.dice = random.Random(seed)

    def answer(self, asked: Asked) -> Said:
        """What the provider says."""
        raise NotImplementedError

    def action(self, asked: Asked) -> str:
        """What is to be done, where one path stands for everything; faults may name it as their path."""
        return asked.path

    def forget(self) -> None:
        """Nothing has been seen yet."""
        self.counts = Counts()

    def took(self, key: str, *, known: bool = False) -> None:
        """A message was handed over; it arrives unless its key is known and keys are honoured."""
        self.counts.handed[key] += 1
        if not known or self.keyless:
            self.counts.arrived[key] += 1

    def refusing(self, asked: Asked, *who: str) -> str:
        """The error code that is on the script for this call, or for this message of it; "" if there is none."""
        fault = self._strikes({"code"}, asked, who)
        if fault is None:
            return ""
        self.counts.refused[fault.code] += 1
        return fault.code

    def failing(self, asked: Asked) -> Fault | None:
        """What shall go wrong with this call, beside error codes."""
        return self._strikes(KINDS - {"code"}, asked, ())

    def _strikes(self, kinds: set[str], asked: Asked, who: Sequence[str]) -> Fault | None:
        if not self.faults:
            return None
        reached, drawn = 0.0, self.dice.random()
        for fault in self.faults:
            fits = fault.kind in kinds and asked.action.startswith(fault.path) and bool(fault.to) == bool(who)
            if not fits or fault.times == 0 or (fault.to and fault.to not in who):
                continue
            reached += fault.share
            if drawn < reached:
                if fault.times is not None:
                    fault.times -= 1
                self.counts.faults[fault.kind] += 1
                return fault
        return None

    def more(self, asked: Asked) -> Said:
        """Addresses of its own, /__something."""
        return said({"error": "only /__counts and /__faults"}, 404)

    def steer(self, asked: Asked) -> Said:
        """The addresses by which another process looks and sets."""
        if asked.path == "/__counts":
            if asked.method == "POST":
                self.forget()
            seen = {each.name: getattr(self.counts, each.name) for each in fields(Counts)}
            return said({**seen, "doubles": self.counts.doubles()})
        if asked.path != "/__faults":
            return self.more(asked)
        if asked.method == "POST":
            new = asked.json()
            self.faults = [Fault(**each) for each in new.get("faults", map(asdict, self.faults))]
            self.keyless = new.get("keyless", self.keyless)
            self.seed = new.get("seed", self.seed)
        return said({"faults": [asdict(each) for each in self.faults], "keyless": self.keyless, "seed": self.seed})


class _Connection(asyncio.Protocol):
    """One client, one request after the other."""

    transport: asyncio.Transport

    def __init__(self, standin: Standin) -> None:
        self.standin = standin
        self.waiting = b""
        self.is_busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.waiting += data
        while not self.is_busy and not self.transport.is_closing():
            end = self.waiting.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self.waiting[:end]
            at = head.lower().find(b"\r\ncontent-length:")
            size = int(head[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.waiting) < end + 4 + size:
                return
            body, self.waiting = self.waiting[end + 4 : end + 4 + size], self.waiting[end + 4 + size :]
            method, target, _version = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
            self._serve(Asked(method, target, head, body))

    def _serve(self, asked: Asked) -> None:
        standin = self.standin
        if asked.path.startswith("/__"):
            self.transport.write(standin.steer(asked).wire())
            return
        standin.counts.requests += 1
        asked.action = standin.action(asked)
        fault = standin.failing(asked)
        kind = fault.kind if fault else ""
        if kind == "lost":
            self.transport.close()
            return
        answer = standin.answer(asked)
        match kind:
            case "drop":
                self.transport.close()
            case "reset":
                _linger(self.transport)
                self.transport.abort()
            case "cut":
                wire = answer.wire()
                self.transport.write(wire[: len(wire) - 1 - len(answer.body) // 2])
                self.transport.close()
            case "hang":
                self.is_busy = True
            case "delay":
                assert fault is not None
                self.is_busy = True
                asyncio.get_running_loop().call_later(fault.seconds, self._late, answer.wire())
            case "fail":
                self.transport.write(said({"error": "internal"}, 500).wire())
            case "garble":
                self.transport.write(Said(b"<html>\xff", content_type="text/html").wire())
            case "twice":
                self.transport.write(answer.wire() * 2)
            case _:
                self.transport.write(answer.wire())

    def _late(self, wire: bytes) -> None:
        self.is_busy = False
        if not self.transport.is_closing():
            self.transport.write(wire)
            self.data_received(b"")


def _linger(transport: asyncio.Transport) -> None:
    """Closing shall send a reset."""
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


async def _serve(standin: Standin, port: int, ready: threading.Event, done: asyncio.Event) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(standin), "127.0.0.1", port)
    standin.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    ready.set()
    await done.wait()
    server.close()


S = TypeVar("S", bound=Standin)


@contextmanager
def serving(standin: S, port: int = 0) -> Iterator[S]:
    """The stand-in, served by a thread of this process."""
    ready, loop, done = threading.Event(), asyncio.new_event_loop(), asyncio.Event()
    thread = threading.Thread(
        target=loop.run_until_complete, args=(_serve(standin, port, ready, done),), daemon=True, name=standin.name
    )
    thread.start()
    try:
        assert ready.wait(10), f"the stand-in {standin.name} did not start"
        yield standin
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(10)
        loop.close()


class Remote:
    """A stand-in that is served by another process."""

    def __init__(self, url: str) -> None:
        self.url = url

    def counts(self) -> dict[str, Any]:
        """As `Counts` names them, and `doubles`."""
        found: dict[str, Any] = self.ask("/__counts")
        return found

    def forget(self) -> None:
        self.ask("/__counts", {})

    def set(self, *, faults: Sequence[Fault] | None = None, **more: Any) -> None:
        """`faults` replace those there were; `more` is keyless and seed."""
        self.ask("/__faults", {**({} if faults is None else {"faults": [asdict(each) for each in faults]}), **more})

    def ask(self, path: str, data: Mapping[str, Any] | None = None) -> Any:
        body = None if data is None else json.dumps(data).encode()
        with urlopen(Call(self.url + path, data=body), timeout=10) as answer:
            return json.load(answer)


@contextmanager
def process(name: str, *arguments: str) -> Iterator[Remote]:
    """The stand-in of this name, or of this module, in a process of its own."""
    port = free_port()
    module = name if "." in name else f"tests.standins.{name}"
    command = [sys.executable, "-m", module, str(port), *arguments]
    child = subprocess.Popen(command, cwd=ROOT)
    try:
        deadline = time.monotonic() + 20
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert child.poll() is None, f"the stand-in {name} ended"
            assert time.monotonic() < deadline, f"the stand-in {name} did not start"
            time.sleep(0.02)
        yield Remote(f"http://127.0.0.1:{port}")
    finally:
        child.kill()
        child.wait()


def main(standin: Standin) -> None:
    """Serve until killed, on the port that the command line names."""
    port = int(sys.argv[1])
    sys.stdout.write(f"{standin.name} on http://127.0.0.1:{port}\n")
    sys.stdout.flush()
    asyncio.run(_serve(standin, port, threading.Event(), asyncio.Event()))
