"""Tables as other software exports them: header, columns, and cells as people and spreadsheets write them."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from connectors.models import Mapping, Refusal, Run
from connectors.records import ContractRecord
from connectors.sources import Unusable, columns, erp, sheet
from renewal import loading, preview
from tenants import clock
from tenants.models import Lease, LeaseRevision
from tests.makers import NOW, make_unit
from tests.test_bad_files import manage
from tests.test_cells import contract, load, read, text
from tests.workbooks import HEADER, ROW

pytestmark = pytest.mark.django_db

FILES = Path(__file__).resolve().parent / "files"
NUMERALS = "〇一二三四五六七八九"
LEDGERS = ["ledger-openpyxl.xlsx", "ledger-libreoffice.xlsx", "ledger-libreoffice.xls"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock.set_to(NOW)
    monkeypatch.setenv("DATA", str(tmp_path / "data"))


def why() -> list[tuple[int, str, str]]:
    return list(Refusal.objects.order_by("line").values_list("line", "column", "reason"))


# --- captured files -------------------------------------------------------------------------------

THREE = [
    ("HT-2025-001", "B1-0301A", "林晓", "10000000001", date(2024, 12, 20), date(2025, 1, 1), date(2025, 12, 31),
     3800, 3800),
    ("HT-2025-002", "B1-0302A", "欧阳娜娜", "10000000002", date(2025, 2, 25), date(2025, 3, 1), date(2026, 2, 28),
     Decimal("4120.50"), Decimal("4120.50")),
    ("HT-2025-003", "B1-0303B", "王𠮷", "10000000003", date(2025, 6, 10), date(2025, 6, 15), date(2026, 6, 14),
     Decimal("2999.99"), 3000),
]  # fmt: skip


def told(record: Any) -> tuple[Any, ...]:
    assert isinstance(record, ContractRecord), record
    return (
        record.contract_no, record.unit, record.tenant_name, record.phone, record.signed_on, record.first_day,
        record.last_day, record.monthly_rent, record.deposit,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["libreoffice.xlsx", "libreoffice.xls", *LEDGERS])
def test_what_spreadsheets_wrote_is_read_as_it_was_meant(name: str) -> None:
    assert [told(record) for record in erp.read(FILES / name)] == THREE


@pytest.mark.parametrize("name", LEDGERS)
def test_a_title_a_header_of_two_rows_hidden_sheets_and_rows_and_a_sum_are_no_obstacle(name: str) -> None:
    for unit in ("B1-0301A", "B1-0302A", "B1-0303B"):
        make_unit(unit)
    answer = load(FILES / name)
    assert (answer["received"], answer["accepted"], answer["rejected"]) == (3, 3, 0)
    assert list(Lease.objects.order_by("contract_no").values_list("contract_no", "revision", "anchor_day")) == [
        ("HT-2025-001", 1, 1),
        ("HT-2025-002", 1, 1),
        ("HT-2025-003", 1, 15),
    ]
    assert load(FILES / name)["duplicate"] == 3
    found = sheet.layout(FILES / name, "contracts")
    assert (found.sheet, found.header_row, found.columns["到期日期"], found.names["到期日期"]) == (
        "租约台账", 4, 7, "租期结束",
    )  # fmt: skip


def test_who_says_what_columns_mean_sees_sheets_headers_and_some_rows() -> None:
    notes, ledger = sheet.peek(FILES / "ledger-libreoffice.xls")
    assert (notes.sheet, notes.header_row, notes.header, notes.samples) == ("说明", 1, ("每月 1 日更新",), ())
    assert (ledger.sheet, ledger.header_row) == ("租约台账", 4)
    assert ledger.header[2:7] == ("姓名", "联系电话", "签订日期", "租期开始", "租期结束")
    assert ledger.samples[0][:6] == ("HT-2025-001", "B1-0301A", "林晓", "10000000001", "2024-12-20", "2025-01-01")


# --- columns --------------------------------------------------------------------------------------


def test_columns_are_known_by_other_words_in_any_order_width_and_case(tmp_path: Path) -> None:
    make_unit("B1-0301A")
    header = (
        "备注",
        "押金 （元）",
        "租金\n(元/月)",
        "Phone",
        "租约到期日",
        "合同开始日期",
        "承租人",
        "房间号",
        "合同号",
    )
    values = (
        "押一付三",
        "3,800.00",
        "¥3,850",
        "100 0000 0001",
        "2025年12月31日",
        "2025.1.1",
        "林晓",
        "B1-0301A",
        "HT1",
    )
    assert load(text(tmp_path / "c.csv", header, values))["accepted"] == 1
    lease = Lease.objects.get()
    assert (lease.first_day, lease.last_day, lease.monthly_rent, lease.deposit) == (
        date(2025, 1, 1),
        date(2025, 12, 31),
        Decimal("3850.00"),
        Decimal("3800.00"),
    )
    # What the file does not say: signed on its first day, and counted from that day of the month.
    assert (lease.signed_on, lease.anchor_day, lease.state) == (date(2025, 1, 1), 1, "signed")


def test_our_own_word_wins_over_another_for_the_same_column() -> None:
    guessed = columns.guess("contracts", ["联系电话", "手机号", "房号", "房源编号", "状态"])
    assert guessed == {"手机号": "手机号", "房源编号": "房源编号", "合同状态": "状态"}


@pytest.mark.parametrize("source", columns.SYNONYMS)
def test_no_word_means_two_columns_of_one_source_and_our_words_mean_themselves(source: str) -> None:
    ours = columns.names(source)
    assert set(loading.FEEDS[source].columns) <= set(ours)
    assert columns.guess(source, ours) == {name: name for name in ours}
    words = [word for name in ours for word in {columns.plain(each) for each in columns.SYNONYMS[source][name]}]
    assert sorted({word for word in words if words.count(word) > 1}) == []


def test_missing_columns_are_named_beside_those_that_the_file_has(tmp_path: Path) -> None:
    path = text(tmp_path / "c.csv", ("合同号", "房号", "租客"), ("HT1", "B1-0301A", "林晓"))
    _status, _out, err = manage("load", "contracts", path)
    assert err == ("c.csv 缺少这些列：手机号、起租日期、到期日期、月租金、押金。文件里的列有：合同号、房号、租客。")


def test_two_groups_of_one_word_need_a_word_from_somebody(tmp_path: Path) -> None:
    """承租人 and 房东 both have a 姓名: neither is taken for the other."""
    path = tmp_path / "c.xlsx"
    book = openpyxl.Workbook()
    book.active.append(["合同号", "房号", "甲方信息", None, "乙方信息", None, "租期", None, "租金", "押金"])  # type: ignore[union-attr]
    book.active.append([None, None, "姓名", "电话", "姓名", "电话", "起", "止", None, None])  # type: ignore[union-attr]
    book.active.append(["HT1", "B1", "房东", 10000000009, "林晓", 10000000001, "2025-1-1", "2025-12-31", 3800, 0])  # type: ignore[union-attr]
    book.save(path)
    with pytest.raises(Unusable, match="租客姓名、手机号"):
        list(erp.read(path))
    mapping = {**columns.guess("contracts", sheet.peek(path)[0].header)}
    mapping |= {"租客姓名": "乙方信息姓名", "手机号": "乙方信息电话"}
    (record,) = erp.read(path, mapping)
    assert told(record)[:4] == ("HT1", "B1", "林晓", "10000000001")


# --- mappings -------------------------------------------------------------------------------------

VENDOR = ("单号", "房", "客", "号", "自", "至", "价", "押", "版本")
VENDOR_ROW = ("HT1", "B1-0301A", "林晓", "10000000001", "2025-01-01", "2025-12-31", "3800", "3800", "第三次打印")


def saved(**changes: str) -> Mapping:
    chosen = dict(zip(HEADER, VENDOR[:8], strict=True)) | changes
    return Mapping.objects.create(source="contracts", name="寓小二", columns=chosen, changed_at=NOW)


def test_a_saved_mapping_says_what_the_columns_mean_and_nothing_else_is_guessed(tmp_path: Path) -> None:
    make_unit("B1-0301A")
    saved()
    path = text(tmp_path / "c.csv", ("寓小二导出",), VENDOR, VENDOR_ROW)
    assert manage("load", "contracts", path)[0] == 2
    # 版本 of this file is something else than ours, and the mapping does not name it.
    assert load(path, "--mapping", "寓小二")["accepted"] == 1
    assert Lease.objects.get().revision == 1


def test_a_mapping_of_another_source_or_name_is_not_there(tmp_path: Path) -> None:
    saved()
    path = text(tmp_path / "c.csv", VENDOR, VENDOR_ROW)
    for source, name in (("units", "寓小二"), ("contracts", "寓小三"), ("contracts", "a\0b")):
        status, _out, err = manage("load", source, path, "--mapping", name)
        assert (status, "没有名为" in err) == (2, True)


def test_a_mapped_column_that_the_file_lacks_is_missed_by_the_name_it_had(tmp_path: Path) -> None:
    saved(备注="附言", 版本="变更号")
    _status, _out, err = manage(
        "load", "contracts", text(tmp_path / "c.csv", VENDOR[:8], VENDOR_ROW[:8]), "--mapping", "寓小二"
    )
    assert "缺少这些列：附言、变更号。" in err
    assert not Run.objects.exists()


def test_a_refused_row_of_a_vendors_file_is_kept_under_our_names_and_can_be_corrected(tmp_path: Path) -> None:
    make_unit("B1-0301A")
    saved()
    bad = (*VENDOR_ROW[:3], "1.38E+10", *VENDOR_ROW[4:])
    answer = load(text(tmp_path / "c.csv", VENDOR, bad), "--mapping", "寓小二")
    assert (answer["rejected"], why()) == (1, [(2, "手机号", "手机号：“1.38E+10”不是 11 位手机号")])
    assert Refusal.objects.get().raw["手机号"] == "1.38E+10"
    file = Path(answer["quarantine_file"])
    file.write_text(file.read_text(encoding="utf-8").replace("1.38E+10", "10000000001"), encoding="utf-8")
    assert load(file)["accepted"] == 1
    assert Refusal.objects.get().resolved_at is not None


# --- revisions that the file does not count -------------------------------------------------------


def test_a_changed_row_without_a_revision_is_the_next_one(tmp_path: Path) -> None:
    make_unit("B1-0301A")
    path = text(tmp_path / "c.csv", HEADER, ROW)
    assert load(path)["accepted"] == 1
    assert load(path)["duplicate"] == 1
    dearer = (*ROW[:6], "3900", "3800")
    assert load(text(path, HEADER, dearer))["accepted"] == 1
    lease = Lease.objects.get()
    assert (lease.revision, lease.monthly_rent) == (2, Decimal("3900.00"))
    assert LeaseRevision.objects.count() == 2


def test_of_two_rows_about_one_contract_nobody_can_tell_the_later(tmp_path: Path) -> None:
    make_unit("B1-0301A")
    dearer = (*ROW[:6], "3900", "3800")
    answer = load(text(tmp_path / "c.csv", HEADER, ROW, ROW, dearer))
    assert (answer["accepted"], answer["duplicate"], answer["rejected"]) == (1, 1, 1)
    assert why() == [
        (4, "合同编号", "合同 HT1 在第 2 行已出现且内容不同，没有“版本”列无法判断先后；续签请使用新的合同编号。")
    ]


def test_a_renewal_under_the_old_number_is_refused_and_does_not_move_the_old_lease(tmp_path: Path) -> None:
    make_unit("B1-0301A")
    load(text(tmp_path / "c.csv", HEADER, ROW))
    renewed = (*ROW[:4], "2026-01-01", "2026-12-31", *ROW[6:])
    assert load(text(tmp_path / "c.csv", HEADER, renewed))["rejected"] == 1
    assert why() == [(2, "合同编号", "合同 HT1 已于 2025-12-31 到期，早于本行起租日期；续签请使用新的合同编号。")]
    assert Lease.objects.get().first_day == date(2025, 1, 1)


@pytest.mark.parametrize(
    ("state", "ended_on", "stored", "reason"),
    [
        ("在租", "", "signed", ""),
        ("已到期", "", "signed", ""),
        ("已作废", "", "void", ""),
        ("已退租", "2025-06-30", "signed", ""),
        ("已退租", "", None, "提前终止日期：没有填写，但合同状态是“已退租”"),
        ("草稿", "", None, "合同状态：“草稿”不在可选项之内，可填：已签、作废"),
    ],
)
def test_a_contract_has_the_state_that_other_software_means(
    state: str, ended_on: str, stored: str | None, reason: str
) -> None:
    (record,) = read(contract(合同状态=state, 退租日期=ended_on, 终止方="租客" if ended_on else ""))
    assert (getattr(record, "state", None), getattr(record, "reason", "")) == (stored, reason)


def test_a_preview_counts_revisions_as_the_load_will(tmp_path: Path) -> None:
    make_unit("B1-0301A")
    path = text(tmp_path / "c.csv", HEADER, ROW)
    assert preview.work_out("contracts", path, now=NOW).rows[2].kind == preview.Kind.NEW
    load(path)
    assert preview.work_out("contracts", path, now=NOW).rows[2].kind == preview.Kind.UNCHANGED
    changed = preview.work_out("contracts", text(path, HEADER, (*ROW[:6], "3900", "3800")), now=NOW).rows[2]
    assert (changed.kind, changed.changes["月租金"]) == (preview.Kind.CHANGED, ("3800.00", "3900.00"))


def test_a_refused_row_is_handed_back_in_the_vendors_own_workbook(tmp_path: Path) -> None:
    make_unit("B1-0301A")
    header = ("合同号", "房间号", "租客", "电话", "合同开始日期", "合同结束日期", "租金", "押金金额")
    path = tmp_path / "vendor.xlsx"
    book = openpyxl.Workbook()
    for line in (("台账",), header, (*ROW[:3], "12345", *ROW[4:])):
        book.worksheets[0].append(line)
    book.save(path)
    assert load(path)["rejected"] == 1
    _status, out, _err = manage("quarantine", "export", "--json")
    (file,) = json.loads(out)["files"].values()
    shown = [[one.value for one in line] for line in openpyxl.load_workbook(file).worksheets[0].iter_rows()]
    assert shown[0][0] == "台账"
    assert tuple(shown[1][:8]) == header
    assert "手机号：“12345”不是 11 位手机号" in shown[2]


# --- kinds of text files --------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_a_text_file_is_read_in_any_of_the_usual_encodings(tmp_path: Path, encoding: str, delimiter: str) -> None:
    path = text(tmp_path / "c.csv", HEADER, ROW, encoding=encoding, delimiter=delimiter)
    (record,) = erp.read(path)
    assert told(record)[:4] == ("HT1", "B1-0301A", "林晓", "10000000001")


def test_utf8_with_a_broken_byte_is_not_taken_for_gbk(tmp_path: Path) -> None:
    path = text(tmp_path / "c.csv", HEADER, ROW)
    path.write_bytes(path.read_bytes().replace("晓".encode(), "晓".encode()[:2]))
    status, _out, err = manage("load", "contracts", path)
    assert (status, "c.csv 不是 UTF-8 或 GBK 编码的文本文件。" in err) == (2, True)


def test_a_sum_and_the_header_again_are_passed_over_and_empty_rows_count_as_rows(tmp_path: Path) -> None:
    last = ("HT2", *ROW[1:])
    path = text(
        tmp_path / "c.csv",
        HEADER,
        ROW,
        ("本页小计", "", "", "", "", "", "3800", ""),
        (" ",) * 8,
        HEADER,
        last,
        ("合计：2 份",),
    )
    assert [record.line for record in erp.read(path)] == [2, 6]
