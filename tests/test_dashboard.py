"""The staff site shows what plain SQL counts, each figure leads to its list, and no list grows its queries."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from html import unescape
from typing import Any

import pytest
from celery import current_app
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from campaigns.models import PlaybookVersion, Push
from renewal.models import Case, CaseChange
from tenants import clock
from tenants.models import Attempt, Click, DoorMonth, JobRun, Link, Membership, Message, TenantTag, User
from tests.makers import (
    NOW,
    TODAY,
    first_step,
    make_event,
    make_lease,
    make_playbook,
    make_tenant,
    make_unit,
    make_user,
)
from tests.test_kpis import ENDING, NOT_RENEWED, RENEWED, portfolio, scalar
from workorders.models import WorkOrder

pytestmark = pytest.mark.django_db

MONTH = (date(2025, 12, 1), date(2025, 12, 31))
SEASON = (date(2025, 11, 1), date(2026, 1, 31))


@pytest.fixture
def root() -> Iterator[Client]:
    """The head office's browser, at ten in the morning of TODAY."""
    clock.set_to(NOW + timedelta(hours=2))
    client = Client()
    client.force_login(make_user("root", is_superuser=True))
    return client  # type: ignore[return-value]


def get(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200, (address, response.status_code)
    return unescape(response.content.decode())


def figure(html: str, name: str) -> int:
    found = re.search(rf'data-figure="{name}"[^>]*>(\d+)<', html)
    assert found, name
    return int(found[1])


@pytest.mark.parametrize("seed", [11, 12])
def test_the_dashboards_figures_equal_a_recount_by_plain_sql(root: Client, seed: int) -> None:
    buildings = portfolio(seed)
    for address, ids in (("", [b.pk for b in buildings]), ("?building=B2", [buildings[1].pk])):
        html = get(root, reverse("admin:index") + address)
        for row, span in enumerate((MONTH, SEASON)):
            renewed = scalar(f"select count(*) {ENDING}{RENEWED}", ids, *span, TODAY)
            assert figure(html, f"{row}-ending") == scalar(f"select count(*) {ENDING}", ids, *span)
            assert figure(html, f"{row}-renewed") == renewed
        left = scalar(
            f"select count(*) {ENDING}{NOT_RENEWED} and c.state in ('notice', 'moved_out')", ids, *MONTH, TODAY
        )
        renewed = scalar(f"select count(*) {ENDING}{RENEWED}", ids, *MONTH, TODAY)
        assert f"本月已决 {renewed + left} 份，续租 {renewed} 份（" in html
        for state, name in Case.State.choices:
            n = scalar(
                """select count(*) from renewal_case c join tenants_lease l on l.id = c.lease_id
                join tenants_unit u on u.id = l.unit_id
                where u.building_id = any(%s) and c.state = %s and l.last_day between %s and %s""",
                ids, state, *SEASON,
            )  # fmt: skip
            shown = re.search(rf"<span>{name}</span>\s*<span class=\"bars__track\">.*?<b>(\d+)</b>", html, re.S)
            assert (int(shown[1]) if shown else 0) == n
        mean = scalar(
            """select avg(extract(epoch from accepted_at - first_reported_at) / 3600)
            from workorders_workorder o join tenants_unit u on u.id = o.unit_id
            where u.building_id = any(%s) and first_reported_at >= %s and accepted_at <= %s""",
            ids, clock.at(SEASON[0]), clock.now(),
        )  # fmt: skip
        assert f"本季 {float(mean):.1f} 小时" in html


def every_row(client: Client, address: str) -> list[str]:
    """The cases on all the pages of a list."""
    found: list[str] = []
    while address:
        html = get(client, address)
        found += re.findall(r'<tr data-row>\s*<th scope="row"><a href="/admin/case/(\d+)/"', html)
        more = re.search(r'rel="next" href="(\?[^"]+)"', html)
        address = f"/admin/case/{more[1]}" if more else ""
    assert len(set(found)) == len(found)
    return found


def test_every_figure_leads_to_a_list_of_as_many_rows(root: Client) -> None:
    portfolio(13)
    html = get(root, reverse("admin:index"))
    links = set(re.findall(r'href="(/admin/case/\?[^"]+)"[^>]*>(\d+)</a>', html))
    assert len(links) >= 8
    for address, shown in links:
        assert len(every_row(root, address)) == int(shown), address
    bars = re.findall(
        r'<a href="(/admin/(?:case|campaigns/push|workorders/workorder)/\?[^"]+)" data-row>.*?<b>(\d+)</b>',
        html, re.S,
    )  # fmt: skip
    assert len(bars) >= 6
    assert any("/admin/case/" in address for address, _shown in bars)
    for address, shown in bars:
        if "/admin/case/" in address:
            assert len(every_row(root, address)) == int(shown), address
            continue
        listed = get(root, address)
        total = re.search(r"- (\d+) ", listed)
        rows = int(total[1]) if total else len(re.findall(r"field-shown_state", listed))
        assert rows == int(shown), address


def test_signing_moves_the_figure_by_exactly_one(root: Client) -> None:
    portfolio(14)
    lease = make_lease(last_day=date(2025, 12, 20))
    before = get(root, reverse("admin:index"))
    make_lease(
        lease.tenants.get(), lease.unit, first_day=date(2025, 12, 21), last_day=date(2026, 12, 20), renews=lease,
        signed_on=TODAY, recorded_at=NOW,
    )  # fmt: skip
    after = get(root, reverse("admin:index"))
    for row in (0, 1):
        assert figure(after, f"{row}-renewed") == figure(before, f"{row}-renewed") + 1
        assert figure(after, f"{row}-ending") == figure(before, f"{row}-ending")


def test_an_empty_house_says_why_it_is_empty(root: Client) -> None:
    html = get(root, reverse("admin:index"))
    assert "本月到期 0 份，尚无一份已决" in html
    assert "还没有个案" in html
    assert "还没有续租" in html


def test_the_page_reads_in_english_too(root: Client) -> None:
    portfolio(14)
    root.cookies["django_language"] = "en"
    html = get(root, reverse("admin:index"))
    assert "leases decided this month" in html
    assert not re.search(
        r"[\u4e00-\u9fff]{2,}", re.sub(r"<(script|style).*?</\1>|蓝寓\w*|简体中文|林晓", "", html, flags=re.S)
    )


# --- Lists --------------------------------------------------------------------------------------


def settle(number: int) -> None:
    for _ in range(number):
        lease = make_lease()
        tenant = lease.tenants.get()
        Case.objects.create(lease=lease, state="viewed", since=NOW, opened_at=NOW)
        TenantTag.objects.create(
            tenant=tenant, tag="kitchen_regular", since=TODAY, computed_at=NOW,
            evidence={"facts": {"count": 9, "days": 90}, "events": []},
        )  # fmt: skip
        WorkOrder.objects.create(
            unit=lease.unit, category="water", fingerprint=f"{lease.unit_id}", text="x", first_reported_at=NOW
        )
        told(lease)


def told(lease: Any, **facts: Any) -> Push:
    tenant = lease.tenants.get()
    known = PlaybookVersion.objects.filter(playbook__code="x").first()
    said = first_step(known or make_playbook("x", name="邻里与日常"))
    message = Message.objects.create(
        key=f"push:{lease.pk}", klass="marketing", tenant=tenant, lease=lease, channel="phone", text="您常去的共享厨房",
        not_before=NOW, deadline=NOW, created_at=NOW, changed_at=NOW, **facts,
    )  # fmt: skip
    return Push.objects.create(
        lease=lease, tenant=tenant, step=said.step, said=said, due_on=TODAY, created_at=NOW, message=message,
        state="handed_over",
        reason="到期前 25 天",
    )  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        "staff-tenants", "staff-cases", "admin:renewal_case_changelist", "admin:campaigns_push_changelist",
        "admin:tenants_message_changelist", "admin:workorders_workorder_changelist", "admin:index",
    ],
)  # fmt: skip
def test_twice_the_rows_take_the_same_number_of_queries(root: Client, name: str) -> None:
    def queries() -> list[str]:
        with CaptureQueriesContext(
            connection,
        ) as seen:
            get(root, reverse(name))
        return [query["sql"] for query in seen.captured_queries]

    settle(8)
    queries()  # the first visit fills caches
    few = queries()
    settle(12)
    many = queries()
    assert len(many) == len(few), "\n".join(sorted(set(many) - set(few)))


def test_the_list_is_searched_filtered_and_turned_by_its_address(root: Client) -> None:
    settle(60)
    lease = make_lease(make_tenant("欧阳小满"), make_unit("B1-9999"), last_day=TODAY + timedelta(days=300))
    gone = make_lease(make_tenant("早已离开"), last_day=TODAY - timedelta(days=61))
    tenant = lease.tenants.get()

    def names(query: str) -> list[str]:
        html = get(root, reverse("staff-tenants") + query)
        return re.findall(r'<th scope="row"><a href="/admin/tenant/\d+/">(.*?)</a>', html)

    for words in ("欧阳", tenant.phone, tenant.phone[-6:], lease.contract_no, "9999", "小满 B1-99"):
        assert names(f"?q={words}") == ["欧阳小满"], words
    assert names("?q=欧阳 B1-0000") == []
    assert (len(names("")), len(names("?page=2")), names("?page=2")[-1]) == (50, 11, "欧阳小满")
    assert "早已离开" not in names("?page=2")
    assert names("?who=all&q=早已") == ["早已离开"]
    assert len(names("?tag=kitchen_regular&page=2")) == 10
    assert len(names("?state=viewed&page=2")) == 10
    assert names("?state=signed") == []
    assert names("?building=B9") == []
    assert gone.pk


def test_each_tenant_stands_once_with_the_lease_that_matters_now(root: Client) -> None:
    def days_of(name: str) -> list[str]:
        html = get(root, reverse("staff-tenants") + f"?who=all&q={name}")
        return re.findall(r'<td class="num"[^>]*>(\d{4}-\d\d-\d\d)</td>', html)

    lease = make_lease(make_tenant("续过租"))
    following = make_lease(lease.tenants.get(), lease.unit, first_day=date(2025, 12, 27), last_day=date(2026, 12, 26))
    assert days_of("续过租") == ["2025-12-26"]  # today's, not the next
    clock.set_to(clock.at(date(2025, 12, 27), 1))
    assert days_of("续过租") == [following.last_day.isoformat()]
    clock.set_to(clock.at(date(2027, 1, 1), 1))
    assert days_of("续过租") == [following.last_day.isoformat()]  # the last of those that are over
    clock.set_to(NOW)

    coming = make_lease(make_tenant("下月来"), first_day=date(2026, 1, 1), last_day=date(2026, 12, 31))
    make_lease(coming.tenants.get(), last_day=date(2025, 6, 30))
    assert days_of("下月来") == ["2026-12-31"]

    twin = make_tenant("公众号上的她")
    make_lease(twin, last_day=date(2026, 3, 1))
    known = make_lease(make_tenant("柜台上的她"), last_day=date(2025, 12, 5), first_day=date(2025, 11, 5)).tenants.get()
    twin.merged_into = known
    twin.save()
    assert days_of("公众号上的她") == []
    assert len(days_of("柜台上的她")) == 1


# --- One tenant ---------------------------------------------------------------------------------


def test_a_tenants_page_tells_why_what_and_when_but_never_a_door(root: Client) -> None:
    lease = make_lease()
    tenant = lease.tenants.get()
    kitchen = make_event("facility.used", tenant, data={"facility": "shared_kitchen"}, source_id="k1")
    door = make_event("door.opened", tenant, lease.unit, data={"way": "finger"}, at=clock.at(date(2025, 11, 3), 23, 47))
    make_event("power.read", tenant, lease.unit, data={"value": 1234.5, "unit": "kWh"})
    DoorMonth.objects.create(tenant=tenant, month=date(2025, 11, 1), openings=41)
    TenantTag.objects.create(
        tenant=tenant, tag="kitchen_regular", since=TODAY, computed_at=NOW,
        evidence={"facts": {"count": 16, "days": 90}, "events": [["app", "k1"], [door.source, door.source_id]]},
    )  # fmt: skip
    case = Case.objects.create(lease=lease, state="viewed", since=NOW, opened_at=NOW)
    CaseChange.objects.create(
        case=case, was="upcoming", now="viewed", at=NOW, cause="a push was accepted by its channel", by="x"
    )
    push = told(lease, state="accepted", sent_at=NOW)
    assert push.message
    Attempt.objects.create(message=push.message, number=1, channel="phone", outcome="accepted", started_at=NOW)
    link = Link.objects.create(
        token_hash="x", tenant=tenant, lease=lease, purpose="proposal", carrier=f"message:{push.message.key}",
        created_at=NOW, expires_at=NOW,
    )  # fmt: skip
    Click.objects.create(link=link, opened_at=NOW, proven_at=NOW)

    html = get(root, reverse("staff-tenant", args=[tenant.pk]))
    for words in (
        tenant.name, lease.contract_no, "近 90 天使用共享厨房 16 次", "使用共享厨房", "依据 1 条事件",
        "您常去的共享厨房",
        "到期前 25 天", "邻里与日常", "渠道已接收", "发送 1 次", "已打开 12-01 10:00", "触达已被渠道接收", "续租优惠",
        f"/phone/{tenant.pk}", "<dt>2025-11</dt><dd>42</dd>",
    ):  # fmt: skip
        assert words in html, words
    assert kitchen.pk
    # The one opening with a moment of its own is in the sum only.
    for secret in ("23:47", "finger", "door.opened", "1234.5"):
        assert secret not in html, secret


def test_events_are_turned_page_by_page_and_by_topic(root: Client) -> None:
    tenant = make_lease().tenants.get()
    for n in range(35):
        make_event("facility.used", tenant, data={"facility": "gym"}, at=NOW - timedelta(hours=n))
    make_event("mood.given", tenant, data={"mood": "soso", "bill": "1"}, at=NOW - timedelta(days=30))
    address = reverse("staff-tenant", args=[tenant.pk])
    assert get(root, address).count("使用健身房") == 30
    assert get(root, address + "?page=2").count("使用健身房") == 5
    moods = get(root, address + "?topic=moods")
    assert (moods.count("账单心情：😐"), moods.count("使用健身房")) == (1, 0)


def test_who_moved_away_is_not_followed_into_another_building(root: Client) -> None:
    tenant = make_tenant()
    here = make_lease(tenant, last_day=TODAY - timedelta(days=100))
    there = make_lease(
        tenant, make_unit(building=portfolio(3)[1]), first_day=TODAY - timedelta(days=99), last_day=TODAY
    )
    make_event("facility.used", tenant, data={"facility": "gym"}, at=NOW - timedelta(days=200))
    make_event("facility.used", tenant, data={"facility": "laundry"}, at=NOW - timedelta(days=2))
    care = make_user("care")
    Membership.objects.create(user=care, building=here.unit.building, role="care", first_day=TODAY)
    client = Client()
    client.force_login(care)
    html = get(client, reverse("staff-tenant", args=[tenant.pk]))
    assert ("使用健身房" in html, "使用洗衣房" in html, there.contract_no in html) == (True, False, False)
    html = get(root, reverse("staff-tenant", args=[tenant.pk]))
    assert ("使用洗衣房" in html, there.contract_no in html) == (True, True)


# --- The demo's next day ------------------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What the broker was asked for."""
    calls: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, kwargs: calls.append((name, kwargs)))
    return calls


def test_the_next_day_begins_at_ten_and_the_worker_is_asked_to_run_it(
    root: Client, asked: list[tuple[str, dict[str, Any]]]
) -> None:
    assert "下一天" in get(root, reverse("admin:index"))
    response = root.post(reverse("staff-next-day"), headers={"hx-request": "true"})
    assert "等待后台进程" in response.content.decode()
    assert asked == [("renewal.run_day", {"today": "2025-12-02"})]
    assert timedelta(0) <= clock.now() - clock.at(date(2025, 12, 2), 10) < timedelta(minutes=1)


def test_the_progress_names_the_stage_then_sends_the_page_home_or_says_what_was_kept(root: Client) -> None:
    run = JobRun.objects.create(job="day", period="2025-12-02", started_at=NOW, stage="tags")
    address = reverse("staff-day", args=["2025-12-02"])
    html = get(root, address)
    assert ("计算标签" in html, "5 / 18" in html, 'hx-trigger="load delay' in html) == (True, True, True)

    run.error = "RuntimeError: no"
    run.save()
    html = get(root, address)
    assert "当日运行停在“计算标签”" in html
    assert "它之前的 4 个步骤已保留" in html
    assert "归并报修" in html

    # A page opened meanwhile asks for the progress instead of offering another day.
    clock.set_to(clock.at(date(2025, 12, 2), 10))
    html = get(root, reverse("admin:index"))
    assert (f'hx-get="{address}"' in html, "下一天" in html) == (True, False)

    run.error, run.stage, run.finished_at = "", "", NOW
    run.save()
    assert root.get(address)["HX-Redirect"] == reverse("admin:index")


def test_only_the_head_office_of_a_demo_moves_the_day(
    root: Client, asked: list[tuple[str, dict[str, Any]]], settings: Any
) -> None:
    care = make_user("care")
    Membership.objects.create(user=care, building=make_unit().building, role="care", first_day=TODAY)
    client = Client()
    client.force_login(care)
    before = clock.today()
    assert client.post(reverse("staff-next-day")).status_code == 403
    assert "下一天" not in get(client, reverse("admin:index"))
    assert root.get(reverse("staff-next-day")).status_code == 405
    assert Client(enforce_csrf_checks=True).post(reverse("staff-next-day")).status_code in (302, 403)
    guarded = Client(enforce_csrf_checks=True)
    guarded.force_login(User.objects.get(username="root"))
    assert guarded.post(reverse("staff-next-day")).status_code == 403
    settings.IS_SHELTERED = False
    assert root.post(reverse("staff-next-day")).status_code == 403
    settings.IS_SHELTERED = True
    assert (asked, clock.today()) == ([], before)


def test_the_entrance_names_the_demos_account_only_where_there_is_one(settings: Any) -> None:
    settings.DEMO_LOGIN = True
    assert "<code>demo</code>" in get(Client(), reverse("admin:login"))
    settings.DEMO_LOGIN = False
    assert "<code>demo</code>" not in get(Client(), reverse("admin:login"))


def test_a_wrong_password_is_told_apart_from_an_empty_one() -> None:
    make_user("mei")
    response = Client().post(reverse("admin:login"), {"username": "mei", "password": "wrong"})
    assert "请输入正确的" in response.content.decode() or "密码" in response.content.decode()
    assert 'role="alert"' in response.content.decode()
