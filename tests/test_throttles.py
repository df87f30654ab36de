"""How often a letter is looked at, opened and signed, at most; and that many behind one address keep their letters."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from renewal import throttles
from renewal.models import Signature, Tally
from tenants import clock
from tests.letter import digits_of, hidden, make_letter, opened, sign_it
from tests.makers import NOW

pytestmark = pytest.mark.django_db

UNKNOWN = [f"{'abcdefghij'[n % 10] * 25}{'klmnopqrst'[n // 10]}" for n in range(100)]


@pytest.fixture(autouse=True)
def _it_is_ten_in_the_morning(db: None) -> None:
    clock.set_to(NOW)


def test_eleven_unknown_links_from_an_address_are_one_too_many(client: Client) -> None:
    _link, token = make_letter()
    pages = [client.get(f"/r/{each}") for each in UNKNOWN[:12]]
    assert [page.status_code for page in pages] == [404] * 10 + [429] * 2
    late = pages[-1]
    assert 0 < int(late["Retry-After"]) <= 60
    assert "请稍等片刻" in late.content.decode()
    assert (
        "Please wait a moment." in client.get(f"/r/{UNKNOWN[13]}", headers={"accept-language": "en"}).content.decode()
    )
    assert late["Cache-Control"] == "no-store"
    # Who has a letter is not turned away for what others at the same address try.
    assert client.get(f"/r/{token}").status_code == 200
    assert opened(client, token).status_code == 303
    assert client.get("/r/letter/").status_code == 200
    # Nor is anybody elsewhere.
    assert Client(REMOTE_ADDR="198.51.100.7").get(f"/r/{UNKNOWN[14]}").status_code == 404
    clock.set_to(NOW + timedelta(minutes=1, seconds=1))
    assert client.get(f"/r/{UNKNOWN[15]}").status_code == 404


@pytest.mark.parametrize("method", ["get", "head", "post"])
def test_tokens_are_counted_whatever_is_asked_of_them(method: str) -> None:
    client = Client()
    ways = ("", "/open", "/", "/agreement", "/sign")
    codes = [getattr(client, method)(f"/r/{each}{ways[n % 5]}").status_code for n, each in enumerate(UNKNOWN[:30])]
    assert codes.count(429) >= 4
    assert set(codes[-5:]) <= {429, 405}


def test_unknown_tickets_are_counted_too(client: Client) -> None:
    codes = [client.get(f"/r/once/{each}").status_code for each in UNKNOWN[:12]]
    assert codes == [303] * 10 + [429] * 2


def test_a_letter_is_looked_at_thirty_times_a_minute(client: Client) -> None:
    _link, token = make_letter()
    assert [client.get(f"/r/{token}").status_code for _time in range(31)] == [200] * 30 + [429]
    _other, second = make_letter("message:push:2")
    assert client.get(f"/r/{second}").status_code == 200
    opened(client, second)
    assert [client.get("/r/letter/decline").status_code for _time in range(30)][-2:] == [200, 429]


def test_the_door_is_looked_at_sixty_times_a_minute_from_an_address(client: Client) -> None:
    assert [client.get("/r/").status_code for _time in range(61)] == [200] * 60 + [429]
    assert Client(REMOTE_ADDR="198.51.100.7").get("/r/").status_code == 200
    reader = Client()
    _link, token = make_letter()
    opened(reader, token)
    assert reader.get("/r/").status_code == 200  # whose letter is open is counted by it


def test_a_letter_is_opened_ten_times_a_minute() -> None:
    _link, token = make_letter()
    assert [opened(Client(), token, gesture="").status_code for _time in range(11)] == [303] * 10 + [429]
    assert Tally.objects.get().n == 11


def test_the_sixth_try_to_sign_in_an_hour_is_refused_even_with_the_right_code(client: Client) -> None:
    _link, token = make_letter()
    opened(client, token)
    client.post("/r/letter/code", {"quote": hidden(client.get("/r/letter/agreement"), "quote"), "agree": "1"})
    wrong = f"{(int(digits_of()) + 1) % 1_000_000:06}"
    assert [client.post("/r/letter/sign", {"code": wrong}).status_code for _time in range(5)] == [422] * 5
    late = client.post("/r/letter/sign", {"code": digits_of()})
    assert (late.status_code, 0 < int(late["Retry-After"]) <= 3600) == (429, True)
    assert not Signature.objects.exists()
    clock.set_to(NOW + timedelta(hours=1, seconds=1))
    assert sign_it(client)["Location"] == "/r/letter/done"


def test_an_alarm_is_said_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="renewal.throttles"):
        for n in range(150):
            try:
                throttles.miss(address=f"198.51.100.{n}", now=NOW)
            except throttles.TooOften:
                pytest.fail("no address tried more than one")
    assert [record.getMessage() for record in caplog.records] == [
        "More than 100 unknown links were tried within a minute."
    ]


class Away:
    """Counters that cannot be reached."""

    def __init__(self) -> None:
        self.asked = 0

    def add(self, *_args: Any, **_facts: Any) -> None:
        self.asked += 1
        raise ConnectionError


def test_pages_stay_open_without_their_counters_and_signing_stays_counted(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = Away()
    monkeypatch.setattr(throttles, "caches", {"counters": away})
    monkeypatch.setattr(throttles, "_away_until", float("-inf"))
    assert [client.get("/r/").status_code for _time in range(61)][-1] == 200
    assert away.asked == 1  # not every page waits for what does not answer
    _link, token = make_letter()
    assert [opened(Client(), token, gesture="").status_code for _time in range(11)][-1] == 429


@pytest.mark.parametrize(
    ("proxies", "said", "seen"),
    [
        (0, "203.0.113.9", "127.0.0.1"),
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "10.0.0.1, 203.0.113.9", "203.0.113.9"),  # what stands before it, anybody can say
        (2, "203.0.113.9, 10.0.0.1", "203.0.113.9"),
        (1, "", "127.0.0.1"),
        (2, "203.0.113.9", "127.0.0.1"),
    ],
)
def test_the_address_is_what_our_own_proxy_saw(proxies: int, said: str, seen: str, settings: Any) -> None:
    from renewal import visitors

    settings.PROXIES = proxies
    facts = {"REMOTE_ADDR": "127.0.0.1"} | ({"HTTP_X_FORWARDED_FOR": said} if said else {})
    assert visitors.address(facts) == seen


def test_of_ipv6_a_customer_s_network_counts_as_one() -> None:
    assert throttles.net_of("2001:db8:1:2:3:4:5:6") == throttles.net_of("2001:db8:1:2::1") == "2001:db8:1:2::"
    assert throttles.net_of("2001:db8:1:3::1") != throttles.net_of("2001:db8:1:2::1")
    assert (throttles.net_of("203.0.113.9"), throttles.net_of("<b>")) == ("203.0.113.9", "unknown")
