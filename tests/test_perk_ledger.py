"""The perks ledger: lines that only grow, vouchers that are answered once, and sums that tie to it to the fen."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal
from threading import Barrier
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, connections, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from tenants import catalogue, clock, perks, perksums, vouchers
from tenants.catalogue import NotSaved
from tenants.models import Grant, Perk, PerkChange, Tenant
from tests.makers import NOW, TODAY, make_lease, make_tenant, make_user

LATER = NOW + timedelta(minutes=3)


def make_perk(stock: int | None = None, code: str = "homestay", **facts: Any) -> Perk:
    facts = {"name": "民宿体验券", "condition": "续租 12 个月", "cost": Decimal("280.00"), "valid_days": 30} | facts
    return Perk.objects.create(code=code, stock=stock, **facts)


def give(perk: Perk, key: str = "a", tenant: Tenant | None = None, **facts: Any) -> Grant:
    now = facts.pop("now", NOW)
    facts = {"lease": None, "owner": None, "reason": "续租", "expires_at": perks.expiry(perk, now=now)} | facts
    return perks.grant(perk, tenant or make_tenant(), key=key, now=now, **facts)


def left_of(perk: Perk) -> int | None:
    return Perk.objects.get(pk=perk.pk).stock


# --- The database ---------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE tenants_grant SET reason = 'x'",
        "UPDATE tenants_grant SET cost = 0",
        "DELETE FROM tenants_grant",
        "UPDATE tenants_perkchange SET added = 1",
        "DELETE FROM tenants_perkchange",
    ],
)
def test_the_database_refuses_to_change_or_delete_a_line(statement: str) -> None:
    perk = make_perk(stock=3)
    give(perk)
    catalogue.restock(perk.pk, added=1, why="新到", by=None, now=NOW)
    with connection.cursor() as cursor, pytest.raises(DatabaseError, match="only ever added to"), transaction.atomic():
        cursor.execute(statement)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "facts",
    [
        {"kind": "redeemed", "number": 2, "quantity": 0},  # a closing has an odd number
        {"kind": "reversed", "number": 1, "quantity": 0},
        {"kind": "redeemed", "number": 1, "quantity": 1},  # it takes nothing from the stock
        {"kind": "revoked", "number": 1, "quantity": 0},  # it gives one back
        {"kind": "granted", "number": 0, "quantity": 1},  # of nothing
    ],
)
def test_the_database_refuses_an_answer_out_of_turn(facts: dict[str, Any]) -> None:
    grant = give(make_perk())
    with pytest.raises(IntegrityError), transaction.atomic():
        Grant.objects.create(
            key="x", of=grant, perk_id=grant.perk_id, tenant_id=grant.tenant_id, reason="", granted_at=NOW, **facts
        )


@pytest.mark.django_db
def test_the_database_refuses_a_second_redemption_even_under_another_key() -> None:
    grant = give(make_perk())
    vouchers.redeem(grant, by=None, now=NOW)
    with pytest.raises(IntegrityError, match="grant_answered_once"), transaction.atomic():
        Grant.objects.create(
            key="another", kind="redeemed", of=grant, number=1, quantity=0, perk_id=grant.perk_id,
            tenant_id=grant.tenant_id, reason="", granted_at=NOW,
        )  # fmt: skip


# --- Codes ----------------------------------------------------------------------------------------------


@given(st.text(max_size=60))
def test_a_code_is_twelve_characters_that_are_read_back_however_they_are_typed(key: str) -> None:
    code = vouchers.derive(key)
    assert len(code) == 12
    assert set(code) <= set(vouchers.ALPHABET)
    wide = "".join(chr(ord(each) + 0xFEE0) for each in code)
    for typed in (code, code.lower(), vouchers.grouped(code), f" {code[:5]} {code[5:]}\n", wide):
        assert vouchers.read(typed) == code
    assert vouchers.read(f"https://staff.example/admin/voucher/?code={vouchers.grouped(code)}") == code


@given(st.text(max_size=20), st.integers(0, 11), st.sampled_from(vouchers.ALPHABET))
def test_one_wrong_character_is_no_code(key: str, place: int, other: str) -> None:
    code = vouchers.derive(key)
    wrong = code[:place] + other + code[place + 1 :]
    if wrong != code:
        with pytest.raises(vouchers.NotACode):
            vouchers.read(wrong)


@given(st.text(max_size=20), st.integers(0, 11), st.integers(0, 11))
def test_two_characters_exchanged_are_no_code(key: str, one: int, other: int) -> None:
    characters = list(vouchers.derive(key))
    characters[one], characters[other] = characters[other], characters[one]
    if "".join(characters) != vouchers.derive(key):
        with pytest.raises(vouchers.NotACode):
            vouchers.read("".join(characters))


def test_codes_follow_from_the_key_of_the_installation(settings: Any) -> None:
    codes = [vouchers.derive(f"roadmap:{n}:cleaning") for n in range(2000)]
    assert len(set(codes)) == 2000
    assert codes == [vouchers.derive(f"roadmap:{n}:cleaning") for n in range(2000)]
    settings.LINK_KEY = "another"
    assert not set(codes) & {vouchers.derive(f"roadmap:{n}:cleaning") for n in range(2000)}


@pytest.mark.django_db
def test_the_ledger_knows_no_code_and_finds_the_grant_by_it() -> None:
    grant = give(make_perk())
    code = vouchers.code_of(grant)
    with connection.cursor() as cursor:
        cursor.execute("SELECT line::text FROM tenants_grant line")
        (row,) = cursor.fetchone()
    assert code not in row
    assert code.replace("-", "") not in row
    found = vouchers.find(vouchers.read(code), now=NOW)
    assert found is not None
    assert (found.grant, found.state, found.last) == (grant, "open", None)
    assert vouchers.find(vouchers.derive("other"), now=NOW) is None


@pytest.mark.django_db
def test_what_holds_by_itself_has_no_code() -> None:
    grant = give(make_perk(has_voucher=False))
    assert grant.voucher_hash == ""
    assert vouchers.find(vouchers.derive(grant.key), now=NOW) is None
    with pytest.raises(vouchers.Refused, match="不需要核销"):
        vouchers.redeem(grant, by=None, now=NOW)


# --- Answers --------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_redeeming_is_a_line_of_its_own_and_a_second_time_says_when_it_was() -> None:
    mei, li, grant = make_user("mei"), make_user("li"), give(make_perk(stock=3))
    first = vouchers.redeem(grant, by=mei, now=NOW)
    again = vouchers.redeem(grant, by=li, now=LATER)
    assert first.state == again.state == "redeemed"
    assert again.last is not None
    assert (again.last.granted_at, again.last.owner, again.last.key) == (NOW, mei, f"answer:{grant.pk}:1")
    assert Grant.objects.count() == 2
    assert left_of(grant.perk) == 2, "what is redeemed left the stock when it was given"


@pytest.mark.django_db
def test_a_redemption_is_taken_back_within_minutes_by_another_line_and_may_be_made_again() -> None:
    grant = give(make_perk())
    vouchers.redeem(grant, by=None, now=NOW)
    assert vouchers.take_back(grant, by=None, now=LATER).state == "open"
    assert vouchers.take_back(grant, by=None, now=LATER).state == "open", "a second click changes nothing"
    assert vouchers.redeem(grant, by=None, now=LATER).state == "redeemed"
    assert list(Grant.objects.order_by("pk").values_list("kind", "number")) == [
        ("granted", 0), ("redeemed", 1), ("reversed", 2), ("redeemed", 3),
    ]  # fmt: skip
    with pytest.raises(vouchers.Refused, match="10 分钟"):
        vouchers.take_back(grant, by=None, now=LATER + vouchers.TAKEN_BACK_WITHIN)


@pytest.mark.django_db
def test_what_has_expired_is_not_redeemed_and_neither_is_what_was_taken_back() -> None:
    perk = make_perk(stock=5)
    old, wrong = give(perk, "old"), give(perk, "wrong")
    assert old.expires_at == clock.at(TODAY + timedelta(days=31))
    assert (
        vouchers.redeem(give(perk, "last minute"), by=None, now=old.expires_at - timedelta(seconds=1)).is_open is False
    )
    with pytest.raises(vouchers.Refused, match="过期"):
        vouchers.redeem(old, by=None, now=old.expires_at)
    with pytest.raises(vouchers.Refused, match="原因"):
        vouchers.revoke(wrong, reason=" ", by=None, now=NOW)
    assert vouchers.revoke(wrong, reason="重复录入", by=None, now=NOW).state == "revoked"
    assert left_of(perk) == 3
    with pytest.raises(vouchers.Refused, match="收回"):
        vouchers.redeem(wrong, by=None, now=NOW)
    assert vouchers.take_back(wrong, by=None, now=LATER).state == "open"
    assert left_of(perk) == 2


@pytest.mark.django_db
def test_what_was_taken_back_and_given_to_another_is_not_given_twice() -> None:
    perk = make_perk(stock=1)
    one = give(perk, "one")
    vouchers.revoke(one, reason="误发", by=None, now=NOW)
    give(perk, "two")
    with pytest.raises(vouchers.Refused, match="给了别人"):
        vouchers.take_back(one, by=None, now=LATER)
    assert left_of(perk) == 0


@pytest.mark.django_db(transaction=True)
def test_twenty_scans_at_once_are_one_redemption() -> None:
    grant = give(make_perk())
    start = Barrier(20)

    def scan(_n: int) -> str:
        try:
            connection.ensure_connection()
            start.wait(timeout=30)
            return vouchers.redeem(grant, by=None, now=NOW).state
        finally:
            connections.close_all()

    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(scan, range(20))) == {"redeemed"}
    assert Grant.objects.filter(kind="redeemed").count() == 1


# --- Budget, offer, stock -------------------------------------------------------------------------------


@pytest.mark.django_db
def test_no_more_is_given_than_the_budget_pays_for_at_the_cost_of_when_it_was_given() -> None:
    perk = make_perk(budget=Decimal("700.00"), cost=Decimal("280.00"))
    give(perk, "a"), give(perk, "b")
    with pytest.raises(perks.OutOfStock, match="已经领完"):
        give(perk, "c")
    catalogue.change(perk.pk, {"cost": Decimal("140.00")}, by=None, now=NOW)
    assert give(perk, "c").cost == Decimal("140.00")
    with pytest.raises(perks.OutOfStock):
        give(perk, "d")
    assert perksums.figures(now=NOW)[perk.pk].promised == Decimal("700.00")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("first", "last", "is_given"), [(0, None, True), (1, None, False), (None, 0, True), (None, -1, False)]
)
def test_it_is_given_from_its_first_day_to_its_last_and_on_no_other(
    first: int | None, last: int | None, is_given: bool
) -> None:
    days: dict[str, Any] = {
        "offered_from": None if first is None else TODAY + timedelta(days=first),
        "offered_to": None if last is None else TODAY + timedelta(days=last),
    }
    perk = make_perk(stock=5, **days)
    if is_given:
        assert give(perk).kind == "granted"
    else:
        with pytest.raises(perks.OutOfStock, match="目前不发放"):
            give(perk)
    assert left_of(perk) == 5 - is_given


@pytest.mark.django_db
def test_stock_is_what_was_put_in_less_what_the_ledger_took() -> None:
    perk = catalogue.add(
        "tea", catalogue.checked({"name": "茶", "condition": "人人", "cost": "9.9"}), stock=2, by=None, now=NOW
    )
    one = give(perk, "1")
    give(perk, "2")
    catalogue.restock(perk.pk, added=5, why="补货", by=None, now=NOW)
    vouchers.revoke(one, reason="误发", by=None, now=NOW)
    catalogue.restock(perk.pk, added=-3, why="破损", by=None, now=NOW)
    with connection.cursor() as cursor:
        cursor.execute("SELECT (SELECT sum(added) FROM tenants_perkchange) - (SELECT sum(quantity) FROM tenants_grant)")
        assert cursor.fetchone() == (left_of(perk),) == (3,)
    with pytest.raises(NotSaved, match="只剩 3"):
        catalogue.restock(perk.pk, added=-4, why="破损", by=None, now=NOW)


@pytest.mark.django_db
def test_a_change_says_what_was_and_who_did_it_and_nothing_said_leaves_no_line() -> None:
    mei, perk = make_user("mei"), make_perk()
    facts = catalogue.checked(catalogue.given(perk) | {"cost": "300", "offered_to": "2026-01-31"})
    catalogue.change(perk.pk, facts, why="供应商涨价", by=mei, now=NOW)
    catalogue.change(perk.pk, facts, by=mei, now=LATER)
    line = PerkChange.objects.get()
    assert line.changes == {"cost": ["280.00", "300.00"], "offered_to": [None, "2026-01-31"]}
    assert (line.by, line.why, line.at) == (mei, "供应商涨价", NOW)
    perk.refresh_from_db()
    assert (perk.cost, perk.offered_to) == (Decimal("300.00"), date(2026, 1, 31))


@pytest.mark.parametrize(
    ("form", "place"),
    [
        ({"name": " "}, "name"),
        ({"name": "字" * 81}, "name"),
        ({"condition": ""}, "condition"),
        *(({"cost": text}, "cost") for text in ("", "-1", "1.005", "1e3", "NaN", "٣", "10000000", "十")),
        ({"budget": "1,000"}, "budget"),
        ({"valid_days": "0"}, "valid_days"),
        ({"valid_days": "4000"}, "valid_days"),
        ({"offered_from": "2026-02-30"}, "offered_from"),
        ({"offered_from": "2026-02-02", "offered_to": "2026-02-01"}, "offered_to"),
    ],
)
def test_nonsense_in_the_form_is_refused_by_its_field(form: dict[str, str], place: str) -> None:
    sound = {"name": "茶", "condition": "人人", "cost": "9.90"}
    assert catalogue.checked(sound)["cost"] == Decimal("9.90")
    with pytest.raises(NotSaved) as refused:
        catalogue.checked(sound | form)
    assert refused.value.place == place


# --- Sums -----------------------------------------------------------------------------------------------

OWED = """
    SELECT coalesce(sum(g.cost), 0) FROM tenants_grant g
    WHERE g.kind = 'granted' AND (g.expires_at IS NULL OR g.expires_at > %(now)s)
      AND (SELECT coalesce(sum(CASE WHEN a.kind = 'reversed' THEN -1 ELSE 1 END), 0)
           FROM tenants_grant a WHERE a.of_id = g.id) = 0
"""


@pytest.mark.django_db
@settings(deadline=None, max_examples=60)
@given(st.data())
def test_what_is_owed_ties_to_the_ledger_to_the_fen(data: Any) -> None:
    """Whatever was given, redeemed, revoked and taken back, in whatever order; against SQL that counts otherwise."""
    with transaction.atomic():
        tenant = make_tenant()
        kinds = [make_perk(code=f"p{n}", cost=Decimal(data.draw(st.integers(0, 99_999))) / 100) for n in range(3)]
        grants: list[Grant] = []
        for n in range(data.draw(st.integers(1, 25))):
            now = NOW + timedelta(days=data.draw(st.integers(0, 40)))
            act = data.draw(st.sampled_from(["give", "give", "redeem", "revoke", "back", "price"]))
            perk = data.draw(st.sampled_from(kinds))
            if act == "give" or not grants:
                grants.append(give(Perk.objects.get(pk=perk.pk), f"k{n}", tenant, now=now))
                continue
            if act == "price":
                catalogue.change(perk.pk, {"cost": Decimal(data.draw(st.integers(0, 999))) / 100}, by=None, now=now)
                continue
            grant = data.draw(st.sampled_from(grants))
            try:
                match act:
                    case "redeem":
                        vouchers.redeem(grant, by=None, now=now)
                    case "revoke":
                        vouchers.revoke(grant, reason="误发", by=None, now=now)
                    case "back":
                        vouchers.take_back(grant, by=None, now=now)
            except vouchers.Refused:
                pass
        for days in (0, 20, 45, 90):
            now = NOW + timedelta(days=days)
            rows = perksums.figures(now=now)
            total = perksums.total(list(rows.values()))
            with connection.cursor() as cursor:
                cursor.execute(OWED, {"now": now})
                (owed,) = cursor.fetchone()
                cursor.execute("SELECT sum(cost * quantity) FROM tenants_grant")
                (promised,) = cursor.fetchone()
            assert (total.owed, total.promised) == (owed, promised)
            assert total.granted == total.open + total.redeemed + total.expired + total.revoked == len(grants)
            assert [each.state for each in vouchers.stands(grants, now=now)].count("open") == total.open
        transaction.set_rollback(True)


@pytest.mark.django_db
def test_sums_by_hand() -> None:
    tea, stay = make_perk(code="tea", cost=Decimal("9.90")), make_perk(code="stay", cost=Decimal("280.00"))
    lease = make_lease()
    used, gone, open_, back = (give(tea, key, lease.tenants.get(), lease=lease) for key in "abcd")
    give(stay, "e")
    vouchers.redeem(used, by=None, now=NOW)
    vouchers.revoke(back, reason="误发", by=None, now=NOW)
    sums = perksums.figures(now=NOW)
    assert sums[tea.pk] == perksums.Figures(
        granted=4, open=2, redeemed=1, expired=0, revoked=1,
        owed=Decimal("19.80"), spent=Decimal("9.90"), promised=Decimal("29.70"),
    )  # fmt: skip
    assert sums[stay.pk].owed == Decimal("280.00")
    after = perksums.figures(now=NOW + timedelta(days=40))
    assert after[tea.pk] == perksums.Figures(
        granted=4, open=0, redeemed=1, expired=2, revoked=1,
        owed=Decimal("0.00"), spent=Decimal("9.90"), promised=Decimal("29.70"),
    )  # fmt: skip
    assert {gone.pk, open_.pk} == {each.grant.pk for each in vouchers.stands([gone, open_], now=NOW) if each.is_open}
