"""A clerk's afternoon with another vendor's export, by clicks alone."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.core.cache import caches
from playwright.sync_api import Browser, Page, expect

from connectors.models import Mapping
from renewal import loading
from tenants import clock
from tenants.models import Lease
from tests.makers import NOW, make_unit, make_user
from tests.test_uploads import contracts_of

pytestmark = pytest.mark.django_db(transaction=True)

PEOPLE = [("林晓", "10000000001"), ("周遥", "10000000002"), ("陈冬", "10000000003")]
# As a vendor exports it: a title above the header, other words, other dates, GBK. Its 应收 is the rent; its 租金标准,
# which looks more like one, is the list price.
HEADER = "合同编码,房间号,承租人,联系电话,租期起,租期止,租金标准,应收,押金金额,跟进人"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA", str(tmp_path / "data"))
    clock.set_to(NOW)
    caches["previews"].clear()


@pytest.fixture
def page(chromium: Browser, live_server: Any) -> Any:
    """The head office's browser, signed in."""
    make_user("chief", is_superuser=True, password=make_password("chief"))
    page = chromium.new_page(base_url=live_server.url, locale="zh-CN", viewport={"width": 1280, "height": 800})
    page.goto("/admin/")
    page.fill("input[name=username]", "chief")
    page.fill("input[name=password]", "chief")
    page.click("button[type=submit]")
    yield page
    page.close()


def vendors_export(path: Path, *rents: str) -> Path:
    rows = [
        f"HT{n},B1-030{n}A,{name},{phone},2025.1.1,2025年12月31日,4500,{rent},3800,小李"
        for n, ((name, phone), rent) in enumerate(zip(PEOPLE, rents, strict=True), start=1)
    ]
    path.write_bytes("\n".join(["租赁合同明细表,,,,,,,,,", HEADER, *rows]).encode("gbk"))
    return path


def nothing_scrolls_sideways(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def test_a_gbk_export_with_foreign_headers_is_mapped_previewed_and_applied_in_part(page: Page, tmp_path: Path) -> None:
    for number in (1, 2, 3):
        make_unit(f"B1-030{number}A")
    known = [
        {"合同编号": f"HT{n}", "房源编号": f"B1-030{n}A", "租客姓名": name, "手机号": phone, "签约日期": "2025-01-01"}
        for n, (name, phone) in enumerate(PEOPLE, start=1)
    ]
    first = tmp_path / "first.csv"
    first.write_bytes(contracts_of(*known))
    assert loading.load("contracts", first, now=clock.now()).accepted == 3

    page.goto("/admin/sources/upload/")
    page.get_by_label("合同", exact=True).check()
    page.get_by_label("文件", exact=True).set_input_files(vendors_export(tmp_path / "导出.csv", "3900", "4000", "3800"))
    page.get_by_role("button", name="继续").click()

    # What its header says is guessed; the one wrong guess is put right, and its samples follow.
    expect(page.get_by_label("合同编号")).to_have_value("合同编码")
    rent = page.get_by_label("月租金")
    expect(rent).to_have_value("租金标准")
    samples = page.get_by_role("row").filter(has=rent).locator(".samples")
    expect(samples).to_have_text("4500")
    rent.select_option("应收")
    expect(samples).to_contain_text("3900")
    expect(page.get_by_text("文件里忽略的列：")).to_contain_text("跟进人")
    assert nothing_scrolls_sideways(page)
    page.get_by_label("记住为").fill("别家软件导出")
    page.get_by_role("button", name="预览").click()

    expect(page.locator(".sources h1")).to_contain_text("导出.csv：新增 0 行，变更 2 行")
    lin = page.get_by_role("row").filter(has_text="林晓")
    expect(lin.locator("li", has_text="月租金")).to_contain_text("3800.00 →")
    expect(lin.locator("ins", has_text="3900.00")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="陈冬")).to_contain_text("已有")
    assert nothing_scrolls_sideways(page)

    # Only 周遥's rent is to change.
    lin.get_by_role("checkbox").uncheck()
    page.get_by_role("button", name="应用所选 2 行").click()
    expect(page.locator(".sources h1")).to_contain_text("导出.csv 已应用，新增或变更 1 行")
    rents = dict(Lease.objects.values_list("contract_no", "monthly_rent"))
    assert rents == {"HT1": Decimal(3800), "HT2": Decimal(4000), "HT3": Decimal(3800)}
    assert set(Lease.objects.values_list("last_day", flat=True)) == {date(2025, 12, 31)}
    assert Mapping.objects.get().columns["月租金"] == "应收"

    # The next export of that vendor is known by its header.
    page.get_by_role("link", name="上传下一个文件").click()
    expect(page.get_by_label("合同", exact=True)).to_be_checked()
    page.get_by_label("文件", exact=True).set_input_files(
        vendors_export(tmp_path / "十二月.csv", "3900", "4000", "4100")
    )
    page.get_by_role("button", name="继续").click()
    expect(page.get_by_label("已存的对应")).to_have_value(str(Mapping.objects.get().pk))
    expect(page.get_by_label("月租金")).to_have_value("应收")
    page.get_by_role("button", name="预览").click()
    expect(page.locator(".sources h1")).to_contain_text("十二月.csv：新增 0 行，变更 2 行")


def test_the_pages_work_by_keyboard_and_say_that_they_are_busy(page: Page, tmp_path: Path) -> None:
    make_unit("B1-0301A")
    file = tmp_path / "contracts.csv"
    file.write_bytes(contracts_of({"房源编号": "B1-0301A"}))
    page.goto("/admin/sources/upload/?source=contracts")
    page.get_by_label("文件", exact=True).set_input_files(file)
    page.get_by_role("button", name="继续").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="预览").focus()
    page.keyboard.press("Enter")
    box = page.get_by_role("checkbox", name="第 2 行")
    box.focus()
    page.keyboard.press("Space")
    expect(box).not_to_be_checked()
    page.keyboard.press("Space")
    page.evaluate("document.addEventListener('submit', event => event.preventDefault())")
    page.get_by_role("button", name="应用所选 1 行").click()
    expect(page.get_by_role("status").filter(has_text="正在应用所选的行")).to_be_visible()
    assert Lease.objects.count() == 0
    page.reload()
    page.get_by_role("button", name="应用所选 1 行").dblclick()
    expect(page.locator(".sources h1")).to_contain_text("已应用，新增或变更 1 行")
    assert Lease.objects.count() == 1


def test_without_scripts_everything_is_there(chromium: Browser, live_server: Any, tmp_path: Path) -> None:
    make_unit("B1-0301A")
    make_user("chief", is_superuser=True, password=make_password("chief"))
    context = chromium.new_context(base_url=live_server.url, locale="zh-CN", java_script_enabled=False)
    page = context.new_page()
    page.goto("/admin/")
    page.fill("input[name=username]", "chief")
    page.fill("input[name=password]", "chief")
    page.click("button[type=submit]")
    file = tmp_path / "contracts.csv"
    file.write_bytes(contracts_of({"房源编号": "B1-0301A"}))
    page.goto("/admin/sources/upload/?source=contracts")
    page.get_by_label("文件", exact=True).set_input_files(file)
    page.get_by_role("button", name="继续").click()
    page.get_by_role("button", name="预览").click()
    page.get_by_role("button", name="新增 1").click()
    page.get_by_role("button", name="应用所选 1 行").click()
    expect(page.locator(".sources h1")).to_contain_text("已应用，新增或变更 1 行")
    context.close()
