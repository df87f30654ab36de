"""The page of sources counts what came, and says who has fallen silent: exactly then, and of nobody new."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors import runs
from connectors.models import Landed, Refusal, Run, SourceHour
from connectors.runs import Counts
from connectors.sources import payments
from renewal import sources
from tenants import clock
from tenants.models import Feature, Membership, WaitingEvent
from tests.makers import NOW, TODAY, make_building, make_event, make_lease, make_tenant, make_unit, make_user
from tests.test_bad_files import manage, table

pytestmark = pytest.mark.django_db

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def came(source: str, *moments: datetime, received: int = 1) -> None:
    """The source gave us something at each of these moments, as every way in counts it."""
    for moment in moments:
        runs.tally(source, Counts(accepted=received), now=moment)


def every(step: timedelta, *, days: float, until: datetime = NOW) -> list[datetime]:
    return [until - step * n for n in range(int(timedelta(days=days) / step) + 1)]


def silent(now: datetime = NOW) -> list[tuple[str, timedelta, timedelta]]:
    return [(each.source, each.lasts, each.usual) for each in sources.silences(now=now)]


# --- silence --------------------------------------------------------------------------------------


def test_a_source_is_silent_past_twice_its_longest_wait_and_not_a_second_before() -> None:
    moments = every(HOUR, days=10)
    came("iot", *moments[:50], *moments[52:])  # once it kept us waiting for three hours
    assert silent(NOW + 6 * HOUR) == []
    assert silent(NOW + 6 * HOUR + timedelta(seconds=1)) == [("iot", 6 * HOUR + timedelta(seconds=1), 3 * HOUR)]


def test_a_source_that_never_waits_long_is_given_two_hours() -> None:
    came("iot", *every(timedelta(minutes=10), days=8))
    assert sources.rhythms()["iot"].longest == HOUR  # from the last record of one hour to that of the next
    assert silent(NOW + 2 * HOUR) == []
    assert silent(NOW + 2 * HOUR + timedelta(seconds=1)) != []


def test_of_a_new_source_no_rhythm_is_known() -> None:
    came("iot", *every(HOUR, days=6.9))
    assert sources.rhythms()["iot"].longest is None
    assert silent(NOW + 3 * DAY) == []
    came("iot", NOW - 7 * DAY)
    assert silent(NOW + 3 * DAY) == [("iot", 3 * DAY, HOUR + timedelta(hours=2))]


def test_four_arrivals_are_no_rhythm_and_five_are() -> None:
    came("bills", *(NOW - n * 2 * DAY for n in range(1, 5)), NOW - 200 * DAY)
    assert sources.rhythms()["bills"].longest is None
    came("bills", NOW)
    assert sources.rhythms()["bills"].longest == 2 * DAY


def test_a_file_loaded_once_a_month_is_missed_after_two_months_and_not_after_two_days() -> None:
    last = datetime(2025, 12, 1, 2, tzinfo=UTC)
    came("payments", *(last - timedelta(days=30) * n for n in range(6)))
    assert sources.rhythms()["payments"].longest == timedelta(days=30)
    assert silent(last + 2 * DAY) == []
    assert silent(last + 60 * DAY) == []
    assert [source for source, _lasts, _usual in silent(last + 61 * DAY)] == ["payments"]
    came("units", last)  # and one that came once is never missed
    assert [source for source, _lasts, _usual in silent(last + 400 * DAY)] == ["payments"]


def test_a_source_that_stopped_long_ago_is_not_forgotten() -> None:
    came("iot", *every(HOUR, days=10, until=NOW - 60 * DAY))
    assert silent() == [("iot", 60 * DAY, HOUR)]


def test_a_weekend_is_no_silence_for_a_source_of_working_days() -> None:
    monday = datetime(2025, 12, 1, 2, tzinfo=UTC)
    came("tickets", *(day for n in range(28) if (day := monday - n * DAY).weekday() < 5))
    assert sources.rhythms()["tickets"].longest == 3 * DAY
    assert silent(monday + 6 * DAY) == []


def test_an_outage_that_began_before_the_last_four_weeks_does_not_dull_the_ear() -> None:
    moments = every(HOUR, days=40)
    came("iot", *(moment for moment in moments if not 29 * DAY < NOW - moment < 33 * DAY))
    assert sources.rhythms()["iot"].longest == HOUR


def test_an_empty_file_and_a_replay_break_no_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA", str(tmp_path / "data"))
    clock.set_to(NOW)
    came("payments", NOW - 20 * DAY)
    manage("load", "payments", table(tmp_path / "p.csv", payments.COLUMNS))
    run = Run.objects.create(source="payments", name="p.csv", started_at=NOW)
    Refusal.objects.create(
        run=run, source="payments", line=2, digest="x", raw={"流水号": "LS1"}, reason="?", first_seen_at=NOW
    )
    manage("quarantine", "replay")
    assert sources.rhythms()["payments"].latest == NOW - 20 * DAY


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.integers(1, 60 * 24 * 12), min_size=1, max_size=40),
    after=st.integers(0, 60 * 24 * 80),
)
def test_the_rhythm_is_what_a_plain_reading_of_the_arrivals_gives(steps: list[int], after: int) -> None:
    SourceHour.objects.all().delete()
    moments, at = [NOW], NOW
    for step in steps:
        at -= timedelta(minutes=step)
        moments.append(at)
    came("iot", *moments)
    hours: dict[datetime, datetime] = {}
    for moment in moments:
        hour = moment.replace(minute=0, second=0, microsecond=0)
        hours[hour] = max(hours.get(hour, moment), moment)
    seen = sorted(hours.values())
    expected = None
    for window in (timedelta(days=28), timedelta(days=184)):
        recent = [moment for moment in seen if moment >= NOW - window]
        if len(recent) >= 5:
            waits = [later - earlier for earlier, later in pairwise(recent)]
            expected = max(waits) if recent[-1] - recent[0] >= timedelta(days=7) else None
            break
    assert sources.rhythms()["iot"].longest == expected
    now = NOW + timedelta(minutes=after)
    is_silent = expected is not None and now - NOW > max(2 * expected, timedelta(hours=2))
    assert bool(silent(now)) == is_silent


# --- the page -------------------------------------------------------------------------------------


@pytest.fixture
def root() -> Client:
    clock.set_to(NOW)
    client = Client()
    client.force_login(make_user("root", is_superuser=True))
    return client


def get(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200, (address, response.status_code)
    return re.sub(r"\s+", " ", unescape(response.content.decode()))


def line(html: str, source: str) -> list[str]:
    """The cells of a source's line as text."""
    row = re.search(rf'<tr data-row id="{source}">(.*?)</tr>', html)
    assert row, source
    return [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row[1])]


def test_the_title_answers_and_each_source_has_its_counts_lag_and_silence(root: Client) -> None:
    tenant = make_tenant()
    runs.tally("app", Counts(accepted=3, duplicate=1), now=NOW - HOUR)
    runs.tally("app", Counts(accepted=2000), now=NOW - DAY)
    came("iot", *every(HOUR, days=9, until=NOW - 9 * HOUR))
    for minutes in (2, 4, 600):
        make_event("app.viewed", tenant, at=NOW - HOUR - timedelta(minutes=minutes), recorded_at=NOW - HOUR)
    make_event("app.viewed", tenant, at=NOW - 3 * DAY, recorded_at=NOW - DAY)  # of another day: no part of the lag
    html = get(root, reverse("staff-sources"))
    today = sum(row.received for row in SourceHour.objects.filter(hour__gte=clock.at(TODAY)))
    assert f"13 个数据源，今天收到 {today} 条，1 个中断" in html
    name, latest, lag, *counts = line(html, "app")[:7]
    assert (name, lag, counts) == ("App 行为 停用", "4 分钟", ["4", "3", "1", "0"])
    assert latest == "12-01 08:58 收到于 12-01 09:00 · 上报规律尚不清楚"
    assert "已中断 9 小时，平时最长 1 小时" in line(html, "iot")[1]
    assert line(html, "contracts")[1] == "从未收到"
    assert "门锁与表计已 9 小时没有新数据，平时最长 1 小时" in html
    assert html.count("<rect") == 13 * 14
    assert "<title>11-30: 2,000</title>" in html


def test_the_line_about_silence_stands_on_the_index_only_when_there_is_one_and_only_for_the_head_office(
    root: Client,
) -> None:
    came("iot", *every(HOUR, days=9))
    assert "没有新数据" not in get(root, reverse("admin:index"))
    clock.set_to(NOW + 5 * HOUR)
    assert "门锁与表计已 5 小时没有新数据，平时最长 1 小时" in get(root, reverse("admin:index"))
    care = make_user("care")
    Membership.objects.create(user=care, role="care", building=None, first_day=TODAY)
    client = Client()
    client.force_login(care)
    assert "没有新数据" not in get(client, reverse("admin:index"))
    for name in ("staff-sources", "staff-quarantine", "staff-quarantine-export"):
        assert client.get(reverse(name)).status_code == 403, name
    assert client.post(reverse("staff-quarantine-replay")).status_code == 403


def test_every_figure_leads_to_its_list(root: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA", str(tmp_path / "data"))
    make_lease(contract_no="HT1")
    rows = [f"LS{n},HT1,房租,{3800 if n % 2 else 0},2025-11-01,2025-11-03" for n in range(6)]
    manage("load", "payments", table(tmp_path / "p.csv", payments.COLUMNS, *rows))
    WaitingEvent.objects.create(
        source="app", source_id="w", kind="app.viewed", at=NOW, who_source="phone", who_ref="13800001111",
        recorded_at=NOW,
    )  # fmt: skip
    Landed.objects.create(source="segment", body={}, received_at=NOW)
    html = get(root, reverse("staff-sources"))
    assert line(html, "payments")[3:7] == ["6", "3", "0", "3"]
    assert "金额：金额 … 不合理 3" in line(html, "payments")[8]
    addresses = set(re.findall(r'href="(/admin/(?:sources|connectors|tenant|tenants)/[^"]+)"', html))
    assert len(addresses) > 20
    for address in addresses:
        assert root.get(address).status_code == 200, address
    (group,) = re.findall(r'href="(/admin/sources/quarantine/\?source=payments&reason=[^"]+)"', html)
    assert "3 条记录被退回，等待处理" in get(root, group)
    assert "138****1111" in get(root, reverse("admin:tenants_waitingevent_changelist"))


def test_a_sender_is_counted_by_its_runs_and_by_what_has_landed(root: Client) -> None:
    for source, name, received, rejected, at in (
        ("iot", "mqtt 2025-12-01", 3120, 5, NOW), ("iot", "mqtt 2025-11-30", 99, 0, NOW - DAY),
        ("app", "http 2025-12-01", 7, 1, NOW), ("app", "app.jsonl", 1000, 0, NOW),
    ):  # fmt: skip
        Run.objects.create(
            source=source, name=name, received=received, rejected=rejected, started_at=at, finished_at=at
        )
    Landed.objects.create(source="wechat", body={}, received_at=NOW, error="x")
    shown = {row["code"]: row for row in sources.overview(now=NOW)["senders"]}
    assert set(shown) == {"mqtt", "segment", "wechat"}
    assert (shown["mqtt"]["received_today"], shown["mqtt"]["rejected_today"]) == (3120, 5)
    assert (shown["segment"]["received_today"], shown["segment"]["last"]) == (7, NOW)
    assert (shown["wechat"]["landed"]["n"], shown["wechat"]["landed"]["failed"]) == (1, 1)
    html = get(root, reverse("staff-sources"))
    assert "3,120" in html
    assert "1 条出错" in html


def test_a_building_without_meters_is_told_by_payments_and_moods(root: Client) -> None:
    bare = make_building("B7", name="滨江七号", has_iot=False)
    people = [make_tenant(f"租客{n}") for n in range(4)]
    for tenant in people:
        make_lease(tenant, make_unit(building=bare))
    make_lease(make_tenant("别楼"), make_unit(building=make_building("B1", has_iot=True)))
    make_lease(make_tenant("已走"), make_unit(building=bare), last_day=TODAY - DAY)
    for tenant, share, spread in zip(people, (1.0, 0.5, 0.9, None), (1.0, 3.0, None, None), strict=True):
        Feature.objects.create(tenant=tenant, day=TODAY, paid_share=share, pay_day_sd=spread, computed_at=NOW)
    make_event("mood.given", people[0], at=NOW - 80 * DAY)
    make_event("mood.given", people[0], at=NOW - 2 * DAY)
    make_event("mood.given", people[1], at=NOW - 100 * DAY)
    (row,) = sources.overview(now=NOW)["buildings"]
    assert (row["tenants"], row["with_rhythm"], row["with_mood"], row["moods"]) == (4, 2, 1, 2)
    assert (round(row["paid_share"], 3), row["pay_day_sd"]) == (0.8, 2.0)
    html = get(root, reverse("staff-sources"))
    assert "1 栋楼没有门锁和表计" in html
    assert f'href="{reverse("staff-tenants")}?building=B7"' in html


def test_the_pages_queries_do_not_grow_with_rows(root: Client) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            get(root, reverse("staff-sources"))
        return len(seen)

    def fill(number: int, **more: Any) -> None:
        run = Run.objects.create(source="iot", name=f"mqtt {number}", started_at=NOW)
        for n in range(number):
            came("app", NOW - n * HOUR)
            came("tickets", NOW - n * DAY)
            Refusal.objects.create(
                run=run, source="app", line=n, digest=f"{number}-{n}", raw={"line": "x"},
                reason=f"坏 {'一二三'[n % 3]}", first_seen_at=NOW,
            )  # fmt: skip
            make_event("app.viewed", make_tenant(), at=NOW, recorded_at=NOW)
            make_lease(unit=make_unit(building=make_building(f"C{number}{n}", has_iot=False)))

    fill(3)
    queries()
    few = queries()
    fill(12)
    assert queries() == few


def test_the_page_reads_in_english_too(root: Client) -> None:
    root.cookies["django_language"] = "en"
    came("iot", *every(HOUR, days=9, until=NOW - 9 * HOUR))
    html = get(root, reverse("staff-sources"))
    assert "Nothing new from locks and meters for 9 h; usually 1 h at most" in html
    bare = re.sub(r"<(script|style).*?</\1>|蓝寓\w*|简体中文", "", html)
    assert not re.search(r"[\u4e00-\u9fff]{2,}", bare)
