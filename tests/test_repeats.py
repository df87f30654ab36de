"""A request to sign that comes again: one signature, one answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from renewal import signing
from renewal.models import Code, Repeat, Signature
from tenants import clock
from tests.letter import digits_of, hidden, make_letter, opened
from tests.makers import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _it_is_ten_in_the_morning(db: None) -> None:
    clock.set_to(NOW)


def at_the_code(client: Client, carrier: str = "message:push:1") -> str:
    """A browser where the code is to be typed; the key its form carries."""
    _link, token = make_letter(carrier)
    opened(client, token)
    quote = hidden(client.get("/r/letter/agreement"), "quote")
    client.post("/r/letter/code", {"quote": quote, "agree": "1"})
    return hidden(client.get("/r/letter/code"), "once")


def wrong() -> str:
    return f"{(int(digits_of()) + 1) % 1_000_000:06}"


def test_the_form_s_key_and_the_header_s_get_the_answer_they_got(client: Client) -> None:
    once = at_the_code(client)
    bad = [client.post("/r/letter/sign", {"code": wrong(), "once": once}) for _time in range(3)]
    assert {page.status_code for page in bad} == {422}
    assert len({page.content for page in bad}) == 1
    fresh = hidden(bad[0], "once")
    assert fresh != once
    headers = {"Idempotency-Key": "a-client-s-own"}
    signed = [client.post("/r/letter/sign", {"code": digits_of()}, headers=headers) for _time in range(3)]
    assert {(page.status_code, page["Location"], page.content) for page in signed} == {(303, "/r/letter/done", b"")}
    assert Signature.objects.count() == 1
    assert Repeat.objects.count() == 2


def test_a_wrong_code_sent_twice_costs_one_try(client: Client) -> None:
    once = at_the_code(client)
    for _time in range(4):
        client.post("/r/letter/sign", {"code": wrong(), "once": once})
    assert Code.objects.get().tries == 1


def test_a_key_with_something_else_is_422_and_signs_nothing(client: Client) -> None:
    once = at_the_code(client)
    client.post("/r/letter/sign", {"code": wrong(), "once": once})
    other = client.post("/r/letter/sign", {"code": digits_of(), "once": once})
    assert other.status_code == 422
    assert "内容与这次不同" in other.content.decode()
    assert not Signature.objects.exists()
    assert client.post("/r/letter/sign", {"code": digits_of(), "once": hidden(other, "once")}).status_code == 303


def test_a_key_is_its_link_s_own(client: Client) -> None:
    at_the_code(client)
    headers = {"Idempotency-Key": "1"}
    assert client.post("/r/letter/sign", {"code": digits_of()}, headers=headers).status_code == 303
    second = Client()
    at_the_code(second, "message:push:2")
    assert second.post("/r/letter/sign", {"code": digits_of()}, headers=headers).status_code == 303
    assert Signature.objects.count() == 2


def test_while_one_is_acted_on_the_same_one_waits(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    once = at_the_code(client)
    said = {"code": digits_of(), "once": once}
    meanwhile: list[Any] = []
    real = signing.sign

    def slow(*args: Any, **facts: Any) -> Any:
        meanwhile.append(client.post("/r/letter/sign", said))
        done = real(*args, **facts)
        meanwhile.append(client.post("/r/letter/sign", said))
        meanwhile.append(client.post("/r/letter/sign", {**said, "code": "000000"}))
        return done

    monkeypatch.setattr(signing, "sign", slow)
    assert client.post("/r/letter/sign", said)["Location"] == "/r/letter/done"
    before, after, other = meanwhile
    assert (before.status_code, before["Retry-After"]) == (409, "5")
    assert "正在写入您的签名" in before.content.decode()
    assert 'href="/r/letter/done"' in before.content.decode()
    assert (after.status_code, after["Location"]) == (303, "/r/letter/done")  # it stands: no need to wait
    assert other.status_code == 422
    assert Signature.objects.count() == 1


def test_whoever_died_at_it_is_followed_after_a_minute(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    once = at_the_code(client)
    said = {"code": digits_of(), "once": once}

    class Killed(BaseException):
        pass

    def dies(*_args: Any, **_facts: Any) -> None:
        raise Killed

    with monkeypatch.context() as killed:
        killed.setattr(signing, "sign", dies)
        killed.setattr("renewal.repeats.let_go", lambda claim: None)  # who is killed lets go of nothing
        with pytest.raises(Killed):
            client.post("/r/letter/sign", said)
    assert client.post("/r/letter/sign", said).status_code == 409
    clock.set_to(NOW + timedelta(minutes=2))
    assert client.post("/r/letter/sign", said)["Location"] == "/r/letter/done"
    assert Repeat.objects.get().status == 303


def test_what_failed_may_be_sent_again_with_its_key(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    once = at_the_code(client)
    said = {"code": digits_of(), "once": once}

    def busy(*_args: Any, **_facts: Any) -> None:
        raise signing.Busy

    with monkeypatch.context() as slow:
        slow.setattr(signing, "sign", busy)
        assert client.post("/r/letter/sign", said).status_code == 503
    assert not Repeat.objects.exists()
    assert client.post("/r/letter/sign", said).status_code == 303


def test_no_digits_and_no_token_are_kept(client: Client) -> None:
    once = at_the_code(client)
    client.post("/r/letter/sign", {"code": digits_of(), "once": once})
    assert digits_of() not in str(Repeat.objects.values())


@pytest.mark.parametrize("key", ["", " ", "a" * 65, "空", "a b"])
def test_what_is_no_key_is_none(client: Client, key: str) -> None:
    at_the_code(client)
    assert client.post("/r/letter/sign", {"code": digits_of(), "once": key}).status_code == 303
    assert not Repeat.objects.exists()


def test_old_answers_go(client: Client) -> None:
    once = at_the_code(client)
    client.post("/r/letter/sign", {"code": wrong(), "once": once})
    Repeat.objects.update(at=NOW - timedelta(days=121))
    client.post("/r/letter/sign", {"code": wrong(), "once": "another"})
    assert [row.key for row in Repeat.objects.all()] == ["another"]
