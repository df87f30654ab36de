"""What stands in a cell: as people and spreadsheets write it, and as it is understood or refused."""

from __future__ import annotations

import csv
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.utils.datetime import CALENDAR_MAC_1904, to_excel

from connectors.records import ContractRecord
from connectors.sources import cells, dates, erp, sheet
from renewal import loading
from tenants import clock
from tenants.models import Lease, LeaseRevision
from tests.makers import NOW, make_lease, make_unit
from tests.test_bad_files import manage
from tests.workbooks import HEADER, ROW, cell, page, row, write

pytestmark = pytest.mark.django_db

FILES = Path(__file__).resolve().parent / "files"
NUMERALS = "〇一二三四五六七八九"
LEDGERS = ["ledger-openpyxl.xlsx", "ledger-libreoffice.xlsx", "ledger-libreoffice.xls"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock.set_to(NOW)
    monkeypatch.setenv("DATA", str(tmp_path / "data"))


def text(path: Path, *rows: tuple[str, ...], encoding: str = "utf-8", delimiter: str = ",") -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return path


def contract(**cells: Any) -> dict[str, Any]:
    return {**dict(zip(HEADER, ROW, strict=True)), **cells}


def load(path: Path, *options: str, source: str = "contracts") -> dict[str, Any]:
    _status, out, err = manage("load", source, path, "--json", *options)
    assert err == ""
    return dict(json.loads(out))


# --- cells ----------------------------------------------------------------------------------------


def read(*rows: dict[str, Any], is_1904: bool = False) -> list[Any]:
    """What a workbook says whose cells hold these values as openpyxl writes them."""
    book = openpyxl.Workbook()
    if is_1904:
        book.epoch = CALENDAR_MAC_1904
    page = book.worksheets[0]
    page.append(list(rows[0]))
    for values in rows:
        page.append(list(values.values()))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "c.xlsx"
        book.save(path)
        return list(erp.read(path))


def outcome(record: Any, what: str) -> Any:
    """The value, or the column and what is said of it."""
    return getattr(record, what) if isinstance(record, ContractRecord) else (record.column, record.reason)


ROUNDED = "：超过 15 位的数字已被表格软件取整，请把该列设为文本后重新填写"
NO_PHONE = "：“{}”不是 11 位手机号"


@pytest.mark.parametrize(
    ("column", "value", "what", "expected"),
    [
        ("手机号", 10000000001, "phone", "10000000001"),
        ("手机号", 10000000001.0, "phone", "10000000001"),
        ("手机号", "1.0000000001E+10", "phone", "10000000001"),
        ("手机号", "1.38E+10", "phone", ("手机号", "手机号" + NO_PHONE.format("1.38E+10"))),
        ("手机号", 1.38e9, "phone", ("手机号", "手机号" + NO_PHONE.format("1380000000"))),
        ("手机号", "+86 100-0000-0001", "phone", "10000000001"),
        ("手机号", "'10000000001", "phone", "10000000001"),
        ("手机号", "１００００００００１", "phone", ("手机号", "手机号" + NO_PHONE.format("1000000001"))),
        ("手机号", "１００００００００\u00a0０１\u200b\ufeff", "phone", "10000000001"),
        ("合同编号", 330101199001011234, "contract_no", ("合同编号", "合同编号" + ROUNDED)),
        ("合同编号", 202500000000001, "contract_no", "202500000000001"),
        ("合同编号", "330101199001011234", "contract_no", "330101199001011234"),
        ("合同编号", "ＨＴ１", "contract_no", "HT1"),
        ("租客姓名", "林\u200b晓😊", "tenant_name", "林晓😊"),
        ("到期日期", datetime(2025, 12, 31), "last_day", date(2025, 12, 31)),  # noqa: DTZ001
        ("到期日期", datetime(2025, 12, 31, 23, 59), "last_day", date(2025, 12, 31)),  # noqa: DTZ001
        ("到期日期", 46022, "last_day", date(2025, 12, 31)),
        ("到期日期", 20251231, "last_day", date(2025, 12, 31)),
        ("到期日期", "2025.12.31", "last_day", date(2025, 12, 31)),
        ("到期日期", "2025/12/31", "last_day", date(2025, 12, 31)),
        ("到期日期", "2025年12月31日", "last_day", date(2025, 12, 31)),
        ("到期日期", "20251231", "last_day", date(2025, 12, 31)),
        ("到期日期", "2025-12-31 00:00:00", "last_day", date(2025, 12, 31)),
        ("到期日期", "二〇二五年十二月三十一日", "last_day", date(2025, 12, 31)),
        ("到期日期", "二零二五年十二月三十一日", "last_day", date(2025, 12, 31)),
        ("到期日期", "二〇二五年十二月三十二日", "last_day",
         ("到期日期", "到期日期：“二〇二五年十二月三十二日”不是有效日期，应写成 2025-11-30")),
        ("到期日期", "2027/2/30", "last_day", ("到期日期", "到期日期：“2027/2/30”不是有效日期，应写成 2025-11-30")),
        ("到期日期", "31/12/2025", "last_day", ("到期日期", "到期日期：“31/12/2025”不是有效日期，应写成 2025-11-30")),
        ("到期日期", "2025年12月", "last_day", ("到期日期", "到期日期：“2025年12月”不是有效日期，应写成 2025-11-30")),
        ("到期日期", "46022", "last_day", ("到期日期", "到期日期：“46022”不是有效日期，应写成 2025-11-30")),
        ("到期日期", 999, "last_day", ("到期日期", "到期日期：“999”不是有效日期，应写成 2025-11-30")),
        ("到期日期", "长期", "last_day", ("到期日期", "到期日期：“长期”不是具体日期，请填合同约定的日期")),
        ("到期日期", "2024-12-31", "last_day", ("到期日期", "到期日期：2024-12-31 早于起租日期 2025-01-01")),
        ("到期日期", "2025-01-01", "last_day", date(2025, 1, 1)),
        ("到期日期", "2046-01-01", "last_day", ("到期日期", "到期日期：租期超过 20 年，法律不允许")),
        ("月租金", "3,850元", "monthly_rent", Decimal("3850.00")),
        ("月租金", "￥3，850.50 元/月", "monthly_rent", Decimal("3850.50")),
        ("月租金", "38,50", "monthly_rent", ("月租金", "月租金：“38,50”不是数字")),
        ("月租金", "3850.005", "monthly_rent", ("月租金", "月租金：小数超过 2 位")),
        ("月租金", 3850.005, "monthly_rent", ("月租金", "月租金：小数超过 2 位")),
        ("月租金", 3850.1 + 0.2, "monthly_rent", Decimal("3850.30")),
        ("月租金", -1, "monthly_rent", ("月租金", "月租金：金额 -1.00 不合理")),
        ("月租金", 0, "monthly_rent", ("月租金", "月租金：金额 0.00 不合理")),
        ("月租金", 1e9, "monthly_rent", ("月租金", "月租金：“1000000000”不合理")),
        ("押金", 0, "deposit", Decimal("0.00")),
    ],
)  # fmt: skip
def test_a_cell_of_a_workbook_means_what_its_writer_meant_or_is_refused(
    column: str, value: Any, what: str, expected: Any
) -> None:
    (record,) = read(contract(**{column: value}))
    assert outcome(record, what) == expected


def test_days_of_a_workbook_that_counts_from_1904_are_the_same_days() -> None:
    days = contract(起租日期=date(2025, 1, 1), 到期日期=date(2025, 12, 31))
    (shown,) = read(days, is_1904=True)
    # The same day as a bare number: 1,462 less than where counting begins in 1900.
    (bare,) = read(contract(起租日期=45658 - 1462, 到期日期=46022 - 1462), is_1904=True)
    assert outcome(shown, "last_day") == outcome(bare, "last_day") == date(2025, 12, 31)
    assert outcome(bare, "first_day") == date(2025, 1, 1)


def test_a_cell_that_shows_an_error_or_has_no_result_is_named(tmp_path: Path) -> None:
    def with_cell(text: str, column: str) -> str:
        cells = [text if name == column else cell(value) for name, value in zip(HEADER, ROW, strict=True)]
        return row(cells="".join(cells))

    path = write(
        tmp_path / "c.xlsx",
        page(
            row(*HEADER),
            with_cell('<c t="e"><f>A1/0</f><v>#DIV/0!</v></c>', "月租金"),
            with_cell(cell("#REF!", kind="e"), "租客姓名"),
            with_cell("<c><f>TODAY()</f></c>", "到期日期"),
            with_cell('<c t="str"><f>"HT"&amp;9</f><v>HT9</v></c>', "合同编号"),
        ),
    )
    *bad, good = list[Any](erp.read(path))
    assert [(record.column, record.reason) for record in bad] == [
        ("月租金", "月租金：单元格 G2 显示错误 #DIV/0!"),
        ("租客姓名", "租客姓名：单元格 C3 显示错误 #REF!"),
        ("到期日期", "到期日期：单元格 F4 的公式没有计算结果，请打开文件并保存后重新提交"),
    ]
    assert outcome(good, "contract_no") == "HT9"
    kept = sheet.raw_rows(path, "contracts", {2, 3, 4})
    # Nor do they come in when they are tried again as they stand in quarantine.
    again = text(tmp_path / "again.csv", HEADER, *(tuple(kept[line][name] for name in HEADER) for line in (2, 3, 4)))
    assert [outcome(record, "line") for record in erp.read(again)] == [
        ("月租金", "月租金：显示错误 #DIV/0!"),
        ("租客姓名", "租客姓名：显示错误 #REF!"),
        ("到期日期", "到期日期：显示错误 #NO-RESULT!"),
    ]


def test_what_xml_cannot_hold_is_written_as_an_escape_and_refused_where_it_cannot_be_stored(tmp_path: Path) -> None:
    names = ("林_x0000_晓", "林_x0041_晓", "林_xD800_晓")
    path = write(tmp_path / "c.xlsx", page(row(*HEADER), *(row("HT1", "B1", name, *ROW[3:]) for name in names)))
    assert [outcome(record, "tenant_name") for record in erp.read(path)] == [
        ("租客姓名", "租客姓名：含有无法保存的字符"),
        "林A晓",
        ("租客姓名", "租客姓名：含有无法保存的字符"),
    ]


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "＝", "＋", "－", "＠"])
def test_what_looks_like_a_formula_is_stored_as_it_is_and_never_handed_back_as_one(sign: str, tmp_path: Path) -> None:
    make_unit("B1-0301A")
    name = f'{sign}HYPERLINK("http://127.0.0.1","点我")'
    load(text(tmp_path / "c.csv", HEADER, (*ROW[:2], name, *ROW[3:])))
    lease = Lease.objects.get()
    assert LeaseRevision.objects.get(lease=lease).terms["tenant_name"] == name
    answer = load(text(tmp_path / "d.csv", HEADER, ("HT2", *ROW[1:2], name, "1", *ROW[4:])))
    file = Path(answer["quarantine_file"])
    with file.open(encoding="utf-8-sig", newline="") as table:
        (kept,) = csv.DictReader(table)
    assert kept["租客姓名"] == f"'{name}"
    # Corrected and handed in, it is what it was.
    corrected = file.read_text(encoding="utf-8").replace(",1,", ",10000000001,")
    file.write_text(corrected.replace("2025-01-01", "2026-01-01").replace("2025-12-31", "2026-12-31"), encoding="utf-8")
    assert load(file)["accepted"] == 1
    assert LeaseRevision.objects.exclude(lease=lease).get().terms["tenant_name"] == name


@pytest.mark.parametrize("start", ["\t", "\r", "\n", " ", "\u00a0"])
def test_blanks_around_a_word_are_no_part_of_it(start: str, tmp_path: Path) -> None:
    (record,) = erp.read(text(tmp_path / "c.csv", HEADER, (*ROW[:2], f"{start}林晓\r\n", *ROW[3:])))
    assert outcome(record, "tenant_name") == "林晓"
    assert cells.marked(f"{start}=1+1") == f"'{start}=1+1"


def test_lines_within_a_cell_are_kept_with_one_kind_of_end(tmp_path: Path) -> None:
    header = ("报修单号", "房号", "报修分类", "问题描述", "提交时间")
    make_lease(unit=make_unit("B1-0301A"))
    path = text(
        tmp_path / "t.csv", header, ("T1", "B1-0301A", "水管", "厨房漏水\r\n楼下也有\r第三行", "2025/11/20 9:05")
    )
    (record,) = loading.records("tickets", path)
    assert record.data == {"ticket": "T1", "category": "water", "channel": "", "text": "厨房漏水\n楼下也有\n第三行"}
    assert record.at == datetime(2025, 11, 20, 1, 5, tzinfo=UTC)


# --- days, against an oracle ----------------------------------------------------------------------

WAYS = ["{0:%Y-%m-%d}", "{0:%Y%m%d}", "{0.year}/{0.month}/{0.day}", "{0.year}.{0.month}.{0.day}",
        "{0.year}年{0.month}月{0.day}日", "{0:%Y-%m-%d} 08:30", "{0:%Y-%m-%d}T00:00:00"]  # fmt: skip


@given(day=st.dates(date(1990, 1, 1), date(2099, 12, 31)), way=st.sampled_from(WAYS))
def test_every_way_to_write_a_day_gives_that_day(day: date, way: str) -> None:
    assert dates.day_of(way.format(day)) == day


@given(day=st.dates(date(1990, 1, 1), date(2099, 12, 31)))
def test_a_day_in_chinese_numerals_is_that_day(day: date) -> None:
    def number(n: int) -> str:
        tens, ones = divmod(n, 10)
        return ("" if tens == 0 else "十" if tens == 1 else f"{NUMERALS[tens]}十") + (NUMERALS[ones] if ones else "")

    year = "".join(NUMERALS[int(digit)] for digit in str(day.year))
    assert dates.day_of(f"{year}年{number(day.month)}月{number(day.day)}日") == day


@given(day=st.dates(date(1990, 1, 1), date(2099, 12, 31)))
def test_a_serial_number_is_the_day_that_openpyxl_writes_for_it(day: date) -> None:
    assert dates.day_of_serial(to_excel(day), is_1904=False) == day
    assert dates.day_of_serial(to_excel(day, epoch=CALENDAR_MAC_1904), is_1904=True) == day


@given(st.text(max_size=30))
def test_no_text_makes_a_reader_of_days_fail(written: str) -> None:
    assert dates.day_of(written) is None or isinstance(dates.day_of(written), date)
    assert dates.moment_of(written) is None or isinstance(dates.moment_of(written), datetime)


@given(st.text(max_size=40))
def test_a_text_that_was_marked_is_never_a_formula_and_comes_back(written: str) -> None:
    shown = cells.as_text(written)
    marked = cells.marked(shown)
    assert not cells.FORMULA.match(marked)
    if marked != shown:
        assert cells.as_text(marked)[1:] == shown
