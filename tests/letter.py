"""What the tests of the letter share: a letter, and a browser's ways through it."""

from __future__ import annotations

import html
import re
from datetime import date
from decimal import Decimal
from typing import Any

from django.test import Client

from renewal.models import Case, CaseChange, DoorCode, Proposal, Rate, Signature
from tenants import codes, links
from tenants.models import Click, Lease, Link, Message, Tenant
from tests.makers import NOW, make_lease

OWN = {(6, 0): "3980.00", (12, 0): "3900.00", (12, 1): "4170.00", (24, 0): "3800.00", (24, 2): "4120.50"}
LARGE = {(12, 0): "4500.00"}


def publish(building: Any, rents: dict[str, dict[tuple[int, int], str]]) -> None:
    Rate.objects.bulk_create(
        [
            Rate(
                building=building,
                room_type=room_type,
                term_months=term,
                free_months=free,
                monthly_rent=Decimal(rent),
                signed_from=date(2025, 11, 1),
                signed_to=date(2026, 6, 30),
                recorded_at=NOW,
            )
            for room_type, lines in rents.items()
            for (term, free), rent in lines.items()
        ],
        ignore_conflicts=True,
    )


def make_letter(carrier: str = "message:push:1", **facts: Any) -> tuple[Link, str]:
    """A link to the letter of somebody whose lease ends in 25 days, with published rents and an open case."""
    lease = make_lease(**facts)
    tenant = lease.tenants.get()
    Case.objects.create(lease=lease, state="contacted", since=NOW, opened_at=NOW)
    publish(lease.unit.building, {"朝南一居": OWN, "朝南大一居": LARGE})
    return links.mint(
        carrier, tenant=tenant, lease=lease, purpose="proposal", expires_at=links.expiry(lease, now=NOW), now=NOW
    )


def opened(client: Client, token: str, *, gesture: str = "1") -> Any:
    return client.post(f"/r/{token}/open", {"gesture": gesture})


def ask_price(client: Client, key: str = "letter", **choice: Any) -> Any:
    return client.post(f"/r/{key}/quote", choice, headers={"accept": "application/json"})


def digits_of(model: str = "code:") -> str:
    return codes.digits(Message.objects.filter(key__startswith=model).latest("pk").key)


def hidden(page: Any, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page.content.decode())
    assert found, f"no field {name}"
    return html.unescape(found.group(1))


def sign_it(client: Client, **choice: Any) -> Any:
    """From the open letter to the signature, as a browser without scripts would."""
    client.post("/r/letter/agreement", choice or {"term": "12", "free": "0"})
    token = hidden(client.get("/r/letter/agreement"), "quote")
    client.post("/r/letter/code", {"quote": token, "agree": "1"})
    return client.post("/r/letter/sign", {"code": digits_of()})


def without_form_token(page: Any) -> str:
    return re.sub(r'(csrfmiddlewaretoken" value=")[^"]+', r"\1", page.content.decode())


def rows() -> dict[str, int]:
    counted = (Click, Case, CaseChange, Proposal, Signature, Lease, Link, Message, Tenant, DoorCode)
    return {model.__name__: model.objects.count() for model in counted}
