"""The consent ledger: appended to, never changed, and the latest line holds at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection

from connectors.records import BadRecord, ConsentRecord
from connectors.sources import consents as source
from tenants import consents
from tenants.models import Consent, Tenant
from tests.makers import NOW, make_tenant

pytestmark = pytest.mark.django_db

MARKETING = Consent.Purpose.MARKETING


def say(tenant: Tenant, granted: bool, *, days: float, channel: str = "any") -> bool:
    """A line of the ledger, so many days before now."""
    return consents.record(
        tenant,
        purpose=MARKETING,
        channel=channel,
        granted=granted,
        at=NOW - timedelta(days=days),
        text_version="2025-01",
        proof="入住登记",
        now=NOW,
    )


def in_sets(channel: str) -> dict[int, bool]:
    """What CURRENT_SQL says of marketing."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT tenant_id, granted FROM ({consents.CURRENT_SQL}) AS consent WHERE purpose = 'marketing'",
            {"channel": channel},
        )
        return dict(cursor.fetchall())


@pytest.mark.parametrize(
    ("lines", "on_sms", "on_wechat"),
    [
        ([], False, False),
        ([("any", True)], True, True),
        ([("any", True), ("any", False)], False, False),
        ([("any", True), ("sms", False)], False, True),
        ([("sms", True)], True, False),
        ([("sms", False), ("any", True)], True, True),
        ([("any", False), ("sms", True)], True, False),
        ([("sms", True), ("any", False)], False, False),
    ],
)
def test_the_latest_line_on_either_channel_decides(
    lines: list[tuple[str, bool]], on_sms: bool, on_wechat: bool
) -> None:
    tenant = make_tenant(consents=())
    for number, (channel, granted) in enumerate(lines):
        assert say(tenant, granted, channel=channel, days=10 - number)
    for channel, expected in (("sms", on_sms), ("wechat", on_wechat)):
        assert consents.holds(tenant, MARKETING, channel=channel) is expected
        assert in_sets(channel).get(tenant.pk, False) is expected


def test_one_purpose_says_nothing_of_another_and_one_tenant_nothing_of_another() -> None:
    tenant, neighbour = make_tenant(consents=("marketing",)), make_tenant(consents=())
    assert consents.holds(tenant, MARKETING, channel="sms")
    assert not consents.holds(tenant, Consent.Purpose.PROFILING, channel="sms")
    assert not consents.holds(neighbour, MARKETING, channel="sms")
    assert in_sets("sms") == {tenant.pk: True}


def test_at_one_moment_the_refusal_wins() -> None:
    tenant = make_tenant(consents=())
    say(tenant, False, days=1, channel="sms")
    say(tenant, True, days=1, channel="any")
    assert not consents.holds(tenant, MARKETING, channel="sms")
    assert in_sets("sms") == {tenant.pk: False}


def test_a_line_is_recorded_once() -> None:
    tenant = make_tenant(consents=())
    assert say(tenant, True, days=1)
    assert not say(tenant, True, days=1)
    assert Consent.objects.count() == 1


def test_a_merged_tenants_refusal_holds_for_the_one_who_stays() -> None:
    stays = make_tenant()
    gone = make_tenant(consents=(), merged_into=stays)
    say(gone, False, days=1)
    for tenant in (stays, gone):
        assert not consents.holds(tenant, MARKETING, channel="phone")
    assert in_sets("phone") == {stays.pk: False}


@pytest.mark.parametrize(
    "latest", [timedelta(0), timedelta(days=1)], ids=["granted this moment", "granted ahead of us"]
)
def test_a_refusal_of_marketing_holds_at_once_whatever_stood_there(latest: timedelta) -> None:
    tenant = make_tenant()
    consents.record(
        tenant,
        purpose=MARKETING,
        channel="sms",
        granted=True,
        at=NOW + latest,
        text_version="2025-01",
        proof="App",
        now=NOW,
    )
    consents.refuse_marketing(tenant, now=NOW, proof="信内拒收")
    for channel in ("any", "phone", "sms", "wechat"):
        assert not consents.holds(tenant, MARKETING, channel=channel)
    assert consents.holds(tenant, Consent.Purpose.PROFILING, channel="sms")
    line = Consent.objects.latest("at")
    assert (line.channel, line.granted, line.proof, line.recorded_at) == ("any", False, "信内拒收", NOW)


def test_a_file_is_entered_line_by_line(tmp_path: Path) -> None:
    tenant = make_tenant(consents=(), phone="10000000008")
    rows = (
        "10000000008,续租优惠,全部,是,2025-01-05T10:00:00+08:00,2025-01,入住登记 B1-0301",
        "10000000008,门锁记录,全部,否,2025-01-05T10:00:00+08:00,2025-01,入住登记 B1-0301",
        "10000000009,续租优惠,全部,是,2025-01-05T10:00:00+08:00,2025-01,入住登记",
        "10000000008,续租优惠,全部,否,2025-01-05T10:00:00+08:00,2025-01,入住登记",
        "10000000008,续租优惠,全部,是,2026-06-01T10:00:00+08:00,2025-01,入住登记",
        "10000000008,问卷,全部,是,2025-01-05T10:00:00+08:00,2025-01,入住登记",
        "10000000008,续租优惠,全部,是,2025-01-05T10:00:00+08:00,2025-01,",
    )
    path = tmp_path / "consents.csv"
    path.write_text("\n".join([",".join(source.COLUMNS), *rows]), encoding="utf-8")
    counts = consents.enter(source.read(path), now=NOW)
    assert (counts.received, counts.accepted, counts.duplicate, counts.rejected) == (7, 2, 0, 5)
    assert sorted((bad.line, bad.reason) for bad in counts.refused) == [
        (4, "没有手机号为 10000000009 的租客。"),
        (5, "文件中另有一行在同一时间的选择相反。"),
        (6, "同意时间在将来。"),
        (7, "用途：“问卷”不在可选项之内，可填：续租优惠、个性化、门锁记录、入住调查"),
        (8, "凭证：没有填写"),
    ]
    assert list(Consent.objects.order_by("pk").values_list("tenant", "purpose", "granted", "at", "proof")) == [
        (tenant.pk, "marketing", True, datetime(2025, 1, 5, 2, tzinfo=UTC), "入住登记 B1-0301"),
        (tenant.pk, "door_logs", False, datetime(2025, 1, 5, 2, tzinfo=UTC), "入住登记 B1-0301"),
    ]
    again = consents.enter(source.read(path), now=NOW)
    assert (again.accepted, again.duplicate, again.rejected) == (0, 2, 5)


def test_a_line_that_contradicts_the_ledger_is_refused() -> None:
    tenant = make_tenant(consents=(), phone="10000000008")
    say(tenant, True, days=3)

    def row(granted: bool) -> ConsentRecord | BadRecord:
        at = NOW - timedelta(days=3)
        return ConsentRecord(2, "10000000008", "marketing", "any", granted, at, "2025-01", "入住登记")

    counts = consents.enter([row(False)], now=NOW)
    assert (counts.accepted, counts.duplicate, counts.rejected) == (0, 0, 1)
    assert consents.holds(tenant, MARKETING, channel="sms")
