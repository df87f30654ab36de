"""Personal links at touchpoints: who may ask, that the answer tells nothing, that one opens once, and what it opens."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from campaigns import touchpoints
from campaigns.models import Ticket, Touchpoint
from renewal.models import Signature
from tenants import clock, keys
from tenants.models import Alias, Click, Lease, Link, Tenant
from tests.inbound import post
from tests.letter import make_letter, rows, sign_it, without_form_token
from tests.makers import NOW, make_building, make_tenant, make_unit
from tests.touch import make_touchpoint

pytestmark = pytest.mark.django_db

AT = "/api/touchpoints/locker/links"


@pytest.fixture(autouse=True)
def _today() -> None:
    clock.set_to(NOW)


@pytest.fixture
def key() -> str:
    row, secret = keys.make(touchpoints.KEYS, "丰柜", by="mei", now=NOW)
    make_building("B1", name="蓝寓·滨江江晖店")
    make_touchpoint("locker", key=str(row.pk), building="B1")
    make_touchpoint("pay", kind="payment", key=str(row.pk))
    make_touchpoint("lift", kind="lift", key=str(row.pk))
    make_touchpoint("other")
    return secret


@pytest.fixture
def tenant(key: str) -> Tenant:
    """Somebody with a letter, whom the locker knows as 8812."""
    tenant = make_tenant()
    make_letter(tenant=tenant, unit=make_unit("B1-0301A", make_building("B1")))
    Alias.objects.create(source="locker", ref="8812", tenant=tenant, recorded_at=NOW)
    return tenant


def ask(key: str, who: Any = "locker:8812", at: str = AT) -> Any:
    return post(at, {"who": who}, key)


def path(answer: Any) -> str:
    url: str = answer.json()["url"]
    return url.removeprefix("http://127.0.0.1:8000")


def tap(client: Client, where: str, gesture: str = "1") -> Any:
    return client.post(where, {"gesture": gesture})


def test_a_tap_opens_ones_own_letter_once_and_then_the_common_door(key: str, tenant: Tenant) -> None:
    answer = ask(key)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (201, "no-store")
    lives = datetime.fromisoformat(answer.json()["expires_at"]) - NOW
    assert timedelta(minutes=10) <= lives < timedelta(minutes=11)
    where, before = path(answer), rows()
    browser = Client()
    cover = browser.get(where)
    assert "这一年，<br>住在滨江江晖店" in cover.content.decode()
    assert browser.head(where).status_code == 200
    assert rows() == before
    assert not Ticket.objects.exclude(used_at=None).exists()

    opened = tap(browser, where)
    assert (opened.status_code, opened.headers["Location"]) == (303, "/r/letter/")
    link = Link.objects.latest("pk")
    assert link.carrier == f"once:locker:{Ticket.objects.get().pk}"
    assert (link.tenant, Click.objects.get().proof) == (tenant, "gesture")
    assert browser.get("/r/letter/").status_code == 200

    for again in (Client(), browser):
        for method in (again.get, again.head, again.post):
            shut = method(where)
            assert shut.headers["Location"] == "/r/?from=locker"
            assert shut.status_code == 303
    assert Click.objects.count() == 1

    # What it opens still needs the code to sign.
    browser.post("/r/letter/sign", {"code": "000000"})
    assert not Signature.objects.exists()
    sign_it(browser)
    assert Signature.objects.get().signer == tenant


def test_nobody_learns_from_a_ticket_who_lives_here(key: str, tenant: Tenant) -> None:
    with CaptureQueriesContext(
        connection,
    ) as of_known:
        known = ask(key)
    with CaptureQueriesContext(connection) as of_unknown:
        unknown = ask(key, "locker:9999")
    assert (known.status_code, unknown.status_code) == (201, 201)
    assert known.json().keys() == unknown.json().keys()
    assert [len(path(each)) for each in (known, unknown)] == [34, 34]
    assert len(of_known) - len(of_unknown) in {0, 1}  # the first call of a key notes its use
    covers = [without_form_token(Client().get(path(each))).replace(path(each), "") for each in (known, unknown)]
    assert covers[0] == covers[1]
    assert tap(Client(), path(unknown)).headers["Location"] == "/r/?from=locker"
    assert tap(Client(), path(unknown)).headers["Location"] == "/r/?from=locker"
    # Somebody known without a lease to renew is led to the door as well.
    guest = make_tenant()
    Alias.objects.create(source="locker", ref="77", tenant=guest, recorded_at=NOW)
    assert tap(Client(), path(ask(key, "locker:77"))).headers["Location"] == "/r/?from=locker"
    assert not Click.objects.exists()


def test_a_ticket_ends_after_minutes_with_a_pause_and_for_a_guess(key: str, tenant: Tenant) -> None:
    late, paused = path(ask(key)), path(ask(key))
    clock.set_to(NOW + timedelta(minutes=10, seconds=1))
    assert tap(Client(), late).headers["Location"] == "/r/?from=locker"
    clock.set_to(NOW)
    touchpoints.pause(Touchpoint.objects.get(code="locker").pk, why="维修", by=None, now=NOW)
    assert tap(Client(), paused).headers["Location"] == "/r/?from=locker"
    assert ask(key).status_code == 410
    for guess in ("a" * 26, "x", "%00", "A" * 5000):
        assert Client().get(f"/r/once/{guess}").headers["Location"] == "/r/"
        assert tap(Client(), f"/r/once/{guess}").headers["Location"] == "/r/"
    assert not Click.objects.exists()


def test_without_a_gesture_it_opens_and_proves_nothing(key: str, tenant: Tenant) -> None:
    assert tap(Client(), path(ask(key)), gesture="").headers["Location"] == "/r/letter/"
    assert Click.objects.get().proven_at is None


def test_only_the_key_of_a_touchpoint_asks_and_only_by_what_such_a_place_knows(key: str, tenant: Tenant) -> None:
    contract = f"contract:{Lease.objects.get().contract_no}"
    _row, stranger = keys.make(touchpoints.KEYS, "别家", by="mei", now=NOW)
    _row, app = keys.make("cloudevents", "别的", by="mei", now=NOW)
    assert [ask(secret).status_code for secret in (stranger, app, "", "x" * 300)] == [404, 401, 401, 401]
    assert [ask(key, at=f"/api/touchpoints/{code}/links").status_code for code in ("other", "nothing")] == [404, 404]
    of_no_use = (contract, "phone:13800000000", "locker:", "8812", "", None, 8812, ["locker:8812"], "tenant:1")
    for who in (*of_no_use, "locker:" + "9" * 129, "locker:\0", "locker:\ud800"):
        assert ask(key, who).status_code == 400, who
    assert ask(key, contract, "/api/touchpoints/pay/links").status_code == 201
    assert ask(key, contract, "/api/touchpoints/lift/links").status_code == 400
    assert post(AT, b"[", key).status_code == 400
    assert post(AT, [], key).status_code == 400
    keys.revoke(keys.find([touchpoints.KEYS], key), now=NOW)  # type: ignore[arg-type]
    assert ask(key).status_code == 401


def test_whoever_was_merged_gets_the_letter_of_who_they_are(key: str, tenant: Tenant) -> None:
    other = make_tenant("林晓二", merged_into=tenant)
    Alias.objects.create(source="locker", ref="55", tenant=other, recorded_at=NOW)
    assert tap(Client(), path(ask(key, "locker:55"))).headers["Location"] == "/r/letter/"
    assert Link.objects.latest("pk").tenant == tenant


def test_old_tickets_are_put_away_and_no_token_is_kept(key: str, tenant: Tenant) -> None:
    token = path(ask(key)).removeprefix("/r/once/")
    assert token not in str(list(Ticket.objects.values()))
    clock.set_to(NOW + timedelta(days=7, minutes=11))
    ask(key)
    assert Ticket.objects.count() == 1
