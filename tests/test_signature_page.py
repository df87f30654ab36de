"""What staff see of a signature: all its evidence, checked at this moment."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest
from django.test import Client

from renewal.models import Paper, Signature
from tenants import clock
from tests.makers import NOW, make_building, make_user
from tests.test_access import member
from tests.test_signing import ask, make_proposal, sign

pytestmark = pytest.mark.django_db


def signed() -> Signature:
    clock.set_to(NOW + timedelta(hours=1))
    proposal = make_proposal()
    token, digits = ask(proposal)
    return sign(proposal, token, digits)


def page(client: Client, signature: Signature) -> str:
    response = client.get(f"/admin/signature/{signature.pk}/")
    assert response.status_code == 200
    return response.content.decode()


@pytest.fixture
def desk(client: Client) -> Client:
    client.force_login(make_user("chief", is_superuser=True))
    return client


def test_all_evidence_stands_there_and_matches(desk: Client) -> None:
    signature = signed()
    kept = Paper.objects.get()
    shown = page(desk, signature)
    assert '<h1 id="answer">签署证据完整</h1>' in shown
    assert shown.count(">一致<") == 2
    for fact in (
        signature.text_hash, kept.pdf_hash, "renewal-1", "203.0.113.7", "Mozilla/5.0 (iPhone)", "2025-12-01 10:00:00",
        "第 1 次，输错 0 次", "校验于 2025-12-01 11:00", "房屋租赁续租协议",
    ):  # fmt: skip
        assert fact in shown, fact
    phone = signature.signer.phone
    assert f"{phone[:3]}****{phone[-4:]}" in shown
    assert phone not in shown
    pdf = desk.get(f"/admin/signature/{signature.pk}/agreement.pdf")
    assert (pdf.status_code, pdf["Content-Type"]) == (200, "application/pdf")
    assert hashlib.sha256(pdf.content).hexdigest() == kept.pdf_hash
    # The list of signatures and the contract's page lead here.
    assert f'href="/admin/signature/{signature.pk}/"' in desk.get("/admin/renewal/signature/").content.decode()
    assert (
        f'href="/admin/signature/{signature.pk}/"'
        in desk.get(f"/admin/contract/{signature.lease_id}/").content.decode()
    )


def test_a_changed_word_or_byte_is_told(desk: Client) -> None:
    signature = signed()
    changed = signature.text.replace("3,900.00", "3,100.00")
    Signature.objects.update(text=changed)
    shown = page(desk, signature)
    assert '<h1 id="answer">签署记录在签后被改动</h1>' in shown
    assert (shown.count(">一致<"), shown.count(">不一致<")) == (1, 1)
    assert hashlib.sha256(changed.encode()).hexdigest() in shown
    assert signature.text_hash in shown

    Signature.objects.update(text=signature.text)
    kept = Paper.objects.get()
    Paper.objects.update(pdf=bytes(kept.pdf)[:-1] + b"\n\n")
    shown = page(desk, signature)
    assert '<h1 id="answer">签署记录在签后被改动</h1>' in shown
    assert (shown.count(">一致<"), shown.count(">不一致<")) == (1, 1)


def test_an_earlier_signature_without_a_paper_says_so_and_still_gives_one(desk: Client) -> None:
    signature = signed()
    Paper.objects.all().delete()
    shown = page(desk, signature)
    assert '<h1 id="answer">签署证据完整</h1>' in shown
    assert "未留存" in shown
    assert desk.get(f"/admin/signature/{signature.pk}/agreement.pdf").content.startswith(b"%PDF")


def test_only_the_buildings_of_a_membership_and_only_roles_that_see_people(client: Client) -> None:
    signature = signed()
    make_building("B2")
    for role, code, answer in (
        ("manager", "B1", 200), ("manager", "B2", 404), ("care", "B1", 200),
        ("finance", "B1", 200), ("frontline", "B1", 403), ("technician", "B1", 403),
    ):  # fmt: skip
        client.force_login(member(role, code))
        for address in ("", "agreement.pdf"):
            assert client.get(f"/admin/signature/{signature.pk}/{address}").status_code == answer, (role, code, address)
    client.logout()
    assert client.get(f"/admin/signature/{signature.pk}/").status_code == 302
    assert client.get(f"/admin/signature/{signature.pk}/agreement.pdf").status_code == 302
