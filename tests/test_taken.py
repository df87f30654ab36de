"""Two who sign for one room: one gets it, the other is told kindly and goes on from there. Through HTTP."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import translation

from renewal import quotes
from renewal.models import Case, Hold, Signature
from tenants import clock, codes
from tenants.models import Lease, Message
from tests.letter import hidden, make_letter, opened, publish
from tests.makers import NOW, make_unit

pytestmark = pytest.mark.django_db

ROOM = "B1-0909"


def about_to_sign(carrier: str) -> tuple[Client, Lease, str]:
    """A browser one step before the signature for the one free large room, and the digits that were sent."""
    link, token = make_letter(carrier)
    client = Client()
    opened(client, token)
    client.post("/r/letter/agreement", {"tab": "move", "unit": ROOM, "term": "12", "free": "0"})
    page = client.get("/r/letter/agreement")
    Hold.objects.all().delete()  # both have had the room kept, one after the other
    client.post("/r/letter/code", {"quote": hidden(page, "quote"), "agree": "1"})
    Hold.objects.all().delete()
    message = Message.objects.filter(key__startswith="code:").latest("pk")
    return client, link.lease, codes.digits(message.key)


def test_one_gets_the_room_and_the_other_is_shown_what_else_there_is() -> None:
    clock.set_to(NOW)
    large = make_unit(ROOM, room_type="朝南大一居", list_rent=Decimal("4500.00"))
    publish(large.building, {"朝北一居": {(12, 0): "3600.00"}})
    make_unit("B1-0808", room_type="朝北一居", list_rent=Decimal("3600.00"))
    first, _their_lease, their_digits = about_to_sign("message:push:1")
    second, lease, digits = about_to_sign("message:push:2")
    assert first.post("/r/letter/sign", {"code": their_digits})["Location"] == "/r/letter/done"
    before = state(lease)
    answer = second.post("/r/letter/sign", {"code": digits})
    assert answer.status_code == 409
    page = answer.content.decode()
    with translation.override("zh-hans"):
        assert f"<h1>{quotes.RoomGone.sentence}</h1>" in page
    assert "没有签成，您现在住的房间还是您的。" in page
    assert re.findall(r'instead-name">([^<]+)', page) == [
        "留在现在的房间", "朝南一居", "朝北一居",  # the second is the one that the first has just left
    ]  # fmt: skip
    assert re.findall(r"instead-rent\"><b>([^<]+)", page) == ["3,900", "3,900", "3,600"]
    assert ROOM not in page
    assert state(lease) == before

    # One press from here is the agreement for the room that is free; and staying would have been one press, too.
    assert 'action="/r/letter/agreement"' in page
    second.post("/r/letter/agreement", {"tab": "move", "unit": "B1-0808", "term": "12", "free": "0"})
    agreed = second.get("/r/letter/agreement")
    assert "月租 3,600.00 元" in agreed.content.decode()
    second.post("/r/letter/code", {"quote": hidden(agreed, "quote"), "agree": "1"})
    # The minute between two codes has not passed; the one that was sent is still good, for what was agreed to last.
    assert second.post("/r/letter/sign", {"code": digits})["Location"] == "/r/letter/done"
    assert Lease.objects.get(renews=lease).unit.code == "B1-0808"
    assert Lease.objects.filter(unit=large, state="signed").count() == 1


def test_whoever_goes_back_to_the_letter_finds_their_own_room() -> None:
    clock.set_to(NOW)
    make_unit(ROOM, room_type="朝南大一居", list_rent=Decimal("4500.00"))
    first, _lease, their_digits = about_to_sign("message:push:1")
    second, _mine, digits = about_to_sign("message:push:2")
    first.post("/r/letter/sign", {"code": their_digits})
    assert second.post("/r/letter/sign", {"code": digits}).status_code == 409
    page = second.get("/r/letter/").content.decode()
    assert ROOM not in page
    assert "3,900" in page


def state(lease: Lease) -> Any:
    return (
        Signature.objects.count(),
        Lease.objects.filter(renews=lease).count(),
        Case.objects.get(lease=lease).state,
    )
