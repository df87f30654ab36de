"""Proposals: who gets one, what is on the card, and what may still be quoted from it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core import signing as django_signing
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from renewal import cases, offers, proposals, quotes, rates
from renewal.models import Case, Proposal, Rate
from renewal.offers import Choice
from tenants import links
from tenants.models import Building, Consent, Lease, LeaseTenant, Link, Perk, TenantTag, Unit, WaitingContract
from tests.makers import NOW, TODAY, make_building, make_event, make_lease, make_tenant, make_unit

pytestmark = pytest.mark.django_db

RENTS = {
    "朝南一居": {(6, 0): "4090.00", (12, 0): "3900.00", (12, 1): "4170.00"},
    "朝南大一居": {(12, 0): "4500.00"},
    "朝北一居": {(12, 0): "3300.00"},
}


@pytest.fixture(autouse=True)
def _in_english() -> Iterator[None]:
    with translation.override("en"):
        yield


def publish(building: Building, **facts: Any) -> None:
    facts = {"signed_from": date(2025, 11, 1), "signed_to": date(2026, 6, 30), "recorded_at": NOW, **facts}
    for room_type, lines in RENTS.items():
        for (term, free), rent in lines.items():
            Rate.objects.create(
                building=building,
                room_type=room_type,
                term_months=term,
                free_months=free,
                monthly_rent=Decimal(rent),
                **facts,
            )


def open_case(lease: Lease, state: str = "contacted") -> Case:
    return Case.objects.create(lease=lease, state=state, since=NOW, opened_at=NOW)


def make_ending_lease(**facts: Any) -> Lease:
    """A lease with an open case in a building whose rents are published."""
    lease = make_lease(**facts)
    open_case(lease)
    if not Rate.objects.filter(building=lease.unit.building).exists():
        publish(lease.unit.building)
    return lease


def prepare(lease: Lease) -> Proposal:
    proposals.prepare(today=TODAY, now=NOW)
    found = proposals.of(lease, LeaseTenant.objects.get(lease=lease).tenant)
    assert found
    return found


def make_link(lease: Lease) -> Link:
    tenant = LeaseTenant.objects.get(lease=lease).tenant
    expires = NOW + timedelta(days=30)
    return links.mint("message:x", tenant=tenant, lease=lease, purpose="proposal", expires_at=expires, now=NOW)[0]


# --- Who gets one ---


@pytest.mark.parametrize(
    ("state", "gets"),
    [
        ("upcoming", 1),
        ("contacted", 1),
        ("viewed", 1),
        ("considering", 1),
        ("declined", 1),
        ("holdover", 1),
        ("notice", 0),
        ("signed", 0),
        ("transferred", 0),
        ("moved_out", 0),
        ("ended_by_operator", 0),
    ],
)
def test_open_cases_get_a_proposal_and_closed_ones_do_not(state: str, gets: int) -> None:
    lease = make_lease()
    open_case(lease, state)
    publish(lease.unit.building)
    assert proposals.prepare(today=TODAY, now=NOW) == gets
    assert Proposal.objects.count() == gets


def test_preparing_twice_changes_nothing() -> None:
    lease = make_ending_lease()
    first = prepare(lease)
    Rate.objects.all().delete()
    assert proposals.prepare(today=TODAY + timedelta(days=1), now=NOW + timedelta(days=1)) == 0
    again = Proposal.objects.get()
    assert (again.pk, again.card, again.story, again.prepared_on) == (first.pk, first.card, first.story, TODAY)


def test_without_a_published_rent_there_is_nothing_to_propose() -> None:
    lease = make_lease()
    open_case(lease)
    assert proposals.prepare(today=TODAY, now=NOW) == 0
    with pytest.raises(proposals.Closed) as closed:
        proposals.for_link(make_link(lease), today=TODAY, now=NOW)
    assert closed.value.kind == "unpriced"


def test_each_primary_tenant_gets_one_and_a_merged_one_is_one_person() -> None:
    lease = make_ending_lease()
    friend = make_tenant("周航")
    LeaseTenant.objects.create(lease=lease, tenant=friend)
    LeaseTenant.objects.create(lease=lease, tenant=make_tenant("周航", merged_into=friend))
    LeaseTenant.objects.create(lease=lease, tenant=make_tenant("陈默"), is_primary=False)
    assert proposals.prepare(today=TODAY, now=NOW) == 2
    assert sorted(Proposal.objects.values_list("tenant__name", flat=True)) == ["周航", "林晓"]


def test_twice_the_leases_take_the_same_number_of_queries() -> None:
    def queries(rooms: int) -> int:
        for _ in range(rooms):
            make_ending_lease()
        with CaptureQueriesContext(connection) as captured:
            assert proposals.prepare(today=TODAY, now=NOW) == rooms
        return len(captured)

    assert queries(5) == queries(10)


def test_without_consent_the_story_is_general() -> None:
    yes, no, withdrawn = make_tenant(), make_tenant(consents=("marketing",)), make_tenant()
    general = make_tenant(general_version=True)
    Consent.objects.create(
        tenant=withdrawn, purpose="profiling", granted=False, at=NOW, text_version="1", proof="App", recorded_at=NOW
    )
    told = {}
    for tenant in (yes, no, withdrawn, general):
        for n in range(8):
            make_event("facility.used", tenant, at=NOW - timedelta(days=n), data={"facility": "gym"})
        make_ending_lease(tenant=tenant)
    proposals.prepare(today=TODAY, now=NOW)
    for proposal in Proposal.objects.all():
        told[proposal.tenant_id] = [card["code"] for card in proposal.story]
    assert told == {
        yes.pk: ["days", "gym"],
        no.pk: ["days"],
        withdrawn.pk: ["days"],
        general.pk: ["days"],
    }
    assert [proposals.is_personal(tenant) for tenant in (yes, no, withdrawn, general)] == [True, False, False, False]


# --- The card ---


def test_the_card_holds_the_lines_of_the_own_room_and_survives_freezing() -> None:
    Perk.objects.create(code="homestay", name="民宿体验券", condition="满 12 个月", cost=0, stock=3, is_choice=True)
    Perk.objects.create(code="gone", name="已发完", condition="", cost=0, stock=0, is_choice=True)
    Perk.objects.create(code="care_line", name="专属客服通道", condition="", cost=0)
    lease = make_ending_lease()
    card = proposals.card_of(prepare(lease))
    assert (card.first_day, card.anchor_day) == (date(2025, 12, 27), 27)
    assert (card.own.unit, card.own.deposit) == (lease.unit.code, Decimal("3800.00"))
    assert [(rate.term_months, rate.free_months, rate.monthly_rent) for rate in card.own.rates] == [
        (6, 0, Decimal("4090.00")),
        (12, 0, Decimal("3900.00")),
        (12, 1, Decimal("4170.00")),
    ]
    assert [perk.code for perk in card.perks] == ["homestay"]
    assert card == proposals.card_on(Proposal.objects.get(), today=TODAY)


def vacant(code: str, room_type: str, list_rent: int, building: Building | None = None) -> Unit:
    return make_unit(code, building, room_type=room_type, list_rent=Decimal(list_rent))


def listed(lease: Lease) -> list[str]:
    return [room.unit for room in proposals.card_of(prepare(lease)).rooms[1:]]


def test_one_vacant_room_of_each_type_is_listed_dearer_ones_first() -> None:
    lease = make_ending_lease()
    vacant("B1-cheap", "朝北一居", 3300)
    vacant("B1-large", "朝南大一居", 4500)
    vacant("B1-same", "朝南一居", 3900)
    vacant("B1-unpriced", "复式", 5000)
    vacant("B2-other", "朝南大一居", 4500, make_building("B2"))
    assert listed(lease) == ["B1-same", "B1-large", "B1-cheap"]


def test_neighbours_are_not_all_shown_the_one_room() -> None:
    building = make_building()
    rooms = {vacant(f"B1-large{n}", "朝南大一居", 4500).code for n in range(4)}
    shown = [listed(make_ending_lease(unit=make_unit(building=building))) for _ in range(16)]
    assert all(len(each) == 1 for each in shown)
    assert len({code for each in shown for code in each} & rooms) > 1
    for proposal in Proposal.objects.all():
        assert proposals.card_on(proposal, today=TODAY) == proposals.card_of(proposal)


@pytest.mark.parametrize(
    ("state", "ends_in", "is_listed"),
    [
        (None, -40, True),  # long gone
        ("moved_out", -5, True),
        ("holdover", -5, False),  # still lived in
        ("declined", 10, False),  # the tenant may come back: priority on equal terms
        ("contacted", 10, False),
        (None, 10, False),
        ("notice", 10, True),  # leaves before the renewal would begin
        ("notice", 26, False),  # leaves after it
        ("transferred", 10, True),
    ],
)
def test_a_room_is_listed_only_if_it_is_really_free(state: str | None, ends_in: int, is_listed: bool) -> None:
    lease = make_ending_lease()
    other = make_lease(unit=vacant("B1-large", "朝南大一居", 4500), last_day=TODAY + timedelta(days=ends_in))
    if state:
        open_case(other, state)
    assert listed(lease) == (["B1-large"] if is_listed else [])


def test_a_room_let_for_later_or_waited_for_is_not_listed() -> None:
    lease = make_ending_lease()
    make_lease(unit=vacant("B1-later", "朝南大一居", 4500), first_day=date(2026, 6, 1), last_day=date(2026, 12, 31))
    waited = vacant("B1-wait", "朝北一居", 3300)
    WaitingContract.objects.create(contract_no="HT9", revision=1, unit=waited, terms={}, reason="重叠", recorded_at=NOW)
    assert listed(lease) == []


def test_a_lease_off_its_anchor_starts_a_new_count() -> None:
    lease = make_ending_lease(anchor_day=10)
    card = proposals.card_of(prepare(lease))
    assert (card.first_day, card.anchor_day) == (date(2025, 12, 27), 27)


# --- Links ---


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("signed", "signed"),
        ("transferred", "signed"),
        ("notice", "notice"),
        ("moved_out", "moved_out"),
        ("ended_by_operator", "over"),
    ],
)
def test_a_link_to_a_closed_case_says_why(state: str, kind: str) -> None:
    lease = make_lease()
    open_case(lease, state)
    with pytest.raises(proposals.Closed) as closed:
        proposals.for_link(make_link(lease), today=TODAY, now=NOW)
    assert closed.value.kind == kind


def test_a_link_to_a_lease_without_a_case_says_not_yet() -> None:
    with pytest.raises(proposals.Closed) as closed:
        proposals.for_link(make_link(make_lease()), today=TODAY, now=NOW)
    assert closed.value.kind == "not_yet"


def test_a_lease_renewed_by_the_erp_is_signed_before_its_case_knows() -> None:
    lease = make_ending_lease()
    make_lease(unit=lease.unit, first_day=date(2025, 12, 27), last_day=date(2026, 12, 26), renews=lease)
    with pytest.raises(proposals.Closed) as closed:
        proposals.for_link(make_link(lease), today=TODAY, now=NOW)
    assert closed.value.kind == "signed"


def test_opening_a_link_prepares_what_is_missing_and_moves_the_case_once() -> None:
    lease = make_ending_lease()
    link = make_link(lease)
    proposal = proposals.open(link, trusted=True, today=TODAY, now=NOW)
    proposals.open(link, trusted=True, today=TODAY, now=NOW + timedelta(hours=1))
    proposal.refresh_from_db()
    assert proposal.opened_at == NOW
    assert Case.objects.get().state == "viewed"
    cases.move(Case.objects.get(), "considering", now=NOW, cause="", by="tenant")
    proposals.open(link, trusted=True, today=TODAY, now=NOW)
    assert Case.objects.get().state == "considering"


def test_an_opened_letter_shows_the_card_of_the_day() -> None:
    lease = make_ending_lease()
    before = prepare(lease)
    Rate.objects.filter(term_months=12, free_months=0, room_type="朝南一居").update(signed_to=date(2025, 12, 31))
    Rate.objects.create(
        building=lease.unit.building,
        room_type="朝南一居",
        term_months=12,
        monthly_rent=Decimal("3950.00"),
        signed_from=date(2025, 12, 2),
        signed_to=date(2026, 6, 30),
        recorded_at=NOW,
    )
    tomorrow = TODAY + timedelta(days=1)
    after = proposals.for_link(make_link(lease), today=tomorrow, now=NOW + timedelta(days=1))
    assert after.pk == before.pk
    assert offers.price(Choice(12), proposals.card_of(before)).monthly_rent == Decimal("3900.00")
    assert offers.price(Choice(12), proposals.card_of(after)).monthly_rent == Decimal("3950.00")


# --- Quotes ---


def test_a_quote_comes_back_as_it_went() -> None:
    proposal = prepare(make_ending_lease())
    signed = quotes.quote(proposal, Choice(12, 1), now=NOW)
    assert signed.expires_at == NOW + timedelta(minutes=30)
    assert quotes.read(signed.token, proposal=proposal, now=NOW + timedelta(minutes=29)) == signed.quote
    with pytest.raises(quotes.Expired):
        quotes.read(signed.token, proposal=proposal, now=NOW + timedelta(minutes=30))


def test_a_tampered_token_is_refused() -> None:
    proposal = prepare(make_ending_lease())
    token = quotes.quote(proposal, Choice(12), now=NOW).token
    body, _, signature = token.partition(":")
    forged = django_signing.dumps({"proposal": proposal.pk}, salt="other")
    for bad in ("", "x", token[:-1], body + "x:" + signature, token + ".", forged, "１２", "\x00"):
        with pytest.raises(quotes.Tampered):
            quotes.read(bad, proposal=proposal, now=NOW)


def test_a_quote_is_for_one_proposal() -> None:
    mine, other = make_ending_lease(), make_ending_lease()
    token = quotes.quote(prepare(mine), Choice(12), now=NOW).token
    with pytest.raises(quotes.Tampered):
        quotes.read(token, proposal=prepare(other), now=NOW)


@pytest.mark.parametrize("change", ["new rent", "no rent", "other end of the lease", "perk used up"])
def test_a_changed_offer_has_to_be_seen_again(change: str) -> None:
    perk = Perk.objects.create(code="cleaning", name="保洁", condition="", cost=0, stock=1, is_choice=True)
    lease = make_ending_lease()
    proposal = prepare(lease)
    token = quotes.quote(proposal, Choice(12, perk="cleaning"), now=NOW).token
    if change == "new rent":
        Rate.objects.create(
            building=lease.unit.building,
            room_type="朝南一居",
            term_months=12,
            monthly_rent=Decimal("3900.01"),
            signed_from=TODAY,
            signed_to=TODAY,
            recorded_at=NOW,
        )
    elif change == "no rent":
        Rate.objects.filter(term_months=12).delete()
    elif change == "other end of the lease":
        Lease.objects.filter(pk=lease.pk).update(last_day=lease.last_day + timedelta(days=1))
    else:
        Perk.objects.filter(pk=perk.pk).update(stock=0)
    with pytest.raises(quotes.Changed):
        quotes.read(token, proposal=proposal, now=NOW)


def test_a_longer_window_changes_no_price() -> None:
    proposal = prepare(make_ending_lease())
    signed = quotes.quote(proposal, Choice(12), now=NOW)
    Rate.objects.update(signed_to=date(2026, 12, 31))
    assert quotes.read(signed.token, proposal=proposal, now=NOW).total == signed.quote.total


def test_a_room_let_meanwhile_is_gone() -> None:
    lease = make_ending_lease()
    room = vacant("B1-large", "朝南大一居", 4500)
    proposal = prepare(lease)
    token = quotes.quote(proposal, Choice(12, unit="B1-large"), now=NOW).token
    make_lease(unit=room, first_day=date(2025, 12, 10), last_day=date(2026, 12, 9))
    with pytest.raises(quotes.RoomGone):
        quotes.read(token, proposal=proposal, now=NOW)
    with pytest.raises(offers.NotOffered):
        quotes.quote(proposal, Choice(12, unit="B1-large"), now=NOW)


def test_no_personal_field_moves_the_price_by_a_fen() -> None:
    """PIPL 24: two people, as different as the tables allow, in rooms of one type on one day."""
    building = make_building()
    plain = make_ending_lease(tenant=make_tenant(consents=()), unit=make_unit(building=building))
    tenant = make_tenant("王小明", phone="10099999999", general_version=True, consents=("marketing", "profiling"))
    rich = make_ending_lease(tenant=tenant, unit=make_unit(building=building), contract_no="VIP-1")
    make_lease(tenant, first_day=date(2020, 1, 1), last_day=date(2024, 12, 1))  # five years with us
    for tag in ("price_sensitive", "social", "steady_payer"):
        TenantTag.objects.create(tenant=tenant, tag=tag, since=TODAY, evidence={}, computed_at=NOW)
    for n in range(9):
        make_event("app.viewed", tenant, at=NOW - timedelta(days=n), data={"name": "rent_prices"})
    proposals.prepare(today=TODAY, now=NOW)
    cards = []
    for lease in (plain, rich):
        frozen = Proposal.objects.get(lease=lease).card
        cards.append(json.dumps(frozen, sort_keys=True).replace(lease.unit.code, "UNIT"))
    assert cards[0] == cards[1]
    for choice in (Choice(6), Choice(12), Choice(12, 1)):
        prices = [quotes.quote(Proposal.objects.get(lease=lease), choice, now=NOW).quote for lease in (plain, rich)]
        assert prices[0].lines == prices[1].lines


# --- The command ---


def run(*args: str) -> str:
    out = io.StringIO()
    call_command("quote", *args, stdout=out)
    return out.getvalue()


def test_the_command_prints_every_line_of_the_price() -> None:
    lease = make_ending_lease(contract_no="HT-77")
    vacant("B1-large", "朝南大一居", 4500)
    data = json.loads(run("HT-77", "--months", "12", "--free", "1", "--day", "2025-12-01", "--json"))
    assert (data["monthly_rent"], data["total"], data["last_day"]) == ("4170.00", "45870.00", "2026-12-26")
    assert data["lines"][1] == {
        "code": "free",
        "name": "Free months",
        "amount": "-4170.00",
        "times": 1,
        "each": "-4170.00",
        "is_part": True,
    }
    moved = json.loads(run(str(lease.pk), "--months", "12", "--unit", "B1-large", "--day", "2025-12-01", "--json"))
    assert (moved["unit"], moved["total"]) == ("B1-large", "54000.00")
    assert "46800.00  Rent  (12 × 3900.00)" in run("HT-77", "--months", "12", "--day", "2025-12-01")


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["HT-77", "--months", "7"], "No rent is published for 朝南一居 over 7 months."),
        (["HT-77", "--months", "12", "--unit", "B9-1"], "Room B9-1 is not among those offered."),
        (["HT-78", "--months", "12"], "No lease has the contract number or id HT-78."),
        (["99999999999999999999", "--months", "12"], "No lease has the contract number or id 99999999999999999999."),
    ],
)
def test_the_command_refuses_with_one_sentence_and_status_2(args: list[str], sentence: str) -> None:
    make_ending_lease(contract_no="HT-77")
    with pytest.raises(CommandError) as refused:
        run(*args, "--day", "2025-12-01")
    assert (str(refused.value), refused.value.returncode) == (sentence, 2)


def test_rates_of_other_days_are_not_on_the_card() -> None:
    lease = make_ending_lease()
    assert rates.on(date(2026, 7, 1), buildings=[lease.unit.building_id]) == {}
