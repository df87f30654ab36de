"""Why it is this price: the published line, and that nothing personal moves the rent by a fen."""

from __future__ import annotations

import hashlib
import random
import re
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from renewal import cards, certificates, offers, proposals, quotes
from renewal.models import Proposal, Rate
from renewal.offers import Choice
from tenants import clock
from tenants.models import Feature, Lease, LeaseTenant, Link, Tenant, TenantTag
from tests.letter import LARGE, OWN, ask_price, make_letter, opened, publish, rows
from tests.makers import NOW, TODAY, make_building, make_event, make_lease, make_tag, make_tenant, make_unit

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _it_is_ten_in_the_morning(db: None) -> None:
    clock.set_to(NOW)


def text(client: Client, path: str = "/r/letter/certificate") -> str:
    return client.get(path).content.decode()


def plain(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def fingerprint(page: str) -> str:
    found = re.search(r'whole-print">([0-9a-f]{64})<', page)
    assert found
    return found.group(1)


def issued(proposal: Proposal, choice: Choice) -> certificates.Certificate:
    quote = quotes.quote(proposal, choice, now=NOW).quote
    building = proposal.lease.unit.building
    return certificates.issue(quote, building=building, own=proposal.lease, today=TODAY, now=NOW)


def test_the_page_names_the_published_line_and_proves_the_rent(client: Client) -> None:
    _link, token = make_letter()
    for _ in range(3):
        make_lease(unit=make_unit(building=make_building()))  # neighbours in rooms of the same type
    make_lease(unit=make_unit(building=make_building()), last_day=TODAY - timedelta(days=1))  # one who left
    make_lease(unit=make_unit(building=make_building("B2")))  # and one who lives elsewhere
    opened(client, token)
    assert '<a class="plain" href="/r/letter/certificate">为什么是这个价</a>' in text(client, "/r/letter/")
    ask_price(client, term=24, free=2)
    before = rows()
    page = plain(text(client))
    assert rows() == before
    assert "每月 4,120.50 元，是公开价目表上的一行。" in page
    line = (
        "楼栋 蓝寓B1 户型 朝南一居 租期 2 年 免租 2 个月 每月租金 4,120.50 元"
        " 可签日期 2025 年 11 月 1 日 至 2026 年 6 月 30 日 公布日期 2025 年 12 月 1 日"
    )
    assert line in page
    assert "只用楼栋、户型、租期、免租月数和今天的日期： 4,120.50 元。" in page
    assert "把您的资料换成同户型另外 3 位租客的，算出来都是 4,120.50 元。" in page
    assert "一分不差。" in page
    assert "2025 年 12 月 1 日 10:00:" in page


def test_the_fingerprint_is_that_of_the_rows_shown(client: Client) -> None:
    _link, token = make_letter()
    opened(client, token)
    page = text(client)
    lines = re.search(r"<pre[^>]*>(.*?)</pre>", page, re.DOTALL)
    assert lines
    assert lines.group(1).splitlines() == [
        f"B1|朝南一居|{term}|{free}|{rent}|2025-11-01|2026-06-30" for (term, free), rent in sorted(OWN.items())
    ]
    whole = hashlib.sha256(lines.group(1).encode()).hexdigest()
    assert fingerprint(page) == whole
    assert "".join(re.findall(r"<span>([0-9a-f]{4})</span>", page)) == whole[:32]


def test_neighbours_see_one_fingerprint_and_a_changed_line_another() -> None:
    prints = []
    for number in range(3):
        client, (_link, token) = Client(), make_letter(f"message:push:{number}")
        opened(client, token)
        if number == 2:
            Rate.objects.filter(room_type="朝南一居", term_months=6).update(monthly_rent=Decimal("3980.01"))
        prints.append(fingerprint(text(client)))
    assert prints[0] == prints[1] != prints[2]


def test_another_room_is_certified_by_its_own_line(client: Client) -> None:
    _link, token = make_letter()
    make_unit("B1-0901A", make_building(), room_type="朝南大一居", list_rent=Decimal("4600.00"))
    opened(client, token)
    ask_price(client, term=12, free=0, tab="move", unit="B1-0901A")
    page = plain(text(client))
    assert "户型 朝南大一居 租期 1 年 免租 无 每月租金 4,500.00 元" in page
    assert "另外" not in page  # nobody else lives in such a room
    assert "一分不差。" in page


def test_english_readers_read_it_in_english(client: Client) -> None:
    _link, token = make_letter()
    make_lease(unit=make_unit(building=make_building()))
    opened(client, token)
    page = plain(client.get("/r/letter/certificate", headers={"accept-language": "en"}).content.decode())
    assert "With the data of 1 other tenant in a room of this type in your place: again 3,900.00 yuan." in page
    assert "The same to the fen." in page


def test_a_rent_that_is_not_the_published_one_is_not_certified(caplog: pytest.LogCaptureFixture) -> None:
    """The red twin: had anything added a fen to this person's rent, the certificate would say so."""
    link, _token = make_letter()
    make_lease(unit=make_unit(building=make_building()))
    proposals.prepare(today=TODAY, now=NOW)
    proposal = Proposal.objects.select_related("lease__unit__building").get(lease=link.lease)
    quote = quotes.quote(proposal, Choice(12), now=NOW).quote
    facts: dict[str, Any] = {"building": link.lease.unit.building, "own": link.lease, "today": TODAY, "now": NOW}
    assert certificates.issue(quote, **facts).holds
    found = certificates.issue(replace(quote, monthly_rent=quote.monthly_rent + Decimal("0.01")), **facts)
    assert not found.holds
    assert (found.public_rent, found.same, found.others) == (Decimal("3900.00"), 0, 1)
    assert "is not the published one" in caplog.text


def test_the_recomputation_reads_the_card_and_nothing_else() -> None:
    make_letter()
    building = make_building()
    with CaptureQueriesContext(connection) as seen:
        rent = certificates.public_rent(building.pk, "朝南一居", 12, 1, TODAY)
    assert rent == Decimal("4170.00")
    tables = {name for query in seen for name in re.findall(r"\b(?:tenants|campaigns|renewal)_\w+", query["sql"])}
    assert tables == {"renewal_rate"}


def test_every_offer_carries_the_proof() -> None:
    """Every published choice of every letter: own room and others, every term and number of free months."""
    for number in range(4):
        make_letter(f"message:push:{number}")
    for code, kind in (("B1-0901A", "朝南大一居"), ("B1-0902A", "朝南一居")):
        make_unit(code, make_building(), room_type=kind, list_rent=Decimal("4600.00"))
    proposals.prepare(today=TODAY, now=NOW)
    offered = 0
    for proposal in Proposal.objects.select_related("lease__unit__building"):
        for room in proposals.card_of(proposal).rooms:
            for rate in room.rates:
                found = issued(proposal, Choice(rate.term_months, rate.free_months, room.unit))
                assert found.holds
                assert found.others == (3 if room.room_type == "朝南一居" else 0)
                offered += 1
    assert offered == 4 * (2 * len(OWN) + len(LARGE))


# --- Swapped -----------------------------------------------------------------------------------------------

NAMES = ("林晓", "王小明", "Anna Schmidt", "阿依古丽·买买提", "欧阳娜")
TAGS = ("price_sensitive", "social", "service_dependent", "steady_payer", "night_sensitive", "repair_delayed")


def made_up(dice: random.Random) -> Tenant:
    """Somebody with everything personal drawn by lot."""
    tenant = make_tenant(
        dice.choice(NAMES),
        consents=tuple(each for each in ("marketing", "profiling", "doors") if dice.random() < 0.5),
        general_version=dice.random() < 0.3,
    )
    for tag in dice.sample(TAGS, dice.randrange(len(TAGS))):
        if tag in {"price_sensitive", "social", "service_dependent"} and not Feature.objects.filter(tenant=tenant):
            make_tag(tenant, tag)
        else:
            TenantTag.objects.create(tenant=tenant, tag=tag, since=TODAY, evidence={}, computed_at=NOW)
    for _ in range(dice.randrange(6)):
        kind, data = dice.choice(
            [
                ("app.viewed", {"name": "rent_prices"}),
                ("facility.used", {"facility": "gym"}),
                ("payment.made", {"item": "rent", "due_on": "2025-11-01", "amount": "3800.00"}),
            ]
        )
        make_event(kind, tenant, at=NOW - timedelta(days=dice.randrange(1, 300)), data=data)
    if dice.random() < 0.4:  # with us for years
        make_lease(tenant, first_day=date(2019, 1, 1), last_day=date(2024, 11, 30))
    return tenant


def test_no_personal_field_of_a_hundred_tenants_moves_a_rent_by_a_fen() -> None:
    dice = random.Random(7)
    building = make_building()
    publish(building, {"朝南一居": OWN})
    owns = []
    for n in range(100):
        tenant = made_up(dice)
        rent = Decimal(dice.randrange(200000, 900000)) / 100
        owns.append(
            make_lease(
                tenant,
                make_unit(building=building, floor=dice.randrange(1, 30)),
                contract_no=f"VIP-{n}",
                monthly_rent=rent,
                deposit=rent,
                signed_on=TODAY - timedelta(days=dice.randrange(1, 700)),
            )
        )
    shown = list(cards.build(owns, today=TODAY).values())
    for (term, free), published in OWN.items():
        quoted = {offers.price(Choice(term, free), card).monthly_rent for card in shown}
        totals = {offers.price(Choice(term, free), card).total for card in shown}
        assert quoted == {Decimal(published)}
        assert totals == {Decimal(published) * (term - free)}


def test_swapping_everything_personal_of_one_tenant_moves_nothing(client: Client) -> None:
    """One letter, one room, one day; the person behind it is exchanged again and again."""
    dice = random.Random(11)
    link, token = make_letter()
    opened(client, token)
    lease = link.lease
    first = {choice: ask_price(client, term=choice[0], free=choice[1]).json()["lines"] for choice in OWN}
    print_of_card = fingerprint(text(client))
    for _ in range(20):
        other = made_up(dice)
        LeaseTenant.objects.filter(lease=lease).update(tenant=other)
        Link.objects.filter(pk=link.pk).update(tenant=other)
        Proposal.objects.filter(lease=lease).update(tenant=other)
        Lease.objects.filter(pk=lease.pk).update(contract_no=f"X{dice.random()}")
        for choice in OWN:
            assert ask_price(client, term=choice[0], free=choice[1]).json()["lines"] == first[choice]
        page = text(client)
        assert fingerprint(page) == print_of_card
        assert "一分不差。" in page
