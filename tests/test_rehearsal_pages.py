"""What if, in the staff site: asked for, watched, cancelled, read; by the head office alone."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from campaigns.models import Push
from renewal import rehearsed, tasks
from renewal.models import Rehearsal, RehearsedPush
from tenants import clock
from tenants.models import Membership
from tests.makers import NOW, make_enrolment, make_lease, make_playbook, make_user, make_version
from tests.stretch import FIRST, Stretch
from tests.test_segment_pages import get

DAYS = 4
PAGE = "/admin/rehearsal/"
BACK = {"kind": "back", "from": FIRST.isoformat(), "to": (FIRST + timedelta(days=DAYS - 1)).isoformat()}

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _how_far_it_is_stays_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a test's transaction another connection sees none of its rows."""
    monkeypatch.setattr(rehearsed.connections, "create_connection", lambda alias: Here())


@pytest.fixture
def stretch() -> Stretch:
    stretch = Stretch(3)
    stretch.live(DAYS)
    clock.set_to(clock.at(FIRST + timedelta(days=DAYS - 1), 23))
    return stretch


def client_of(role: str) -> Client:
    user = make_user(role)
    Membership.objects.create(user=user, role=role, building=None, first_day=FIRST - timedelta(days=30))
    client = Client()
    client.force_login(user)
    return client


class Here:
    """A connection beside that is the same one."""

    def cursor(self) -> Any:
        return connection.cursor()

    def close(self) -> None:
        pass


def ask(client: Client, **facts: str) -> str:
    response = client.post(PAGE, BACK | facts)
    assert response.status_code == 302, response.content.decode()[:2000]
    return str(response["Location"])


def test_a_back_test_is_asked_for_run_by_a_worker_and_read(stretch: Stretch) -> None:
    client = client_of("hq")
    address = ask(client)
    assert "等待后台进程" in get(client, address)
    tasks.rehearse()
    page = get(client, address)
    n = Push.objects.count()
    assert f"{n} 条决定全部与当时一致" in page
    assert "不能证明消息有效" in page
    assert RehearsedPush.objects.filter(is_same=True).count() == n
    assert "没有符合的触达" in get(client, f"{address}?what=different")
    one = RehearsedPush.objects.select_related("tenant").first()
    assert one
    assert one.tenant.name in get(client, f"{address}?tenant={one.tenant_id}")
    assert one.tenant.name in get(client, f"{address}?q={one.tenant.phone}")


def test_a_step_is_named_by_its_playbook_and_moment_in_the_version_it_was_decided_by(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock.set_to(NOW)
    monkeypatch.setattr("renewal.views.rehearsals.DAYS_AHEAD", 2)
    book = make_playbook("kitchen", {"code": "kitchen-25", "days": 25, "text": "信在这里"}, name="厨房常客", rank=1)
    make_enrolment(make_lease(), book)
    client = client_of("hq")
    address = ask(client, kind="ahead")
    tasks.rehearse()
    make_version("kitchen", {"kitchen-25": {"days": 41}})

    def named() -> list[str]:
        return re.findall("厨房常客 · 到期前 \\d+ 天|kitchen-25", get(client, address))

    assert named() == ["厨房常客 · 到期前 25 天"]
    # A version that is gone, or a result kept before it told the version: the code.
    one = RehearsedPush.objects.get()
    assert one.would
    for unknown in ({"said": 0}, {}):
        one.would = {name: value for name, value in one.would.items() if name != "said"} | unknown
        one.save()
        assert named() == ["kitchen-25"]


def test_a_dry_run_shows_who_would_be_sent_what(stretch: Stretch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("renewal.views.rehearsals.DAYS_AHEAD", 20)
    for _time in range(4):
        stretch.finishes(clock.now())  # or every ask would wait for a repair
    client = client_of("hq")
    address = ask(client, kind="ahead")
    tasks.rehearse()
    assert Rehearsal.objects.get().error == ""
    sent = RehearsedPush.objects.filter(rehearsed.WHAT["sent"]).count()
    assert sent > 0
    assert f"若无其他变化，接下来会发 {sent} 条消息" in get(client, address)
    every = sum(RehearsedPush.objects.filter(rehearsed.WHAT[what]).count() for what in ("sent", "held", "not"))
    assert every == RehearsedPush.objects.count()


def test_what_cannot_be_run_is_said_on_the_form_and_nothing_is_queued(stretch: Stretch) -> None:
    client = client_of("hq")
    for facts in ({"to": "2030-01-01"}, {"from": "soon"}, {"playbook": "nobody"}):
        response = client.post(PAGE, BACK | facts)
        assert response.status_code == 422
        assert b'role="alert"' in response.content
    assert not Rehearsal.objects.exists()


def test_one_that_is_cancelled_stops_at_its_next_day_and_keeps_nothing(
    stretch: Stretch, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of("hq")
    ask(client)
    days: list[int] = []

    class Watched(Here):
        """Somebody presses the button while the first day is run."""

        def cursor(self) -> Any:
            days.append(len(days))
            if len(days) == 2:
                rehearsed.cancel(Rehearsal.objects.get().pk, now=clock.now())
            return connection.cursor()

    monkeypatch.setattr(rehearsed.connections, "create_connection", lambda alias: Watched())
    tasks.rehearse()
    assert days == [0, 1]
    assert not RehearsedPush.objects.exists()


def test_the_button_cancels_what_waits(stretch: Stretch) -> None:
    client = client_of("hq")
    address = ask(client)
    client.post(f"{address}cancel/")
    assert "已取消" in get(client, address)
    assert not rehearsed.run_next(now=clock.now())


def test_one_whose_worker_fell_silent_is_run_again(stretch: Stretch) -> None:
    ask(client_of("hq"))
    Rehearsal.objects.update(state="running")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE renewal_rehearsal SET seen_at = clock_timestamp() - interval '1 minute'")
        assert not rehearsed.run_next(now=clock.now())
        cursor.execute("UPDATE renewal_rehearsal SET seen_at = clock_timestamp() - interval '3 minutes'")
    assert rehearsed.run_next(now=clock.now())
    assert Rehearsal.objects.get().state == "done"


def test_only_the_head_office_asks_what_if() -> None:
    clock.set_to(clock.at(FIRST, 10))
    for role in ("care", "technician", "manager"):
        assert client_of(role).get(PAGE).status_code == 403
