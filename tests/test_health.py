"""What monitors and the `outbox` command say of the outbox, and the two moves a person makes."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.test import Client

from tenants import clock
from tenants.models import Message
from tests.makers import NOW, make_tenant

pytestmark = pytest.mark.django_db


def make_message(state: str = "queued", klass: str = "service", **facts: Any) -> Message:
    facts.setdefault("not_before", NOW)
    facts.setdefault("lease_until", NOW if state == "sending" else None)
    return Message.objects.create(
        key=f"m{Message.objects.count()}",
        klass=klass,
        tenant=make_tenant(),
        channel="phone",
        text="共享厨房要升级了",
        state=state,
        deadline=NOW + timedelta(days=1),
        created_at=NOW,
        changed_at=NOW - timedelta(days=1),
        **facts,
    )


def run(*words: Any) -> str:
    out = StringIO()
    call_command("outbox", *(str(word) for word in words), stdout=out)
    return out.getvalue()


def refused(*words: Any) -> str:
    with pytest.raises(CommandError) as refusal:
        run(*words)
    assert refusal.value.returncode == 2
    return str(refusal.value)


def lost_database(*_: Any) -> None:
    raise OperationalError("the server is away")


# --- Monitors ---------------------------------------------------------------------------------------------


def test_healthz_asks_no_database(client: Client, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        answer = client.get("/healthz")
    assert (answer.status_code, answer.content) == (200, b"ok")


def test_readyz_is_ready_with_a_database_and_a_broker(client: Client, settings: Any, tmp_path: Path) -> None:
    settings.REDIS_URL = ""
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"data_folder_out": str(tmp_path)}
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"database": "ok", "broker": "ok", "oldest_due_seconds": 0.0}


def test_readyz_says_how_long_the_oldest_due_message_has_waited(client: Client) -> None:
    clock.set_to(NOW)
    make_message(not_before=NOW - timedelta(seconds=90))
    make_message(not_before=NOW - timedelta(seconds=10))
    make_message("accepted", not_before=NOW - timedelta(days=3))
    make_message(not_before=NOW + timedelta(days=1))
    assert 90 <= client.get("/readyz").json()["oldest_due_seconds"] < 95


def test_readyz_is_not_ready_without_its_database(client: Client) -> None:
    with connection.execute_wrapper(lost_database):
        answer = client.get("/readyz")
        assert client.get("/healthz").status_code == 200
    assert answer.status_code == 503
    assert answer.json()["database"] == "unreachable"
    assert answer.json()["oldest_due_seconds"] is None


def test_readyz_is_not_ready_without_the_redis_it_was_given(client: Client, settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"database": "ok", "broker": "unreachable", "oldest_due_seconds": 0.0}


def test_readyz_stays_ready_without_the_folder_that_stands_for_a_broker(
    client: Client, settings: Any, tmp_path: Path
) -> None:
    settings.REDIS_URL = ""
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"data_folder_out": str(tmp_path / "none")}
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["broker"]) == (200, "unreachable")


def test_metrics_count_messages_by_state_and_class(client: Client) -> None:
    clock.set_to(NOW)
    make_message("queued", "code", not_before=NOW + timedelta(hours=1))
    make_message("accepted", "marketing")
    make_message("accepted", "marketing")
    answer = client.get("/metrics")
    assert answer["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.content.decode().splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        'renewal_messages{state="accepted",class="marketing"} 2',
        'renewal_messages{state="queued",class="code"} 1',
        "renewal_outbox_oldest_due_seconds 0.0",
    ]
    assert "# TYPE renewal_messages gauge" in lines


# --- The command ------------------------------------------------------------------------------------------


def test_outbox_counts_messages_by_state_and_class() -> None:
    clock.set_to(NOW)
    make_message("queued", "code", not_before=NOW + timedelta(hours=1))
    make_message("parked")
    make_message("parked")
    assert json.loads(run("--json")) == {
        "messages": [
            {"state": "parked", "class": "service", "n": 2},
            {"state": "queued", "class": "code", "n": 1},
        ],
        "oldest_due_seconds": 0.0,
    }
    assert run().splitlines()[0].split() == ["parked", "service", "2"]


def test_an_empty_outbox_says_so() -> None:
    assert run().splitlines() == ["The outbox is empty.", "oldest due: 0.0 s"]


def test_a_message_in_doubt_is_parked_and_then_released() -> None:
    clock.set_to(NOW)
    message = make_message("unknown")
    assert run("park", message.pk) == "parked: 1\n"
    message.refresh_from_db()
    assert (message.state, message.reason) == ("parked", "parked by a person")
    assert message.changed_at >= NOW

    assert run("release", message.pk) == "released: 1\n"
    message.refresh_from_db()
    assert (message.state, message.reason) == ("queued", "")


def test_release_alone_releases_every_parked_message_and_no_other() -> None:
    parked = [make_message("parked"), make_message("parked", "staff")]
    unknown = make_message("unknown")
    assert json.loads(run("release", "--json")) == {"released": 2}
    assert {Message.objects.get(pk=message.pk).state for message in parked} == {"queued"}
    assert Message.objects.get(pk=unknown.pk).state == "unknown"
    assert json.loads(run("release", "--json")) == {"released": 0}


@pytest.mark.parametrize("state", ["queued", "sending", "accepted", "parked", "dead"])
def test_only_a_message_in_doubt_is_parked(state: str) -> None:
    message = make_message(state)
    sentence = refused("park", message.pk)
    assert sentence == f"Message {message.pk} is {state}, and only one that is unknown can become parked."
    assert Message.objects.get(pk=message.pk).state == state


@pytest.mark.parametrize("state", ["queued", "unknown", "accepted", "cancelled"])
def test_only_a_parked_message_is_released(state: str) -> None:
    message = make_message(state)
    sentence = refused("release", message.pk)
    assert sentence == f"Message {message.pk} is {state}, and only one that is parked can become queued."
    assert Message.objects.get(pk=message.pk).state == state


def test_a_message_that_is_not_there_is_named() -> None:
    assert refused("park", 999999) == "There is no message 999999."
    assert refused("release", 999999) == "There is no message 999999."


def test_park_needs_a_message() -> None:
    assert refused("park") == "Say which message to park: outbox park N."
