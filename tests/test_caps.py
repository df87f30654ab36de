"""The weekly cap: what is counted, what letters offer, who has the last place; nothing breaks it but a contract."""

from __future__ import annotations

import html
import random
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.utils import translation

from renewal import (
    batches,
    caps,
    cards,
    certificates,
    cosigning,
    days,
    errands,
    following,
    offers,
    proposals,
    quotes,
    rates,
    rounds,
    seconding,
    signing,
)
from renewal.models import Case, Errand, Proposal, Rate, Round, Signature, WeekCap
from renewal.offers import Choice
from tenants import clock, codes
from tenants.models import Building, Grant, Lease, Message, Perk, Unit, User
from tests.letter import OWN, ask_price, hidden, make_letter, opened
from tests.makers import NOW, TODAY, make_building, make_lease, make_tenant, make_unit, make_user
from tests.test_access import member
from tests.test_rate_card import as_, text
from tests.test_rounds import agree, first_yes, make_shared
from tests.test_signing import ask, make_proposal, race, sign, token_of

pytestmark = pytest.mark.django_db
races = pytest.mark.django_db(transaction=True)

KIND = "朝南一居"
YEAR = date(2026, 12, 26)  # the last day of twelve months after a lease of tests/makers.py: a Saturday
WEEK = date(2026, 12, 21)  # its Monday
WEEKS = "/admin/rates/weeks/?building=B1"


@pytest.fixture(autouse=True)
def _it_is_ten_in_the_morning(request: Any) -> Iterator[None]:
    clock.set_to(NOW)
    with translation.override("zh-hans"):
        yield


def make_cap(most: int | None = 1, kind: str = KIND, code: str = "B1", **facts: Any) -> WeekCap:
    one, other = (User.objects.get_or_create(username=name)[0] for name in ("asker", "approver"))
    known: dict[str, Any] = {"state": "standing", "asked_at": NOW, "decided_at": NOW, "decided_by": other}
    return WeekCap.objects.create(
        building=make_building(code), room_type=kind, most=most, why="冬季", asked_by=one, **(known | facts)
    )


def ending(last_day: date = date(2026, 12, 24), **facts: Any) -> Lease:
    """Somebody else's lease that ends in the week in which twelve months would."""
    return make_lease(last_day=last_day, **facts)


def counted() -> Counter[tuple[str, str, date]]:
    """The oracle: goes through every lease and round, and counts as docs/rates.md says."""
    found: Counter[tuple[str, str, date]] = Counter()
    signed = list(Lease.objects.filter(state="signed").select_related("unit__building"))
    ends = [(lease.unit, lease.last_day) for lease in signed]
    last = {unit.pk: max(day for other, day in ends if other.pk == unit.pk) for unit, _day in ends}
    places = [(unit, day) for unit, day in ends if last[unit.pk] == day]
    for waiting in Round.objects.filter(state="open").select_related("unit__building"):
        places.append((waiting.unit, date.fromisoformat(waiting.quote["last_day"])))
    for unit, day in places:
        while day.isoweekday() != 1:
            day -= timedelta(days=1)
        found[unit.building.code, unit.room_type, day] += 1
    return found


# --- What is counted --------------------------------------------------------------------------------------


def test_the_week_of_every_day_is_from_its_monday_to_its_sunday() -> None:
    day = date(2024, 1, 1)
    with connection.cursor() as cursor:
        cursor.execute(
            "select day::date, renewal_monday(day::date) from generate_series(%s::date, %s::date, '1 day') day",
            [day, date(2028, 12, 31)],
        )
        rows = cursor.fetchall()
    assert len(rows) == 1827
    for each, monday in rows:
        assert monday == each - timedelta(days=each.isoweekday() - 1)
        assert caps.monday_of(each) == monday


def test_signed_leases_count_unless_another_follows_and_rounds_while_they_wait(settings: Any) -> None:
    settings.ALL_TENANTS_SIGN = True
    ending()
    ending(date(2026, 12, 27))  # Sunday
    ending(date(2026, 12, 28))  # Monday of the next
    ending(date(2026, 12, 20))  # Sunday of the one before
    ending(state="void")
    ending(unit=make_unit(room_type="复式"))
    ending(unit=make_unit(building=make_building("B2")))
    followed = ending()
    make_lease(unit=followed.unit, first_day=date(2026, 12, 25), last_day=date(2027, 12, 24))
    proposal, (_lin, zhou) = make_shared()
    first_yes(proposal)

    def of(code: str, kind: str, week: date) -> int:
        building = Building.objects.get(code=code).pk
        found = caps.endings([building], today=TODAY).get((building, kind), {}).get(week, 0)
        assert found == counted()[code, kind, week]
        return found

    assert of("B1", KIND, WEEK) == 3  # two, and the one that waits
    assert [of("B1", KIND, WEEK + timedelta(days=n)) for n in (-7, 7)] == [1, 1]
    assert of("B1", "复式", WEEK) == of("B2", KIND, WEEK) == 1
    assert of("B1", KIND, date(2027, 12, 20)) == 1
    cosigning.refuse(proposal.lease, zhou, because="", now=NOW)
    assert of("B1", KIND, WEEK) == 2
    Lease.objects.filter(unit=followed.unit, first_day=date(2026, 12, 25)).update(state="void")
    assert of("B1", KIND, WEEK) == 3  # nothing follows it any more
    after = caps.endings([make_building("B1").pk], today=date(2026, 12, 27))  # weeks that are over are not asked about
    assert set(after[make_building("B1").pk, KIND]) == {WEEK, WEEK + timedelta(days=7)}


def test_a_types_own_cap_goes_before_the_buildings_and_the_latest_holds() -> None:
    ids = [make_building(code).pk for code in ("B1", "B2")]

    def most(kind: str = KIND, building: int = ids[0]) -> int | None:
        with connection.cursor() as cursor:
            cursor.execute("select renewal_cap(%s, %s)", [building, kind])
            found: int | None = cursor.fetchone()[0]
        cap = caps.of(kind, building, caps.standing(ids))
        assert (cap.most if cap else None) == found
        return found

    assert most() is None
    make_cap(9, "")
    assert (most(), most("复式"), most(building=ids[1])) == (9, 9, None)
    make_cap(5, decided_at=NOW - timedelta(days=3))
    assert (most(), most("复式")) == (5, 9)
    make_cap(7)
    assert most() == 7
    for state in ("waiting", "refused", "withdrawn"):
        make_cap(1, state=state, decided_at=NOW + timedelta(hours=1))
    assert most() == 7
    make_cap(None, decided_at=NOW + timedelta(days=1))  # its own ends: the building's holds
    assert (most(), most("复式")) == (9, 9)
    make_cap(None, "", decided_at=NOW + timedelta(days=1))
    assert (most(), most("复式")) == (None, None)


# --- What is offered --------------------------------------------------------------------------------------


def test_a_full_week_takes_its_length_off_the_letter_and_changes_no_rent(client: Client) -> None:
    link, token = make_letter()
    opened(client, token)
    before = client.get("/r/letter/").content.decode()
    assert "暂时选不了" not in before
    ending()
    make_cap(2)
    assert client.get("/r/letter/").content.decode().count("暂时选不了") == 0  # one place is left
    ending(date(2026, 12, 21))
    page = client.get("/r/letter/").content.decode()
    assert "1 年暂时选不了：" in page
    assert "现在可选：6 个月、2 年。" in page
    said = re.search(r'id="published"[^>]*>(.*?)</script>', page, re.S)
    assert said
    assert '"12"' not in said.group(1)
    assert '"6": [0]' in said.group(1)
    refused = ask_price(client, term=12, free=0)
    assert (refused.status_code, refused.json()["error"]) == (
        422, "12 个月现在选不了：到期的那一周已经满了。可选租期（月）：6, 24。",
    )  # fmt: skip
    for (term, free), rent in OWN.items():
        if term != 12:
            answer = ask_price(client, term=term, free=free).json()
            assert (answer["monthly_rent"], "1 年暂时选不了" in answer["words"]["full"]) == (rent, True)
    # It is the same for everybody of that end; one who ends a week later has all of them.
    other, theirs = make_letter("message:push:2", last_day=TODAY + timedelta(days=32))
    second = Client()
    opened(second, theirs)
    assert "暂时选不了" not in second.get("/r/letter/").content.decode()
    assert ask_price(second, term=12, free=0).json()["monthly_rent"] == "3900.00"
    assert (link.lease.last_day, other.lease.last_day) == (date(2025, 12, 26), date(2026, 1, 2))


def test_another_rooms_lengths_are_its_own_types(client: Client) -> None:
    _link, token = make_letter()
    make_unit("B1-0901A", room_type="朝南大一居", list_rent=Decimal("4500.00"))
    make_unit("B1-0902A", room_type="朝北一居", list_rent=Decimal("3600.00"))
    for term in (6, 12):
        Rate.objects.create(
            building=make_building(), room_type="朝北一居", term_months=term, monthly_rent=3600, recorded_at=NOW,
            signed_from=date(2025, 11, 1), signed_to=date(2026, 6, 30),
        )  # fmt: skip
    opened(client, token)
    for kind in ("朝南大一居", "朝北一居"):
        make_cap(1, kind)
        ending(unit=make_unit(room_type=kind))
    page = client.get("/r/letter/").content.decode()
    assert "B1-0901A" not in page  # its one length is full: nobody is shown a room without a length
    assert "B1-0902A" in page
    answer = ask_price(client, term=6, free=0, tab="move", unit="B1-0902A").json()
    assert "1 年暂时选不了" in answer["words"]["full"]
    assert ask_price(client, term=12, free=0, tab="move", unit="B1-0902A").status_code == 422
    stays = ask_price(client, term=12, free=0).json()
    assert (stays["monthly_rent"], stays["words"]["full"]) == ("3900.00", "")


def test_where_one_length_is_left_another_rooms_lengths_can_still_be_reached(client: Client) -> None:
    _link, token = make_letter()
    make_unit("B1-0901A", room_type="朝南大一居", list_rent=Decimal("4500.00"))
    opened(client, token)
    make_cap(1)
    ending(), ending(date(2026, 6, 26))
    page = client.get("/r/letter/").content.decode()
    assert "现在可选：2 年。" in page
    assert re.search(r'type="range" id="term" name="term" min="24" max="24" step="1" value="24"', page)


def test_who_chose_a_length_before_it_was_full_is_told_and_never_given_another(client: Client) -> None:
    _link, token = make_letter()
    opened(client, token)
    client.post("/r/letter/agreement", {"term": "12", "free": "0"})
    assert client.get("/r/letter/agreement").status_code == 200
    seen = hidden(client.get("/r/letter/agreement"), "quote")
    make_cap(1)
    ending()
    back = "/r/letter/?say=full#offers"
    assert client.get("/r/letter/agreement")["Location"] == back
    assert client.get("/r/letter/agreement.txt")["Location"] == back
    assert client.post("/r/letter/code", {"quote": seen, "agree": "1"})["Location"] == back
    assert not Message.objects.exists()
    said = html.unescape(client.get("/r/letter/?say=full").content.decode())
    assert "这个租期刚刚满了：到期那一周的名额已经用完，请换一个租期。" in said.replace("\u200b", "")
    WeekCap.objects.all().delete()
    assert "刚刚满了" not in client.get("/r/letter/?say=full").content.decode()


def test_the_quote_on_the_command_line_obeys_and_says_so() -> None:
    link, _token = make_letter()
    lease = link.lease.contract_no
    make_cap(1)
    ending()
    with pytest.raises(CommandError, match="12 个月现在选不了：到期的那一周已经满了。可选租期（月）：6, 24。") as full:
        call_command("quote", lease, "--months", "12")
    assert full.value.returncode == 2
    out = StringIO()
    call_command("quote", lease, "--months", "24", stdout=out)
    assert "3800.00" in out.getvalue()
    # A room that is asked for by its name is there; its weeks are full.
    make_unit("B1-0901A", room_type="朝南大一居", list_rent=Decimal("4500.00"))
    make_cap(1, "朝南大一居")
    ending(unit=make_unit(room_type="朝南大一居"))
    with pytest.raises(CommandError, match="其他租期也是"):
        call_command("quote", lease, "--months", "12", "--unit", "B1-0901A")


def test_a_certificate_does_not_ask_whether_the_neighbours_weeks_are_full() -> None:
    """Those who would end in a full week are not offered the length; the rent of it is still everybody's."""
    link, _token = make_letter()
    make_lease(unit=make_unit(), last_day=date(2025, 12, 31))
    make_cap(1)
    ending(date(2026, 12, 31))  # the week in which the neighbour's twelve months would end
    proposals.prepare(today=TODAY, now=NOW)
    proposal = Proposal.objects.select_related("lease__unit__building").get(lease=link.lease)
    quote = quotes.quote(proposal, Choice(12), now=NOW).quote
    found = certificates.issue(quote, building=make_building(), own=link.lease, today=TODAY, now=NOW)
    assert (found.holds, found.others, found.same) == (True, 1, 1)


def test_the_published_lines_are_those_of_the_card_whatever_is_full() -> None:
    link, _token = make_letter()
    make_letter("message:push:2", unit=make_unit(building=make_building("B2")))
    make_cap(1), make_cap(1, "")
    ending(), ending(unit=make_unit(room_type="朝南大一居"))
    ids = list(Building.objects.values_list("pk", flat=True))
    lines, full = caps.published(TODAY, buildings=ids)
    assert lines == rates.on(TODAY, buildings=ids)
    here = link.lease.unit.building_id
    assert {key: set(weeks) for key, weeks in full.items() if weeks} == {
        (here, KIND): {WEEK, date(2025, 12, 22)}, (here, "朝南大一居"): {WEEK},  # their own ends in December
    }  # fmt: skip


def test_without_a_cap_nothing_is_counted(django_assert_num_queries: Any) -> None:
    link, _token = make_letter()
    ending()
    here = link.lease.unit.building_id
    with django_assert_num_queries(1):
        _lines, full = caps.published(TODAY, buildings=[here])
    assert set(full.values()) == {frozenset()}
    with connection.cursor() as cursor:
        cursor.execute("explain (analyze, timing off) " + caps.OPEN.sql, {"day": TODAY, "buildings": [here]})
        plan = [row for (row,) in cursor.fetchall() if "tenants_lease" in row]
    assert plan
    assert all("never executed" in row for row in plan), plan


# --- When nothing is left ---------------------------------------------------------------------------------


def shut(lease: Lease) -> None:
    """Every length of the letter would end in a full week."""
    make_cap(1)
    for months in (6, 12, 24):
        first = lease.last_day + timedelta(days=1)
        ending(offers.term_last_day(first, months, lease.anchor_day), first_day=TODAY)


def test_a_letter_without_a_length_says_so_and_somebody_is_asked_to_find_one(client: Client) -> None:
    link, token = make_letter()
    proposals.prepare(today=TODAY, now=NOW)
    shut(link.lease)
    for _ in range(2):
        answer = opened(client, token)
        assert answer.status_code == 200
        assert "<h1>眼下没有可选的租期</h1>" in answer.content.decode()
    errand = Errand.objects.select_related("case").get()
    assert (errand.kind, errand.case.lease_id, errand.done_at) == ("term", link.lease_id, None)
    with translation.override("en"):
        assert errand.why == errands.NO_TERM
    page = text(as_(make_user("mei", is_superuser=True)).get(f"/admin/case/{errand.case_id}/"))
    assert "商定一个租期" in page
    assert "信里每个租期的到期周都满了" in page
    # Nothing can be signed, but other things can be said.
    assert re.findall(r'href="(/r/letter/[a-z]+)"', answer.content.decode()) == [
        "/r/letter/roadmap", "/r/letter/wish", "/r/letter/notice", "/r/letter/preferences",
    ]  # fmt: skip
    for page_of in ("wish", "notice"):
        assert client.get(f"/r/letter/{page_of}").status_code == 200
    assert "<h1>眼下没有可选的租期</h1>" in client.get("/r/letter/").content.decode()
    WeekCap.objects.all().delete()
    assert opened(client, token)["Location"] == "/r/letter/"


def test_the_days_run_finds_those_who_have_not_come_and_asks_about_each_once() -> None:
    link, _token = make_letter()
    shut(link.lease)
    left, _theirs = make_letter("message:push:2", last_day=TODAY + timedelta(days=40))
    stage = next(stage for stage in days.STAGES if stage.name == "proposals")
    assert stage.work(TODAY, NOW) == {"prepared": 1, "without_term": 1}
    assert Proposal.objects.get().lease_id == left.lease_id
    assert Errand.objects.get().case.lease_id == link.lease_id
    assert stage.work(TODAY, NOW) == {"prepared": 0}
    errands.finish(Errand.objects.get(), outcome="打过电话", now=NOW, by="mei")
    assert stage.work(TODAY, NOW) == {"prepared": 0}
    assert Errand.objects.count() == 1


# --- Who has the last place -------------------------------------------------------------------------------


def about_to_sign(carrier: str) -> tuple[Client, Lease, str]:
    """A browser one step before the signature for twelve months, and the digits that were sent."""
    link, token = make_letter(carrier)
    client = Client()
    opened(client, token)
    client.post("/r/letter/agreement", {"term": "12", "free": "1"})
    client.post("/r/letter/code", {"quote": hidden(client.get("/r/letter/agreement"), "quote"), "agree": "1"})
    return client, link.lease, codes.digits(Message.objects.filter(key__startswith="code:").latest("pk").key)


def test_one_has_the_last_place_and_the_other_signs_another_length_with_the_same_code() -> None:
    make_cap(1)
    first, _their_lease, their_digits = about_to_sign("message:push:1")
    second, lease, digits = about_to_sign("message:push:2")
    assert first.post("/r/letter/sign", {"code": their_digits})["Location"] == "/r/letter/done"
    answer = second.post("/r/letter/sign", {"code": digits})
    assert answer.status_code == 409
    page = html.unescape(answer.content.decode())
    assert "<h1>这个租期刚刚满了：到期那一周的名额已经用完，请换一个租期。</h1>" in page.replace("\u200b", "")
    assert "没有签成，您现在住的房间还是您的。" in page
    assert re.findall(r'instead-name">([^<]+)', page) == ["6 个月", "2 年"]
    assert re.findall(r"instead-rent\"><b>([^<]+)", page) == ["3,980", "3,800"]
    assert "住到 2026 年 6 月 26 日" in page
    assert not Lease.objects.filter(renews=lease).exists()
    assert Case.objects.get(lease=lease).state == "considering"
    second.post("/r/letter/agreement", {"tab": "stay", "term": "24", "free": "0"})
    second.post("/r/letter/code", {"quote": hidden(second.get("/r/letter/agreement"), "quote"), "agree": "1"})
    assert second.post("/r/letter/sign", {"code": digits})["Location"] == "/r/letter/done"
    assert Lease.objects.get(renews=lease).last_day == date(2027, 12, 26)


@contextmanager
def without_the_guard() -> Iterator[None]:
    """The red twin's world: the database looks away."""
    with connection.cursor() as cursor:
        for table in ("signature", "round"):
            cursor.execute(f"alter table renewal_{table} disable trigger week_cap")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            for table in ("signature", "round"):
                cursor.execute(f"alter table renewal_{table} enable trigger week_cap")


def two_for_one_place(monkeypatch: pytest.MonkeyPatch, *, locked: bool) -> list[Any]:
    """Two sign for the last place of a week at once: what came of each.

    With the lock both are at its door before either has it. Without, both have seen the free place before either
    writes.
    """
    make_cap(1)
    ready = [(proposal, *ask(proposal)) for proposal in (make_proposal(), make_proposal())]
    barrier = threading.Barrier(2)
    if locked:
        real = caps.lock

        def at_the_door(unit: Unit, last_day: date) -> None:
            barrier.wait(timeout=10)
            real(unit, last_day)

        monkeypatch.setattr(caps, "lock", at_the_door)
    else:
        conclude = following.conclude

        def both_have_looked(*args: Any, **facts: Any) -> Any:
            barrier.wait(timeout=10)
            return conclude(*args, **facts)

        monkeypatch.setattr(caps, "lock", lambda unit, last_day: None)
        monkeypatch.setattr(following, "conclude", both_have_looked)
    return race([lambda each=each: sign(*each) for each in ready])  # type: ignore[misc]


def won_and_lost(outcomes: list[Any]) -> list[str]:
    return sorted(type(each).__name__ for each in outcomes)


@races
def test_of_two_who_sign_for_the_last_place_one_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = two_for_one_place(monkeypatch, locked=True)
    assert won_and_lost(outcomes) == ["Signature", "TermFull"]
    assert counted()["B1", KIND, WEEK] == 1
    assert Case.objects.filter(state="considering").count() == 1


@races
def test_the_database_alone_keeps_the_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have looked and seen a place; the trigger lets the first one sign, and the second is told as kindly."""
    outcomes = two_for_one_place(monkeypatch, locked=False)
    assert won_and_lost(outcomes) == ["Signature", "TermFull"]
    assert counted()["B1", KIND, WEEK] == 1
    assert Lease.objects.filter(renews__isnull=False).count() == Signature.objects.count() == 1


@races
def test_without_the_guard_the_same_race_breaks_the_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    """The red twin."""
    with without_the_guard():
        outcomes = two_for_one_place(monkeypatch, locked=False)
    assert won_and_lost(outcomes) == ["Signature", "Signature"]
    assert counted()["B1", KIND, WEEK] == 2


@races
def test_of_eight_at_once_with_one_perk_between_them_three_have_the_three_places() -> None:
    """Nobody runs into anybody's lock: the week comes before the perk, for all of them."""
    make_cap(3)
    Perk.objects.create(code="stay", name="住宿券", condition="满 12 个月", cost=0, stock=50, is_choice=True)
    ready = []
    for _ in range(8):
        proposal = make_proposal()
        ready.append((proposal, *ask(proposal, Choice(12, perk="stay"))))
    outcomes = race([lambda each=each: sign(*each) for each in ready])  # type: ignore[misc]
    assert won_and_lost(outcomes) == ["Signature"] * 3 + ["TermFull"] * 5, outcomes
    assert counted()["B1", KIND, WEEK] == Grant.objects.count() == 3
    assert Perk.objects.get().stock == 47


def test_a_contract_of_the_erp_is_a_fact_and_a_signature_by_hand_is_not_let_in() -> None:
    make_cap(1)
    proposal = make_proposal()
    _token, _digits = ask(proposal)
    ending(), ending()
    assert counted()["B1", KIND, WEEK] == 2
    signed = ending(renews=proposal.lease)
    facts: dict[str, Any] = {"text": "x", "text_hash": "x", "device": "x", "signed_at": NOW, "quote": {}}
    with pytest.raises(IntegrityError, match="the week of 2026-12-21 is full") as full, transaction.atomic():
        Signature.objects.create(
            proposal=proposal, signer=proposal.tenant, lease=signed, code=proposal_code(proposal), **facts
        )
    assert caps.is_breach(full.value)
    WeekCap.objects.update(most=3)
    Signature.objects.create(
        proposal=proposal, signer=proposal.tenant, lease=signed, code=proposal_code(proposal), **facts
    )


def proposal_code(proposal: Proposal) -> Any:
    return signing.Code.objects.get(proposal=proposal)


# --- Those who wait for each other -------------------------------------------------------------------------


def test_a_round_has_its_place_until_it_ends(settings: Any) -> None:
    settings.ALL_TENANTS_SIGN = True
    make_cap(1)
    proposal, (_lin, zhou) = make_shared()
    other = make_proposal()
    token, digits = ask(other)
    first_yes(proposal)
    with pytest.raises(quotes.TermFull):
        sign(other, token, digits)
    ending()  # the ERP fills the week meanwhile, and past its cap; what was promised is kept
    signature = agree(proposal.lease, zhou)
    assert (signature.lease.last_day, counted()["B1", KIND, WEEK]) == (YEAR, 2)
    with pytest.raises(quotes.TermFull):
        sign(other, token, digits)


def test_a_round_that_comes_to_nothing_gives_its_place_back(settings: Any) -> None:
    settings.ALL_TENANTS_SIGN = True
    make_cap(1)
    proposal, (_lin, zhou) = make_shared()
    other = make_proposal()
    token, digits = ask(other)
    first_yes(proposal)
    cosigning.refuse(proposal.lease, zhou, because="", now=NOW)
    assert sign(other, token, digits).lease.last_day == YEAR


@races
def test_of_two_rounds_for_the_last_place_one_is_opened(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.ALL_TENANTS_SIGN = True
    make_cap(1)
    ready = [(proposal, *ask(proposal)) for proposal, _people in (make_shared(), make_shared())]
    monkeypatch.setattr(caps, "lock", lambda unit, last_day: None)  # the database alone
    barrier, real = threading.Barrier(2), rounds.open

    def both_have_looked(*args: Any, **facts: Any) -> Any:
        barrier.wait(timeout=10)
        return real(*args, **facts)

    monkeypatch.setattr(rounds, "open", both_have_looked)
    outcomes = race([lambda each=each: sign(*each) for each in ready])  # type: ignore[misc]
    assert won_and_lost(outcomes) == ["NotAll", "TermFull"]
    assert Round.objects.count() == counted()["B1", KIND, WEEK] == 1


# --- However they come ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_no_week_ever_has_more_than_its_cap_however_signatures_come(seed: int, settings: Any) -> None:
    """Sixteen leases of two types sign, wait, refuse and come back in any order, with prices they saw earlier."""
    dice = random.Random(seed)
    settings.ALL_TENANTS_SIGN = True
    of_type = {KIND: dice.randrange(1, 4), "朝南大一居": dice.randrange(1, 3)}
    for kind, most in of_type.items():
        make_cap(most, kind)
    there = []
    for n in range(16):
        facts: dict[str, Any] = {"last_day": TODAY + timedelta(days=dice.choice([25, 26, 30]))}
        facts["unit"] = make_unit(room_type=dice.choice([KIND, KIND, "朝南大一居"]))
        there.append((make_proposal(make_lease(**facts)), None) if n % 3 else make_shared(**facts))
    seen: dict[int, tuple[str, str]] = {}
    done: Counter[str] = Counter()
    for _ in range(70):
        proposal, people = dice.choice(there)
        lease = proposal.lease
        try:
            if dice.random() < 0.4 or proposal.pk not in seen:
                choice = Choice(dice.choice([12, 24]) if lease.unit.room_type == KIND else 12)
                if proposal.pk in seen:
                    seen[proposal.pk] = (token_of(proposal, choice), seen[proposal.pk][1])
                else:
                    seen[proposal.pk] = ask(proposal, choice)
            elif people and rounds.standing(lease, now=NOW):
                if dice.random() < 0.5:
                    cosigning.refuse(lease, people[1], because="", now=NOW)
                    done["refused"] += 1
                else:
                    agree(lease, people[1])
                    done["agreed"] += 1
            else:
                sign(proposal, *seen[proposal.pk])
                done["signed"] += 1
        except rounds.NotAll:
            done["waits"] += 1
        except (quotes.TermFull, offers.Full):
            done["full"] += 1
        except proposals.Closed as closed:
            done[closed.kind] += 1
        except signing.Refused:
            done["code"] += 1
        for (_code, kind, week), n in counted().items():
            assert week < date(2026, 6, 1) or n <= of_type[kind], (kind, week, n)
    assert done["signed"] + done["agreed"] > 3, done
    assert done["full"] > 2, done


# --- Batches ----------------------------------------------------------------------------------------------


def test_a_batch_says_where_the_week_of_the_standard_term_is_full(django_assert_max_num_queries: Any) -> None:
    link, _token = make_letter()
    free, _other = make_letter("message:push:2", last_day=TODAY + timedelta(days=40))
    make_cap(1)
    ending()
    wanted = batches.Wanted(TODAY, TODAY + timedelta(days=60), (make_building(),))
    with django_assert_max_num_queries(5):
        found = batches.lines(wanted, today=TODAY)
    assert {line.lease.pk: line.reasons for line in found} == {link.lease_id: ("full",), free.lease_id: ()}
    assert found[0].lease.pk == link.lease_id  # exceptions first
    page = text(as_(make_user("mei", is_superuser=True)).get("/admin/batches/"))
    assert "12 个月的到期周已满" in page
    assert cards.build([link.lease], today=TODAY)[link.lease_id].own.full == (12,)


# --- The pages of staff -----------------------------------------------------------------------------------


@pytest.fixture
def mei() -> User:
    return make_user("mei", is_superuser=True)


@pytest.fixture
def lan() -> User:
    return make_user("lan", is_superuser=True)


def test_a_cap_holds_once_a_second_person_says_so_and_ends_in_the_same_way(mei: User, lan: User) -> None:
    _link, _token = make_letter()
    asked = as_(mei).post(WEEKS, {"type": KIND, "most": "3", "why": "冬季太集中", "do": "ask"})
    assert asked["Location"] == "/admin/rates/weeks/?building=B1"
    cap = WeekCap.objects.get()
    assert (cap.state, cap.most, cap.room_type, cap.why, cap.asked_by) == ("waiting", 3, KIND, "冬季太集中", mei)
    assert caps.standing([cap.building_id]) == {}
    waits = text(as_(mei).get("/admin/rates/waiting/"))
    assert "蓝寓B1 朝南一居：每周最多到期 3 份" in waits
    assert "1 项价格、区间或上限等待第二人批准" in waits
    mine = as_(mei).post("/admin/rates/waiting/", {"what": "cap", "pk": cap.pk, "do": "approve"})
    assert (mine.status_code, "提出的人不能自己决定" in text(mine)) == (422, True)
    as_(lan).post("/admin/rates/waiting/", {"what": "cap", "pk": cap.pk, "do": "approve", "why": "同意"})
    held = caps.standing([cap.building_id])[cap.building_id, KIND]
    assert (held.most, held.asked_by_id, held.decided_by, held.answer) == (3, mei.pk, lan, "同意")
    page = text(as_(mei).get(WEEKS))
    assert "每周 3 份" in page
    assert "lan：同意" in page
    as_(mei).post(WEEKS, {"type": KIND, "most": "3", "why": "春天了", "do": "end"})
    assert "蓝寓B1 朝南一居：取消每周到期上限" in text(as_(lan).get("/admin/rates/waiting/"))
    end = WeekCap.objects.get(state="waiting")
    as_(lan).post("/admin/rates/waiting/", {"what": "cap", "pk": end.pk, "do": "approve"})
    assert caps.standing([cap.building_id]) == {}
    assert "未设上限" in text(as_(mei).get(WEEKS))
    assert WeekCap.objects.count() == 2  # both on record


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"most": "0"}, "上限是 1 到 999 的整数。"),
        ({"most": "1000"}, "上限是 1 到 999 的整数。"),
        ({"most": "三"}, "上限是 1 到 999 的整数。"),
        ({"most": ""}, "上限是 1 到 999 的整数。"),
        ({"most": "9" * 190}, "上限是 1 到 999 的整数。"),
        ({"why": " "}, "请写明原因。"),
        ({"type": "没有"}, "这里没有这个户型。"),
        ({"do": "end"}, "这里没有现行的上限，无需取消。"),
    ],
)
def test_bad_input_is_answered_with_a_sentence_and_stays(mei: User, typed: dict[str, str], said: str) -> None:
    make_letter()
    form = {"type": KIND, "most": "4", "why": "冬季太集中", "do": "ask"} | typed
    answer = as_(mei).post(WEEKS, form)
    assert (answer.status_code, said in text(answer)) == (422, True)
    assert f'value="{form["why"].strip()}"' in text(answer)
    assert not WeekCap.objects.exists()


def test_what_stands_or_waits_is_not_asked_for_again(mei: User, lan: User) -> None:
    building = make_lease().unit.building
    facts: dict[str, Any] = {"room_type": KIND, "why": "x", "by": mei, "now": NOW}
    cap = caps.ask(building, most=2, **facts)
    with pytest.raises(seconding.NotSet, match="等待第二人"):
        caps.ask(building, most=3, **facts)
    caps.decide(cap.pk, is_approved=True, why="", by=lan, now=NOW)
    with pytest.raises(seconding.NotSet, match="就是这个数"):
        caps.ask(building, most=2, **facts)
    other = caps.ask(building, most=3, **facts)
    with pytest.raises(seconding.NotSet):
        caps.withdraw(other.pk, by=lan, now=NOW)
    caps.withdraw(other.pk, by=mei, now=NOW)
    assert caps.standing([building.pk])[building.pk, KIND].pk == cap.pk
    with pytest.raises(IntegrityError), transaction.atomic():
        WeekCap.objects.create(
            building=building, room_type="", most=2, why="x", state="standing", asked_by=lan, asked_at=NOW,
            decided_by=lan, decided_at=NOW,
        )  # fmt: skip


def test_a_manager_asks_for_their_building_and_others_only_look() -> None:
    make_letter()
    make_building("B2")
    form = {"type": "", "most": "4", "why": "冬季太集中", "do": "ask"}
    assert as_(member("manager", "B1")).post(WEEKS, form).status_code == 302
    assert as_(member("manager", "B2")).post(WEEKS, form).status_code == 404
    keeper = as_(member("care", "B1"))
    assert keeper.get(WEEKS).status_code == 200
    assert keeper.post(WEEKS, form).status_code == 403
    assert WeekCap.objects.count() == 1


def test_the_page_shows_the_fullest_week_before_and_after(mei: User) -> None:
    """Twenty cases of one week, all of which renewed for twelve months last year; half the year's endings elsewhere."""
    building = make_building()
    for _ in range(20):
        lease = make_lease(last_day=date(2025, 12, 5))
        Case.objects.create(lease=lease, state="upcoming", since=NOW, opened_at=NOW)
    for _ in range(30):
        facts: dict[str, Any] = {"unit": make_unit(), "tenant": make_tenant()}
        old = make_lease(**facts, first_day=date(2024, 3, 1), last_day=date(2025, 2, 28))
        make_lease(
            **facts, first_day=date(2025, 3, 1), last_day=date(2026, 2, 28), renews=old, signed_on=date(2025, 2, 1)
        )
    for term in (6, 11):
        Rate.objects.create(
            building=building, room_type=KIND, term_months=term, monthly_rent=3900, recorded_at=NOW,
            signed_from=date(2025, 11, 1), signed_to=date(2026, 6, 30),
        )  # fmt: skip
    client = as_(mei)
    page = text(client.get("/admin/rates/?building=B1"))
    # 30 known in the week of 23 February; 20 renewals, half for 6 months and half for 11: 10 in June, 10 in November
    assert "最满的一周（2026-02-23 起）占明年到期的 60.0%。未设上限。" in page
    tried = text(client.get(f"{WEEKS}&type={KIND}&most=8"))
    assert not WeekCap.objects.exists()
    assert "最满的一周占明年到期的 60.0%，有上限后占 65.2%" in tried  # 30 of 46: known ones do not move
    assert "<dd>50.0 → 46.0</dd>" in tried
    assert "<dd>4.0</dd>" in tried  # of twenty renewals four find no place in either week
    assert re.findall(r'<th scope="row">([\d-]+)</th>', tried) == ["2025-12-01", "2026-02-23"]
    make_cap(40)
    assert "每周最多到期 40 份" in text(client.get("/admin/rates/?building=B1"))
