"""A room is kept for whoever is about to sign for it, for nobody else, and never for ever."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client

from renewal import holds, proposals, quotes, signing
from renewal.models import Code, Hold, Proposal, Signature
from renewal.offers import Choice
from tenants import clock, codes
from tenants.models import Lease, LeaseTenant, Link, Unit
from tests.letter import ask_price, digits_of, hidden, make_letter, opened
from tests.makers import NOW, TODAY, make_building, make_tenant, make_unit
from tests.test_signing import race

pytestmark = pytest.mark.django_db
races = pytest.mark.django_db(transaction=True)
HALF_AN_HOUR = timedelta(minutes=30)


@pytest.fixture(autouse=True)
def _it_is_ten_in_the_morning(db: None) -> None:
    clock.set_to(NOW)


def larger(code: str = "B1-0901A", **facts: Any) -> Unit:
    facts = {"room_type": "朝南大一居", "floor": 9, "list_rent": Decimal("4600.00")} | facts
    return make_unit(code, make_building(), **facts)


def reader() -> tuple[Client, Link]:
    """Somebody of the building who has their letter open."""
    client, (link, token) = Client(), make_letter(f"message:push:{Link.objects.count()}")
    opened(client, token)
    return client, link


def go_on(client: Client, unit: str = "B1-0901A", **more: str) -> str:
    """Where the button under the sliders leads."""
    tab = "move" if unit else "stay"
    form = {"term": "12", "free": "0", "tab": tab, "unit": unit} | more
    return str(client.post("/r/letter/agreement", form)["Location"])


def minute(moment: datetime) -> int:
    """Minutes after ten: the clock of the pages runs on while a test does."""
    return round((moment - NOW) / timedelta(minutes=1))


def living() -> list[tuple[str, int, int]]:
    """Which room is kept for which lease now, and until how many minutes after ten."""
    now = clock.now()
    rows = Hold.objects.filter(taken_at__lte=now, until__gt=now).order_by("pk").select_related("unit", "proposal")
    return [(row.unit.code, row.proposal.lease_id, minute(row.until)) for row in rows]


def at(minutes: float) -> None:
    """It is so many minutes after ten."""
    clock.set_to(NOW + timedelta(minutes=minutes))


def text(client: Client, path: str = "/r/letter/") -> str:
    return client.get(path, follow=True).content.decode()


def test_going_on_with_another_room_keeps_it_for_half_an_hour(client: Client) -> None:
    larger()
    client, link = reader()
    ask_price(client, term=12, free=0, tab="move", unit="B1-0901A")
    assert living() == []  # looking keeps nothing
    assert go_on(client) == "/r/letter/agreement"
    assert living() == [("B1-0901A", link.lease_id, 30)]
    at(12)
    assert "这间房为您留到 10:30。" in text(client, "/r/letter/agreement")
    assert "为您留到 10:30" in text(client)
    client.get("/r/letter/code")
    client.head("/r/letter/agreement")
    ask_price(client, term=12, free=0, tab="stay", unit="")
    assert living() == [("B1-0901A", link.lease_id, 30)]
    at(31)
    assert living() == []
    ask_price(client, term=12, free=0, tab="move", unit="B1-0901A")
    assert "这间房此刻没有为您保留，先签的人先得。" in text(client, "/r/letter/agreement")
    assert living() == []


def test_staying_keeps_nothing(client: Client) -> None:
    client, link = reader()
    assert go_on(client, "") == go_on(client, link.lease.unit.code) == "/r/letter/agreement"
    assert Hold.objects.count() == 0


def test_others_are_told_when_to_look_again_and_not_offered_the_room() -> None:
    larger()
    (first, _), (second, link) = reader(), reader()
    assert 'value="B1-0901A"' in text(second)
    go_on(first)
    page = text(second)
    assert 'value="B1-0901A"' not in page
    assert "朝南大一居" in page
    assert "这间房刚被别人选着，约 30 分钟后再看。" in page
    for minutes, said in ((10.5, 20), (28.5, 2), (29.5, 1)):
        at(minutes)
        assert f"这间房刚被别人选着，约 {said} 分钟后再看。" in text(second)
    card = proposals.card_of(Proposal.objects.get(lease=link.lease))
    assert [(room.unit, minute(room.until)) for room in card.held] == [("B1-0901A", 30)]
    at(31)
    page = text(second)
    assert 'value="B1-0901A"' in page
    assert "别人" not in page
    assert go_on(second) == "/r/letter/agreement"


def test_a_room_of_the_same_type_is_offered_in_its_place() -> None:
    larger()
    (first, _), (second, _) = reader(), reader()
    go_on(first)
    larger("B1-1001A")
    page = text(second)
    assert 'value="B1-1001A"' in page
    assert "B1-0901A" not in page


def test_whoever_comes_second_is_told_so_and_keeps_what_was_chosen() -> None:
    larger()
    (first, mine), (second, _) = reader(), reader()
    text(second)
    go_on(first)
    at(5.5)
    answer = ask_price(second, term=12, free=0, tab="move", unit="B1-0901A")
    assert (answer.status_code, answer.json()) == (422, {"error": "这间房刚被别人选着，约 25 分钟后再看。"})
    assert go_on(second, term="24") == "/r/letter/?say=held#offers"
    page = second.get("/r/letter/?say=held").content.decode()
    assert page.count("这间房刚被别人选着，约 25 分钟后再看。") == 2  # at the top, and beside the room
    assert 'value="24"' in page  # the term as it was chosen
    for file in ("agreement", "agreement.txt", "agreement.pdf"):  # none of them about another room, without a word
        assert second.get(f"/r/letter/{file}")["Location"] == "/r/letter/?say=held#offers"
    assert living() == [("B1-0901A", mine.lease_id, 30)]
    at(31)
    assert "别人" not in second.get("/r/letter/?say=held").content.decode()  # it is free again: nothing to say
    assert "data-word" in text(second, "/r/letter/")


@pytest.mark.parametrize("unit", ["B9-none", "B1-0101", "<b>"])
def test_a_room_that_is_not_offered_keeps_nothing_and_leads_back(unit: str) -> None:
    larger("B1-0101", room_type="复式")  # no rent is published for it
    client, _link = reader()
    assert go_on(client, unit) == "/r/letter/?say=gone#offers"
    assert Hold.objects.count() == 0
    assert "这间房现在选不了了" in client.get("/r/letter/?say=gone").content.decode()


@pytest.mark.parametrize("what", ["another", "stay", "decline", "notice"])
def test_another_choice_or_answer_lets_the_room_go(what: str) -> None:
    larger()
    make_unit("B1-0902A", make_building(), room_type="朝南一居")
    (first, _), (second, other) = reader(), reader()
    go_on(first)
    at(3)
    if what in {"another", "stay"}:
        go_on(first, "B1-0902A" if what == "another" else "")
    else:
        first.post(f"/r/letter/{what}", {"reason": "rent"})
    ended = Hold.objects.get(unit__code="B1-0901A")
    assert (minute(ended.until), ended.why_over) == (3, "answered" if what in {"decline", "notice"} else "other")
    assert [code for code, _, _ in living()] == (["B1-0902A"] if what == "another" else [])
    assert go_on(second) == "/r/letter/agreement"
    assert ("B1-0901A", other.lease_id, 33) in living()


def test_nobody_keeps_rooms_for_longer_than_two_hours_in_a_day() -> None:
    larger()
    larger("B1-0902A", room_type="朝南一居")
    (client, link), (second, _) = reader(), reader()
    until = []
    for minutes in (0, 25, 50, 75, 100, 119):
        at(minutes)
        assert go_on(client) == "/r/letter/agreement"
        until.append(minute(Hold.objects.get().until))
    assert until == [30, 55, 80, 105, 120, 120]
    at(121)
    assert go_on(client) == go_on(client, "B1-0902A") == "/r/letter/agreement"  # signing is still open to them
    assert "这间房此刻没有为您保留" in text(client, "/r/letter/agreement")
    assert living() == []
    assert go_on(second) == "/r/letter/agreement"
    at(24 * 60 + 10)  # ten minutes of it are more than a day old
    holds.keep(Proposal.objects.get(lease=link.lease), "B1-0901A", now=clock.now())
    assert living() == [("B1-0901A", link.lease_id, 24 * 60 + 20)]


def test_asking_for_the_code_keeps_the_room_on() -> None:
    larger()
    client, link = reader()
    go_on(client)
    at(20)
    token = hidden(client.get("/r/letter/agreement"), "quote")
    client.post("/r/letter/code", {"quote": token, "agree": "1"})
    assert living() == [("B1-0901A", link.lease_id, 50)]


def test_signing_uses_the_hold_up() -> None:
    larger()
    (client, link), (second, _) = reader(), reader()
    text(second)
    go_on(client)
    client.post("/r/letter/code", {"quote": hidden(client.get("/r/letter/agreement"), "quote"), "agree": "1"})
    at(2)
    assert client.post("/r/letter/sign", {"code": digits_of()})["Location"] == "/r/letter/done"
    assert Lease.objects.get(renews=link.lease).unit.code == "B1-0901A"
    hold = Hold.objects.get()
    assert (minute(hold.until), hold.why_over) == (2, "signed")
    assert go_on(second) == "/r/letter/?say=gone#offers"
    assert "B1-0901A" not in text(second)


def quoted(link: Link, unit: str = "B1-0901A") -> tuple[Proposal, str]:
    proposal = Proposal.objects.select_related("lease__unit__building", "tenant").get(lease=link.lease)
    return proposal, quotes.quote(proposal, Choice(12, 0, unit), now=NOW).token


def test_a_price_seen_earlier_signs_no_room_that_is_kept_for_another() -> None:
    larger()
    (first, _), (_, theirs) = reader(), reader()
    proposal, token = quoted(theirs)
    stay = quotes.quote(proposal, Choice(12), now=NOW).token
    code = signing.ask_code(proposal, proposal.tenant, quote_token=stay, now=NOW)
    go_on(first)
    with pytest.raises(quotes.RoomHeld):
        signing.ask_code(proposal, proposal.tenant, quote_token=token, now=NOW)
    with pytest.raises(quotes.RoomHeld):
        signing.sign(
            proposal,
            proposal.tenant,
            quote_token=token,
            digits=codes.digits(code.message.key),
            device="",
            address=None,
            now=NOW,
        )
    assert Code.objects.get().tries == 0
    assert Signature.objects.count() == 0


def test_flatmates_on_one_lease_share_what_is_kept_for_it() -> None:
    larger()
    client, link = reader()
    LeaseTenant.objects.create(lease=link.lease, tenant=make_tenant("周航"))
    proposals.prepare(today=TODAY, now=NOW, leases=[link.lease_id])
    other = Proposal.objects.exclude(tenant=link.tenant).get()
    go_on(client)
    at(10)
    assert holds.keep(other, "B1-0901A", now=clock.now()) == Hold.objects.get()
    assert living() == [("B1-0901A", link.lease_id, 40)]


def test_a_hold_ends_to_the_second_and_minutes_are_rounded_up() -> None:
    larger()
    (_, one), (_, two) = reader(), reader()
    proposal, other = Proposal.objects.get(lease=one.lease), Proposal.objects.get(lease=two.lease)
    at(60)  # no page is asked any more: these are the verbs, with a `now` of their own
    moment = NOW + timedelta(hours=1)
    hold = holds.keep(proposal, "B1-0901A", now=moment)
    assert hold is not None
    assert hold.until == moment + HALF_AN_HOUR
    for seconds, minutes in ((0, 30), (1, 30), (59, 30), (60, 29), (1799, 1)):
        with pytest.raises(quotes.RoomHeld) as refused:
            holds.keep(other, "B1-0901A", now=moment + timedelta(seconds=seconds))
        assert (refused.value.minutes, refused.value.until) == (minutes, moment + HALF_AN_HOUR)
    following = holds.keep(other, "B1-0901A", now=moment + HALF_AN_HOUR)
    assert following is not None
    assert following.taken_at == hold.until


# --- Promised once, whatever happens at once ---


def test_the_database_refuses_what_the_code_would_never_do() -> None:
    room, another = larger(), larger("B1-0902A")
    (_, one), (_, two) = reader(), reader()
    a, b = Proposal.objects.get(lease=one.lease), Proposal.objects.get(lease=two.lease)
    later = NOW + HALF_AN_HOUR
    Hold.objects.create(proposal=a, unit=room, taken_at=NOW, until=later)
    Hold.objects.create(proposal=b, unit=room, taken_at=later, until=later + HALF_AN_HOUR)  # the moment it is free
    for facts in (
        {"proposal": b, "unit": room, "taken_at": NOW + timedelta(minutes=29), "until": later},
        {"proposal": a, "unit": another, "taken_at": NOW + timedelta(minutes=29), "until": later},
        {"proposal": a, "unit": another, "taken_at": later, "until": NOW},
        {"proposal": a, "unit": another, "taken_at": later, "until": later + timedelta(hours=2, seconds=1)},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            Hold.objects.create(**facts)


@pytest.fixture
def without_the_constraint() -> Iterator[None]:
    """The protection taken off: the red twin."""
    with connection.cursor() as cursor:
        cursor.execute("alter table renewal_hold drop constraint hold_of_a_room_once")
    yield
    Hold.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute(
            "alter table renewal_hold add constraint hold_of_a_room_once exclude using gist"
            " (int8range(unit_id, unit_id, '[]') with &&, tstzrange(taken_at, until) with &&)"
        )


@pytest.fixture
def without_the_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a room, and all eight have seen that it is free before the first of them writes."""
    seen, look = threading.Barrier(8), quotes.refuse_if_not_free

    def look_and_wait(*what: Any, **when: Any) -> None:
        look(*what, **when)
        seen.wait(timeout=20)

    monkeypatch.setattr("tenants.leases.lock_units", lambda units: None)
    monkeypatch.setattr("renewal.quotes.refuse_if_not_free", look_and_wait)


def at_once(many: int) -> list[Any]:
    """Where that many are led who go on with one room at the same moment."""
    clock.set_to(NOW)
    larger()
    readers = [reader()[0] for _ in range(many)]
    return race([lambda client=client: go_on(client) for client in readers])  # type: ignore[misc]


@races
def test_of_fifty_who_choose_one_room_at_once_exactly_one_has_it() -> None:
    outcomes = at_once(50)
    assert sorted(map(str, outcomes)) == ["/r/letter/?say=held#offers"] * 49 + ["/r/letter/agreement"]
    assert len(living()) == 1


@races
def test_without_its_protection_the_room_would_be_promised_more_than_once(
    without_the_constraint: None, without_the_locks: None
) -> None:
    at_once(8)
    assert len(living()) == 8


@races
def test_the_constraint_alone_keeps_the_promise(without_the_locks: None) -> None:
    """Without the locks a loser may be told of a deadlock; two promises there never are."""
    at_once(8)
    assert len(living()) == 1
