"""The code, the signature and all that follows from it; and races, in which exactly one wins."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.utils import translation

from campaigns.models import Enrolment
from renewal import agreement, answers, following, notices, proposals, quotes, signing
from renewal.models import Case, CaseChange, Code, FilingTask, Proposal, Rate, Signature
from renewal.offers import Choice
from tenants import codes, leases, links, outbox
from tenants.models import Click, Grant, Lease, LeaseTenant, Link, Message, Perk, Tenant
from tests.makers import NOW, TODAY, make_enrolment, make_lease, make_playbook, make_tenant, make_unit

pytestmark = pytest.mark.django_db
races = pytest.mark.django_db(transaction=True)  # each signer on a connection of its own

RENTS = {
    "朝南一居": {(12, 0): "3900.00", (12, 1): "4170.00", (24, 0): "3800.00"},
    "朝南大一居": {(12, 0): "4500.00"},
}


@pytest.fixture(autouse=True)
def _in_english() -> Iterator[None]:
    with translation.override("en"):
        yield


def make_proposal(lease: Lease | None = None, **facts: Any) -> Proposal:
    """A proposal for a lease that ends on 2025-12-26, its rents published."""
    lease = lease or make_lease(**facts)
    Case.objects.create(lease=lease, state="viewed", since=NOW, opened_at=NOW)
    Rate.objects.bulk_create(
        [
            Rate(
                building=lease.unit.building,
                room_type=room_type,
                term_months=term,
                free_months=free,
                monthly_rent=Decimal(rent),
                signed_from=date(2025, 11, 1),
                signed_to=date(2026, 6, 30),
                recorded_at=NOW,
            )
            for room_type, lines in RENTS.items()
            for (term, free), rent in lines.items()
        ],
        ignore_conflicts=True,
    )
    proposals.prepare(today=TODAY, now=NOW, leases=[lease.pk])
    return Proposal.objects.select_related("lease__unit__building", "tenant").get(lease=lease)


def token_of(proposal: Proposal, choice: Choice | None = None, *, now: datetime = NOW) -> str:
    return quotes.quote(proposal, choice or Choice(12), now=now).token


def ask(proposal: Proposal, choice: Choice | None = None, *, now: datetime = NOW) -> tuple[str, str]:
    """The token of a quote and the digits that were sent for it."""
    token = token_of(proposal, choice, now=now)
    code = signing.ask_code(proposal, proposal.tenant, quote_token=token, now=now)
    return token, codes.digits(code.message.key)


def sign(proposal: Proposal, token: str, digits: str, *, now: datetime = NOW, **more: Any) -> Signature:
    return signing.sign(
        proposal,
        proposal.tenant,
        quote_token=token,
        digits=digits,
        device="Mozilla/5.0 (iPhone)",
        address="203.0.113.7",
        now=now,
        **more,
    )


def wrong(digits: str) -> str:
    return f"{(int(digits) + 1) % 1_000_000:06}"


def counts() -> dict[str, int]:
    return {
        model.__name__: model.objects.count() for model in (Lease, Signature, FilingTask, Grant, CaseChange, Message)
    }


# --- The code ---


def test_a_code_goes_to_the_phone_on_file_without_its_digits_in_the_database() -> None:
    proposal = make_proposal()
    _token, digits = ask(proposal)
    code = Code.objects.select_related("message").get()
    assert code.message.key == f"code:{proposal.pk}:{proposal.tenant_id}:1"
    assert (code.message.klass, code.message.tenant_id) == ("code", proposal.tenant_id)
    assert code.message.text == "验证码 {code}，用于确认续租，5 分钟内有效。"
    assert code.expires_at == code.message.deadline == NOW + timedelta(minutes=5)
    assert digits not in str(Message.objects.values())
    assert Case.objects.get().state == "considering"


def test_codes_are_limited_to_one_a_minute_five_an_hour_ten_a_day() -> None:
    proposal = make_proposal()

    def wait(minute: int) -> int:
        """Seconds to wait if a code is asked for in that minute; 0 if it was sent."""
        try:
            ask(proposal, now=NOW + timedelta(minutes=minute))
        except signing.TooSoon as refused:
            return refused.seconds
        return 0

    assert [wait(minute) for minute in range(6)] == [0, 0, 0, 0, 0, 55 * 60]
    assert wait(59) == 60
    assert [wait(minute) for minute in range(60, 66)] == [0, 0, 0, 0, 0, (1440 - 65) * 60]
    assert wait(1439) == 60
    assert [wait(1440), wait(1441)] == [0, 0]
    assert Code.objects.count() == Message.objects.count() == 12


def test_the_wait_for_another_code_is_told_in_seconds() -> None:
    proposal = make_proposal()
    ask(proposal)
    with pytest.raises(signing.TooSoon) as refused:
        ask(proposal, now=NOW + timedelta(seconds=18))
    assert refused.value.seconds == 42
    assert str(refused.value) == "Another code can be sent in 42 seconds."
    assert Code.objects.count() == Message.objects.count() == 1
    ask(proposal, now=NOW + timedelta(seconds=60))


def test_without_a_phone_on_file_there_is_no_code() -> None:
    proposal = make_proposal()
    Tenant.objects.filter(pk=proposal.tenant_id).update(phone="")
    with pytest.raises(signing.NoPhone):
        ask(proposal)
    assert not Code.objects.exists()


def test_no_code_is_sent_for_a_price_that_is_not_ours() -> None:
    proposal = make_proposal()
    with pytest.raises(quotes.Tampered):
        signing.ask_code(proposal, proposal.tenant, quote_token="x", now=NOW)
    assert not Message.objects.exists()


def test_five_wrong_tries_spend_a_code_and_each_is_counted() -> None:
    proposal = make_proposal()
    token, digits = ask(proposal)
    before = counts()
    for left in (4, 3, 2, 1):
        with pytest.raises(signing.WrongCode) as refused:
            sign(proposal, token, wrong(digits))
        assert (refused.value.left, Code.objects.get().tries) == (left, 5 - left)
    for _ in range(2):
        with pytest.raises(signing.TooManyTries):
            sign(proposal, token, wrong(digits))
    with pytest.raises(signing.TooManyTries):
        sign(proposal, token, digits)
    assert Code.objects.get().tries == 5
    assert counts() == before
    later = NOW + timedelta(minutes=1)
    token, digits = ask(proposal, now=later)
    assert sign(proposal, token, digits, now=later)


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "abcdef", "１２３４５６", "\x00", "null"])
def test_what_is_no_code_is_a_wrong_one(typed: str) -> None:
    proposal = make_proposal()
    token, _digits = ask(proposal)
    with pytest.raises(signing.WrongCode):
        sign(proposal, token, typed)


def test_a_code_expires_after_five_minutes_and_only_the_newest_counts() -> None:
    proposal = make_proposal()
    token, first = ask(proposal)
    with pytest.raises(signing.CodeExpired):
        sign(proposal, token, first, now=NOW + timedelta(minutes=5))
    later = NOW + timedelta(minutes=2)
    token, second = ask(proposal, now=later)
    assert first != second
    with pytest.raises(signing.WrongCode):
        sign(proposal, token, first, now=later)
    assert sign(proposal, token, second, now=later)


def test_nobody_signs_with_a_code_of_somebody_else() -> None:
    mine, other = make_proposal(), make_proposal()
    token = token_of(mine)
    _token, digits = ask(other)
    with pytest.raises(signing.CodeExpired):
        sign(mine, token, digits)
    assert not Signature.objects.exists()


# --- The signature ---


def test_a_signature_brings_the_next_lease_and_all_that_follows() -> None:
    Perk.objects.create(code="homestay", name="民宿体验券", condition="满 12 个月", cost=0, stock=3, is_choice=True)
    proposal = make_proposal()
    lease = proposal.lease
    push = outbox.Draft(
        key="push:1",
        klass="marketing",
        text="…",
        deadline=NOW + timedelta(days=5),
        tenant_id=proposal.tenant_id,
        lease_id=lease.pk,
        stops_on_answer=True,
    )
    outbox.post(push, now=NOW)
    make_enrolment(lease, make_playbook())
    link, _token = links.mint(
        "message:1",
        tenant=proposal.tenant,
        lease=lease,
        purpose=Link.Purpose.PROPOSAL,
        expires_at=NOW + timedelta(days=30),
        now=NOW,
    )
    token, digits = ask(proposal, Choice(12, 1, perk="homestay"))
    words = agreement.draft(proposal, proposal.tenant, quotes.read(token, proposal=proposal, now=NOW), today=TODAY)

    signature = sign(proposal, token, digits, link=link)

    following = Lease.objects.get(renews=lease)
    assert following.pk == signature.lease_id
    assert following.unit_id == lease.unit_id
    assert following.first_day == lease.last_day + timedelta(days=1) == date(2025, 12, 27)
    assert following.last_day == following.agreed_last_day == date(2026, 12, 26)
    assert (following.anchor_day, following.monthly_rent, following.deposit) == (
        27,
        Decimal("4170.00"),
        Decimal("3800.00"),
    )
    assert (following.signed_on, following.state) == (TODAY, "signed")
    assert list(LeaseTenant.objects.filter(lease=following).values_list("tenant_id", flat=True)) == [proposal.tenant_id]
    assert (signature.text, signature.text_hash) == (words.text, words.text_hash)
    assert signature.text_hash == hashlib.sha256(signature.text.encode()).hexdigest()
    assert (signature.device, signature.address, signature.signed_at) == ("Mozilla/5.0 (iPhone)", "203.0.113.7", NOW)
    assert (signature.quote["total"], signature.quote["free_months"]) == ("45870.00", 1)
    assert Code.objects.get().used_at == NOW
    filing = FilingTask.objects.get()
    assert (filing.lease_id, filing.due_on, filing.state) == (following.pk, date(2025, 12, 31), "todo")
    grant = Grant.objects.get()
    assert (grant.key, grant.lease_id, grant.tenant_id) == (
        f"perk:{following.pk}:homestay",
        following.pk,
        proposal.tenant_id,
    )
    assert Perk.objects.get(code="homestay").stock == 2
    assert Case.objects.get().state == "signed"
    assert CaseChange.objects.get(now="signed").cause == f"signature {signature.pk}"
    assert Message.objects.values_list("state", "reason").get(key="push:1") == ("cancelled", "已续租")
    assert Enrolment.objects.values_list("left_on", "left_because").get() == (TODAY, "已续租")
    assert Click.objects.get().proof == "code"
    assert not Message.objects.filter(key__startswith="erp:").exists()


def test_signing_again_returns_the_same_signature_whatever_is_sent() -> None:
    proposal = make_proposal()
    token, digits = ask(proposal)
    first = sign(proposal, token, digits)
    before = counts()
    for later_token, typed in ((token, digits), (token, wrong(digits)), ("x", "")):
        again = sign(proposal, later_token, typed, now=NOW + timedelta(hours=1))
        assert (again.pk, again.text_hash, again.signed_at) == (first.pk, first.text_hash, NOW)
    assert counts() == before


def test_moving_to_another_room_is_a_transfer() -> None:
    make_unit("B1-0909", room_type="朝南大一居", list_rent=Decimal("4500.00"))
    proposal = make_proposal()
    token, digits = ask(proposal, Choice(12, unit="B1-0909"))
    following = sign(proposal, token, digits).lease
    assert (following.unit.code, following.deposit) == ("B1-0909", Decimal("4500.00"))
    assert (following.renews_id, following.first_day) == (proposal.lease_id, date(2025, 12, 27))
    assert Case.objects.get().state == "transferred"


def test_a_month_end_anchor_is_inherited() -> None:
    lease = make_lease(first_day=date(2025, 1, 31), last_day=date(2026, 2, 27), anchor_day=31)
    proposal = make_proposal(lease)
    token, digits = ask(proposal)
    following = sign(proposal, token, digits).lease
    assert (following.first_day, following.last_day, following.anchor_day) == (date(2026, 2, 28), date(2027, 2, 27), 31)


def test_whoever_declined_or_stayed_on_may_still_sign() -> None:
    for state in ("declined", "holdover", "upcoming"):
        proposal = make_proposal()
        Case.objects.filter(lease=proposal.lease).update(state=state)
        token, digits = ask(proposal)
        sign(proposal, token, digits)
        assert Case.objects.get(lease=proposal.lease).state == "signed"


def test_all_tenants_of_a_lease_are_on_the_next_one() -> None:
    lease = make_lease(make_tenant("林晓"))
    LeaseTenant.objects.create(lease=lease, tenant=make_tenant("周航"), is_primary=False)
    proposal = make_proposal(lease)
    token, digits = ask(proposal)
    following = sign(proposal, token, digits).lease
    rows = LeaseTenant.objects.filter(lease=following).order_by("pk").values_list("tenant__name", "is_primary")
    assert list(rows) == [("林晓", True), ("周航", False)]


def test_the_erp_is_told_where_one_is_connected(settings: Any) -> None:
    settings.CHANNELS = ["phone", "erp"]
    proposal = make_proposal()
    token, digits = ask(proposal)
    following = sign(proposal, token, digits).lease
    message = Message.objects.get(key=f"erp:{following.pk}:{following.revision}")
    assert (message.klass, message.channel, message.lease_id) == ("system", "erp", following.pk)
    assert message.forms["erp"]["values"] == {
        "follows": proposal.lease.contract_no, "unit": following.unit.code, "signed_on": "2025-12-01",
        "first_day": "2025-12-27", "last_day": "2026-12-26", "monthly_rent": str(following.monthly_rent),
        "deposit": str(following.deposit), "anchor_day": "27", "revision": "0",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("what", "refusal"),
    [
        ("price", quotes.Changed),
        ("room", quotes.RoomGone),
        ("perk", quotes.Changed),
        ("late", quotes.Expired),
        ("closed", proposals.Closed),
        ("renewed", proposals.Closed),
    ],
)
def test_what_changed_since_the_quote_is_not_signed_and_costs_no_try(what: str, refusal: type[Exception]) -> None:
    room = make_unit("B1-0909", room_type="朝南大一居", list_rent=Decimal("4500.00"))
    Perk.objects.create(code="cleaning", name="保洁", condition="", cost=0, stock=1, is_choice=True)
    proposal = make_proposal()
    late = NOW + timedelta(minutes=28)
    token = token_of(proposal, Choice(12, unit="B1-0909", perk="cleaning"))
    code = signing.ask_code(proposal, proposal.tenant, quote_token=token, now=late)
    now = late
    if what == "price":
        Rate.objects.filter(room_type="朝南大一居").update(monthly_rent=Decimal("4499.99"))
    elif what == "room":
        make_lease(unit=room, first_day=TODAY, last_day=date(2026, 11, 30))
    elif what == "perk":
        Perk.objects.update(stock=0)
    elif what == "late":
        now = NOW + timedelta(minutes=30)
    elif what == "closed":
        Case.objects.update(state="ended_by_operator")
    else:
        make_lease(
            unit=proposal.lease.unit, first_day=date(2025, 12, 27), last_day=date(2026, 12, 26), renews=proposal.lease
        )
    before = counts()
    with pytest.raises(refusal):
        sign(proposal, token, codes.digits(code.message.key), now=now)
    assert counts() == before
    assert Code.objects.get().tries == 0
    assert Code.objects.get().used_at is None


def test_nothing_is_kept_if_the_last_step_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    proposal = make_proposal()
    token, digits = ask(proposal)
    before = counts()

    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(following, "_write_back", fail)
        with pytest.raises(RuntimeError):
            sign(proposal, token, digits)
    assert counts() == before
    assert Case.objects.get().state == "considering"
    assert Code.objects.get().used_at is None
    assert sign(proposal, token, digits)  # the code is still good


@races
def test_signing_refuses_to_be_part_of_a_larger_transaction() -> None:
    proposal = make_proposal()
    token, digits = ask(proposal)
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        sign(proposal, token, digits)


# --- The words ---


def test_the_agreement_says_in_five_lines_who_where_how_long_how_much_and_how_it_ends() -> None:
    proposal = make_proposal(
        make_lease(make_tenant("林晓", phone="10012345678"), make_unit("B1-0301A"), contract_no="HT-1")
    )
    quote = quotes.quote(proposal, Choice(12, 1), now=NOW).quote
    words = agreement.draft(proposal, proposal.tenant, quote, today=TODAY)
    assert words.lines == (
        ("谁", "出租方蓝寓，承租方林晓。"),
        ("哪里", "蓝寓B1 B1-0301A，朝南一居，28.50 平方米。"),
        ("多久", "2025 年 12 月 27 日至 2026 年 12 月 26 日，共 12 个月，首尾两日都算在内。"),
        ("多少", "月租 4,170.00 元，租期最后 1 个月免租；押金 3,800.00 元，由原押金转入，不用再交。"),
        ("怎样结束", "到期自然结束。想提前离开，请提前 30 天告知，双方商定后结束。"),
    )
    assert "第 1 期　2025-12-27 至 2026-01-26　4,170.00 元，2025-12-27 或之前支付" in words.text
    assert "第 12 期　2026-11-27 至 2026-12-26　免租" in words.text
    assert "整个租期合计 45,870.00 元" in words.text
    assert "退房交接完成之日起 7 日内退还" in words.text
    assert "100****5678" in words.text
    assert "10012345678" not in words.text


# --- Other answers ---


def give_notice(proposal: Proposal, more: str) -> None:
    word = notices.Word(last_day=proposal.lease.last_day, more=more)
    notices.give(proposal.lease, proposal.tenant, word, now=NOW)


def test_declining_moves_the_case_stops_the_pushes_and_leaves_the_way_back_open() -> None:
    proposal = make_proposal()
    push = outbox.Draft(
        key="push:1",
        klass="marketing",
        text="…",
        deadline=NOW + timedelta(days=5),
        tenant_id=proposal.tenant_id,
        lease_id=proposal.lease_id,
        stops_on_answer=True,
    )
    outbox.post(push, now=NOW)
    answers.decline(proposal.lease, reason="回老家", now=NOW)
    assert Case.objects.get().state == "declined"
    assert CaseChange.objects.get().cause == "回老家"
    assert Message.objects.get().state == "cancelled"
    token, digits = ask(proposal)
    assert sign(proposal, token, digits)


def test_notice_moves_the_case_and_closes_the_letter() -> None:
    proposal = make_proposal()
    give_notice(proposal, "换工作")
    assert Case.objects.get().state == "notice"
    with pytest.raises(proposals.Closed):
        signing.ask_code(proposal, proposal.tenant, quote_token="x", now=NOW)


def test_whoever_stays_on_after_the_end_has_their_word_kept() -> None:
    proposal = make_proposal()
    Case.objects.update(state="holdover")
    give_notice(proposal, "月底走")
    assert Case.objects.get().state == "holdover"
    assert CaseChange.objects.get().cause == "月底走"


# --- Races ---


def race(acts: list[Callable[[], Any]]) -> list[Any]:
    """Run all at once, each on a connection of its own; what each returned or raised."""
    barrier = threading.Barrier(len(acts))
    outcomes: list[Any] = [None] * len(acts)

    def run(place: int) -> None:
        try:
            barrier.wait(timeout=10)
            outcomes[place] = acts[place]()
        except Exception as error:
            outcomes[place] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    return outcomes


def overlaps() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select count(*) from tenants_lease a join tenants_lease b on a.unit_id = b.unit_id and a.id < b.id
            where a.state = 'signed' and b.state = 'signed'
                and daterange(a.first_day, a.last_day, '[]') && daterange(b.first_day, b.last_day, '[]')
            """
        )
        return int(cursor.fetchone()[0])


LOST = (leases.UnitTaken, leases.AlreadyRenewed, quotes.RoomGone, proposals.Closed)


@races
@pytest.mark.parametrize(("signers", "rounds"), [(2, 8), (8, 3)])
def test_of_many_who_sign_one_room_at_once_exactly_one_gets_it(signers: int, rounds: int) -> None:
    for number in range(rounds):
        unit = make_unit(f"B1-99{number}", room_type="朝南大一居", list_rent=Decimal("4500.00"))
        ready = []
        for _ in range(signers):
            proposal = make_proposal()
            # Their codes were asked for to stay, so that nobody keeps the room (tests/test_holds.py): the signature
            # alone decides.
            ready.append((proposal, token_of(proposal, Choice(12, unit=unit.code)), ask(proposal)[1]))
        outcomes = race([lambda each=each: sign(*each) for each in ready])  # type: ignore[misc]
        won = [each for each in outcomes if isinstance(each, Signature)]
        assert len(won) == 1, outcomes
        assert all(isinstance(each, (Signature, *LOST)) for each in outcomes), outcomes
        assert Lease.objects.filter(unit=unit, state="signed").count() == 1
        # Whoever lost keeps their own room and may choose again.
        assert Counter(Case.objects.filter(lease__in=[each[0].lease_id for each in ready]).values_list("state")) == {
            ("transferred",): 1,
            ("considering",): signers - 1,
        }
    assert overlaps() == 0
    assert Signature.objects.count() == FilingTask.objects.count() == rounds


@races
def test_two_tenants_of_one_lease_renew_it_once() -> None:
    for _ in range(4):
        lease = make_lease()
        LeaseTenant.objects.create(lease=lease, tenant=make_tenant("周航"))
        Case.objects.create(lease=lease, state="viewed", since=NOW, opened_at=NOW)
        make_proposal(make_lease())  # publishes the rents
        proposals.prepare(today=TODAY, now=NOW, leases=[lease.pk])
        both = Proposal.objects.select_related("lease__unit", "tenant").filter(lease=lease)
        ready = [(proposal, *ask(proposal)) for proposal in both]
        outcomes = race([lambda each=each: sign(*each) for each in ready])  # type: ignore[misc]
        assert sorted(isinstance(each, Signature) for each in outcomes) == [False, True], outcomes
        assert all(isinstance(each, (Signature, *LOST)) for each in outcomes), outcomes
        assert Lease.objects.filter(renews=lease).count() == 1


@races
def test_one_who_signs_twice_at_once_signs_once() -> None:
    for _ in range(4):
        proposal = make_proposal()
        token, digits = ask(proposal)
        outcomes = race([lambda p=proposal, t=token, d=digits: sign(p, t, d)] * 4)  # type: ignore[misc]
        assert {each.pk if isinstance(each, Signature) else repr(each) for each in outcomes} == {
            Signature.objects.get(proposal=proposal).pk
        }
        assert Lease.objects.filter(renews=proposal.lease).count() == 1


def test_nothing_reads_the_real_clock() -> None:
    """A signature of another century is as good: verbs take `now`."""
    proposal = make_proposal()
    moment = datetime(2025, 12, 1, 15, 59, tzinfo=UTC)  # 23:59 in Shanghai
    token, digits = ask(proposal, now=moment)
    signature = sign(proposal, token, digits, now=moment + timedelta(minutes=2))  # the next day there
    assert signature.lease.signed_on == date(2025, 12, 2)
    assert FilingTask.objects.get().due_on == date(2026, 1, 1)
