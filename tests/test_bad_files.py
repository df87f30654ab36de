"""What cannot be used: a file as a whole (status 2, one sentence), or some of its rows (status 1, in quarantine)."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import openpyxl
import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from connectors.models import Refusal, Run
from connectors.sources import bills, calls, cells, erp, iot, payments, sheet
from tenants import clock
from tenants.models import Event, Lease
from tests.makers import NOW, make_device, make_lease, make_unit

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).resolve().parent.parent
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock.set_to(NOW)
    monkeypatch.setenv("DATA", str(tmp_path / "data"))


Answer = tuple[int, str, str]


def manage(command: str, *words: str | Path) -> Answer:
    """Status, stdout and the sentence of `manage.py …`, in this process, so that it sees what the test wrote."""
    out = StringIO()
    try:
        call_command(command, *map(str, words), stdout=out)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue(), ""
    except CommandError as refusal:
        return refusal.returncode, out.getvalue(), str(refusal)
    return 0, out.getvalue(), ""


CONTRACT: dict[str, Any] = {
    "合同编号": "HT1",
    "版本": 1,
    "房源编号": "B1-0301A",
    "租客姓名": "林晓",
    "手机号": "10000000001",
    "签约日期": date(2024, 12, 20),
    "起租日期": date(2025, 1, 1),
    "到期日期": date(2025, 12, 31),
    "月租金": 3800,
    "押金": 3800.5,
    "计租日": 1,
    "合同状态": "已签",
}


def workbook(path: Path, *rows: dict[str, Any], header: tuple[str, ...] = erp.COLUMNS, title: str = "合同") -> Path:
    book = openpyxl.Workbook()
    page = book.worksheets[0]
    page.title = title
    page.append(header)
    for row in rows:
        page.append([row.get(column) for column in header])
    book.save(path)
    return path


def table(path: Path, columns: tuple[str, ...], *rows: str) -> Path:
    path.write_text("\n".join([",".join(columns), *rows]) + "\n", encoding="utf-8")
    return path


# --- the file -------------------------------------------------------------------------------------


def nothing(path: Path) -> Path:
    path.touch()
    return path


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def picture(path: Path) -> Path:
    path.write_bytes(PNG)
    return path


def truncated(path: Path) -> Path:
    whole = BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("[Content_Types].xml", "x" * 500)
    path.write_bytes(whole.getvalue()[:-40])
    return path


def archive(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as book:
        book.writestr("readme.txt", "no workbook")
    return path


def broken_xml(path: Path) -> Path:
    workbook(path, CONTRACT)
    with zipfile.ZipFile(path) as whole:
        parts = {name: whole.read(name) for name in whole.namelist()}
    with zipfile.ZipFile(path, "w") as book:
        for name, content in parts.items():
            book.writestr(name, content[:-30] if name.endswith("sheet1.xml") else content)
    return path


def lacking(path: Path) -> Path:
    return workbook(path, header=tuple(column for column in erp.COLUMNS if column not in {"手机号", "月租金"}))


def doubled(path: Path) -> Path:
    return workbook(path, header=(*erp.COLUMNS, "押金"))


def unclosed(path: Path) -> Path:
    return table(path, erp.COLUMNS, '"' + "x" * 200_000)


def pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


@pytest.mark.parametrize(
    ("make", "name", "sentence"),
    [
        (lambda path: path, "none.xlsx", "找不到文件"),
        (nothing, "empty.xlsx", "empty.xlsx 是空文件。"),
        (nothing, "empty.csv", "empty.csv 是空文件。"),
        (folder, "folder.xlsx", "folder.xlsx 是文件夹，不是文件。"),
        (picture, "picture.xlsx", "picture.xlsx 的内容不是 Excel 工作簿，只有扩展名是。"),
        (picture, "picture.csv", "picture.csv 不是 UTF-8 或 GBK 编码的文本文件。"),
        (truncated, "cut.xlsx", "cut.xlsx 不是可读取的 Excel 工作簿，文件可能已损坏。"),
        (archive, "archive.xlsx", "archive.xlsx 不是可读取的 Excel 工作簿，文件可能已损坏。"),
        (broken_xml, "broken.xlsx", "broken.xlsx 不是可读取的 Excel 工作簿，文件可能已损坏。"),
        (lacking, "lacking.xlsx", "lacking.xlsx 缺少这些列：手机号、月租金。"),
        (doubled, "doubled.xlsx", "doubled.xlsx 的这些列重复了：押金。"),
        (unclosed, "unclosed.csv", "unclosed.csv 无法按表格读取，可能缺了一个引号。"),
        (pipe, "pipe.csv", "pipe.csv 不是普通文件。"),
    ],
)
def test_a_file_that_cannot_be_used_is_answered_by_one_sentence(
    tmp_path: Path, make: Callable[[Path], Path], name: str, sentence: str
) -> None:
    status, out, err = manage("load", "contracts", make(tmp_path / name), "--json")
    assert (status, out) == (2, "")
    assert sentence in err
    assert len(err.strip().splitlines()) == 1
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("load", "erp", "x.csv"), "没有名为 erp 的数据源"),
        (("load", "units", "x.csv", "--mapping", "旧系统"), "没有名为 旧系统 的列对应方案。"),
        (("quarantine", "list", "--source", "erp"), "没有名为 erp 的数据源"),
        (("load", "units", "bad\0name.csv"), "无法打开"),
    ],
)
def test_an_option_that_cannot_be_used_is_answered_by_one_sentence(words: tuple[str, ...], sentence: str) -> None:
    status, out, err = manage(*words)
    assert (status, out) == (2, "")
    assert sentence in err
    assert len(err.strip().splitlines()) == 1


def test_the_shell_sees_a_status_and_one_line_and_no_traceback(tmp_path: Path) -> None:
    here = urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}"))
    command = [sys.executable, "manage.py", "load", "contracts", str(picture(tmp_path / "picture.xlsx"))]
    done = subprocess.run(
        command, env={**os.environ, "DATABASE_URL": here}, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.strip().splitlines() == ["CommandError: picture.xlsx 的内容不是 Excel 工作簿，只有扩展名是。"]


def test_a_file_that_may_not_be_read_is_answered_by_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = workbook(tmp_path / "closed.xlsx", CONTRACT)
    path.chmod(0)
    if os.access(path, os.R_OK):  # root may read everything: as an account that may not, it is the system that says so
        monkeypatch.setattr(os, "access", lambda *_facts: False)
    status, _out, err = manage("load", "contracts", path)
    assert (status, "没有读取 closed.xlsx 的权限。" in err) == (2, True)


# --- the rows -------------------------------------------------------------------------------------


def test_a_name_that_is_no_utf8_is_no_obstacle(tmp_path: Path) -> None:
    path = table(tmp_path / "bills-\udcff.csv", bills.COLUMNS)
    assert manage("load", "bills", path)[0] == 0
    assert Run.objects.get().name == "bills-?.csv"


def test_good_contracts_are_in_and_bad_ones_in_quarantine_with_a_reason(tmp_path: Path) -> None:
    make_unit("B1-0301A")
    rows = (
        CONTRACT,
        {**CONTRACT, "合同编号": "HT2", "起租日期": date(2026, 6, 1), "到期日期": date(2026, 5, 1)},
        {**CONTRACT, "合同编号": "HT3", "房源编号": "B9-9999"},
        {**CONTRACT, "合同编号": "HT4", "手机号": "1.38E+10"},
        {**CONTRACT, "合同编号": "HT5", "月租金": "3850.005"},
        {**CONTRACT, "合同编号": "HT6", "到期日期": "2025/2/30"},
        {**CONTRACT, "合同编号": "HT7", "合同状态": "待定"},
        {**CONTRACT, "合同编号": None},
        {**CONTRACT, "合同编号": "HT8", "押金": -1},
    )
    status, out, err = manage("load", "contracts", workbook(tmp_path / "contracts.xlsx", *rows), "--json")
    answer = json.loads(out)
    assert (status, err) == (1, "")
    assert {name: answer[name] for name in ("received", "accepted", "duplicate", "rejected")} == {
        "received": 9,
        "accepted": 1,
        "duplicate": 0,
        "rejected": 8,
    }
    assert list(Lease.objects.values_list("contract_no", "deposit")) == [("HT1", CONTRACT["押金"])]
    assert list(Refusal.objects.order_by("line").values_list("line", "reason")) == [
        (3, "到期日期：2026-05-01 早于起租日期 2026-06-01"),
        (4, "没有房源编号 B9-9999。"),
        (5, "手机号：“1.38E+10”不是 11 位手机号"),
        (6, "月租金：小数超过 2 位"),
        (7, "到期日期：“2025/2/30”不是有效日期，应写成 2025-11-30"),
        (8, "合同状态：“待定”不在可选项之内，可填：已签、作废"),
        (9, "合同编号：没有填写"),
        (10, "押金：金额 -1.00 不合理"),
    ]
    with Path(answer["quarantine_file"]).open(encoding="utf-8-sig", newline="") as text:
        kept = list(csv.DictReader(text))
    assert len(kept) == 8
    assert kept[0]["行"] == "3"
    assert kept[0]["原因"] == "到期日期：2026-05-01 早于起租日期 2026-06-01"
    assert kept[0]["到期日期"] == "2026-05-01"
    assert kept[7]["押金"] == "'-1"  # no cell is a formula to a spreadsheet
    assert Path(answer["quarantine_file"]).stat().st_mode & 0o077 == 0


def test_a_quarantine_file_can_be_corrected_and_loaded(tmp_path: Path) -> None:
    make_unit("B1-0301A")
    path = workbook(tmp_path / "contracts.xlsx", {**CONTRACT, "到期日期": date(2024, 1, 1)})
    _status, out, _err = manage("load", "contracts", path, "--json")
    file = Path(json.loads(out)["quarantine_file"])
    file.write_text(file.read_text(encoding="utf-8").replace("2024-01-01", "2025-12-31"), encoding="utf-8")
    status, out, _err = manage("load", "contracts", file, "--json")
    assert (status, json.loads(out)["accepted"]) == (0, 1)
    assert Lease.objects.get().last_day == date(2025, 12, 31)


def test_what_a_fix_elsewhere_makes_good_is_replayed(tmp_path: Path) -> None:
    make_unit("B1-0301A")
    rows = ({**CONTRACT, "房源编号": "B1-0302"}, {**CONTRACT, "合同编号": "HT2", "租客姓名": None})
    manage("load", "contracts", workbook(tmp_path / "contracts.xlsx", *rows))
    make_unit("B1-0302")
    status, out, _err = manage("quarantine", "replay", "--json")
    assert status == 1
    assert json.loads(out) == {"sources": {"contracts": {"received": 2, "accepted": 1, "duplicate": 0, "rejected": 1}}}
    assert Lease.objects.get().unit.code == "B1-0302"
    good, bad = Refusal.objects.order_by("line")
    assert (good.line, good.resolved_at is None, good.attempts) == (2, False, 1)
    assert (bad.line, bad.resolved_at, bad.attempts, bad.reason) == (3, None, 2, "租客姓名：没有填写")
    # A second replay brings nothing new in, and a third file of the same bad row keeps it once.
    assert manage("quarantine", "replay", "--source", "contracts")[0] == 1
    assert (Lease.objects.count(), Refusal.objects.count()) == (1, 2)
    _status, out, _err = manage("quarantine", "list", "--json")
    listed = json.loads(out)
    assert listed["count"] == 1
    assert listed["refusals"][0]["record"]["合同编号"] == "HT2"
    assert listed["refusals"][0]["attempts"] == 3


def test_a_message_refused_for_an_unknown_device_comes_in_once_the_device_is_known(tmp_path: Path) -> None:
    message = {
        "topic": "site/B1/device/P-1/power",
        "id": "P-1-1",
        "ts": "2025-11-01T00:00:00+08:00",
        "metric": "energy",
        "value": 7.25,
        "unit": "kWh",
        "seq": 1,
    }
    path = tmp_path / "iot.jsonl"
    path.write_text(json.dumps(message) + "\nnot json \\u0000\n", encoding="utf-8")
    assert manage("load", "iot", path)[0] == 1
    make_device(make_unit(), "P-1")
    assert manage("quarantine", "replay")[0] == 1
    assert Event.objects.get().data == {"value": 7.25, "unit": "kWh"}
    assert list(Refusal.objects.filter(resolved_at=None).values_list("raw", "reason")) == [
        ({"line": "not json \\u0000"}, "这一行不是可读取的 JSON。")
    ]


def test_an_export_holds_what_is_in_quarantine_now(tmp_path: Path) -> None:
    manage("load", "contracts", workbook(tmp_path / "contracts.xlsx", CONTRACT))
    manage("load", "payments", table(tmp_path / "p.csv", payments.COLUMNS, "LS1,HT9,房租,-3800,2025-11-01,2025-11-03"))
    status, out, _err = manage("quarantine", "export", "--json")
    files = json.loads(out)["files"]
    assert (status, set(files)) == (0, {"contracts", "payments"})
    page = openpyxl.load_workbook(files["payments"]).worksheets[0]
    assert "金额：金额 -3800.00 不合理" in [cell.value for cell in page[2]]


def test_a_row_of_surprises_never_ends_in_a_traceback(tmp_path: Path) -> None:
    make_lease(contract_no="HT1")
    rows = (
        "LS1,HT1,房租,3800,2025-11-01,2025-11-03,多出来的",
        "LS2,HT1,房租,1e309,2025-11-01,2025-11-03",
        "LS3,HT1,房租,NaN,2025-11-01,2025-11-03",
        "LS4,HT1,房租,3800,2025-11-01,9999-12-31",
        "LS5,HT1,房租,3800,2025-11-01,昨天",
        "LS\x006,HT1,房租,3800,2025-11-01,2025-11-03",
        "LS7,HT1,房租,３８００．５,2025-11-01,2025-11-03",
        f"{'L' * 129},HT1,房租,3800,2025-11-01,2025-11-03",
        '"LS9\t\\N",HT1,房租,3800,2025-11-01,2025-11-03',
        "",
        "LS10,HT1,房租,３８００,2025-11-01,2025-11-03",
    )
    status, out, _err = manage("load", "payments", table(tmp_path / "p.csv", payments.COLUMNS, *rows), "--json")
    assert (status, json.loads(out)["accepted"], json.loads(out)["rejected"]) == (1, 2, 8)
    assert set(Event.objects.values_list("source_id", "data__amount")) == {
        ("LS9\t\\N", "3800.00"),
        ("LS10", "3800.00"),
    }
    assert Refusal.objects.get(line=2).reason == "行：单元格比表头的列多"
    # A replay refuses the same rows again for the same reasons, the one with too many cells included.
    reasons = set(Refusal.objects.values_list("line", "reason"))
    manage("quarantine", "replay")
    assert set(Refusal.objects.filter(resolved_at=None).values_list("line", "reason")) == reasons


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"topic": "site/B1/device/L-1/../lock"}, "topic 的格式应为"),
        ({"metric": "volume"}, "表计读数的单位应为 m3"),
        ({"metric": "energy", "unit": "m3"}, "表计读数的单位应为 kWh"),
        ({"metric": "open", "value": "window"}, "开门方式不认识"),
        ({"metric": ["energy"]}, "既不是开门记录，也不是表计读数"),
        ({"value": True}, "不是合理的数字"),
        ({"value": -1}, "不是合理的数字"),
        ({"value": "7"}, "不是合理的数字"),
        ({"ts": 1764547200}, "不是带时区的时间"),
        ({"ts": "2025-11-01T00:00:00"}, "不是带时区的时间"),
        ({"ts": "9999-11-01T00:00:00+08:00"}, "不是带时区的时间"),
        ({"id": ""}, "“id”缺失"),
        ({"id": "x" * 129}, "“id”缺失"),
        ({"topic": "site/B1/device/W-1/water"}, "设备类型与消息内容不一致"),
    ],
)
def test_a_message_that_makes_no_sense_is_refused(change: dict[str, Any], reason: str) -> None:
    message = {
        "topic": "site/B1/device/P-1/power",
        "id": "P-1-1",
        "ts": "2025-11-01T00:00:00+08:00",
        "metric": "energy",
        "value": 7.25,
        "unit": "kWh",
    }
    assert iot.event(1, message).source_id == "P-1-1"
    with pytest.raises(calls.Problem, match=reason):
        iot.event(1, message | change)


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '"text"',
        '{"value": NaN}',
        '{"value": 1e999}',
        '{"value": Infinity}',
        '{"id": "\\u0000"}',
        '{"id": "\\ud800"}',
        '{"value": ' + "9" * 5000 + "}",
        "[" * 100_000,
    ],
)
def test_a_line_that_cannot_be_stored_is_a_problem_not_a_crash(line: str) -> None:
    with pytest.raises(calls.Problem):
        calls.parse(line)


def test_an_escape_that_only_looks_like_nul_is_kept() -> None:
    assert calls.parse('{"id": "a\\\\u0000"}') == {"id": "a\\u0000"}


def test_a_bad_door_record_keeps_nothing_of_what_it_said(tmp_path: Path) -> None:
    door = '{"topic":"site/B1/device/L-1/lock","id":"L-1-1","ts":"昨晚","metric":"open","value":"app"}'
    path = tmp_path / "iot.jsonl"
    path.write_text(door + "\n", encoding="utf-8")
    assert manage("load", "iot", path)[0] == 1
    assert Refusal.objects.get().raw == {"withheld": "door"}
    # Nor is there anything to try again.
    assert manage("quarantine", "replay", "--json")[:2] == (0, '{"sources": {}}\n')
    assert Refusal.objects.get().attempts == 1


# --- the table ------------------------------------------------------------------------------------


def test_columns_may_stand_in_any_order_among_others_and_after_a_mark_of_utf8(tmp_path: Path) -> None:
    path = tmp_path / "bills.csv"
    header = ("备注", *reversed(bills.COLUMNS))
    path.write_text(",".join(header) + "\r\n手录,,😊,2025-11-28 09:00,4012.5,2025-11,HT1,ZD1\r\n", encoding="utf-8-sig")
    rows = list(sheet.rows(path, "bills"))
    assert rows[0][0] == 2
    assert (rows[0][1]["账单号"], rows[0][1]["心情"], rows[0][1]["心情时间"]) == ("ZD1", "😊", "")


def test_the_sheet_that_has_the_columns_is_read_wherever_it_stands(tmp_path: Path) -> None:
    path = workbook(tmp_path / "two.xlsx", CONTRACT)
    book = openpyxl.load_workbook(path)
    book.create_sheet("说明", 0).append(["请勿改动表头"])
    book.save(path)
    (record,) = erp.read(path)
    assert getattr(record, "contract_no", None) == "HT1"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (13800000000.0, "13800000000"),
        ("　１３８\u200b 0000", "138 0000"),
        (datetime(2025, 11, 30), "2025-11-30"),  # noqa: DTZ001 - a workbook knows no time zone
        (datetime(2025, 11, 30, 21, 14), "2025-11-30 21:14:00"),  # noqa: DTZ001
        (None, ""),
        (True, "是"),
        ("共享厨房，12 月", "共享厨房，12 月"),
    ],
)
def test_a_cell_is_read_as_a_person_reads_it(value: object, text: str) -> None:
    assert cells.as_text(value) == text
