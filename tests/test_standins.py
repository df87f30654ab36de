"""The ground all stand-ins stand on: they count by key, and fail in each way that they are told to."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from connectors.http import NotSent, Reply, Unclear, Way
from tests.product import free_port
from tests.standins.base import Asked, Fault, Remote, Said, Standin, main, process, said, serving


class Echo(Standin):
    """Knows a key once and says it."""

    name = "echo"

    def answer(self, asked: Asked) -> Said:
        key = asked.headers["key"]
        if code := self.refusing(asked) or self.refusing(asked, key):
            return said({"code": code}, 400)
        self.took(key, known=key in self.counts.handed)
        return said({"key": key, "path": asked.path, "query": asked.query, "body": asked.body.decode()})


@pytest.fixture
def echo() -> Iterator[Echo]:
    with serving(Echo()) as standin:
        yield standin


def call(standin: Echo | Remote, key: str = "k", *, way: Way | None = None, total: float = 10) -> Reply:
    way = way or Way(total=total)
    return way.call("POST", standin.url + "/send", headers={"Key": key}, body=b"hello", fields={"a": "1 2"})


def test_it_answers_keeps_the_connection_and_counts_by_key(echo: Echo) -> None:
    way = Way()
    for _call in range(3):
        reply = call(echo, "a", way=way)
    assert reply.json() == {"key": "a", "path": "/send", "query": {"a": "1 2"}, "body": "hello"}
    call(echo, "b", way=way)
    assert way.pool.connection_from_url(echo.url).num_connections == 1
    assert (echo.counts.requests, echo.counts.handed, echo.counts.arrived) == (4, {"a": 3, "b": 1}, {"a": 1, "b": 1})
    assert echo.counts.doubles() == 0
    echo.keyless = True
    call(echo, "a", way=way)
    assert echo.counts.doubles() == 1


@pytest.mark.parametrize(
    ("kind", "arrived"),
    [("lost", 0), ("drop", 1), ("reset", 1), ("cut", 1), ("hang", 1), ("garble", 1)],
)
def test_what_fails_after_bytes_have_left_is_unclear(echo: Echo, kind: str, arrived: int) -> None:
    echo.faults = [Fault(kind, times=1)]
    with pytest.raises(Unclear):
        call(echo, total=0.3).json()
    assert echo.counts.arrived.total() == arrived
    assert call(echo).json()["key"] == "k"  # times=1: it is spent
    assert echo.counts.faults == {kind: 1}


def test_it_answers_500_although_it_accepted(echo: Echo) -> None:
    echo.faults = [Fault("fail", times=1)]
    assert call(echo).status == 500
    assert echo.counts.arrived == {"k": 1}


def test_it_answers_late_and_twice(echo: Echo) -> None:
    echo.faults = [Fault("delay", seconds=0.2)]
    began = time.monotonic()
    assert call(echo).status == 200
    assert time.monotonic() - began >= 0.2
    echo.faults = [Fault("twice", times=1)]
    way = Way()
    assert [call(echo, key, way=way).json()["key"] for key in ("a", "b")] == ["a", "b"]  # no answer is another's


def test_codes_follow_their_script_and_accept_nothing(echo: Echo) -> None:
    echo.faults = [Fault("code", code="first", times=1), Fault("code", code="second", times=1)]
    assert [call(echo).body for _call in range(3)][:2] == [b'{"code": "first"}', b'{"code": "second"}']
    assert echo.counts.arrived == {"k": 1}
    echo.faults = [Fault("code", code="only", to="bad")]
    assert [call(echo, key).status for key in ("good", "bad")] == [200, 400]
    echo.faults = [Fault("code", code="elsewhere", path="/other")]
    assert call(echo).status == 200


def test_shares_are_of_all_calls_and_the_dice_are_seeded(echo: Echo) -> None:
    faults = [Fault("fail", share=0.3), Fault("garble", share=0.2)]
    seen = []
    for _round in range(2):
        echo.seed, echo.faults = 7, faults
        echo.forget()
        for _call in range(200):
            call(echo, way=(way := Way()))
            way.close()
        seen.append(dict(echo.counts.faults))
    assert seen[0] == seen[1] == {"fail": 63, "garble": 31}


def test_another_process_is_steered_by_its_addresses() -> None:
    with process("tests.test_standins") as remote:
        remote.set(faults=[Fault("fail", times=1)], keyless=True, seed=3)
        assert [call(remote).status for _call in range(3)] == [500, 200, 200]
        counts = remote.counts()
        assert (counts["requests"], counts["arrived"], counts["doubles"]) == (3, {"k": 3}, 2)
        remote.forget()
        assert remote.counts()["requests"] == 0


def test_nobody_there_is_not_sent() -> None:
    with pytest.raises(NotSent):
        Way().call("GET", f"http://127.0.0.1:{free_port()}")


if __name__ == "__main__":
    main(Echo())
