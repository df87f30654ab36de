"""Notice to leave: given by the tenant, confirmed by staff, withdrawn in its window; and a flatmate who stays."""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from campaigns import playbooks
from campaigns.models import Enrolment
from connectors.records import CoTenant
from renewal import cards, cases, kpis, notices, proposals
from renewal.models import Case, CaseChange, Notice, Proposal
from tenants import clock, history, leases, links, outbox
from tenants.models import Lease, LeaseTenant, Link, Message, Promotion, Tenant
from tests.letter import make_letter, opened, sign_it
from tests.makers import NOW, TODAY, make_lease, make_playbook, make_tenant, make_unit, make_user
from tests.test_leases import contract

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _ten_in_the_morning(db: None) -> None:
    clock.set_to(NOW)


@pytest.fixture
def letter(client: Client) -> Link:
    """Lin's letter, open in this browser; her lease ends on 26 December."""
    link, token = make_letter()
    opened(client, token)
    return link


@pytest.fixture
def root() -> Client:
    browser = Client()
    browser.force_login(make_user("root", is_superuser=True))
    return browser


def flatmate(link: Link, name: str = "周航") -> Tenant:
    mate = make_tenant(name)
    LeaseTenant.objects.create(lease=link.lease, tenant=mate, is_primary=False)
    return mate


def text(response: Any) -> str:
    return unescape(response.content.decode())


def act(root: Client, do: str, **more: Any) -> Any:
    return root.post(
        reverse("staff-case-act", args=[Case.objects.get(lease__tenants__name="林晓").pk]), {"do": do, **more}
    )


def outcome(day: date = TODAY, now: Any = None) -> str:
    """How the figures count the one lease."""
    month = kpis.figures(day=day, now=now or clock.now())["renewal"]["month"]
    return next(name for name in ("left", "undecided", "renewed") if month[name])


def offered(link: Link) -> bool:
    """Whether a neighbour of another type is offered the room."""
    mine = link.lease.unit
    neighbour = make_lease(make_tenant("邻居"), make_unit(room_type="朝南大一居"), last_day=date(2025, 12, 30))
    card = cards.build([neighbour], today=clock.today())[neighbour.pk]
    return mine.code in {room.unit for room in card.rooms}


# --- The tenant's word --------------------------------------------------------------------------


def test_notice_is_given_with_a_day_a_reason_and_an_address_and_says_until_when_it_may_be_taken_back(
    client: Client, letter: Link
) -> None:
    page = text(client.get("/r/letter/notice"))
    assert "2025 年 12 月 8 日" in page  # seven days from today
    assert (Case.objects.get().state, Notice.objects.exists()) == ("viewed", False)
    answer = client.post(
        "/r/letter/notice",
        {"day": "2025-12-20", "reason": "work", "more": "去上海", "forwarding": "上海市浦东新区世纪大道 100 号 302"},
    )
    assert answer["Location"] == "/r/letter/notice"
    notice = Notice.objects.get()
    assert (notice.last_day, notice.reason, notice.more, notice.only_them) == (
        date(2025, 12, 20),
        "work",
        "去上海",
        False,
    )
    assert (notice.given_by, notice.confirmed_at, notice.window_ends_at) == (
        "tenant",
        None,
        clock.at(date(2025, 12, 9)),
    )
    assert "世纪大道".encode() not in bytes(notice.forwarding)
    assert notices.forwarding(notice) == "上海市浦东新区世纪大道 100 号 302"
    change = CaseChange.objects.latest("pk")
    assert (change.was, change.now, change.cause, change.by) == ("viewed", "notice", "work: 去上海", "tenant")
    page = text(client.get("/r/letter/notice"))
    for words in (
        "已收到您的退租通知",
        "2025 年 12 月 20 日",
        "2025 年 12 月 27 日",
        "2025 年 12 月 8 日",
        "上海市浦东新****",
    ):
        assert words in page, words
    assert "302" not in page


def test_a_second_notice_is_the_first_one(client: Client, letter: Link) -> None:
    client.post("/r/letter/notice", {"day": "2025-12-20"})
    client.post("/r/letter/notice", {"day": "2025-12-21", "reason": "rent"})
    notice = Notice.objects.get()
    assert (notice.last_day, notice.reason) == (date(2025, 12, 20), "")
    assert CaseChange.objects.filter(now="notice").count() == 1


@pytest.mark.parametrize("day", ["2025-11-30", "2025-12-27", "nonsense"])
def test_a_day_outside_the_lease_is_refused_in_a_sentence_and_what_was_typed_stays(
    client: Client, letter: Link, day: str
) -> None:
    answer = client.post("/r/letter/notice", {"day": day, "reason": "work", "more": "去上海", "forwarding": "某处"})
    assert answer.status_code == 422
    page = text(answer)
    assert page.count('role="alert"') == 1
    assert "去上海</textarea>" in page
    assert 'value="某处"' in page
    assert re.search(r'value="work" checked', page)
    assert (Notice.objects.exists(), Case.objects.get().state) == (False, "viewed")


def test_a_get_never_gives_nor_withdraws(client: Client, letter: Link) -> None:
    assert client.get("/r/letter/notice").status_code == 200
    assert client.get("/r/letter/notice/withdraw").status_code == 405
    assert not Notice.objects.exists()


def test_the_closed_letter_leads_to_the_notice(client: Client, letter: Link) -> None:
    client.post("/r/letter/notice")
    page = client.get("/r/letter/")
    assert page.status_code == 410
    assert 'href="/r/letter/notice"' in text(page)


def test_in_another_browser_the_token_leads_to_the_notice_too(client: Client) -> None:
    _link, token = make_letter()
    opened(client, token)
    client.post("/r/letter/notice")
    page = client.post(f"/r/{token}/open", {"gesture": "1"})
    assert (page.status_code, 'href="/r/letter/notice"' in text(page)) == (410, True)
    fresh = Client()
    assert "确认" in text(fresh.post(f"/r/{token}/open", {"gesture": "1"}, follow=True))


def test_within_its_window_the_tenant_takes_it_back_and_the_letter_is_open_again(client: Client, letter: Link) -> None:
    client.post("/r/letter/notice", {"reason": "work"})
    clock.set_to(clock.at(date(2025, 12, 8), 23))
    opened_again = reopen(client, letter)
    answer = opened_again.post("/r/letter/notice/withdraw")
    assert "您留下来" in text(answer)
    case = Case.objects.get()
    assert case.state == "considering"
    notice = Notice.objects.get()
    assert (notice.withdrawn_by, notice.withdrawn_at is not None) == ("tenant", True)
    assert CaseChange.objects.latest("pk").cause == "the notice was withdrawn"
    assert opened_again.get("/r/letter/").status_code == 200
    # Once more changes nothing.
    before = CaseChange.objects.count()
    opened_again.post("/r/letter/notice/withdraw")
    assert (CaseChange.objects.count(), Case.objects.get().state) == (before, "considering")
    # And it may be given once more.
    opened_again.post("/r/letter/notice")
    assert Notice.objects.filter(withdrawn_at=None).count() == 1


def reopen(client: Client, link: Link) -> Client:
    """The same browser, hours later: it opens the letter once more, whatever it shows."""
    session = client.session
    session["letter"] = {"link": link.pk, "until": (clock.now() + timedelta(hours=12)).isoformat()}
    session.save()
    return client


def test_after_its_window_or_its_confirmation_the_tenant_is_asked_to_call(client: Client, letter: Link) -> None:
    client.post("/r/letter/notice")
    clock.set_to(clock.at(date(2025, 12, 9)))
    reopen(client, letter)
    assert "withdraw" not in text(client.get("/r/letter/notice"))
    late = client.post("/r/letter/notice/withdraw")
    assert (late.status_code, "期限已过" in text(late)) == (409, True)
    clock.set_to(NOW)
    notices.confirm(Notice.objects.get(), now=NOW, by="mei")
    assert "您的退租已确认" in text(client.get("/r/letter/notice"))
    confirmed = client.post("/r/letter/notice/withdraw")
    assert (confirmed.status_code, "已经确认" in text(confirmed)) == (409, True)
    assert Case.objects.get().state == "notice"


def test_what_was_to_be_sent_about_it_is_cancelled(client: Client, letter: Link) -> None:
    draft = outbox.Draft(
        key="push:1", klass="marketing", text="…", deadline=NOW + timedelta(days=5), tenant_id=letter.tenant_id,
        lease_id=letter.lease_id, stops_on_answer=True,
    )  # fmt: skip
    outbox.post(draft, now=NOW)
    client.post("/r/letter/notice")
    assert Message.objects.get().state == "cancelled"


def test_whoever_stays_on_after_the_end_is_called(client: Client, letter: Link) -> None:
    Case.objects.update(state="holdover")
    answer = client.post("/r/letter/notice", {"more": "月底走"})
    assert "会联系您" in text(answer)
    assert (Case.objects.get().state, CaseChange.objects.latest("pk").cause) == ("holdover", "月底走")
    assert not Notice.objects.exists()


# --- Staff, the figures and the room ------------------------------------------------------------


def test_only_a_confirmed_notice_counts_and_only_then_is_the_room_offered(
    client: Client, letter: Link, root: Client
) -> None:
    client.post("/r/letter/notice", {"reason": "work"})
    assert (outcome(), offered(letter)) == ("undecided", False)
    page = text(root.get(reverse("staff-case", args=[Case.objects.get(lease=letter.lease).pk])))
    assert "我们要：确认退租" in page
    notice = Notice.objects.get()
    clock.set_to(NOW + timedelta(days=1))
    assert act(root, "confirm", notice=notice.pk).status_code == 302
    notice.refresh_from_db()
    assert (notice.confirmed_by, notice.confirmed_at is not None) == ("root", True)
    assert (outcome(clock.today()), offered(letter)) == ("left", True)
    # Yesterday as it stood then.
    assert outcome(TODAY, NOW) == "undecided"
    # A second time nothing changes.
    changes = CaseChange.objects.count()
    assert act(root, "confirm", notice=notice.pk).status_code == 302
    assert CaseChange.objects.count() == changes


def test_a_notice_of_the_contract_itself_counts_at_once() -> None:
    lease = make_lease(ended_by="tenant", ended_agreed_on=TODAY)
    case = Case.objects.create(lease=lease, state="viewed", since=NOW, opened_at=NOW)
    cases.move(case, "notice", now=NOW, cause="the tenant ends the lease early", by="cases.noticed")
    assert outcome() == "left"


def test_staff_withdraw_a_confirmed_notice_and_the_room_is_offered_to_nobody_at_once(
    client: Client, letter: Link, root: Client
) -> None:
    client.post("/r/letter/notice")
    notice = Notice.objects.get()
    act(root, "confirm", notice=notice.pk)
    assert (outcome(), offered(letter)) == ("left", True)
    assert act(root, "withdraw", notice=notice.pk).status_code == 302
    assert (Case.objects.get(lease=letter.lease).state, outcome(), offered(letter)) == (
        "considering",
        "undecided",
        False,
    )
    assert Notice.objects.get().withdrawn_by == "root"


def test_a_room_let_to_somebody_else_is_not_given_back(client: Client, letter: Link, root: Client) -> None:
    client.post("/r/letter/notice")
    notice = Notice.objects.get()
    act(root, "confirm", notice=notice.pk)
    make_lease(make_tenant("新租客"), letter.lease.unit, first_day=date(2026, 1, 1), last_day=date(2026, 12, 31))
    answer = act(root, "withdraw", notice=notice.pk)
    assert (answer.status_code, "2026-01-01" in text(answer)) == (409, True)
    assert Case.objects.get(lease=letter.lease).state == "notice"


def test_who_told_staff_is_written_down_and_confirmed_in_one_step(letter: Link, root: Client) -> None:
    assert act(root, "leaves", who="all", day="2025-12-26", reason="bought").status_code == 302
    notice = Notice.objects.get()
    assert (notice.given_by, notice.confirmed_by, notice.reason, notice.only_them) == ("root", "root", "bought", False)
    assert (Case.objects.get().state, outcome()) == ("notice", "left")
    for wrong in ({"who": "all", "day": ""}, {"who": "999", "day": "2025-12-26"}, {"day": "2025-12-26"}):
        assert act(root, "leaves", **wrong).status_code == 409


def test_the_case_page_shows_no_more_of_the_address_than_a_district(client: Client, letter: Link, root: Client) -> None:
    client.post("/r/letter/notice", {"forwarding": "上海市浦东新区世纪大道 100 号 302"})
    page = text(root.get(reverse("staff-case", args=[Case.objects.get().pk])))
    assert "上海市浦东新****" in page
    assert "世纪大道" not in page


# --- A flatmate stays ---------------------------------------------------------------------------


def test_who_lives_alone_is_not_asked_who_leaves(client: Client, letter: Link) -> None:
    assert "只有我搬走" not in text(client.get("/r/letter/notice"))
    client.post("/r/letter/notice", {"who": "me"})
    assert (Notice.objects.get().only_them, Case.objects.get().state) == (False, "notice")


def test_only_i_leave_the_other_stands_first_and_renews_without_me(client: Client, letter: Link, root: Client) -> None:
    mate = flatmate(letter)
    page = text(client.get("/r/letter/notice"))
    assert "只有我搬走" in page
    assert "周*留下" in page
    client.post("/r/letter/notice", {"who": "me", "reason": "work"})
    notice = Notice.objects.get()
    assert (notice.only_them, notice.tenant) == (True, letter.tenant)
    # The lease goes on: the case stays where it was, nothing is counted, nobody is offered the room.
    assert (Case.objects.get(lease=letter.lease).state, outcome(), offered(letter)) == ("viewed", "undecided", False)
    assert not Proposal.objects.filter(tenant=mate).exists()

    said = make_playbook("x")
    Enrolment.objects.create(
        lease=letter.lease, tenant=letter.tenant, playbook=said.playbook, version=said, start_on=TODAY,
        start_why="到期前 60 天", enrolled_on=TODAY,
    )  # fmt: skip
    act(root, "confirm", notice=notice.pk)
    assert dict(LeaseTenant.objects.filter(lease=letter.lease).values_list("tenant", "is_primary")) == {
        letter.tenant_id: False, mate.pk: True,
    }  # fmt: skip
    proposal = Proposal.objects.get(tenant=mate)
    assert Case.objects.get(lease=letter.lease).state == "viewed"
    page = text(root.get(reverse("staff-case", args=[Case.objects.get(lease=letter.lease).pk])))
    assert "要走，其他人留下" in page
    # Who leaves has nothing to sign, and hears no more of it.
    assert client.get("/r/letter/").status_code == 410
    playbooks.leave(today=TODAY, now=NOW)
    assert Enrolment.objects.get(tenant=letter.tenant).left_because == "租约上另有第一承租人"

    # The one who stays signs; the next lease is theirs alone.
    other = Client()
    _link, token = links.mint(
        "message:push:2", tenant=mate, lease=letter.lease, purpose="proposal",
        expires_at=links.expiry(letter.lease, now=NOW), now=NOW,
    )  # fmt: skip
    opened(other, token)
    assert sign_it(other)["Location"] == "/r/letter/done"
    following = Lease.objects.get(renews=letter.lease)
    assert set(following.tenants.all()) == {mate}
    assert Case.objects.get(lease=letter.lease).state == "signed"
    assert proposal.tenant == mate


def test_taking_it_back_puts_them_first_again(client: Client, letter: Link, root: Client) -> None:
    mate = flatmate(letter)
    client.post("/r/letter/notice", {"who": "me"})
    notice = Notice.objects.get()
    act(root, "confirm", notice=notice.pk)
    act(root, "withdraw", notice=notice.pk)
    assert dict(LeaseTenant.objects.values_list("tenant", "is_primary")) == {letter.tenant_id: True, mate.pk: False}
    assert Promotion.objects.get().undone_at is not None
    assert client.get("/r/letter/").status_code == 200


def test_staff_write_down_that_one_leaves_and_choose_who_stands_first(letter: Link, root: Client) -> None:
    first, second = flatmate(letter, "周航"), flatmate(letter, "何雨")
    assert act(root, "leaves", who=letter.tenant_id, day="2025-12-20", stays=second.pk).status_code == 302
    assert set(LeaseTenant.objects.filter(is_primary=True).values_list("tenant", flat=True)) == {second.pk}
    assert notices.leaving(letter.lease) == {letter.tenant_id}
    # A second flatmate leaves as well; the one who stays is not asked to leave first.
    assert act(root, "leaves", who=first.pk, day="2025-12-20").status_code == 302
    assert notices.leaving(letter.lease) == {letter.tenant_id, first.pk}
    assert set(LeaseTenant.objects.filter(is_primary=True).values_list("tenant", flat=True)) == {second.pk}
    # The last one cannot leave alone: then all have left.
    assert act(root, "leaves", who=second.pk, day="2025-12-20").status_code == 302
    assert Case.objects.get().state == "notice"


def test_a_later_revision_of_the_contract_does_not_put_the_leaver_first_again() -> None:
    make_unit("A")
    cotenants = (CoTenant("周航", "10012340002"),)
    leases.apply(contract(revision=1, cotenants=cotenants), now=NOW)
    lease = Lease.objects.get()
    mate = Tenant.objects.get(name="周航")
    before = NOW - timedelta(minutes=1)
    leases.promote(lease, mate, by="mei", now=NOW + timedelta(hours=1))
    leases.apply(contract(revision=2, cotenants=cotenants, monthly_rent=Decimal("4000")), now=NOW + timedelta(hours=2))
    assert LeaseTenant.objects.get(is_primary=True).tenant == mate

    def first_as_known(at: Any) -> list[int]:
        with connection.cursor() as cursor:
            cursor.execute(
                history.as_known("select tenant_id from tenants_leasetenant where is_primary"), {"known_at": at}
            )
            return [pk for (pk,) in cursor.fetchall()]

    other = LeaseTenant.objects.get(is_primary=False).tenant_id
    assert first_as_known(before) == []
    assert first_as_known(NOW + timedelta(minutes=30)) == [other]
    assert first_as_known(NOW + timedelta(hours=3)) == [mate.pk]
    leases.demote(lease, now=NOW + timedelta(hours=4))
    assert LeaseTenant.objects.get(is_primary=True).tenant_id == other
    assert first_as_known(NOW + timedelta(hours=5)) == [other]
    with pytest.raises(leases.NotOnLease):
        leases.promote(lease, make_tenant("路人"), by="mei", now=NOW)


def test_a_proposal_is_closed_for_who_leaves_alone(letter: Link) -> None:
    flatmate(letter)
    notices.enter(letter.lease, letter.tenant, notices.Word(TODAY, only_me=True), now=NOW, by="mei")
    with pytest.raises(proposals.Closed, match="notice"):
        proposals.for_link(letter, today=TODAY, now=NOW)
