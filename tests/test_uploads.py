"""Handing in a file on the staff site: what is shown is what is then done, all of it or the chosen part, once."""

from __future__ import annotations

import json
import re
import threading
from datetime import date, timedelta
from decimal import Decimal
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from connectors import marking
from connectors.models import Refusal, Run, Upload
from connectors.sources import bills, community, consents, erp, rates, staff, tickets, units
from renewal import uploads
from renewal.models import Rate
from renewal.preview import Kind
from tenants import clock
from tenants.models import Consent, Event, Lease, LeaseRevision, Membership, Staff, Tenant, Unit, WaitingContract
from tests.makers import NOW, TODAY, make_building, make_device, make_lease, make_tenant, make_unit, make_user
from tests.test_load import FILES, opening, reading, stored

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA", str(tmp_path / "data"))
    clock.set_to(NOW)
    caches["previews"].clear()


@pytest.fixture
def root() -> Client:
    """The head office's browser."""
    client = Client()
    client.force_login(make_user("root", is_superuser=True))
    return client


@pytest.fixture(scope="session")
def portfolio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("handed-in")
    call_command("sample", str(folder), "--rooms", "24")
    return folder


Row = dict[str, Any]
CONTRACT: Row = {
    "合同编号": "HT1", "版本": 1, "房源编号": "B1-0301A", "租客姓名": "林晓", "手机号": "10000000001",
    "签约日期": "2024-12-20", "起租日期": "2025-01-01", "到期日期": "2025-12-31", "月租金": 3800, "押金": 3800,
    "计租日": 1, "合同状态": "已签",
}  # fmt: skip


def csv_of(columns: tuple[str, ...], *rows: Row) -> bytes:
    lines = [",".join(columns), *(",".join(str(row.get(column, "")) for column in columns) for row in rows)]
    return ("\n".join(lines) + "\n").encode()


def contracts_of(*changes: Row) -> bytes:
    return csv_of(erp.COLUMNS, *({**CONTRACT, **change} for change in changes))


def received(source: str, content: bytes, name: str = "export.csv") -> Upload:
    return uploads.receive(source, name, content, by="root", now=clock.now())


def kinds(shown: uploads.Shown) -> dict[int, str]:
    return {line: str(row.kind) for line, row in shown.rows.items()}


def tally(shown: uploads.Shown) -> tuple[int, int, int]:
    """Accepted, duplicate and rejected, as the preview has them."""
    found = [row.kind for row in shown.rows.values()]
    known, refused = found.count(Kind.UNCHANGED), found.count(Kind.REFUSED)
    return len(found) - known - refused, known, refused


def outcome(upload: Upload) -> tuple[int, int, int]:
    run = Run.objects.get(pk=upload.run_id or 0)
    assert run.received == run.accepted + run.duplicate + run.rejected
    return run.accepted, run.duplicate, run.rejected


def taken(source: str, content: bytes, left_out: tuple[int, ...] = (), name: str = "export.csv") -> Upload:
    """Handed in, previewed and applied; the preview has said what came."""
    upload = received(source, content, name)
    shown = uploads.show(upload, now=clock.now())
    if left_out:
        try:
            done = uploads.apply(upload.pk, seen=shown.digest, left_out=left_out, now=clock.now())
        except uploads.Otherwise as otherwise:
            shown = uploads.Shown(otherwise.rows, otherwise.digest, clock.now())
            done = uploads.apply(upload.pk, seen=shown.digest, left_out=left_out, now=clock.now())
        rows = {line: row for line, row in shown.rows.items() if line not in left_out}
        shown = uploads.Shown(rows, shown.digest, shown.at)
    else:
        done = uploads.apply(upload.pk, seen=shown.digest, now=clock.now())
    assert outcome(done) == tally(shown)
    return done


def everything() -> dict[str, Any]:
    """What is stored, with the terms of leases and what waits."""
    return {
        **stored(),
        "revisions": sorted(LeaseRevision.objects.values_list("lease__contract_no", "revision")),
        "leases": sorted(Lease.objects.values_list("contract_no", "revision", "monthly_rent", "last_day")),
        "waiting": sorted(WaitingContract.objects.values_list("contract_no", "revision")),
        "rates": Rate.objects.count(),
        "runs": Run.objects.count(),
        "refusals": Refusal.objects.count(),
    }


# --- the preview ----------------------------------------------------------------------------------


def test_every_file_of_the_sample_does_what_its_preview_says_and_a_second_time_nothing(portfolio: Path) -> None:
    for source, name in FILES.items():
        content = (portfolio / name).read_bytes()
        done = taken(source, content, name=name)
        accepted, known, refused = outcome(done)
        assert (accepted > 0, known, refused) == (True, 0, 0), source
    before = everything()
    for source, name in FILES.items():
        upload = received(source, (portfolio / name).read_bytes(), name)
        shown = uploads.show(upload, now=clock.now())
        assert set(kinds(shown).values()) == {Kind.UNCHANGED}, source
        assert outcome(uploads.apply(upload.pk, seen=shown.digest, now=clock.now()))[::2] == (0, 0)
    assert everything() == before | {"runs": before["runs"] + len(FILES)}


def test_a_preview_changes_nothing_at_all() -> None:
    make_unit("B1-0301A")
    upload = received("contracts", contracts_of({}, {"合同编号": "HT2", "月租金": "三千"}))
    before = everything()
    shown = uploads.show(upload, now=clock.now())
    assert kinds(shown) == {2: "new", 3: "refused"}
    assert everything() == before


def test_a_changed_contract_shows_each_cell_as_it_is_and_as_it_will_be() -> None:
    make_unit("B1-0301A")
    taken("contracts", contracts_of({}))
    upload = received("contracts", contracts_of({"版本": 2, "月租金": 4000, "到期日期": "2026-3-31"}))
    (row,) = uploads.show(upload, now=clock.now()).rows.values()
    assert row.kind == Kind.CHANGED
    assert row.changes == {
        "版本": ("1", "2"),
        "到期日期": ("2025-12-31", "2026-03-31"),
        "月租金": ("3800.00", "4000.00"),
    }


def test_of_several_revisions_the_highest_holds_and_the_others_are_history() -> None:
    make_unit("B1-0301A")
    taken("contracts", contracts_of({"版本": 3}))
    shown = uploads.show(received("contracts", contracts_of({"版本": 2, "月租金": 3700}, {"版本": 5, "月租金": 4100})),
                         now=clock.now())  # fmt: skip
    assert kinds(shown) == {2: "changed", 3: "changed"}
    assert shown.rows[2].changes == {}
    assert shown.rows[2].reason == "只作为历史记录保存，当前有效的是版本 5。"
    assert shown.rows[3].changes == {"版本": ("3", "5"), "月租金": ("3800.00", "4100.00")}


def test_a_contract_that_overlaps_another_would_wait_and_says_for_whom() -> None:
    make_unit("B1-0301A")
    taken("contracts", contracts_of({}))
    other = {"合同编号": "HT2", "租客姓名": "周遥", "手机号": "10000000002", "起租日期": "2025-06-01"}
    upload = received("contracts", contracts_of(other))
    shown = uploads.show(upload, now=clock.now())
    assert kinds(shown) == {2: "waiting"}
    assert "HT1" in shown.rows[2].reason
    assert not WaitingContract.objects.exists()
    done = uploads.apply(upload.pk, seen=shown.digest, now=clock.now())
    assert outcome(done) == (1, 0, 0)
    assert uploads.waiting_since(done) == 1


UNIT: Row = {
    "楼栋编号": "B1", "楼栋名称": "滨江店", "地址": "江南大道 1 号", "纬度": 30.2, "经度": 120.2, "物联网": "是",
    "套": "0301", "房源编号": "B1-0301A", "户型": "朝南一居", "楼层": 3, "面积": 28.5, "挂牌月租": 3900,
    "门锁编号": "L1",
}  # fmt: skip


def test_units_show_what_changes_and_a_buildings_new_name_counts_once() -> None:
    other = {"房源编号": "B1-0302A", "套": "0302", "门锁编号": "L2"}
    taken("units", csv_of(units.COLUMNS, UNIT, UNIT | other))
    new_name = {"楼栋名称": "江南店"}
    upload = received("units", csv_of(units.COLUMNS, UNIT | new_name | {"挂牌月租": 4000}, UNIT | other | new_name))
    shown = uploads.show(upload, now=clock.now())
    assert kinds(shown) == {2: "changed", 3: "unchanged"}
    assert shown.rows[2].changes == {"楼栋名称": ("滨江店", "江南店"), "挂牌月租": ("3900.00", "4000.00")}
    assert outcome(uploads.apply(upload.pk, seen=shown.digest, now=clock.now())) == (1, 1, 0)


def test_rates_consents_and_staff_show_what_stands_and_what_comes() -> None:
    make_building("B1")
    tenant = make_tenant("林晓", consents=())
    line = {"楼栋编号": "B1", "户型": "朝南一居", "租期月数": 12, "免租月数": 0, "月租金": 3900, "签约起": "2025-11-01",
            "签约止": "2025-12-31"}  # fmt: skip
    taken("rates", csv_of(rates.COLUMNS, line))
    longer = received("rates", csv_of(rates.COLUMNS, line | {"签约止": "2026-01-31"}, line | {"租期月数": 6}))
    shown = uploads.show(longer, now=clock.now())
    assert kinds(shown) == {2: "changed", 3: "new"}
    assert shown.rows[2].changes == {"签约止": ("2025-12-31", "2026-01-31")}

    said = {"手机号": tenant.phone, "用途": "续租优惠", "渠道": "全部", "同意": "是", "时间": "2025-11-01 10:00",
            "文本版本": "2025-01", "凭证": "登记表"}  # fmt: skip
    taken("consents", csv_of(consents.COLUMNS, said))
    again = received("consents", csv_of(consents.COLUMNS, said, said | {"同意": "否"}, said | {"用途": "个性化"}))
    assert kinds(uploads.show(again, now=clock.now())) == {2: "unchanged", 3: "refused", 4: "new"}
    assert Consent.objects.count() == 1

    person = {"账号": "wang", "姓名": "王师傅", "手机号": "10000000009", "角色": "维修", "楼栋": "B1", "技能": "水；电",
              "班次": "08:00-20:00"}  # fmt: skip
    taken("staff", csv_of(staff.COLUMNS, person))
    moved = received("staff", csv_of(staff.COLUMNS, person | {"技能": "水；门锁", "楼栋": "", "班次": ""}))
    (row,) = uploads.show(moved, now=clock.now()).rows.values()
    assert row.changes == {
        "楼栋": ("B1", ""),
        "技能": ("水；电", "水；门锁"),
        "班次": ("08:00-20:00", ""),
    }
    assert Staff.objects.get().shift == "08:00-20:00"
    assert Membership.objects.filter(last_day=None).count() == 1


def test_a_ticket_adds_the_steps_it_has_come_to_and_an_announcement_its_new_words() -> None:
    make_unit("B1-0301A")
    make_user("owner")
    ticket = {"报修单号": "T1", "渠道": "App", "房源编号": "B1-0301A", "报修类型": "漏水", "内容": "水槽漏水",
              "报修时间": "2025-11-28 09:00"}  # fmt: skip
    taken("tickets", csv_of(tickets.COLUMNS, ticket))
    later = ticket | {"接单时间": "2025-11-28 10:30", "维修人": "wang", "完成时间": "2025-11-28 12:00", "评分": 5}
    (row,) = uploads.show(received("tickets", csv_of(tickets.COLUMNS, later)), now=clock.now()).rows.values()
    assert row.kind == Kind.CHANGED
    assert row.changes == {
        "接单时间": ("", "2025-11-28 10:30"),
        "完成时间": ("", "2025-11-28 12:00"),
        "评分": ("", "5"),
    }
    notice = {"类型": "公告", "编号": "A1", "时间": "2025-12-20 00:00", "主题": "shared_kitchen", "内容": "烘焙区升级",
              "楼栋编号": "B1", "截止日期": "2026-01-31", "负责人": "owner"}  # fmt: skip
    taken("community", csv_of(community.COLUMNS, notice))
    upload = received(
        "community", csv_of(community.COLUMNS, notice | {"内容": "烘焙区延期", "时间": "2025-12-25 00:00"})
    )
    (row,) = uploads.show(upload, now=clock.now()).rows.values()
    assert row.changes == {"内容": ("烘焙区升级", "烘焙区延期"), "时间": ("2025-12-20", "2025-12-25")}


def test_a_bill_adds_its_mood() -> None:
    lease = make_lease()
    bill = {
        "账单号": "Z1",
        "合同编号": lease.contract_no,
        "月份": "2025-11",
        "金额": 3800,
        "出账时间": "2025-11-01 09:00",
    }
    taken("bills", csv_of(bills.COLUMNS, bill))
    said = bill | {"心情": "😐", "心情时间": "2025-11-03 20:00"}
    (row,) = uploads.show(received("bills", csv_of(bills.COLUMNS, said)), now=clock.now()).rows.values()
    assert row.changes == {"心情": ("", "😐")}


# --- the preview equals the application, whatever the file ----------------------------------------

CELLS = st.fixed_dictionaries(
    {
        "合同编号": st.sampled_from(["HT1", "HT2", "HT3", "HT4"]),
        "版本": st.sampled_from([1, 2, 3]),
        "房源编号": st.sampled_from(["B1-0301A", "B1-0302A", "B1-0303A", "B9-0000X"]),
        "租客姓名": st.sampled_from(["林晓", "周遥"]),
        "手机号": st.sampled_from(["10000000001", "10000000002", "10000000003"]),
        "起租日期": st.sampled_from(["2025-01-01", "2025-07-01"]),
        "到期日期": st.sampled_from(["2025-06-30", "2025-12-31"]),
        "月租金": st.sampled_from(["3800", "3900", "三千八", ""]),
        "合同状态": st.sampled_from(["已签", "已签", "已签", "作废"]),
    }
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    known=st.lists(CELLS, max_size=5),
    rows=st.lists(CELLS, min_size=1, max_size=8),
    left_out=st.sets(st.integers(2, 9), max_size=3),
)
def test_whatever_contracts_come_in_the_preview_says_what_is_then_done(
    known: list[Row], rows: list[Row], left_out: set[int]
) -> None:
    assume(set(range(2, 2 + len(rows))) - left_out)  # some row is chosen
    with transaction.atomic():
        for code in ("B1-0301A", "B1-0302A", "B1-0303A"):
            make_unit(code)
        taken("contracts", contracts_of(*known)) if known else None
        done = taken("contracts", contracts_of(*rows), left_out=tuple(sorted(left_out)))
        received_rows = len(rows) - len(left_out & set(range(2, 2 + len(rows))))
        assert Run.objects.get(pk=done.run_id or 0).received == received_rows
        again = taken("contracts", contracts_of(*rows), left_out=tuple(sorted(left_out)))
        # What was accepted says nothing new a second time; a refused row may fit once a later one is in.
        assert outcome(again)[0] <= outcome(done)[2]
        transaction.set_rollback(True)


# --- applying -------------------------------------------------------------------------------------


def test_a_file_is_applied_once_and_says_the_same_a_second_time(root: Client) -> None:
    make_unit("B1-0301A")
    upload = received("contracts", contracts_of({}, {"合同编号": "HT2", "月租金": "三千"}))
    shown = uploads.show(upload, now=clock.now())
    done = uploads.apply(upload.pk, seen=shown.digest, now=clock.now())
    assert (done.applied_at, outcome(done)) == (Run.objects.get().started_at, (1, 0, 1))
    before = everything()
    again = uploads.apply(upload.pk, seen="anything", now=clock.now() + timedelta(hours=1))
    assert (again.applied_at, again.run_id) == (done.applied_at, done.run_id)
    assert everything() == before
    refusal = Refusal.objects.get()
    assert (refusal.line, refusal.upload_id, refusal.column) == (3, upload.pk, "月租金")
    assert refusal.raw["合同编号"] == "HT2"


@pytest.mark.django_db(transaction=True)
def test_two_presses_at_the_same_moment_apply_the_file_once() -> None:
    make_unit("B1-0301A")
    upload = received("contracts", contracts_of({}))
    seen = uploads.show(upload, now=clock.now()).digest
    runs: list[int | None] = []

    def press() -> None:
        try:
            runs.append(uploads.apply(upload.pk, seen=seen, now=clock.now()).run_id)
        finally:
            connection.close()

    presses = [threading.Thread(target=press) for _each in range(4)]
    for each in presses:
        each.start()
    for each in presses:
        each.join()
    assert runs == [Run.objects.get().pk] * 4
    assert Lease.objects.count() == 1


def test_a_stale_preview_is_not_applied_but_worked_out_again(root: Client) -> None:
    make_unit("B1-0301A")
    taken("contracts", contracts_of({}))
    page = Page(root, received("contracts", contracts_of({"版本": 3, "月租金": 4100})))
    assert page.diff(2) == {"版本": ("1", "3"), "月租金": ("3800.00", "4100.00")}
    taken("contracts", contracts_of({"版本": 2, "月租金": 3900}))
    page.press("apply")
    assert "数据在预览之后有变化" in page.html
    assert page.diff(2) == {"版本": ("2", "3"), "月租金": ("3900.00", "4100.00")}
    assert Lease.objects.get().monthly_rent == Decimal("3900.00")
    page.press("apply")
    assert page.figures() == {"received": 1, "accepted": 1, "duplicate": 0, "rejected": 0}
    assert Lease.objects.get().monthly_rent == Decimal("4100.00")


def test_rows_that_come_out_otherwise_without_those_left_out_are_shown_again_first(root: Client) -> None:
    make_unit("B1-0301A")
    taken("contracts", contracts_of({}))
    ended = {"版本": 2, "提前终止日期": "2025-05-31", "终止方": "租客", "终止约定日期": "2025-05-01"}
    other = {"合同编号": "HT2", "租客姓名": "周遥", "手机号": "10000000002", "起租日期": "2025-06-01"}
    page = Page(root, received("contracts", contracts_of(ended, other)))
    assert page.kinds() == {2: "变更", 3: "新增"}
    page.press("apply", untick=[2])
    assert "去掉没选的行以后" in page.html
    assert page.kinds() == {2: "变更", 3: "等待"}
    assert Lease.objects.count() == 1
    page.press("apply")
    assert page.figures() == {"received": 1, "accepted": 1, "duplicate": 0, "rejected": 0, "waiting": 1}
    assert Lease.objects.get().last_day == date(2025, 12, 31)


# --- the pages ------------------------------------------------------------------------------------


class Page:
    """The preview as a browser without JavaScript has it: forms, ticks and buttons."""

    def __init__(self, client: Client, upload: Upload) -> None:
        self.client, self.address = client, reverse("staff-upload-preview", args=[upload.pk])
        self.get(self.address)

    def get(self, address: str) -> None:
        response = self.client.get(address, follow=True)
        assert response.status_code == 200, address
        self.html = unescape(response.content.decode())

    def press(self, do: str = "", go: str = "", untick: list[int] | None = None, tick: list[int] | None = None) -> None:
        hidden = dict(re.findall(r'<input type="hidden" name="(seen|shown|kind|page)" value="([^"]*)"', self.html))
        boxes = re.findall(r'name="row" value="(\d+)" id="row-\d+" (checked)?', self.html)
        ticked = ({int(line) for line, mark in boxes if mark} - set(untick or [])) | set(tick or [])
        data = {**hidden, "row": sorted(ticked), **({"do": do} if do else {}), **({"go": go} if go else {})}
        response = self.client.post(self.address + "rows/", data, follow=True)
        assert response.status_code == 200
        assert response.redirect_chain[0][1] == 303
        self.html = unescape(response.content.decode())

    def lines(self) -> dict[int, str]:
        return {int(line): part for line, part in re.findall(r'data-line="(\d+)"(.*?)</tr>', self.html, re.S)}

    def kinds(self) -> dict[int, str]:
        return {line: re.findall(r'class="state[^>]*>([^<]+)<', part)[0] for line, part in self.lines().items()}

    def diff(self, line: int) -> dict[str, tuple[str, str]]:
        found = re.findall(
            r'diff__column">([^<]+)</span> <del>([^<]*)</del>.*?<ins>([^<]*)</ins>', self.lines()[line], re.S
        )
        return {column: (old, new) for column, old, new in found}

    def figures(self) -> dict[str, int]:
        found = re.findall(r'data-figure="(\w+)"[^>]*>(?:<a[^>]*>)?(\d+)', self.html)
        return {name: int(figure) for name, figure in found}


def hand_in(client: Client, source: str, name: str, content: bytes) -> Any:
    file = SimpleUploadedFile(name, content)
    return client.post(reverse("staff-upload"), {"source": source, "file": file}, follow=True)


@pytest.mark.parametrize("role", ["technician", "care", "manager", "finance"])
def test_only_the_head_office_hands_in_files(role: str) -> None:
    user = make_user(role)
    Membership.objects.create(user=user, building=None, role=role, first_day=TODAY)
    make_unit("B1-0301A")
    upload = received("contracts", contracts_of({}))
    client = Client()
    addresses = [
        reverse("staff-upload"),
        *(reverse(f"staff-upload-{step}", args=[upload.pk]) for step in ("columns", "preview", "rows", "done")),
    ]
    for address in addresses:
        assert client.get(address).status_code == 302  # to the entrance
    client.force_login(user)
    for address in addresses:
        assert client.get(address).status_code == 403, address
        assert client.post(address, {"do": "apply"}).status_code == 403, address
    assert not Lease.objects.exists()


def test_a_file_that_cannot_be_used_is_refused_in_one_sentence_and_nothing_is_kept(root: Client) -> None:
    cases: list[tuple[str, str, bytes, str]] = [
        ("contracts", "picture.xlsx", b"\x89PNG\r\n", "picture.xlsx"),
        ("contracts", "nothing.csv", b"", "nothing.csv"),
        ("app", "text.jsonl", "中文".encode("gbk"), "text.jsonl"),
        ("contracts", "large.csv", b"x" * ((10 << 20) + 1), "large.csv 超过 10 MB"),
    ]
    for source, name, content, said in cases:
        response = hand_in(root, source, name, content)
        html = unescape(response.content.decode())
        assert response.status_code == 422, name
        (error,) = re.findall(r'role="alert" id="error">([^<]+)<', html)
        assert said in error
        assert re.search(rf'value="{source}" required checked', html), "the form forgot what was chosen"
        assert not Upload.objects.exists()
    response = hand_in(root, "nonsense", "a.csv", contracts_of({}))
    assert (response.status_code, Upload.objects.count()) == (422, 0)


def test_the_same_file_again_is_said_to_be_so_and_can_be_applied_all_the_same(root: Client) -> None:
    make_unit("B1-0301A")
    content = contracts_of({})
    first = received("contracts", content)
    page = Page(root, first)
    page.press("apply")
    report = page.figures()
    clock.set_to(NOW + timedelta(minutes=10, seconds=30))
    html = unescape(hand_in(root, "contracts", "export.csv", content).content.decode())
    assert "10 分钟前上传并应用过这个文件。" in html.replace("\xa0", " ")
    assert reverse("staff-upload-done", args=[first.pk]) in html
    again = Page(root, Upload.objects.latest("pk"))
    assert "没有新内容" in again.html
    again.press("apply")
    assert again.figures() == {"received": 1, "accepted": 0, "duplicate": 1, "rejected": 0}
    again.get(reverse("staff-upload-done", args=[first.pk]))
    assert again.figures() == report


def test_rows_are_chosen_across_pages_and_exactly_they_are_applied(root: Client) -> None:
    for number in range(120):
        make_unit(f"B1-{number:04}A")
    rows = [
        {"合同编号": f"HT{n}", "房源编号": f"B1-{n:04}A", "手机号": f"1{n:010}", "租客姓名": f"租客{n}"}
        for n in range(120)
    ]
    page = Page(root, received("contracts", contracts_of(*rows)))
    assert len(page.lines()) == 50
    page.press(go="page=2", untick=[2, 7])
    assert list(page.lines()) == list(range(52, 102))
    page.press(go="page=1", untick=[60])
    assert [line for line, part in page.lines().items() if "is-left-out" in part] == [2, 7]
    page.press(go="kind=new", tick=[2])
    assert "data-chosen>118<" in page.html
    page.press("apply")
    assert page.figures() == {"received": 118, "accepted": 118, "duplicate": 0, "rejected": 0}
    left = {f"HT{n}" for n in range(120)} - set(Lease.objects.values_list("contract_no", flat=True))
    assert left == {"HT5", "HT58"}


def test_none_and_all_can_be_chosen_and_one_row_alone_applied(root: Client) -> None:
    for code in ("B1-0301A", "B1-0302A"):
        make_unit(code)
    two = {"合同编号": "HT2", "房源编号": "B1-0302A", "手机号": "10000000002", "租客姓名": "周遥"}
    page = Page(root, received("contracts", contracts_of({}, two)))
    page.press("tick-none")
    assert "data-chosen>0<" in page.html
    page.press("tick-all")
    assert "data-chosen>2<" in page.html
    page.press("tick-none")
    page.press("apply")
    assert "还没有选择任何行。" in page.html
    assert not Run.objects.exists()
    page.press("apply", tick=[3])
    assert page.figures()["accepted"] == 1
    assert Lease.objects.get().contract_no == "HT2"


def test_a_refused_row_shows_its_reason_and_marks_its_cell(root: Client) -> None:
    make_unit("B1-0301A")
    page = Page(root, received("contracts", contracts_of({"月租金": "三千八"}, {"合同编号": "HT2", "押金": ""})))
    assert page.kinds() == {2: "拒收", 3: "拒收"}
    assert "月租金：“三千八”不是数字" in page.lines()[2]
    assert re.search(r'class="is-wrong"><dt>月租金</dt><dd>三千八</dd>', page.lines()[2])
    assert re.search(r'class="is-wrong"><dt>押金</dt><dd>空</dd>', page.lines()[3])
    page.press("apply")
    assert page.figures() == {"received": 2, "accepted": 0, "duplicate": 0, "rejected": 2}
    (address,) = set(re.findall(r'data-figure="rejected"[^>]*><a href="([^"]+)"', page.html))
    listed = root.get(address)
    assert listed.status_code == 200
    assert "三千八" in unescape(listed.content.decode())


def test_of_an_identity_number_no_page_shows_more_than_its_end(root: Client) -> None:
    make_unit("B1-0301A")
    columns = (*erp.COLUMNS, "身份证号")
    numbers = ("110101199003074477", "110101199003074478")
    content = csv_of(columns, *(CONTRACT | {"身份证号": number} for number in numbers))
    upload = received("contracts", content)
    shown = uploads.show(upload, now=clock.now())
    assert kinds(shown)[2] == "new"
    for step in ("columns", "preview"):
        html = root.get(reverse(f"staff-upload-{step}", args=[upload.pk])).content.decode()
        assert "11010119900307" not in html
        assert "4477" in html
    page = Page(root, upload)
    page.press("apply")
    assert "11010119900307" not in json.dumps(list(Refusal.objects.values_list("raw", flat=True)))


def test_what_a_row_says_is_shown_as_text_and_never_run(root: Client) -> None:
    make_unit("B1-0301A")
    upload = received("contracts", contracts_of({"租客姓名": "<script>alert(1)</script>"}), "<b>x</b>.csv")
    for step in ("columns", "preview"):
        html = root.get(reverse(f"staff-upload-{step}", args=[upload.pk])).content.decode()
        assert "<script>alert" not in html
        assert "<b>x</b>" not in html


def test_doors_are_not_shown_one_by_one_and_their_file_is_not_kept(root: Client) -> None:
    unit = make_unit("B1-0301A")
    make_device(unit, "LOCK-0301", "lock")
    make_device(unit, "P1", "power")
    lines = [opening("LOCK-0301", "2025-11-30T23:41:00+08:00"), reading("P1", "2025-11-30T23:00:00+08:00")]
    content = "".join(json.dumps(line) + "\n" for line in lines).encode()
    response = hand_in(root, "iot", "iot.jsonl", content)
    assert response.redirect_chain[-1][0] == reverse("staff-upload-preview", args=[Upload.objects.get().pk])
    page = Page(root, Upload.objects.get())
    assert page.kinds() == {1: "拒收", 2: "新增"}
    assert "23:41" not in page.html
    assert "LOCK-0301" not in page.html
    page.press("apply")
    assert page.figures() == {"received": 2, "accepted": 1, "duplicate": 0, "rejected": 1}
    assert bytes(Upload.objects.get().content) == b""


def test_a_file_thrown_away_is_gone_and_an_applied_one_stays(root: Client) -> None:
    make_unit("B1-0301A")
    page = Page(root, received("contracts", contracts_of({})))
    page.press("discard")
    assert not Upload.objects.exists()
    assert not Lease.objects.exists()
    done = taken("contracts", contracts_of({}))
    assert not uploads.discard(done.pk)


def test_files_older_than_ninety_days_keep_their_report_only() -> None:
    make_unit("B1-0301A")
    done = taken("contracts", contracts_of({}))
    clock.set_to(NOW + timedelta(days=89))
    assert uploads.forget(now=clock.now()) == 0
    clock.set_to(NOW + timedelta(days=91))
    assert uploads.forget(now=clock.now()) == 1
    kept = Upload.objects.get()
    assert (bytes(kept.content), kept.sha256, kept.run_id) == (b"", done.sha256, done.run_id)


def test_doors_that_nobody_applied_are_forgotten_the_next_day() -> None:
    received("iot", (json.dumps(opening("L1", "2025-11-30T23:41:00+08:00")) + "\n").encode(), "iot.jsonl")
    assert uploads.forget(now=NOW + timedelta(hours=20)) == 0
    assert uploads.forget(now=NOW + timedelta(hours=25)) == 1


def test_a_row_handed_back_from_quarantine_is_settled_only_where_it_is_chosen() -> None:
    for code in ("B1-0301A", "B1-0302A"):
        make_unit(code)
    other = {"合同编号": "HT2", "房源编号": "B1-0302A", "手机号": "10000000002", "租客姓名": "周遥"}
    taken("contracts", contracts_of({"月租金": "三千八"}))
    number = Refusal.objects.get().pk
    columns = (marking.NUMBER, *erp.COLUMNS)
    corrected = csv_of(columns, {marking.NUMBER: number, **CONTRACT}, {**CONTRACT, **other})
    taken("contracts", corrected, left_out=(2,))
    assert Refusal.objects.get().resolved_at is None
    assert Lease.objects.get().contract_no == "HT2"
    taken("contracts", corrected)
    assert Refusal.objects.get().resolved_at is not None
    assert Lease.objects.count() == 2


def test_no_copy_of_a_file_stays_on_the_disk(tmp_path: Path) -> None:
    make_unit("B1-0301A")
    taken("contracts", contracts_of({}))
    left = tmp_path / "data" / "handed-in"
    assert list(left.iterdir()) == []
    assert left.stat().st_mode & 0o077 == 0


def test_unknown_files_and_pages_of_applied_ones_lead_somewhere(root: Client) -> None:
    assert root.get(reverse("staff-upload-preview", args=[999])).status_code == 404
    make_unit("B1-0301A")
    done = taken("contracts", contracts_of({}))
    for step in ("columns", "preview"):
        response = root.get(reverse(f"staff-upload-{step}", args=[done.pk]))
        assert response.headers["Location"] == reverse("staff-upload-done", args=[done.pk])
    assert Unit.objects.count() == Tenant.objects.count() == 1
    assert Event.objects.count() == 0
