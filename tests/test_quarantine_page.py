"""The page of refused records over HTTP: what the address asks for, what is typed and kept, what is handed back."""

from __future__ import annotations

import json
import re
import zipfile
from html import unescape
from io import BytesIO
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from connectors.models import Refusal, Upload
from connectors.sources import payments
from tenants import clock
from tenants.models import Event, Lease
from tests.makers import NOW, make_device, make_lease, make_unit, make_user
from tests.test_bad_files import CONTRACT, manage, table, workbook

pytestmark = pytest.mark.django_db

LIST = "/admin/sources/quarantine/"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock.set_to(NOW)
    monkeypatch.setenv("DATA", str(tmp_path / "data"))


@pytest.fixture
def root() -> Client:
    client = Client()
    client.force_login(make_user("root", is_superuser=True))
    return client


def get(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200, (address, response.status_code)
    return text_of(response)


def text_of(response: Any) -> str:
    return re.sub(r"\s+", " ", unescape(response.content.decode()))


def post(client: Client, address: str, cells: dict[str, str] | None = None, status: int = 302, **typed: str) -> str:
    """The page that a POST leads to."""
    response = client.post(address, {**(cells or {}), **typed})
    assert response.status_code == status, (address, response.status_code)
    return text_of(client.get(response["Location"])) if status == 302 else text_of(response)


def contracts(folder: Path, *changes: dict[str, Any], name: str = "合同.xlsx") -> None:
    rows = [{**CONTRACT, "合同编号": f"HT{n}", **change} for n, change in enumerate(changes, start=1)]
    assert manage("load", "contracts", workbook(folder / name, *rows))[0] == 1


def amounts(folder: Path, *values: str) -> None:
    make_lease(contract_no="HT1")
    rows = [f"LS{n},HT1,房租,{value},2025-11-01,2025-11-03" for n, value in enumerate(values, start=1)]
    assert manage("load", "payments", table(folder / "缴费.csv", payments.COLUMNS, *rows))[0] == 1


def rows(html: str) -> list[str]:
    return re.findall(r'<tr data-row>.*?quarantine__reason"><a[^>]*>(.*?)</a>', html)


def test_the_list_shows_each_record_and_is_narrowed_by_its_address(root: Client, tmp_path: Path) -> None:
    contracts(tmp_path, {"房源编号": "B9-1"}, {"房源编号": "B9-2"}, {"手机号": "138"})
    amounts(tmp_path, "0", "x")
    html = get(root, LIST)
    assert "5 条记录被退回，等待处理" in html
    assert "待处理 5" in html
    assert rows(html)[-3:] == ["没有房源编号 B9-1。", "没有房源编号 B9-2。", "手机号：“138”不是 11 位手机号"]
    line = re.findall(r"<tr data-row>(.*?)</tr>", html)[-1]
    assert [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<td[^>]*>(.*?)</td>", line)] == [
        "合同", "合同.xlsx 第 4 行", "手机号", "1", "12-01 10:00",
    ]  # fmt: skip
    assert "没有房源编号 …。" in html
    assert len(rows(get(root, f"{LIST}?source=contracts"))) == 3
    assert rows(get(root, f"{LIST}?q=HT3")) == ["手机号：“138”不是 11 位手机号"]
    assert rows(get(root, f"{LIST}?q=HT3&source=payments")) == []
    assert len(rows(get(root, f"{LIST}?upload={Upload.objects.get().pk}"))) == 3
    assert len(rows(get(root, f"{LIST}?run={Refusal.objects.filter(source='payments')[0].run_id}"))) == 2
    (group,) = re.findall(r'href="(\?source=contracts&reason=\w+)"[^>]*> <span[^>]*><i>合同</i> 没有房源编号', html)
    assert len(rows(get(root, LIST + group))) == 2
    for strange in ("?page=99999", "?upload=x", "?state=x", "?q=%00", "?run=99999999999999999999", "?reason='"):
        assert root.get(LIST + strange).status_code == 200, strange


def test_an_empty_quarantine_says_why_and_what_next(root: Client) -> None:
    html = get(root, LIST)
    assert "没有等待处理的退回记录" in html
    assert "用不了的行会带着原因停在这里，不会丢失" in html
    assert reverse("staff-upload") in html
    assert "没有符合条件的记录" in get(root, f"{LIST}?q=nothing")


def test_fifty_stand_on_a_page_and_queries_do_not_grow(root: Client, tmp_path: Path) -> None:
    def queries(address: str) -> int:
        with CaptureQueriesContext(connection) as seen:
            get(root, address)
        return len(seen)

    amounts(tmp_path, "0", "x")
    queries(LIST)
    few = queries(LIST)
    contracts(tmp_path, *({"房源编号": f"B9-{n}"} for n in range(60)))
    assert queries(LIST) == few
    html = get(root, LIST)
    assert len(rows(html)) == 50
    assert "1 / 2" in html
    assert len(rows(get(root, f"{LIST}?page=2"))) == 12


def test_a_row_is_corrected_in_its_form_and_what_was_typed_stays_when_it_is_refused_again(
    root: Client, tmp_path: Path
) -> None:
    make_unit("B1-0301A")
    contracts(tmp_path, {"手机号": "138", "到期日期": "2024-01-01"})
    row = Refusal.objects.get()
    address = f"{LIST}{row.pk}/?source=contracts"
    html = get(root, address)
    bad = re.findall(r'cells__one--bad.*?name="cell:(.*?)" value="(.*?)".*?cells__why">(.*?)<', html)
    assert bad == [("手机号", "138", "手机号：“138”不是 11 位手机号")]
    typed = {f"cell:{name}": text for name, text in row.raw.items()} | {"do": "correct"}
    html = post(root, address, {**typed, "cell:手机号": "13800000000"})
    assert "仍被退回：到期日期：2024-01-01 早于起租日期 2025-01-01" in html
    assert 'value="13800000000"' in html
    assert "原为 “138”" in html
    bad = re.findall(r'cells__one--bad.*?name="cell:(.*?)"', html)
    assert bad == ["到期日期"]
    # Even for somebody who comes later: the correction that was begun is there, and marked in the list.
    assert "已改过" in get(root, LIST)
    typed["cell:手机号"] = "13800000000"
    html = post(root, address, {**typed, "cell:到期日期": "2025-12-31"})
    assert "记录已收下，原来的内容仍留存。" in html
    assert "没有符合条件的记录" in html  # back in the list as it was asked for
    assert Lease.objects.get().contract_no == "HT1"
    html = get(root, address)
    assert "<del>138</del> <ins>13800000000</ins>" in html
    assert "<dd>root</dd>" in html
    html = post(root, address, typed)
    assert "已有人处理过这条记录" in html


def test_a_form_that_cannot_be_tried_keeps_what_was_typed(root: Client, tmp_path: Path) -> None:
    amounts(tmp_path, "0")
    row = Refusal.objects.get()
    response = root.post(f"{LIST}{row.pk}/", {"do": "correct"} | {f"cell:{name}": " " for name in row.raw})
    html = text_of(response)
    assert response.status_code == 422
    assert "这条记录已是空白" in html
    html = post(root, f"{LIST}{row.pk}/", status=422, do="aside", because=" ")
    assert "请写明不再处理的原因" in html
    # A cell that the form does not have is not taken.
    root.post(f"{LIST}{row.pk}/", {"do": "correct", "cell:withheld": "x", "cell:金额": "y"})
    assert "withheld" not in (Refusal.objects.get().fixed or {})
    assert root.post(f"{LIST}{row.pk}/", {"do": "burn"}).status_code == 404
    assert root.get(f"{LIST}999999/").status_code == 404


def test_a_message_is_corrected_as_text_and_a_door_log_cannot_be_opened(root: Client, tmp_path: Path) -> None:
    make_device(make_unit(), "P-1")
    good = {
        "topic": "site/B1/device/P-1/power", "id": "P-1-1", "ts": "2025-11-01T00:00:00+08:00", "metric": "energy",
        "value": 7.25, "unit": "kWh",
    }  # fmt: skip
    path = tmp_path / "iot.jsonl"
    door = '{"topic":"site/B1/device/L-1/lock","id":"L-1-1","ts":"昨晚","metric":"open","value":"app"}'
    path.write_text(json.dumps({**good, "unit": "度"}, ensure_ascii=False) + f"\n{door}\n", encoding="utf-8")
    assert manage("load", "iot", path)[0] == 1
    meter, lock = Refusal.objects.order_by("line")
    html = get(root, f"{LIST}{lock.pk}/")
    assert "这条记录的内容未保留" in html
    assert "<textarea" not in html
    assert "L-1" not in html
    assert "这条记录的内容未保留，无可更正" in post(
        root, f"{LIST}{lock.pk}/", status=422, cells={"cell:line": door}, do="correct"
    )
    assert "度" in get(root, f"{LIST}{meter.pk}/")
    post(root, f"{LIST}{meter.pk}/", {"cell:line": json.dumps(good, indent=1)}, do="correct")
    assert Event.objects.get().data["value"] == 7.25
    assert Refusal.objects.get(resolved_at=None) == lock


def test_aside_and_up_again(root: Client, tmp_path: Path) -> None:
    amounts(tmp_path, "0")
    row = Refusal.objects.get()
    assert "已设为不再处理" in post(root, f"{LIST}{row.pk}/", do="aside", because="演练数据")
    html = get(root, f"{LIST}?state=aside")
    assert "1 条记录不再处理" in html
    assert "演练数据" in html
    assert "已恢复为待处理" in post(root, f"{LIST}{row.pk}/", do="up")
    assert "待处理 1" in get(root, LIST)


def test_what_the_address_asks_for_is_tried_again_with_counts(root: Client, tmp_path: Path) -> None:
    contracts(tmp_path, {"房源编号": "B9-1"}, {"房源编号": "B9-2"})
    amounts(tmp_path, "0")
    make_unit("B9-1")
    html = post(root, f"{LIST}replay?source=contracts")
    assert "重试 2 条：新收 1 条，已有 0 条，仍被退回 1 条。" in html
    assert sorted(Refusal.objects.values_list("source", "attempts")) == [
        ("contracts", 1), ("contracts", 2), ("payments", 1),
    ]  # fmt: skip
    assert "没有可以重试的记录" in post(root, f"{LIST}replay?q=nothing")
    make_unit("B9-2")
    row = Refusal.objects.get(source="contracts", resolved_at=None)
    assert "重试 1 条：新收 1 条，已有 0 条，仍被退回 0 条。" in post(root, f"{LIST}{row.pk}/", do="replay")
    assert root.get(f"{LIST}replay").status_code == 405


def test_one_workbook_is_handed_back_as_it_is_and_several_in_one_archive(root: Client, tmp_path: Path) -> None:
    contracts(tmp_path, {"房源编号": "B9-1"}, {"手机号": "138"})
    amounts(tmp_path, "0")
    response = root.get(f"{LIST}export?source=contracts&q=138")
    assert "filename*=UTF-8''%E5%90%88%E5%90%8C-" in response["Content-Disposition"]
    assert "no-store" in response["Cache-Control"]
    page = openpyxl.load_workbook(BytesIO(response.content)).worksheets[0]
    assert [row[0].value for row in page.iter_rows()] == ["合同编号", "HT2"]
    with zipfile.ZipFile(BytesIO(root.get(f"{LIST}export").content)) as archive:
        assert sorted(archive.namelist()) == ["payments.xlsx", "合同-退回行.xlsx"]


def test_the_tab_of_the_page_is_the_one_that_is_open(root: Client) -> None:
    for name, title in (("staff-sources", "概览"), ("staff-quarantine", "退回记录")):
        html = get(root, reverse(name))
        tabs = re.search(r'<nav id="tabs-items".*?</nav>', html)
        assert tabs
        active = re.findall(r'<a href="[^"]*" class="active"[^>]*>(.*?)</a>', tabs[0])
        assert [re.sub(r"<[^>]+>", "", each).strip() for each in active] == [title]


def test_the_result_of_a_file_leads_to_its_refused_rows(root: Client, tmp_path: Path) -> None:
    contracts(tmp_path, {"手机号": "138"}, {"手机号": "139"})
    amounts(tmp_path, "0")
    html = get(root, reverse("staff-upload-done", args=[Upload.objects.get().pk]))
    (address, _again) = re.findall(rf'href="({LIST}\?upload=\d+)"', html)
    assert len(rows(get(root, address))) == 2
