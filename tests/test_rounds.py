"""Several who sign one agreement: the first fixes the terms, the last makes the lease, and any of them frees it all."""

from __future__ import annotations

import hashlib
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import translation

from campaigns import quiet
from renewal import agreement, cosigning, proposals, quotes, rounds, signing
from renewal.models import Case, FilingTask, Paper, Proposal, Round, Seat, Signature
from renewal.offers import Choice
from tenants import catalogue, clock, codes, leases, links, outbox, perks, templating
from tenants.models import Grant, Lease, LeaseTenant, Link, Message, Perk, Tenant
from tests.letter import digits_of, hidden, make_letter, opened, publish
from tests.makers import NOW, TODAY, make_building, make_lease, make_playbook, make_tenant, make_unit, make_user
from tests.test_access import member
from tests.test_paper import bare, body
from tests.test_playbook_gate import day, decision, run
from tests.test_signing import ask, make_proposal, race, sign, wrong
from tests.test_templates import approve

pytestmark = pytest.mark.django_db
races = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _all_sign(settings: Any) -> None:
    settings.ALL_TENANTS_SIGN = True


def make_shared(*more: str, **facts: Any) -> tuple[Proposal, list[Tenant]]:
    """The proposal of Lin, who stands first on a lease with Zhou (and others)."""
    lin = make_tenant("林晓")
    lease = make_lease(lin, **facts)
    rest = [make_tenant(name) for name in ("周航", *more)]
    for tenant in rest:
        LeaseTenant.objects.create(lease=lease, tenant=tenant, is_primary=False)
    return make_proposal(lease), [lin, *rest]


def first_yes(proposal: Proposal, choice: Choice | None = None, *, now: Any = NOW) -> Round:
    token, digits = ask(proposal, choice, now=now)
    with pytest.raises(rounds.NotAll) as waits:
        sign(proposal, token, digits, now=now)
    return waits.value.round


def agree(lease: Lease, signer: Tenant, digits: str = "", *, now: Any = NOW) -> Signature:
    digits = digits or codes.digits(cosigning.ask_code(lease, signer, now=now).message.key)
    return cosigning.agree(lease, signer, digits=digits, device="Zhou's", address="203.0.113.9", now=now, link=None)


def nothing_signed() -> bool:
    return not (Signature.objects.exists() or FilingTask.objects.exists() or Paper.objects.exists()) and not (
        Lease.objects.filter(renews__isnull=False).exists()
    )


# --- The first one ---


def test_the_first_signature_fixes_the_terms_and_makes_no_lease(settings: Any) -> None:
    settings.CHANNELS = ["phone", "erp"]
    Perk.objects.create(code="homestay", name="民宿体验券", condition="满 12 个月", cost=0, stock=3, is_choice=True)
    proposal, (lin, zhou) = make_shared()
    waiting = first_yes(proposal, Choice(12, 1, perk="homestay"))
    assert nothing_signed()
    assert not Message.objects.filter(key__startswith="erp:").exists()
    assert (waiting.state, waiting.opened_at, waiting.deadline) == ("open", NOW, NOW + timedelta(hours=72))
    assert (waiting.quote["total"], waiting.text_version) == ("45870.00", "renewal-1-several")
    assert waiting.text_hash == hashlib.sha256(waiting.text.encode()).hexdigest()
    masked = [agreement.masked(each.phone) for each in (lin, zhou)]
    assert f"承租方：林晓，预留手机号 {masked[0]}；周航，预留手机号 {masked[1]}。" in waiting.text
    assert "全体承租方确认后生效，在此之前对任何一方都没有约束。" in waiting.text
    assert waiting.lines[0] == ["谁", "出租方蓝寓，承租方林晓、周航。"]
    assert Perk.objects.get().stock == 2  # put aside
    assert Case.objects.get().state == "considering"
    seats = {seat.signer: seat for seat in Seat.objects.select_related("signer")}
    assert set(seats) == {lin, zhou}
    assert (seats[lin].signed_at, seats[lin].device, seats[lin].address) == (NOW, "Mozilla/5.0 (iPhone)", "203.0.113.7")
    assert seats[zhou].signed_at is None
    asked = Message.objects.get(key=f"round:{waiting.pk}:asked:{zhou.pk}")
    assert (asked.klass, asked.tenant, asked.link_purpose) == ("service", zhou, "proposal")
    assert asked.text.startswith("林*已同意续租蓝寓B1 ")
    assert "请在 12 月 4 日 10:00 前看一遍" in asked.text


def test_the_time_for_the_others_ends_with_the_lease() -> None:
    proposal, _people = make_shared(last_day=date(2025, 12, 2), first_day=date(2024, 12, 3))
    assert first_yes(proposal).deadline == clock.at(date(2025, 12, 3))


def test_the_last_yes_brings_the_lease_and_all_that_follows_in_one_commit(settings: Any) -> None:
    settings.CHANNELS = ["phone", "erp"]
    Perk.objects.create(code="homestay", name="民宿体验券", condition="满 12 个月", cost=0, stock=1, is_choice=True)
    proposal, (lin, zhou, wu) = make_shared("吴桐")
    waiting = first_yes(proposal, Choice(12, 1, perk="homestay"))
    later, last = NOW + timedelta(hours=1), NOW + timedelta(hours=30)
    with pytest.raises(rounds.NotAll):
        agree(proposal.lease, wu, now=later)
    assert nothing_signed()
    # What the others agreed to stands, whatever is published by then.
    publish(proposal.lease.unit.building, {})
    signature = agree(proposal.lease, zhou, now=last)

    following = Lease.objects.get(renews=proposal.lease)
    assert (following.monthly_rent, following.first_day, following.signed_on) == (
        Decimal("4170.00"), date(2025, 12, 27), TODAY + timedelta(days=1),
    )  # fmt: skip
    assert [row.tenant for row in LeaseTenant.objects.filter(lease=following).order_by("pk")] == [lin, zhou, wu]
    signatures = list(Signature.objects.order_by("signed_at"))
    assert [(each.signer, each.signed_at) for each in signatures] == [(lin, NOW), (wu, later), (zhou, last)]
    assert signatures[-1] == signature
    assert {each.text_hash for each in signatures} == {waiting.text_hash}
    assert {each.lease_id for each in signatures} == {following.pk}
    assert (FilingTask.objects.get().lease, Grant.objects.get().tenant) == (following, lin)
    assert Perk.objects.get().stock == 0
    assert Case.objects.get().state == "signed"
    assert Message.objects.filter(key=f"erp:{following.pk}:0").count() == 1
    assert Round.objects.get().state == "signed"
    told = Message.objects.filter(key__startswith=f"round:{waiting.pk}:signed:").values_list("tenant", flat=True)
    assert set(told) == {lin.pk, wu.pk}
    words = body(bytes(Paper.objects.get().pdf), "renewal-1-several", waiting.text_hash)
    assert words.startswith(bare(waiting.text))
    for name, at in (("林晓", "2025-12-0110:00:00"), ("吴桐", "2025-12-0111:00:00"), ("周航", "2025-12-0216:00:00")):
        assert f"承租方{name}确认方式" in words
        assert at in words


def test_saying_yes_again_changes_nothing() -> None:
    proposal, (_lin, zhou, _wu) = make_shared("吴桐")
    token, digits = ask(proposal)
    for typed in (digits, digits, "000000"):
        with pytest.raises(rounds.NotAll):
            sign(proposal, token, typed)
    assert Round.objects.count() == 1
    code = codes.digits(cosigning.ask_code(proposal.lease, zhou, now=NOW).message.key)
    for typed in (code, code, ""):
        with pytest.raises(rounds.NotAll):
            agree(proposal.lease, zhou, typed or "1")
    assert Seat.objects.filter(signed_at=NOW).count() == 2
    assert nothing_signed()


def test_each_needs_a_code_of_their_own() -> None:
    proposal, (_lin, zhou) = make_shared()
    token, of_lin = ask(proposal)
    with pytest.raises(rounds.NotAll):
        sign(proposal, token, of_lin)
    cosigning.ask_code(proposal.lease, zhou, now=NOW)
    of_zhou = digits_of()
    assert Message.objects.filter(klass="code").latest("pk").tenant == zhou
    with pytest.raises(signing.WrongCode):
        agree(proposal.lease, zhou, wrong(of_zhou))
    stranger = make_tenant("郑爽")
    with pytest.raises(cosigning.Over):
        cosigning.ask_code(proposal.lease, stranger, now=NOW)
    with pytest.raises(cosigning.Over):
        agree(proposal.lease, stranger, of_zhou)
    assert nothing_signed()
    assert agree(proposal.lease, zhou, of_zhou).signer == zhou


def test_whoever_cannot_get_a_code_is_told_of_before_the_first_code() -> None:
    proposal, (_lin, zhou) = make_shared()
    Tenant.objects.filter(pk=zhou.pk).update(phone="")
    with pytest.raises(rounds.Unreachable), translation.override("zh-hans"):
        ask(proposal)
    assert not Message.objects.exists()


# --- While it waits ---


def test_the_room_is_nobody_elses_while_it_waits_and_free_again_after() -> None:
    make_unit("B1-0909", room_type="朝南大一居", list_rent=Decimal("4500.00"))
    other = make_proposal()
    seen = quotes.quote(other, Choice(12, unit="B1-0909"), now=NOW).token
    proposal, (_lin, zhou) = make_shared()
    first_yes(proposal, Choice(12, unit="B1-0909"))
    with pytest.raises(quotes.RoomGone):
        signing.ask_code(other, other.tenant, quote_token=seen, now=NOW)
    assert "B1-0909" not in {room.unit for room in proposals.card_on(other, today=TODAY, now=NOW).rooms}
    cosigning.refuse(proposal.lease, zhou, because="太贵", now=NOW)
    assert "B1-0909" in {room.unit for room in proposals.card_on(other, today=TODAY, now=NOW).rooms}
    signing.ask_code(other, other.tenant, quote_token=seen, now=NOW)


def test_two_rounds_never_have_one_room() -> None:
    """The constraint, if the looking ever failed."""
    proposal, _people = make_shared()
    waiting = first_yes(proposal)
    another, _others = make_shared()
    with pytest.raises(Exception, match="round_of_unit_once"):
        Round.objects.create(
            proposal=another, lease=another.lease, unit=waiting.unit, quote={}, lines=[], text="", text_version="",
            text_hash="", opened_at=NOW, deadline=NOW,
        )  # fmt: skip


@pytest.mark.parametrize(("who", "state"), [(0, "withdrawn"), (1, "refused")])
def test_no_of_any_of_them_frees_everything_and_tells_whoever_signed(who: int, state: str) -> None:
    Perk.objects.create(code="homestay", name="民宿体验券", condition="满 12 个月", cost=0, stock=1, is_choice=True)
    proposal, people = make_shared("吴桐")
    waiting = first_yes(proposal, Choice(12, 1, perk="homestay"))
    with pytest.raises(rounds.NotAll):
        agree(proposal.lease, people[2])
    cosigning.refuse(proposal.lease, people[who], because="太贵", now=NOW)
    assert nothing_signed()
    ended = Round.objects.get()
    assert (ended.state, ended.closed_at, ended.closed_by, ended.because) == (state, NOW, people[who], "太贵")
    assert Perk.objects.get().stock == 1
    told = Message.objects.filter(key__startswith=f"round:{waiting.pk}:{state}:")
    assert {each.tenant for each in told} == {people[0], people[2]} - {people[who]}
    assert not [each for each in told if "太贵" in each.text]
    with pytest.raises(cosigning.Over):
        cosigning.refuse(proposal.lease, people[who], because="", now=NOW)
    # And all may begin anew, with evidence of the first round kept.
    later = NOW + timedelta(hours=2)
    first_yes(proposal, Choice(24), now=later)
    assert Round.objects.count() == 2
    assert Seat.objects.filter(round=waiting, signed_at__isnull=False).count() == 2


def test_while_they_sign_no_playbook_asks_and_if_they_do_not_it_asks_after_all(settings: Any) -> None:
    settings.CHANNELS = ["phone"]
    make_playbook("p", {"code": "ask", "days": 25, "text": "租约 {last_day}到期。"}, rank=50)
    proposal, (lin, zhou) = make_shared(last_day=TODAY + timedelta(days=26))
    outbox.post(
        outbox.Draft(
            key="push:earlier", klass=Message.Class.MARKETING, text="信在这里", deadline=NOW + timedelta(days=3),
            tenant_id=lin.pk, lease_id=proposal.lease_id, stops_on_answer=True,
        ),
        now=NOW,
    )  # fmt: skip
    first_yes(proposal)
    assert Message.objects.values_list("state", "reason").get(key="push:earlier") == (
        "cancelled", "这次续租正在签署。"
    )  # fmt: skip
    for after in (1, 2):
        run(day(after))
        assert decision(proposal.lease) == ("held", "这次续租正在签署。")
    later = clock.at(day(2), 12)
    cosigning.refuse(proposal.lease, zhou, because="", now=later)
    run(day(3))
    assert decision(proposal.lease)[0] == "handed_over"


def test_once_the_time_to_sign_is_over_playbooks_ask_even_before_the_task_has_been_by() -> None:
    proposal, _both = make_shared(last_day=TODAY + timedelta(days=60))
    waiting = first_yes(proposal)
    last = clock.day_of(waiting.deadline)
    assert quiet.until(proposal.lease, now=clock.at(last, 23)) == last + timedelta(days=1)
    assert quiet.until(proposal.lease, now=clock.at(last + timedelta(days=1))) is None


def test_where_approved_templates_alone_are_sent_all_is_told_by_them(settings: Any) -> None:
    settings.CHANNELS = ["sms"]
    templating.ship(now=NOW)
    for n, code in enumerate(("cosign-ask", "cosign-over")):
        approve("sms", code, f"SMS_40000{n}")
    proposal, (lin, zhou) = make_shared()
    waiting = first_yes(proposal)
    cosigning.refuse(proposal.lease, zhou, because="", now=NOW)
    told = Message.objects.filter(key__startswith=f"round:{waiting.pk}:").order_by("pk")
    room = proposal.lease.unit.code
    assert [(each.tenant, each.forms["sms"]["template"], each.forms["sms"]["values"]) for each in told] == [
        (zhou, "SMS_400000", {"room": room}),
        (lin, "SMS_400001", {"room": room}),
    ]


def test_the_deadline_frees_everything_and_says_so_once() -> None:
    Perk.objects.create(code="homestay", name="民宿体验券", condition="满 12 个月", cost=0, stock=1, is_choice=True)
    proposal, (lin, zhou) = make_shared()
    waiting = first_yes(proposal, Choice(12, 1, perk="homestay"))
    code = cosigning.ask_code(proposal.lease, zhou, now=waiting.deadline - timedelta(minutes=4))
    assert rounds.lapse(now=waiting.deadline - timedelta(seconds=1)) == 0
    with pytest.raises(cosigning.Over):  # to the second, whether or not the task has been by
        agree(proposal.lease, zhou, codes.digits(code.message.key), now=waiting.deadline)
    assert rounds.lapse(now=waiting.deadline) == 1
    assert rounds.lapse(now=waiting.deadline) == 0
    assert (Round.objects.get().state, Perk.objects.get().stock) == ("lapsed", 1)
    told = Message.objects.get(key=f"round:{waiting.pk}:lapsed:{lin.pk}")
    assert told.link_purpose == "proposal"
    assert Message.objects.filter(key__contains=":lapsed:").count() == 1
    assert nothing_signed()
    proposals.refuse_if_closed(proposal.lease, now=waiting.deadline)


@pytest.mark.parametrize("ends", ["signed", "refused"])
def test_a_perk_that_gets_a_stock_while_they_sign_is_not_given_once_too_often(ends: str) -> None:
    """Two are there to give, the one that is kept for the signers among them."""
    perk = Perk.objects.create(code="homestay", name="民宿体验券", condition="满 12 个月", cost=0, is_choice=True)
    proposal, (_lin, zhou) = make_shared()
    first_yes(proposal, Choice(12, 1, perk="homestay"))
    with pytest.raises(catalogue.NotSaved, match="有 1 份已为正在签署的协议留出") as refused:
        catalogue.restock(perk.pk, added=0, why="清点", by=None, now=NOW)
    assert refused.value.place == "added"
    catalogue.restock(perk.pk, added=2, why="清点", by=None, now=NOW)
    perk.refresh_from_db()
    assert (perk.stock, perk.aside) == (1, 1)
    if ends == "signed":
        agree(proposal.lease, zhou)
    else:
        cosigning.refuse(proposal.lease, zhou, because="", now=NOW)
    claims = [
        perks.Claim(key=f"more:{n}", tenant_id=zhou.pk, lease_id=None, owner_id=None, reason="试", expires_at=None)
        for n in range(3)
    ]
    perks.grant_many(perk, claims, now=NOW)
    perk.refresh_from_db()
    assert (Grant.objects.count(), perk.stock, perk.aside) == (2, 0, 0)


def test_limited_freed_and_limited_again_while_they_sign_it_keeps_theirs_once() -> None:
    perk = Perk.objects.create(
        code="homestay", name="民宿体验券", condition="满 12 个月", cost=0, stock=3, is_choice=True
    )
    proposal, (_lin, zhou) = make_shared()
    first_yes(proposal, Choice(12, 1, perk="homestay"))
    catalogue.restock(perk.pk, added=None, why="不限量", by=None, now=NOW)
    catalogue.restock(perk.pk, added=4, why="清点", by=None, now=NOW)
    cosigning.refuse(proposal.lease, zhou, because="", now=NOW)
    perk.refresh_from_db()
    assert (perk.stock, perk.aside) == (4, 0)


def test_what_a_budget_still_pays_for_is_kept_for_the_signers_as_well() -> None:
    perk = Perk.objects.create(
        code="homestay", name="民宿体验券", condition="满 12 个月", cost=280, budget=300, is_choice=True
    )
    proposal, (_lin, zhou) = make_shared()
    first_yes(proposal, Choice(12, 1, perk="homestay"))
    other = make_tenant("何静")
    with pytest.raises(perks.OutOfStock):
        perks.grant(perk, other, lease=None, key="x", owner=None, reason="试", expires_at=None, now=NOW)
    agree(proposal.lease, zhou)
    assert [(line.tenant.name, line.perk_id) for line in Grant.objects.select_related("tenant")] == [("林晓", perk.pk)]


def test_a_new_round_may_begin_before_the_task_has_been_by() -> None:
    proposal, _people = make_shared()
    late = first_yes(proposal).deadline + timedelta(minutes=1)
    proposals.for_link(link_of(proposal, proposal.tenant, now=late), today=clock.day_of(late), now=late)
    first_yes(proposal, now=late)
    assert sorted(Round.objects.values_list("state", flat=True)) == ["lapsed", "open"]


def test_if_the_erp_lets_the_room_meanwhile_nothing_is_signed_and_all_are_told() -> None:
    unit = make_unit("B1-0909", room_type="朝南大一居", list_rent=Decimal("4500.00"))
    proposal, (lin, zhou) = make_shared()
    waiting = first_yes(proposal, Choice(12, unit="B1-0909"))
    make_lease(make_tenant("郑爽"), unit, first_day=date(2025, 12, 10), last_day=date(2026, 12, 9))
    with pytest.raises(leases.UnitTaken):
        agree(proposal.lease, zhou)
    assert Round.objects.get().state == "broken"
    assert Message.objects.filter(key=f"round:{waiting.pk}:broken:{lin.pk}").exists()
    assert not Signature.objects.exists()
    assert not Seat.objects.filter(signer=zhou, signed_at__isnull=False).exists()


# --- Which leases ---


def test_one_tenant_signs_alone_and_without_the_setting_the_first_signs_for_all(settings: Any) -> None:
    alone = make_proposal()
    token, digits = ask(alone)
    assert sign(alone, token, digits).text_version == "renewal-1"
    settings.ALL_TENANTS_SIGN = False
    proposal, _people = make_shared()
    token, digits = ask(proposal)
    signature = sign(proposal, token, digits)
    assert LeaseTenant.objects.filter(lease=signature.lease).count() == 2
    assert not Round.objects.exists()


def test_two_rows_of_one_person_are_one_signer() -> None:
    lin = make_tenant("林晓", phone="13800000001")
    lease = make_lease(lin)
    LeaseTenant.objects.create(lease=lease, tenant=make_tenant("林晓", merged_into=lin), is_primary=False)
    proposal = make_proposal(lease)
    token, digits = ask(proposal)
    assert sign(proposal, token, digits).signer == lin


def test_the_words_of_several_do_not_change_under_their_name() -> None:
    proposal, (lin, zhou) = make_shared()
    lin.phone, zhou.phone = "13800000001", "13900000001"
    proposal.lease.contract_no = "HT-1"
    quote = quotes.read(ask(proposal, Choice(12, 1))[0], proposal=proposal, now=NOW)
    words = agreement.draft(proposal, lin, quote, today=TODAY, others=[zhou])
    fixed = words.text.replace(quote.unit, "B1-0101")
    assert (words.version, hashlib.sha256(fixed.encode()).hexdigest()) == (
        "renewal-1-several",
        "710c0ba6eec4bbb8faf27c62b7bf1ac68eb79743c396db4afb97befda816d1b6",
    )


# --- Through the browser ---


def link_of(proposal: Proposal, tenant: Tenant, *, now: Any = NOW) -> Link:
    return links.mint(
        f"message:{tenant.pk}:{now}",
        tenant=tenant, lease=proposal.lease, purpose="proposal", expires_at=now + timedelta(days=20), now=now,
    )[0]  # fmt: skip


def browser(token: str) -> Client:
    client = Client()
    response = opened(client, token)
    assert response["Location"] == "/r/letter/"
    return client


def flatmates() -> tuple[Lease, Client, Client]:
    """Lin has chosen and signed; Zhou has opened the link that was sent."""
    clock.set_to(NOW)
    link, token = make_letter()
    lin = link.tenant
    Tenant.objects.filter(pk=lin.pk).update(name="林晓", phone="13800000001")
    zhou = make_tenant("周航", phone="13900000001")
    LeaseTenant.objects.create(lease=link.lease, tenant=zhou, is_primary=False)
    first = browser(token)
    first.post("/r/letter/agreement", {"term": "12", "free": "0"})
    page = first.get("/r/letter/agreement")
    assert "承租方林晓、周航" in page.content.decode()
    first.post("/r/letter/code", {"quote": hidden(page, "quote"), "agree": "1"})
    answer = first.post("/r/letter/sign", {"code": digits_of()})
    assert (answer.status_code, answer["Location"]) == (303, "/r/letter/together")
    message = Message.objects.get(key__contains=":asked:")
    _link, token = links.mint(
        f"message:{message.key}",
        tenant=zhou, lease=link.lease, purpose="proposal", expires_at=NOW + timedelta(days=20), now=NOW,
    )  # fmt: skip
    second = browser(token)
    return link.lease, first, second


def test_the_first_one_sees_who_is_missing_and_cannot_choose_anything_else_meanwhile() -> None:
    lease, first, _second = flatmates()
    page = first.get("/r/letter/together").content.decode()
    assert "您已签署" in page
    assert "还有 1 人没有签" in page
    assert "周*" in page
    assert "139****0001" in page
    assert "周航" not in page.split("约定内容")[0]
    assert "13900000001" not in page
    assert "12月4日" in page.replace(" ", "")
    for address in ("", "agreement"):
        assert first.get(f"/r/letter/{address}")["Location"] == "/r/letter/together", address
    for address in ("agreement", "decline", "quote"):
        assert first.post(f"/r/letter/{address}", {"term": "24"})["Location"] == "/r/letter/together", address
    assert first.post("/r/letter/sign", {"code": "123456"})["Location"] == "/r/letter/together"
    assert first.post("/r/letter/together/sign", {"code": "123456"})["Location"] == "/r/letter/together"
    assert first.get("/r/letter/done")["Location"] == "/r/letter/"
    draft = first.get("/r/letter/agreement.pdf")
    assert "草稿" in bare("".join(_pages(draft.content)))
    assert Case.objects.get(lease=lease).state == "considering"


def _pages(pdf: bytes) -> list[str]:
    from tests.test_paper import pages

    return pages(pdf)


def test_the_other_one_sees_the_same_terms_and_signs_with_a_code_of_their_own() -> None:
    lease, first, second = flatmates()
    assert second.get("/r/letter/")["Location"] == "/r/letter/together"
    page = second.get("/r/letter/together").content.decode()
    assert "条件已定，还差您的确认" in page
    assert "月租 3,900.00 元" in page
    assert "林*" in page
    text = second.get("/r/letter/agreement.txt").content.decode("utf-8-sig")
    assert text == Round.objects.get().text == first.get("/r/letter/agreement.txt").content.decode("utf-8-sig")
    assert second.post("/r/letter/together/code", {"first": "1"})["Location"] == "/r/letter/together?say=agree"
    sent = second.post("/r/letter/together/code", {"first": "1", "agree": "1"})
    assert sent["Location"] == "/r/letter/together/code"
    assert Message.objects.filter(klass="code").latest("pk").tenant == Tenant.objects.get(name="周航")
    assert "139****0001" in second.get("/r/letter/together/code").content.decode()
    digits = digits_of()
    bad = second.post("/r/letter/together/sign", {"code": wrong(digits)})
    assert bad.status_code == 422
    assert "还可以再试 4 次" in bad.content.decode() or "4" in bad.content.decode()
    for _again in range(2):
        assert second.post("/r/letter/together/sign", {"code": digits})["Location"] == "/r/letter/done"
    assert Signature.objects.count() == 2
    following = Lease.objects.get(renews=lease)
    for client in (first, second):
        done = client.get("/r/letter/done")
        assert done.status_code == 200
        assert "合同备案" in done.content.decode()
        assert client.get("/r/letter/agreement.pdf").content == bytes(Paper.objects.get(lease=following).pdf)
        assert client.get("/r/letter/together")["Location"] == "/r/letter/done"


def test_the_other_one_does_not_agree() -> None:
    lease, first, second = flatmates()
    ask_first = second.get("/r/letter/together/refuse")
    assert ask_first.status_code == 200
    assert Round.objects.get().state == "open"
    said = second.post("/r/letter/together/refuse", {"more": "想换房"})
    assert "已记下：您不同意" in said.content.decode()
    assert (Round.objects.get().state, Round.objects.get().because) == ("refused", "想换房")
    assert second.post("/r/letter/together/refuse")["Location"] == "/r/letter/"
    assert first.get("/r/letter/together")["Location"] == "/r/letter/"
    assert first.get("/r/letter/").status_code == 200
    # Zhou chooses nothing alone: whoever stands first does.
    assert "由合同上排在第一位的租客先选" in second.get("/r/letter/").content.decode().replace("\u200b", "")
    assert not Lease.objects.filter(renews=lease).exists()


def test_the_first_one_takes_it_back_and_may_choose_anew() -> None:
    _lease, first, second = flatmates()
    assert "收回签署" in first.get("/r/letter/together/refuse").content.decode()
    assert "已收回您的签署" in first.post("/r/letter/together/refuse").content.decode()
    assert first.get("/r/letter/agreement").status_code == 200
    assert second.get("/r/letter/together")["Location"] == "/r/letter/"


def test_after_the_deadline_the_page_leads_back_to_the_letter_even_before_the_task() -> None:
    _lease, first, second = flatmates()
    clock.set_to(NOW + timedelta(hours=73))
    # Their sessions are over by then; they come in through the common door.
    for client, phone, answer in ((first, "13800000001", 200), (second, "13900000001", 200)):
        assert enter(client, phone)["Location"] == "/r/letter/"
        assert client.get("/r/letter/together")["Location"] == "/r/letter/"
        assert client.get("/r/letter/").status_code == answer


def enter(client: Client, phone: str) -> Any:
    client.post("/r/", {"phone": phone})
    return client.post("/r/code", {"code": digits_of("door:")})


def test_the_common_door_leads_those_who_sign_to_the_terms_that_wait() -> None:
    flatmates()
    for phone, title in (("13900000001", "条件已定，还差您的确认"), ("13800000001", "您已签署")):
        client = Client()
        enter(client, phone)
        page = client.get("/r/letter/", follow=True)
        assert page.redirect_chain[-1][0] == "/r/letter/together"
        assert title in page.content.decode()


def test_nobody_else_sees_the_terms_that_wait() -> None:
    flatmates()
    _link, token = make_letter("message:other")
    stranger = browser(token)
    for address in ("together", "together/code", "together/refuse"):
        assert stranger.get(f"/r/letter/{address}")["Location"] == "/r/letter/"
    assert stranger.post("/r/letter/together/sign", {"code": digits_of()})["Location"] == "/r/letter/"
    assert stranger.post("/r/letter/together/refuse")["Location"] == "/r/letter/"
    assert Round.objects.get().state == "open"
    assert Client().get("/r/letter/together").status_code == 410


# --- What staff see ---


def test_staff_see_who_is_missing_and_why_it_ended(client: Client) -> None:
    clock.set_to(NOW)
    proposal, (_lin, zhou) = make_shared()
    waiting = first_yes(proposal)
    client.force_login(make_user("chief", is_superuser=True))
    listed = client.get("/admin/renewal/round/").content.decode()
    assert waiting.unit.code in listed
    assert "等待签署" in listed
    cosigning.refuse(proposal.lease, zhou, because="想换房", now=NOW)
    shown = client.get(f"/admin/renewal/round/{waiting.pk}/change/").content.decode()
    assert "有人不同意" in shown
    assert "想换房" in shown
    make_building("B2")
    client.force_login(member("manager", "B2"))
    assert client.get(f"/admin/renewal/round/{waiting.pk}/change/").status_code == 302
    assert waiting.unit.code not in client.get("/admin/renewal/round/").content.decode()


# --- At once ---


@races
def test_the_last_two_at_once_make_one_lease() -> None:
    for _ in range(4):
        proposal, (_lin, zhou, wu) = make_shared("吴桐")
        first_yes(proposal)
        ready = [
            (who, codes.digits(cosigning.ask_code(proposal.lease, who, now=NOW).message.key)) for who in (zhou, wu)
        ]
        outcomes = race([lambda w=w, d=d, p=proposal: agree(p.lease, w, d) for w, d in ready])  # type: ignore[misc]
        assert sorted(type(each).__name__ for each in outcomes) == ["NotAll", "Signature"], outcomes
        assert Lease.objects.filter(renews=proposal.lease).count() == 1
        assert Signature.objects.filter(proposal=proposal).count() == 3


@races
def test_yes_and_no_at_once_end_in_one_of_them() -> None:
    seen = set()
    for _ in range(6):
        proposal, (lin, zhou) = make_shared()
        first_yes(proposal)
        digits = codes.digits(cosigning.ask_code(proposal.lease, zhou, now=NOW).message.key)
        outcomes = race(
            [
                lambda p=proposal, d=digits, z=zhou: agree(p.lease, z, d),  # type: ignore[misc]
                lambda p=proposal, who=lin: cosigning.refuse(p.lease, who, because="", now=NOW),  # type: ignore[misc]
            ]
        )
        signed = isinstance(outcomes[0], Signature)
        assert signed == isinstance(outcomes[1], cosigning.Over), outcomes
        assert signed or isinstance(outcomes[0], cosigning.Over), outcomes
        assert Lease.objects.filter(renews=proposal.lease).count() == signed
        assert Round.objects.get(proposal=proposal).state == ("signed" if signed else "withdrawn")
        seen.add(signed)
