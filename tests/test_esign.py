"""The e-sign provider: real calls to a stand-in on loopback, and its callbacks: late, twice, forged or never."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pypdf
import pytest
from django.db import connection
from django.test import Client

from campaigns import quiet
from connectors import esign
from renewal import cosigning, proposals, rounds, sealing
from renewal.models import Case, FilingTask, Paper, Proposal, Round, Signature
from tenants import clock, codes
from tenants.models import Lease, LeaseTenant, Message, Tenant
from tests.letter import make_letter, opened, sign_it
from tests.makers import NOW, make_lease, make_playbook, make_tenant
from tests.standins.base import Fault, serving
from tests.standins.esign import APP_ID, SECRET, Esign, signed
from tests.test_playbook_gate import day, decision, run
from tests.test_signing import ask, make_proposal, sign

pytestmark = pytest.mark.django_db(transaction=True)  # what is settled is committed by itself

CALLBACK = "/api/esign/callback"


@pytest.fixture(autouse=True)
def provider(settings: Any) -> Iterator[Esign]:
    with serving(Esign()) as standin:
        settings.ESIGN_APP_ID, settings.ESIGN_SECRET, settings.ESIGN_URL = APP_ID, SECRET, standin.url
        yield standin


def told(standin: Esign, *, times: int = 1) -> list[int]:
    """All callbacks that wait are delivered, each so often; what they were answered with."""
    client, answers = Client(), []
    for headers, body in standin.callbacks:
        for _ in range(times):
            answers.append(client.post(CALLBACK, body, content_type="application/json", headers=headers).status_code)
    standin.callbacks.clear()
    return answers


def by_code(proposal: Proposal | None = None) -> Round:
    """Somebody has signed by code; the round is to be handed over."""
    proposal = proposal or make_proposal()
    token, digits = ask(proposal)
    with pytest.raises(rounds.NotAll) as waits:
        sign(proposal, token, digits)
    return Round.objects.get(pk=waits.value.round.pk)


def handed_over(proposal: Proposal | None = None) -> Round:
    waiting = by_code(proposal)
    sealing.run(now=NOW)
    return Round.objects.select_related("lease", "proposal__tenant").get(pk=waiting.pk)


def test_after_the_code_the_paper_goes_to_the_provider_and_there_is_no_lease_yet(provider: Esign) -> None:
    waiting = by_code()
    assert (waiting.sealing, waiting.flow, provider.counts.requests) == ("wanted", "", 0)
    sealing.run(now=NOW)
    waiting.refresh_from_db()
    (flow,) = provider.flows
    assert (waiting.state, waiting.sealing, waiting.flow, waiting.sealing_at) == ("open", "signing", flow, NOW)
    held = provider.flows[flow]
    tenant = waiting.proposal.tenant
    assert (held["names"], held["phones"]) == ([tenant.name], [tenant.phone])
    assert held["settings"]["notifyUrl"].endswith(CALLBACK)
    # By the provider's clock, which nobody sets: as long from now as our own deadline is.
    left = held["settings"]["signFlowExpireTime"] / 1000 - time.time()
    assert left == pytest.approx(timedelta(hours=72).total_seconds(), abs=60)
    assert held["settings"]["autoFinish"] is True
    pdf = pypdf.PdfReader(io.BytesIO(provider.files[held["file"]]["pdf"]))
    assert waiting.text_hash in "".join(page.extract_text() for page in pdf.pages)
    assert not Signature.objects.exists()
    assert not Lease.objects.filter(renews__isnull=False).exists()
    sealing.run(now=NOW)
    assert len(provider.flows) == 1
    assert not provider.counts.refused


def test_no_call_is_made_inside_a_transaction(provider: Esign, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    call = esign._way.call

    def watched(*args: Any, **more: Any) -> Any:
        seen.append(connection.in_atomic_block)
        return call(*args, **more)

    monkeypatch.setattr(esign._way, "call", watched)
    waiting = handed_over()
    sealing.door(waiting.lease, waiting.proposal.tenant, now=NOW)
    sealing.run(now=NOW + timedelta(minutes=3))
    cosigning.refuse(waiting.lease, waiting.proposal.tenant, because="", now=NOW)
    sealing.run(now=NOW + timedelta(minutes=3))
    assert len(seen) >= 8
    assert not any(seen)


@pytest.mark.parametrize("times", [1, 2])
def test_the_lease_follows_on_the_providers_word_and_once(provider: Esign, times: int) -> None:
    waiting = handed_over()
    provider.sign(waiting.flow, waiting.proposal.tenant.phone)
    assert told(provider, times=times) == [200] * (2 * times)  # of the signer, and of the flow
    following = Lease.objects.get(renews=waiting.lease)
    signature = Signature.objects.get()
    assert (signature.lease, signature.signed_at, signature.text_hash) == (following, NOW, waiting.text_hash)
    assert (FilingTask.objects.count(), Paper.objects.count()) == (1, 1)
    assert Case.objects.get().state == "signed"
    waiting.refresh_from_db()
    assert (waiting.state, waiting.sealing) == ("signed", "over")
    assert Message.objects.filter(key__contains=":signed:").count() == 1
    sealing.run(now=NOW + timedelta(hours=1))
    assert Signature.objects.count() == 1


def test_a_signer_alone_is_not_the_flow(provider: Esign, settings: Any) -> None:
    settings.ALL_TENANTS_SIGN = True
    lin, zhou = make_tenant("林晓"), make_tenant("周航")
    lease = make_lease(lin)
    LeaseTenant.objects.create(lease=lease, tenant=zhou, is_primary=False)
    waiting = by_code(make_proposal(lease))
    assert waiting.sealing == ""  # the codes of all come first
    sealing.run(now=NOW)
    assert not provider.flows
    code = cosigning.ask_code(lease, zhou, now=NOW)
    with pytest.raises(rounds.NotAll):
        cosigning.agree(lease, zhou, digits=codes.digits(code.message.key), device="", address=None, now=NOW, link=None)
    sealing.run(now=NOW)
    (flow,) = provider.flows
    assert provider.flows[flow]["phones"] == [lin.phone, zhou.phone]
    provider.sign(flow, lin.phone)
    assert told(provider) == [200]
    assert not Signature.objects.exists()
    provider.sign(flow, zhou.phone)
    assert told(provider) == [200, 200]
    assert Signature.objects.count() == 2
    assert Lease.objects.filter(renews=lease).count() == 1


def test_a_callback_that_never_comes_is_asked_for(provider: Esign) -> None:
    waiting = handed_over()
    provider.sign(waiting.flow, waiting.proposal.tenant.phone)
    provider.callbacks.clear()
    sealing.run(now=NOW + timedelta(seconds=119))
    assert not Signature.objects.exists()
    sealing.run(now=NOW + timedelta(minutes=2))
    assert Signature.objects.count() == 1
    assert provider.counts.found[waiting.flow] == 1


@pytest.mark.parametrize(("end", "state"), [("refuse", "refused"), ("expire", "lapsed")])
@pytest.mark.parametrize("way", ["called", "asked"])
def test_a_flow_that_ends_otherwise_frees_everything_and_says_so(
    provider: Esign, end: str, state: str, way: str
) -> None:
    waiting = handed_over()
    # What the provider has, only the provider ends: our own deadline waits for its word.
    assert rounds.lapse(now=waiting.deadline) == 0
    getattr(provider, end)(waiting.flow)
    if way == "called":
        assert told(provider, times=2) == [200, 200]
    else:
        sealing.run(now=NOW + timedelta(minutes=2))
    waiting.refresh_from_db()
    assert (waiting.state, waiting.sealing) == (state, "over")
    assert not Signature.objects.exists()
    assert Message.objects.filter(key=f"round:{waiting.pk}:{state}:{waiting.proposal.tenant_id}").count() == 1
    proposals.refuse_if_closed(waiting.lease, now=NOW)


@pytest.mark.parametrize("end", ["refuse", "expire"])
def test_playbooks_wait_as_long_as_the_provider_has_it_and_ask_once_it_is_over(
    provider: Esign, end: str, settings: Any
) -> None:
    settings.CHANNELS = ["phone"]
    make_playbook("p", {"code": "ask", "days": 30, "text": "租约 {last_day}到期。"}, rank=50)
    waiting = handed_over(make_proposal(make_lease(last_day=day(35))))
    assert clock.day_of(waiting.deadline) == day(3)
    for after in (3, 4, 5, 9):  # due on the fifth day
        run(day(after))
        assert quiet.until(waiting.lease, now=clock.at(day(after), 12)) is not None
    assert decision(waiting.lease) == ("held", "这次续租正在签署。")
    clock.set_to(clock.at(day(9), 13))
    getattr(provider, end)(waiting.flow)
    assert told(provider) == [200]
    assert quiet.until(waiting.lease, now=clock.now()) is None
    run(day(10))
    assert decision(waiting.lease)[0] == "handed_over"


def test_what_was_freed_while_it_was_handed_over_is_not_quiet_again(
    provider: Esign, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = by_code()
    call = esign.hand_over

    def taken_back_meanwhile(*args: Any, **more: Any) -> str:
        flow = call(*args, **more)
        cosigning.refuse(waiting.lease, waiting.proposal.tenant, because="", now=NOW)
        return flow

    monkeypatch.setattr(esign, "hand_over", taken_back_meanwhile)
    sealing.run(now=NOW)
    waiting.refresh_from_db()
    assert (waiting.state, waiting.sealing) == ("withdrawn", "over")
    assert quiet.until(waiting.lease, now=NOW) is None


def test_a_signer_who_takes_it_back_has_the_flow_revoked(provider: Esign) -> None:
    waiting = handed_over()
    cosigning.refuse(waiting.lease, waiting.proposal.tenant, because="", now=NOW)
    sealing.run(now=NOW)
    assert provider.flows[waiting.flow]["status"] == 3
    waiting.refresh_from_db()
    assert (waiting.state, waiting.sealing) == ("withdrawn", "over")
    requests = provider.counts.requests
    sealing.run(now=NOW + timedelta(hours=1))
    assert provider.counts.requests == requests


def test_what_was_signed_there_a_moment_ago_cannot_be_taken_back(provider: Esign) -> None:
    waiting = handed_over()
    provider.sign(waiting.flow, waiting.proposal.tenant.phone)  # the callback is on its way
    with pytest.raises(cosigning.Over):
        cosigning.refuse(waiting.lease, waiting.proposal.tenant, because="", now=NOW)
    assert Signature.objects.count() == 1
    assert told(provider) == [200, 200]
    assert Signature.objects.count() == 1


def test_if_the_room_is_gone_by_then_nothing_is_signed_and_all_are_told(provider: Esign) -> None:
    waiting = handed_over()
    lease = waiting.lease
    make_lease(
        make_tenant("郑爽"), lease.unit, first_day=lease.last_day + timedelta(days=1),
        last_day=lease.last_day + timedelta(days=300),
    )  # fmt: skip
    provider.sign(waiting.flow, waiting.proposal.tenant.phone)
    assert told(provider, times=2) == [200] * 4
    waiting.refresh_from_db()
    assert waiting.state == "broken"
    assert not Signature.objects.exists()


# --- Callbacks that are not what they seem ---


def forged(waiting: Round, how: str) -> tuple[dict[str, str], bytes, str]:
    facts = {"action": "SIGN_FLOW_COMPLETE", "signFlowId": waiting.flow, "signFlowStatus": "2"}
    body = json.dumps(facts).encode()
    now = int(time.time() * 1000)
    headers = signed(body)
    match how:
        case "unsigned":
            return {}, body, ""
        case "secret":
            return signed(body, secret="another"), body, ""
        case "body":
            return headers, body.replace(b'"2"', b'"7"'), ""
        case "query":
            return headers, body, "?more=1"
        case "app":
            return headers | {"X-Tsign-Open-App-Id": "1"}, body, ""
        case "algorithm":
            return headers | {"X-Tsign-Open-SIGNATURE-ALGORITHM": "none"}, body, ""
        case "stamp":
            return headers | {"X-Tsign-Open-TIMESTAMP": str(now + 1)}, body, ""
        case "no number":
            return headers | {"X-Tsign-Open-TIMESTAMP": ""}, body, ""
        case "stale":
            return signed(body, stamp=now - 601_000), body, ""
        case "future":
            return signed(body, stamp=now + 602_000), body, ""
    raise AssertionError(how)


@pytest.mark.parametrize(
    "how", ["unsigned", "secret", "body", "query", "app", "algorithm", "stamp", "no number", "stale", "future"]
)
def test_a_forged_or_stale_callback_is_refused(how: str) -> None:
    waiting = handed_over()
    headers, body, query = forged(waiting, how)
    answer = Client().post(CALLBACK + query, body, content_type="application/json", headers=headers)
    assert answer.status_code == 403
    waiting.refresh_from_db()
    assert (waiting.state, Signature.objects.count()) == ("open", 0)


def test_the_values_of_the_query_are_signed_in_the_order_of_their_names() -> None:
    waiting = handed_over()
    facts = {"action": "SIGN_FLOW_COMPLETE", "signFlowId": waiting.flow, "signFlowStatus": "2"}
    body = json.dumps(facts).encode()
    headers = signed(body, query="12")
    answer = Client().post(CALLBACK + "?b=2&a=1", body, content_type="application/json", headers=headers)
    assert answer.status_code == 200
    assert Signature.objects.count() == 1


@pytest.mark.parametrize(
    "facts",
    [
        {"action": "SIGN_FLOW_COMPLETE", "signFlowId": "another", "signFlowStatus": "2"},
        {"action": "SIGN_FLOW_COMPLETE", "signFlowId": "", "signFlowStatus": "2"},
        {"action": "SIGN_FLOW_COMPLETE", "signFlowId": None, "signFlowStatus": "2"},
        {"action": "SIGN_FLOW_COMPLETE", "signFlowStatus": "9"},
        {"action": "SOMETHING_NEW"},
        [],
        "text",
    ],
)
def test_what_is_not_ours_or_new_is_acknowledged_and_changes_nothing(facts: Any) -> None:
    waiting = handed_over()
    body = json.dumps(facts).encode()
    answer = Client().post(CALLBACK, body, content_type="application/json", headers=signed(body))
    assert (answer.status_code, answer.json()) == (200, {"code": "200", "msg": "success"})
    waiting.refresh_from_db()
    assert (waiting.state, Signature.objects.count()) == ("open", 0)


def test_without_a_provider_the_address_is_closed_and_the_code_signs(settings: Any) -> None:
    settings.ESIGN_APP_ID = ""
    body = b"{}"
    assert Client().post(CALLBACK, body, content_type="application/json", headers=signed(body)).status_code == 404
    proposal = make_proposal()
    token, digits = ask(proposal)
    assert sign(proposal, token, digits).lease.renews_id == proposal.lease_id
    assert not Round.objects.exists()


# --- When the provider fails ---


@pytest.mark.parametrize("kind", ["lost", "drop", "cut", "fail", "garble"])
@pytest.mark.parametrize("path", ["/v3/files/file-upload-url", "/oss/", "/v3/files/file", "/v3/sign-flow/create"])
def test_whatever_fails_while_handing_over_is_tried_again(provider: Esign, kind: str, path: str) -> None:
    waiting = by_code()
    provider.faults = [Fault(kind, times=1, path=path)]
    sealing.run(now=NOW)
    waiting.refresh_from_db()
    if (kind, path) == ("garble", "/oss/"):  # what it says besides its status is not read
        assert waiting.sealing == "signing"
        return
    assert waiting.sealing == "wanted"
    assert waiting.sealing_trouble
    sealing.run(now=NOW + timedelta(minutes=5))
    waiting.refresh_from_db()
    assert (waiting.sealing, waiting.sealing_trouble) == ("signing", "")
    assert provider.flows[waiting.flow]["status"] == 1


def test_a_wrong_secret_is_refused_by_the_provider(provider: Esign, settings: Any) -> None:
    settings.ESIGN_SECRET = "another"
    waiting = by_code()
    sealing.run(now=NOW)
    waiting.refresh_from_db()
    assert waiting.sealing_trouble.startswith("401 401 INVALID_SIGNATURE")
    assert provider.counts.refused == {"INVALID_SIGNATURE": 1}
    assert not provider.flows


def test_a_file_that_takes_its_time_is_waited_for(provider: Esign, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(esign, "PAUSE", 0)
    provider.slow_files = 2
    assert handed_over().sealing == "signing"


# --- Through the browser ---


def test_the_tenant_is_led_to_the_provider_and_sees_the_lease_after(provider: Esign) -> None:
    clock.set_to(NOW)
    link, token = make_letter()
    client = Client()
    opened(client, token)
    assert sign_it(client)["Location"] == "/r/letter/together"
    page = client.get("/r/letter/together").content.decode()
    assert "还差一步" in page
    assert "签署页面正在准备" in page
    assert client.get("/r/letter/together/provider")["Location"] == "/r/letter/together?say=provider"
    sealing.run(now=clock.now())
    assert 'href="/r/letter/together/provider"' in client.get("/r/letter/together").content.decode()
    (flow,) = provider.flows
    led = client.get("/r/letter/together/provider")
    assert (led.status_code, led["Location"]) == (303, f"{provider.url}/sign?flow={flow}&who=0")
    assert Round.objects.get().state == "open"
    provider.sign(flow, Tenant.objects.get(pk=link.tenant_id).phone)
    told(provider)
    assert client.get("/r/letter/together")["Location"] == "/r/letter/done"
    assert client.get("/r/letter/done").status_code == 200


def test_a_provider_that_does_not_answer_is_said_kindly(provider: Esign) -> None:
    clock.set_to(NOW)
    _link, token = make_letter()
    client = Client()
    opened(client, token)
    sign_it(client)
    sealing.run(now=clock.now())
    provider.faults = [Fault("fail", path="/v3/sign-flow/")]
    assert client.get("/r/letter/together/provider")["Location"] == "/r/letter/together?say=provider"
    assert "签署页面暂时打不开" in client.get("/r/letter/together?say=provider").content.decode()


def test_our_signature_is_the_documented_one() -> None:
    """The string to be signed, line by line, as the provider's documentation has it; counted apart from our code."""
    text = "POST\n*/*\nuxydqKBMBy6x1siClKEQ6Q==\napplication/json; charset=UTF-8\n\n/v3/sign-flow/create-by-file"
    due = base64.b64encode(hmac.new(b"secret", text.encode(), hashlib.sha256).digest()).decode()
    assert esign.call_signature("secret", "POST", "uxydqKBMBy6x1siClKEQ6Q==", esign.KIND, text.split("\n")[-1]) == due
    assert esign.md5_of(b"abc") == "kAFQmDzST7DWlj99KOF/cg=="
