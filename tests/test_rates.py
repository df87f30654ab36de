"""The published card: what may be published, and which line holds on a day."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from django.utils import translation

from connectors.records import BadRecord, RateRecord
from renewal import rates
from renewal.models import Rate
from tests.makers import NOW, make_building

pytestmark = pytest.mark.django_db

LINE = RateRecord(
    line=2,
    building="B1",
    room_type="朝南一居",
    term_months=12,
    free_months=0,
    monthly_rent=Decimal("3900.00"),
    signed_from=date(2025, 11, 1),
    signed_to=date(2026, 6, 30),
)


def stored() -> list[tuple[int, int, Decimal, date, date]]:
    rows = Rate.objects.order_by("term_months", "free_months", "signed_from")
    return list(rows.values_list("term_months", "free_months", "monthly_rent", "signed_from", "signed_to"))


def test_publishing_twice_changes_nothing() -> None:
    make_building("B1")
    lines = [LINE, replace(LINE, line=3, free_months=1, monthly_rent=Decimal("4170.00"))]
    first = rates.publish(lines, now=NOW)
    assert (first.received, first.accepted, first.duplicate, first.rejected) == (2, 2, 0, 0)
    before = stored()
    again = rates.publish(lines, now=NOW)
    assert (again.received, again.accepted, again.duplicate, again.rejected) == (2, 0, 2, 0)
    assert stored() == before
    assert len(before) == 2


def test_a_published_rent_never_changes() -> None:
    make_building("B1")
    rates.publish([LINE], now=NOW)
    with translation.override("en"):
        counts = rates.publish([replace(LINE, monthly_rent=Decimal("3800.00"))], now=NOW)
    assert [bad.reason for bad in counts.refused] == [
        "A rent of 3900.00 is published for this term and day already. "
        "A published rent does not change: give the new one a later first day."
    ]
    assert stored() == [(12, 0, Decimal("3900.00"), date(2025, 11, 1), date(2026, 6, 30))]


def test_a_line_may_be_given_another_last_day() -> None:
    make_building("B1")
    rates.publish([LINE], now=NOW)
    counts = rates.publish([replace(LINE, signed_to=date(2026, 1, 31))], now=NOW)
    assert (counts.accepted, counts.duplicate, counts.rejected) == (1, 0, 0)
    assert stored() == [(12, 0, Decimal("3900.00"), date(2025, 11, 1), date(2026, 1, 31))]


def test_bad_lines_are_refused_and_the_good_ones_published() -> None:
    make_building("B1")
    with translation.override("zh-hans"):
        counts = rates.publish(
            [
                LINE,
                replace(LINE, line=3, building="B9"),
                replace(LINE, line=4, monthly_rent=Decimal("1.00")),
                replace(LINE, line=5),
                replace(LINE, line=6, term_months=1, free_months=1),
                BadRecord(7, "月租金不是数字。", {"月租金": "面议"}),
            ],
            now=NOW,
        )
    assert (counts.received, counts.accepted, counts.duplicate, counts.rejected) == (6, 1, 1, 4)
    assert [(bad.line, bad.reason) for bad in counts.refused] == [
        (3, "没有编号为 B9 的楼栋。"),
        (4, "文件中另有一行对同一租期和起始日写了不同的内容。"),
        (6, "免租月数须少于租期月数。"),
        (7, "月租金不是数字。"),
    ]
    assert len(stored()) == 1


def test_the_line_that_started_last_holds() -> None:
    building = make_building("B1")
    rates.publish(
        [LINE, replace(LINE, signed_from=date(2026, 1, 1), monthly_rent=Decimal("3950.00"))],
        now=NOW,
    )

    def rents(day: date) -> list[Decimal]:
        found = rates.on(day, buildings=[building.pk])
        return [rate.monthly_rent for rate in found.get((building.pk, "朝南一居"), ())]

    assert rents(date(2025, 10, 31)) == []
    assert rents(date(2025, 11, 1)) == [Decimal("3900.00")]
    assert rents(date(2025, 12, 31)) == [Decimal("3900.00")]
    assert rents(date(2026, 1, 1)) == [Decimal("3950.00")]
    assert rents(date(2026, 6, 30)) == [Decimal("3950.00")]
    assert rents(date(2026, 7, 1)) == []
