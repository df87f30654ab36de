"""Refused records: handed back in their own workbook, corrected, tried again, put aside. Nothing typed is lost."""

from __future__ import annotations

import csv
import json
import threading
import zipfile
from datetime import date, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from django.db import connection
from openpyxl.comments import Comment
from openpyxl.styles import Font, PatternFill
from openpyxl.worksheet.datavalidation import DataValidation

from connectors import sealing
from connectors.marking import BAD
from connectors.models import Refusal, Run, SourceHour, Upload
from connectors.sources import bills, erp, payments
from connectors.sources.tickets import COLUMNS as tickets_columns
from renewal import quarantine
from renewal.quarantine import Wanted
from tenants import clock
from tenants.models import Event, Lease
from tests.makers import NOW, make_device, make_lease, make_unit
from tests.test_bad_files import CONTRACT, manage, table, workbook

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock.set_to(NOW)
    monkeypatch.setenv("DATA", str(tmp_path / "data"))


def load(source: str, path: Path, status: int = 1) -> dict[str, Any]:
    code, out, err = manage("load", source, path, "--json")
    assert (code, err) == (status, ""), (code, out, err)
    return dict(json.loads(out))


def tried(answer: dict[str, Any]) -> tuple[int, int, int, int]:
    return answer["received"], answer["accepted"], answer["duplicate"], answer["rejected"]


def exported(name: str) -> Path:
    _status, out, _err = manage("quarantine", "export", "--json")
    return Path(json.loads(out)["files"][name])


def tickets(folder: Path, *rows: tuple[str, str]) -> Path:
    """Tickets, each a number and a room: refused while the room is unknown."""
    lines = [f"{number},前台,{room},,漏水,厨房漏水,2025-11-20 10:00,,,,," for number, room in rows]
    return table(folder / "t.csv", tickets_columns, *lines)


def contracts(folder: Path, *rows: dict[str, Any]) -> Path:
    return workbook(folder / "contracts.xlsx", *rows)


def waiting() -> list[tuple[int, str]]:
    return list(Refusal.objects.filter(resolved_at=None).order_by("line").values_list("line", "reason"))


# --- the workbook that comes back -----------------------------------------------------------------


def dressed(path: Path, rooms: int = 40) -> Path:
    """A workbook as a clerk keeps it: dressed header, widths, formats, formulas, a list to choose from, a note."""
    book = openpyxl.Workbook()
    page = book.worksheets[0]
    page.title = "合同"
    page.append([*erp.COLUMNS, "备注", "年租金", "上一行月租金"])
    for cell in page[1]:
        cell.font, cell.fill = Font(bold=True, color="FFFFFFFF"), PatternFill("solid", fgColor="FF0B6E63")
    page.column_dimensions["A"].width, page.column_dimensions["D"].width = 22, 18.5
    page.freeze_panes = "B2"
    for line in range(2, rooms + 2):
        facts = {**CONTRACT, "合同编号": f"HT{line}", "房源编号": f"B1-{line:04}"}
        if line in (7, 23):
            facts["手机号"] = "1.38E+10"
        if line == 30:
            facts["房源编号"] = "B9-9999"
        page.append([*(facts.get(name) for name in erp.COLUMNS), f"=第 {line} 行", f"=I{line}*12", f"=I{line - 1}"])
        page.cell(line, 19).data_type = "s"  # a text that begins like a formula
        page.cell(line, 9).number_format = "#,##0.00"
        page.cell(line, 7).number_format = "yyyy年m月d日"
        page.row_dimensions[line].height = 18 + line % 3
    page.cell(23, 4).comment = Comment("老租客", "王")
    choice = DataValidation(type="list", formula1='"已签,作废"')
    choice.add(f"L2:L{rooms + 1}")
    page.add_data_validation(choice)
    page.auto_filter.ref = f"A1:U{rooms + 1}"
    total = book.create_sheet("汇总")
    total["A1"], total["A2"] = f"=SUM(合同!I2:I{rooms + 1})", "=合同!I23"
    book.save(path)
    return path


def test_the_same_workbook_comes_back_with_only_the_refused_rows_and_their_bad_cells_marked(tmp_path: Path) -> None:
    for line in range(2, 42):
        make_unit(f"B1-{line:04}")
    answer = load("contracts", dressed(tmp_path / "合同导出.xlsx"))
    assert tried(answer) == (40, 37, 0, 3)
    book = openpyxl.load_workbook(exported("contracts"))
    assert book.sheetnames == ["合同", "汇总"]
    page = book["合同"]
    rows = [[cell.value for cell in row] for row in page.iter_rows()]
    assert [row[0] for row in rows] == ["合同编号", "HT7", "HT23", "HT30"]
    assert rows[0][18:] == ["备注", "年租金", "上一行月租金", "未通过原因", "隔离编号"]
    assert [row[21] for row in rows[1:]] == [reason for _line, reason in waiting()]
    assert [row[22] for row in rows[1:]] == list(Refusal.objects.order_by("line").values_list("pk", flat=True))
    # Only the cell that is wrong is marked, with the reason as its note; where no reader named it, the one it quotes.
    marked = {
        cell.coordinate: getattr(cell.comment, "text", "")
        for row in page.iter_rows()
        for cell in row
        if cell.fill == BAD
    }
    assert marked == {"E2": waiting()[0][1], "E3": waiting()[1][1], "C4": "没有房源编号 B9-9999。"}
    assert page["D3"].comment is not None
    assert page["D3"].comment.text == "老租客"
    # Dress and formats are those of the row, formulas read their own row, and a value that is left out stays a value.
    assert (page["A1"].font.bold, page["A1"].fill.fgColor.rgb) == (True, "FF0B6E63")
    assert (page.column_dimensions["A"].width, page.column_dimensions["D"].width) == (22, 18.5)
    assert (page["I3"].number_format, page["G3"].number_format) == ("#,##0.00", "yyyy年m月d日")
    assert [page.row_dimensions[line].height for line in (2, 3, 4)] == [19, 20, 18]
    assert [row[19] for row in rows[1:]] == ["=I2*12", "=I3*12", "=I4*12"]
    assert (rows[1][18], page["S2"].data_type) == ("=第 7 行", "s")
    assert (book["汇总"]["A1"].value, book["汇总"]["A2"].value) == ("=SUM(合同!I2:I4)", "=合同!I3")
    assert (page.auto_filter.ref, page.freeze_panes) == ("A1:U4", "B2")
    assert str(page.data_validations.dataValidation[0].sqref) == "L2:L4"


def test_the_corrected_workbook_loads_and_its_rows_leave_the_quarantine(tmp_path: Path) -> None:
    for line in range(2, 42):
        make_unit(f"B1-{line:04}")
    load("contracts", dressed(tmp_path / "合同.xlsx"))
    path = exported("contracts")
    book = openpyxl.load_workbook(path)
    page = book["合同"]
    page["E2"].value, page["C4"].value = "13800000000", "B1-0030"
    book.save(path)
    assert tried(load("contracts", path)) == (3, 2, 0, 1)
    assert Lease.objects.count() == 39
    (again,) = Refusal.objects.filter(resolved_at=None)
    assert (again.raw["合同编号"], again.attempts, again.line) == ("HT23", 2, 23)
    fixed = Refusal.objects.get(line=7)
    assert (fixed.raw["手机号"], (fixed.fixed or {})["手机号"]) == ("1.38E+10", "13800000000")
    assert Refusal.objects.count() == 3  # what came back refused is the record that was handed out, not another one
    # The one that is left comes back alone, in the workbook it first stood in, and goes in at last.
    page = openpyxl.load_workbook(exported("contracts"))["合同"]
    assert [row[0].value for row in page.iter_rows()] == ["合同编号", "HT23"]


def test_a_workbook_handed_back_twice_bears_the_marks_of_the_second_time_only(tmp_path: Path) -> None:
    make_unit("B1-0301A")
    path = contracts(tmp_path, {**CONTRACT, "手机号": "138", "合同状态": "待定"})
    load("contracts", path)
    book = openpyxl.load_workbook(exported("contracts"))
    page = book.worksheets[0]
    assert page["E2"].fill == BAD
    page["E2"].value = "13800000000"
    page["W2"].value = None  # the number is lost, so the row is a new one
    book.save(tmp_path / "again.xlsx")
    Refusal.objects.all().delete()
    load("contracts", tmp_path / "again.xlsx")
    page = openpyxl.load_workbook(exported("contracts")).worksheets[0]
    assert [cell.value for cell in page[1]].count("未通过原因") == 1
    assert page["E2"].fill != BAD
    assert page["E2"].comment is None
    assert page["L2"].fill == BAD
    assert "待定" in str(page.cell(2, 19).value)


def test_rows_of_a_csv_come_back_as_a_workbook_of_their_columns_and_no_cell_is_a_formula(tmp_path: Path) -> None:
    make_lease(contract_no="HT1")
    rows = ("=1+1,HT1,房租,昨天,2025-11-01,2025-11-03", "+LS2,HT1,房租,-5,2025-11-01,2025-11-03")
    load("payments", table(tmp_path / "p.csv", payments.COLUMNS, *rows))
    path = exported("payments")
    page = openpyxl.load_workbook(path).worksheets[0]
    assert [cell.value for cell in page[1]] == [*payments.COLUMNS, "未通过原因", "隔离编号"]
    assert [(page.cell(row, 1).value, page.cell(row, 1).data_type) for row in (2, 3)] == [("=1+1", "s"), ("+LS2", "s")]
    assert b"<f" not in zipped(path, "xl/worksheets/sheet1.xml")
    assert [cell.coordinate for row in page.iter_rows() for cell in row if cell.fill == BAD] == ["D2", "D3"]
    page["D2"].value, page["D3"].value = "3800", "3800"
    book = page.parent
    assert book is not None
    book.save(path)
    assert tried(load("payments", path, status=0)) == (2, 2, 0, 0)
    assert set(Event.objects.values_list("source_id", flat=True)) == {"=1+1", "+LS2"}
    assert waiting() == []


def zipped(path: Path, member: str) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(member)


def test_the_table_that_a_load_names_can_be_corrected_too_and_settles_what_it_corrects(tmp_path: Path) -> None:
    make_lease(contract_no="HT1")
    answer = load("payments", table(tmp_path / "p.csv", payments.COLUMNS, "LS1,HT1,房租,0,2025-11-01,2025-11-03"))
    path = Path(answer["quarantine_file"])
    with path.open(encoding="utf-8-sig", newline="") as text:
        (row,) = csv.DictReader(text)
    assert row["隔离编号"] == str(Refusal.objects.get().pk)
    path.write_text(path.read_text(encoding="utf-8-sig").replace("房租,0,", "房租,3800,"), encoding="utf-8")
    load("payments", path, status=0)
    kept = Refusal.objects.get()
    assert (kept.resolved_at is None, kept.fixed) == (False, {**kept.raw, "金额": "3800"})


def test_the_number_of_another_sources_record_settles_nothing(tmp_path: Path) -> None:
    make_lease(contract_no="HT1")
    load("bills", table(tmp_path / "b.csv", bills.COLUMNS, "ZD1,HT1,2025-11,x,2025-11-28,,"))
    pk = Refusal.objects.get().pk
    path = tmp_path / "p.csv"
    header = ",".join([*payments.COLUMNS, "隔离编号"])
    path.write_text(f"{header}\nLS1,HT1,房租,3800,2025-11-01,2025-11-03,{pk}\n", encoding="utf-8")
    load("payments", path, status=0)
    assert Refusal.objects.get().resolved_at is None


def test_lines_of_json_come_back_as_lines(tmp_path: Path) -> None:
    path = tmp_path / "iot.jsonl"
    door = '{"topic":"site/B1/device/L-1/lock","id":"L-1-1","ts":"昨晚","metric":"open","value":"app"}'
    path.write_text(f"not json\n{door}\n", encoding="utf-8")
    load("iot", path)
    assert exported("iot").read_text(encoding="utf-8") == "not json\n"  # and nothing of the door


def test_a_workbook_is_kept_once_and_only_where_rows_of_it_were_refused(tmp_path: Path) -> None:
    make_unit("B1-0301A")
    load("contracts", contracts(tmp_path, CONTRACT), status=0)
    assert not Upload.objects.exists()
    path = contracts(tmp_path, CONTRACT, {**CONTRACT, "合同编号": "HT2", "月租金": "x"})
    load("contracts", path)
    load("contracts", path)
    kept = Upload.objects.get()
    assert (sealing.unseal(bytes(kept.content)), kept.name, kept.by) == (path.read_bytes(), "contracts.xlsx", "")
    assert Refusal.objects.get().upload_id == kept.pk
    status, _out, _err = manage("load", "contracts", contracts(tmp_path, {**CONTRACT, "押金": "y"}), "--dry-run")
    assert (status, Upload.objects.count()) == (1, 1)


def test_formulas_keep_their_last_values_for_readers_that_do_not_reckon(tmp_path: Path) -> None:
    # A spreadsheet stores what a formula came to beside it; openpyxl does not, so it is written by hand here.
    make_unit("B1-0301A")
    path = contracts(tmp_path, {**CONTRACT, "手机号": "138", "押金": "=I2+0.5"})
    content = BytesIO()
    with zipfile.ZipFile(path) as came, zipfile.ZipFile(content, "w") as archive:
        for member in came.infolist():
            data = came.read(member)
            archive.writestr(
                member,
                data.replace(b"<f>I2+0.5</f><v></v>", b"<f>I2+0.5</f><v>3800.5</v>").replace(
                    b"<f>I2+0.5</f><v />", b"<f>I2+0.5</f><v>3800.5</v>"
                ),
            )
    path.write_bytes(content.getvalue())
    load("contracts", path)
    assert Refusal.objects.get().raw["押金"] == "3800.5"
    file = exported("contracts")
    assert openpyxl.load_workbook(file).worksheets[0]["J2"].value == "=I2+0.5"
    assert openpyxl.load_workbook(file, data_only=True).worksheets[0]["J2"].value == 3800.5


# --- correcting in place --------------------------------------------------------------------------


def test_a_corrected_row_comes_in_and_what_it_was_stays_on_record(tmp_path: Path) -> None:
    make_unit("B1-0301A")
    path = contracts(tmp_path, {**CONTRACT, "手机号": "138", "到期日期": date(2024, 1, 1)})
    load("contracts", path)
    row = Refusal.objects.get()
    came = dict(row.raw)
    half = quarantine.correct(row.pk, {**came, "手机号": "13800000000"}, by="mei", now=NOW)
    assert (half.resolved_at, half.attempts, half.column) == (None, 2, "到期日期")
    assert half.reason == "到期日期：2024-01-01 早于起租日期 2025-01-01"
    assert (half.fixed or {})["手机号"] == "13800000000"  # what was typed stays for the next try
    assert not Lease.objects.exists()
    done = quarantine.correct(row.pk, {**(half.fixed or {}), "到期日期": "2025-12-31"}, by="mei", now=NOW)
    assert (done.resolved_at, done.settled_by, done.raw) == (NOW, "mei", came)
    assert Lease.objects.get().last_day == date(2025, 12, 31)
    with pytest.raises(quarantine.Settled):
        quarantine.correct(row.pk, came, by="li", now=NOW)
    # The same file again brings the bad row back: it is refused, but nobody has to deal with it a second time.
    assert tried(load("contracts", path)) == (1, 0, 0, 1)
    assert (Refusal.objects.count(), waiting()) == (1, [])


def test_a_row_emptied_of_everything_is_not_taken_for_accepted(tmp_path: Path) -> None:
    load("payments", table(tmp_path / "p.csv", payments.COLUMNS, "LS1,HT1,房租,0,2025-11-01,2025-11-03"))
    row = Refusal.objects.get()
    with pytest.raises(quarantine.Unanswered):
        quarantine.correct(row.pk, dict.fromkeys(row.raw, " "), by="mei", now=NOW)
    row.refresh_from_db()
    assert (row.fixed, row.resolved_at, row.attempts) == (None, None, 1)


def test_a_message_may_be_laid_out_over_lines_while_it_is_corrected(tmp_path: Path) -> None:
    make_device(make_unit(), "P-1")
    path = tmp_path / "iot.jsonl"
    path.write_text('{"topic": "site/B1/device/P-1/power"}\n', encoding="utf-8")
    load("iot", path)
    message = {
        "topic": "site/B1/device/P-1/power", "id": "P-1-1", "ts": "2025-11-01T00:00:00+08:00", "metric": "energy",
        "value": 7.25, "unit": "kWh",
    }  # fmt: skip
    typed = json.dumps(message, indent=2).replace("\n", "\r\n")
    assert quarantine.correct(Refusal.objects.get().pk, {"line": typed}, by="mei", now=NOW).resolved_at == NOW
    assert Event.objects.get().data == {"value": 7.25, "unit": "kWh"}


def test_a_correction_that_turns_out_to_be_a_door_log_leaves_nothing_behind(tmp_path: Path) -> None:
    make_device(make_unit(), "L-1", "lock")
    path = tmp_path / "iot.jsonl"
    path.write_text("{broken\n", encoding="utf-8")
    load("iot", path)
    message = {
        "topic": "site/B1/device/L-1/lock", "id": "L-1-1", "ts": "2025-11-01T00:00:00+08:00", "metric": "open",
        "value": "app",
    }  # fmt: skip
    row = quarantine.correct(Refusal.objects.get().pk, {"line": json.dumps(message)}, by="mei", now=NOW)
    assert (row.raw, row.fixed, row.resolved_at) == ({"withheld": "door"}, None, None)
    with pytest.raises(quarantine.Unanswered):
        quarantine.correct(row.pk, {"line": "x"}, by="mei", now=NOW)


def test_a_typed_nul_is_kept_as_its_sign_and_refused(tmp_path: Path) -> None:
    load("payments", table(tmp_path / "p.csv", payments.COLUMNS, "LS1,HT1,房租,0,2025-11-01,2025-11-03"))
    row = Refusal.objects.get()
    again = quarantine.correct(row.pk, {**row.raw, "流水号": "LS\x001"}, by="mei", now=NOW)
    assert (again.resolved_at, (again.fixed or {})["流水号"]) == (None, "LS␀1")


# --- putting aside --------------------------------------------------------------------------------


def test_what_is_put_aside_is_not_tried_stays_aside_when_it_comes_again_and_can_be_taken_up(tmp_path: Path) -> None:
    load("tickets", tickets(tmp_path, ("BX1", "B9-1")))
    pk = Refusal.objects.get().pk
    with pytest.raises(quarantine.Unanswered):
        quarantine.put_aside(pk, "  ", by="mei", now=NOW)
    aside = quarantine.put_aside(pk, "测试数据", by="mei", now=NOW)
    assert (aside.dismissed_because, aside.settled_by, aside.resolved_at) == ("测试数据", "mei", NOW)
    make_unit("B9-1")
    assert manage("quarantine", "replay", "--json")[:2] == (0, '{"sources": {}}\n')
    assert not Event.objects.exists()
    assert quarantine.numbers() == {"waiting": 0, "aside": 1, "settled": 0}
    quarantine.take_up(pk, by="li")
    assert quarantine.numbers() == {"waiting": 1, "aside": 0, "settled": 0}
    with pytest.raises(quarantine.Settled):
        quarantine.take_up(pk, by="li")
    assert manage("quarantine", "replay")[0] == 0
    assert Event.objects.count() == 1


def test_the_same_row_put_aside_stays_aside_when_its_file_is_loaded_again(tmp_path: Path) -> None:
    path = table(tmp_path / "p.csv", payments.COLUMNS, "LS1,HT1,房租,0,2025-11-01,2025-11-03")
    load("payments", path)
    quarantine.put_aside(Refusal.objects.get().pk, "测试数据", by="mei", now=NOW)
    load("payments", path)
    row = Refusal.objects.get()
    assert (row.resolved_at, row.attempts, row.dismissed_because) == (NOW, 2, "测试数据")


# --- trying again ---------------------------------------------------------------------------------


def test_replaying_twice_brings_nothing_more_and_counts_for_no_source(tmp_path: Path) -> None:
    load("tickets", tickets(tmp_path, *((f"BX{n}", f"B9-{n % 2}") for n in range(6))))
    hour = SourceHour.objects.values_list("received", "rejected").get()
    make_unit("B9-1")
    assert quarantine.replay(now=NOW) == {"tickets": {"received": 6, "accepted": 3, "duplicate": 0, "rejected": 3}}
    assert quarantine.replay(now=NOW) == {"tickets": {"received": 3, "accepted": 0, "duplicate": 0, "rejected": 3}}
    assert Event.objects.count() == 3
    assert SourceHour.objects.values_list("received", "rejected").get() == hour == (6, 6)
    assert list(Run.objects.order_by("pk").values_list("name", "received")) == [
        ("t.csv", 6), ("隔离区重试", 6), ("隔离区重试", 3),
    ]  # fmt: skip
    # The records still belong to the file they stood in.
    assert set(Refusal.objects.values_list("run__name", flat=True)) == {"t.csv"}


def test_only_what_is_asked_for_is_tried_again(tmp_path: Path) -> None:
    rows = ("LS1,HT1,房租,x,2025-11-01,2025-11-03", "LS2,HT1,房租,0,2025-11-01,2025-11-03")
    load("payments", table(tmp_path / "p.csv", payments.COLUMNS, *rows))
    (group,) = [each["group"] for each in quarantine.reasons(Wanted()) if "不合理" in each["shape"]]
    wanted = quarantine.listed(Wanted(reason=group))
    assert quarantine.replay_these(wanted, now=NOW)["payments"]["received"] == 1
    assert list(Refusal.objects.order_by("line").values_list("attempts", flat=True)) == [1, 2]


def test_a_replay_that_breaks_half_way_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load("tickets", tickets(tmp_path, *((f"BX{n}", "B9-1") for n in range(4))))
    make_unit("B9-1")
    with connection.cursor() as cursor:
        # The database itself refuses the last row, after three were written.
        cursor.execute("ALTER TABLE tenants_event ADD CONSTRAINT fault CHECK (source_id <> 'BX3#reported')")
    before = list(Refusal.objects.order_by("pk").values())
    with pytest.raises(Exception, match="fault"):
        quarantine.replay(now=NOW)
    assert list(Refusal.objects.order_by("pk").values()) == before
    assert not Event.objects.exists()
    assert Run.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_people_who_replay_at_once_each_record_is_tried_by_one(tmp_path: Path) -> None:
    load("tickets", tickets(tmp_path, *((f"BX{n}", "B9-1") for n in range(50))))
    make_unit("B9-1")
    results: list[dict[str, Any]] = []
    start = threading.Barrier(2)

    def press() -> None:
        start.wait()
        try:
            results.append(quarantine.replay(now=NOW))
        finally:
            connection.close()

    people = [threading.Thread(target=press) for _person in range(2)]
    for person in people:
        person.start()
    for person in people:
        person.join(60)
    assert sorted(sum(counts["accepted"] for counts in result.values()) for result in results) == [0, 50]
    assert Event.objects.count() == 50
    assert waiting() == []


# --- the list -------------------------------------------------------------------------------------


def test_reasons_that_differ_only_in_what_they_quote_are_one_group(tmp_path: Path) -> None:
    rows = [{**CONTRACT, "合同编号": f"HT{n}", "房源编号": f"B9-{n}"} for n in range(1, 4)]
    rows += [{**CONTRACT, "合同编号": f"HT{n}", "手机号": f"13{n}"} for n in range(4, 6)]
    rows += [{**CONTRACT, "合同编号": None}]
    load("contracts", contracts(tmp_path, *rows))
    groups = quarantine.reasons(Wanted())
    assert [(each["shape"], each["n"]) for each in groups] == [
        ("没有房源编号 …。", 3), ("手机号：…不是 … 位手机号", 2), ("合同编号：没有填写", 1),
    ]  # fmt: skip
    for each in groups:
        assert quarantine.listed(Wanted(reason=each["group"])).count() == each["n"]
    assert [row.line for row in quarantine.listed(Wanted(words="B9-2"))] == [3]
    assert [row.line for row in quarantine.listed(Wanted(words="没有填写"))] == [7]
    assert not quarantine.listed(Wanted(source="bills"))
    later = NOW + timedelta(days=1)
    assert quarantine.reasons(Wanted(state="settled")) == []
    quarantine.put_aside(quarantine.listed(Wanted(words="B9-2")).get().pk, "测试", by="mei", now=later)
    assert quarantine.reasons(Wanted(state="aside"))[0]["n"] == 1


# --- a vendor's workbook --------------------------------------------------------------------------


def test_a_vendors_workbook_with_a_title_and_names_of_its_own_comes_back_as_it_was_and_loads_again(
    tmp_path: Path,
) -> None:
    """Title rows above the header and the vendor's own names for our columns, as a guess at the header reads them."""
    make_unit("B1-0301A")
    theirs = {"合同编号": "合同号", "手机号": "联系电话", "租客姓名": "承租人"}
    book = openpyxl.Workbook()
    page = book.worksheets[0]
    page["A1"] = "蓝寓租约台账"
    page.merge_cells("A1:F1")
    page["A2"] = "导出日期 2025-12-01"
    page.append([theirs.get(name, name) for name in erp.COLUMNS])
    page.append([{**CONTRACT, "手机号": "138"}.get(name) for name in erp.COLUMNS])
    page.append([{**CONTRACT, "合同编号": "HT2", "房源编号": "B9-1"}.get(name) for name in erp.COLUMNS])
    page.append([{**CONTRACT, "合同编号": "HT3", "月租金": "x"}.get(name) for name in erp.COLUMNS])
    path = tmp_path / "台账.xlsx"
    book.save(path)
    load("contracts", path)
    assert [line for line, _reason in waiting()] == [4, 5, 6]
    file = exported("contracts")
    book = openpyxl.load_workbook(file)
    page = book.worksheets[0]
    assert [page.cell(row, 1).value for row in range(1, 7)] == [
        "蓝寓租约台账", "导出日期 2025-12-01", "合同号", "HT1", "HT2", "HT3",
    ]  # fmt: skip
    assert [str(each) for each in page.merged_cells.ranges] == ["A1:F1"]
    phone, unit, rent = (
        erp.COLUMNS.index("手机号") + 1,
        erp.COLUMNS.index("房源编号") + 1,
        erp.COLUMNS.index("月租金") + 1,
    )
    bad = {(cell.row, cell.column) for row in page.iter_rows() for cell in row if cell.fill == BAD}
    assert bad == {(4, phone), (5, unit), (6, rent)}
    page.cell(4, phone).value = "13800000000"
    page.delete_rows(5, 2)
    book.save(file)
    assert tried(load("contracts", file, status=0)) == (1, 1, 0, 0)
    assert [line for line, _reason in waiting()] == [5, 6]


def test_an_identity_number_is_neither_kept_in_quarantine_nor_in_the_way_of_finding_its_row(tmp_path: Path) -> None:
    make_unit("B1-0301A")
    number = "11010519491231002X"
    header = (*erp.COLUMNS, "身份证号")
    path = workbook(tmp_path / "c.xlsx", {**CONTRACT, "手机号": "138", "身份证号": number}, header=header)
    load("contracts", path)
    row = Refusal.objects.get()
    assert number not in json.dumps(row.raw)
    page = openpyxl.load_workbook(exported("contracts")).worksheets[0]
    assert page["E2"].fill == BAD  # in its own workbook, which it is not without the row being found
    assert page["S2"].value == number
    again = quarantine.correct(row.pk, {**row.raw, "身份证号": number, "手机号": "139"}, by="mei", now=NOW)
    assert number not in json.dumps(again.fixed)


def test_rows_of_an_old_workbook_or_of_one_no_longer_kept_come_back_in_a_workbook_of_their_columns(
    tmp_path: Path,
) -> None:
    make_unit("B1-0301A")
    load("contracts", contracts(tmp_path, {**CONTRACT, "手机号": "138"}))
    for content in (b"\xd0\xcf\x11\xe0 an old workbook", b""):
        Upload.objects.update(content=content)
        page = openpyxl.load_workbook(exported("contracts")).worksheets[0]
        assert [page.cell(2, column).value for column in (1, 5)] == ["HT1", "138"]
        assert page["E2"].fill == BAD
        assert page.cell(1, page.max_column).value == "隔离编号"
