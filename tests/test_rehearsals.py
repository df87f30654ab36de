"""A back-test comes to exactly what was sent; a dry run looks ahead; neither leaves a trace."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import InternalError, connection

from campaigns import rehearsing
from campaigns.models import Playbook, Push
from renewal import days, intents, rehearsals
from renewal.models import Case
from renewal.rehearsals import BackTest
from tenants import clock, past
from tenants.models import Announcement, Consent, JobRun, Lease, LeaseTenant, Merge, Message
from tests.makers import make_announcement, make_event, make_lease, make_tenant, make_unit
from tests.stretch import FIRST, Stretch

pytestmark = pytest.mark.django_db

DAYS = 16
SEEDS = [1, 2, 3, 4]
END = clock.at(FIRST + timedelta(days=DAYS))


def lived(seed: int, *, and_corrected: bool = True) -> Stretch:
    """A stretch, after which more is learnt of its days."""
    stretch = Stretch(seed)
    stretch.live(DAYS)
    if and_corrected:
        for n in range(40):
            stretch.dice.choice(stretch.deeds())(END + timedelta(minutes=n))
    return stretch


def back(first: int = 0, last: int = DAYS - 1, **facts: Any) -> dict[str, Any]:
    asked = BackTest(first=FIRST + timedelta(days=first), last=FIRST + timedelta(days=last), **facts)
    return rehearsals.backtest(asked, now=END + timedelta(days=1))


def differences(result: dict[str, Any]) -> list[Any]:
    """Where the two differ in anything at all, but for what is still open when the last day is over."""
    return [
        pair
        for pair in result["pushes"]
        if not (pair["would"] and pair["really"] and pair["would"]["state"] in ("held", "queued"))
        and pair["would"] != pair["really"]
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_days_that_really_ran_come_out_as_they_did_with_every_reason(seed: int) -> None:
    lived(seed)
    for first in (0, 7):
        result = back(first)
        assert differences(result) == []
        really = Push.objects.filter(created_at__gte=clock.at(FIRST + timedelta(days=first)))
        assert result["same"] == really.count() > 0


def test_the_stretches_hold_what_they_are_to_prove() -> None:
    lived(SEEDS[0])
    assert Message.objects.filter(state="accepted").count() > 1
    assert Consent.objects.filter(granted=False).exists()
    assert Announcement.objects.exclude(withdrawn_at=None).exists()
    assert Lease.objects.exclude(ended_by="").exists()
    assert Merge.objects.exists()
    assert any(len(row.times) > 1 for row in JobRun.objects.filter(job="day"))


def all_known(monkeypatch: pytest.MonkeyPatch, table: str) -> None:
    """The table is read as it is now."""
    told = past.LEASES if table in past.LEASES else past.TOLD
    now = f"SELECT * FROM {table}" if told is past.LEASES else f"SELECT * FROM {{{table}}}"
    monkeypatch.setitem(told, table, {past.RECORDED: now})


AS_ASKED = "SELECT * FROM {campaigns_segment}"  # without versions
# Each part of what is known then, left out, with a stretch in which that shows.
WITHOUT: dict[str, tuple[int, Any]] = {
    "events": (1, lambda patch: all_known(patch, "tenants_event")),
    "consents": (1, lambda patch: all_known(patch, "tenants_consent")),
    "leases": (1, lambda patch: all_known(patch, "tenants_lease")),
    "people": (1, lambda patch: all_known(patch, "tenants_tenant")),
    "answers": (3, lambda patch: patch.setattr(rehearsals, "_answers", lambda start, end: [])),
    "rules": (1, lambda patch: patch.setitem(rehearsing.DEFINED, "campaigns_segment", AS_ASKED)),
    "runs": (1, lambda patch: patch.setattr(rehearsals, "_times", lambda row: [(row.started_at, "")])),
}


@pytest.mark.parametrize("part", WITHOUT)
def test_without_what_was_known_then_the_same_days_come_out_otherwise(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The red twins."""
    seed, leave_out = WITHOUT[part]
    lived(seed)
    leave_out(monkeypatch)
    assert differences(back())


def test_an_announcement_withdrawn_since_was_claimed_on_its_day(monkeypatch: pytest.MonkeyPatch) -> None:
    tenant = make_tenant("林晓")
    lease = make_lease(tenant, make_unit(), last_day=FIRST + timedelta(days=25))
    make_announcement(lease.unit.building, recorded_at=clock.at(FIRST, 1))
    for n in range(24):
        at = clock.at(FIRST - timedelta(days=n + 1), 19)
        make_event("facility.used", tenant, at=at, data={"facility": "shared_kitchen"})
    days.run(today=FIRST, now=clock.at(FIRST, 10))
    assert Message.objects.get().text == "您常去的共享厨房 12 月 20 日升级烘焙区，续租的选择在这里。"
    Announcement.objects.update(withdrawn_at=clock.at(FIRST, 11))
    assert differences(back(0, 0)) == []
    all_known(monkeypatch, "tenants_announcement")
    assert "social-kitchen-25" in {pair["step"] for pair in differences(back(0, 0))}


def test_what_tenants_leaned_to_holds_back_in_a_back_test_too(monkeypatch: pytest.MonkeyPatch) -> None:
    stretch = Stretch(2)
    stretch.run(clock.at(FIRST, 10))
    for held in LeaseTenant.objects.filter(lease__in=Case.objects.values("lease"), is_primary=True):
        intents.say(held.lease, held.tenant, "leave", reason="rent", now=clock.at(FIRST, 11))
    for n in (1, 2, 3):
        stretch.run(clock.at(FIRST + timedelta(days=n), 10))
    assert Push.objects.filter(state="held", reason="租客可能要走，先由同事联系。").exists()
    assert differences(back(0, 3)) == []
    nobody = "SELECT * FROM {campaigns_quiet} WHERE false"
    monkeypatch.setitem(rehearsing.DEFINED, "campaigns_quiet", nobody)
    assert differences(back(0, 3))


def test_a_lease_passed_on_since_was_asked_about_with_who_held_it_then(monkeypatch: pytest.MonkeyPatch) -> None:
    stretch = Stretch(2)
    stretch.run(clock.at(FIRST, 10))
    for n in range(12):
        stretch.revise(clock.at(FIRST, 11), f"HT{n}", tenant_name=f"接手{n}", phone=f"1000009{n:04}")
    assert differences(back(0, 0)) == []
    all_known(monkeypatch, "tenants_leasetenant")
    assert differences(back(0, 0))


# --- Nothing is touched ---------------------------------------------------------------------------------


def everything() -> dict[str, Any]:
    """A checksum of every real table, and where its numbers have come to."""
    sums: dict[str, Any] = {}
    with connection.cursor() as cursor:
        for model in apps.get_models(include_auto_created=True):
            table = f"public.{model._meta.db_table}"
            cursor.execute(f"SELECT count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} t")
            sums[table] = cursor.fetchone()
        cursor.execute("SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'public'")
        sums["sequences"] = sorted(cursor.fetchall())
        cursor.execute("SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()")
        sums["temporary"] = cursor.fetchone()
    return sums


def test_neither_a_back_test_nor_a_dry_run_leaves_a_trace(
    django_capture_on_commit_callbacks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lived(1, and_corrected=False)
    sent = []
    monkeypatch.setattr("tenants.outbox.calling.Calls.begin", lambda *args, **facts: sent.append(args))
    before = everything()
    playbook = Playbook.objects.get(code="social")
    with django_capture_on_commit_callbacks() as bells:
        ahead = rehearsals.dry_run(now=END, ahead=20)
        result = back(playbook=playbook, rule={"feature": "community_365", "op": ">=", "value": 1})
    assert any(push["would"]["sent_at"] for push in ahead["pushes"])
    assert any(pair["would"] and pair["would"]["sent_at"] for pair in result["pushes"])
    assert (everything(), bells, sent) == (before, [], [])


def test_what_breaks_off_leaves_no_trace_either() -> None:
    lived(1, and_corrected=False)
    before = everything()

    def report(done: int, of: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rehearsals.dry_run(now=END, report=report)
    assert everything() == before


def test_the_database_itself_refuses_a_write_to_a_real_table() -> None:
    stretch = Stretch(1)
    real = f"INSERT INTO public.tenants_dirtytenant (tenant_id, since) VALUES ({stretch.tenants[0].pk}, now())"
    with past.world(END) as world, connection.cursor() as cursor:
        for statement in (real, "UPDATE tenants_event SET kind = kind"):
            with pytest.raises(InternalError, match="read-only"), world.closed():
                cursor.execute(statement)
        with world.closed():
            cursor.execute("DELETE FROM tenants_dirtytenant")


# --- Every table is dealt with --------------------------------------------------------------------------

# Not read by anything that decides whom to tell what. `test_the_days_read_no_other_table` sees to it.
NOT_READ = {
    "campaigns_placement", "campaigns_ticket", "campaigns_touchpoint", "campaigns_touchpointchange",
    "campaigns_touchpointday",
    "campaigns_look",
    "tenants_asking", "tenants_attempt", "tenants_billask", "tenants_click", "tenants_clock", "tenants_consenttext",
    "tenants_contractdecision", "tenants_decision",
    "tenants_device", "tenants_epoch", "tenants_receipt", "tenants_survey", "tenants_switching", "tenants_throttle",
    "tenants_doormonth", "tenants_generalchoice", "tenants_jobrun", "tenants_leaserevision", "tenants_link",
    "tenants_merge", "tenants_pause", "tenants_perkchange", "tenants_promotion", "tenants_staff",
    "tenants_user_groups", "tenants_user_user_permissions",
    "tenants_waitingcontract", "tenants_waitingevent",
}  # fmt: skip


def dealt_with() -> dict[str, list[str]]:
    ways: dict[str, Iterable[str]] = {
        "told": past.TOLD,
        "leases": past.LEASES,
        "as it is": past.AS_IT_IS,
        "kept": [each.table for each in past.KEPT],
        "defined": rehearsing.DEFINED,
        "kept by campaigns": [each.table for each in rehearsing.KEPT],
        "not read": NOT_READ,
    }
    found: dict[str, list[str]] = {}
    for way, tables in ways.items():
        for table in tables:
            found.setdefault(table, []).append(way)
    return found


def test_every_table_is_dealt_with_in_one_way() -> None:
    tables = {
        model._meta.db_table
        for room in ("tenants", "campaigns")
        for model in apps.get_app_config(room).get_models(include_auto_created=True)
    }
    ways = dealt_with()
    assert {table for table in tables if len(ways.get(table, [])) != 1} == set()
    assert set(ways) - tables == set()


def test_the_days_read_no_table_but_those_that_are_dealt_with(monkeypatch: pytest.MonkeyPatch) -> None:
    lived(1, and_corrected=False)
    seen: set[str] = set()
    closed = past.World.closed

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        seen.update(re.findall(r"\b(?:tenants|campaigns|renewal|workorders|connectors)_[a-z_]+", sql))
        return execute(sql, params, many, context)

    @contextmanager
    def watched(world: past.World) -> Iterator[None]:
        with closed(world), connection.execute_wrapper(note):
            yield

    monkeypatch.setattr(past.World, "closed", watched)
    back()
    assert seen - set(dealt_with()) == set()
    assert seen & NOT_READ == set()
    assert {"campaigns_push", "tenants_event", "tenants_message"} <= seen
