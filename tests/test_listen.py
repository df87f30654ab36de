"""The MQTT listener, by a real broker: what is published is stored once, before it is acknowledged."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection

from connectors.models import Refusal, Run
from tenants import clock
from tenants.models import Alias, Event
from tests import broker as brokers
from tests.listener import TOPIC, hello, listening, publish, reading, received, settle, started, until
from tests.makers import NOW, make_device, make_lease

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=brokers.BROKERS)
def broker(request: pytest.FixtureRequest) -> Iterator[int]:
    with brokers.running(request.param) as port:
        yield port


@pytest.fixture
def one_broker() -> Iterator[int]:
    with brokers.running() as port:
        yield port


def test_what_a_meter_says_is_stored_once_and_bad_messages_wait_in_quarantine(broker: int) -> None:
    clock.set_to(NOW)
    lease = make_lease()
    make_device(lease.unit, "E-1")
    with listening(broker):
        said = received()
        first, unknown = reading("r1"), reading("r2")
        publish(broker, (TOPIC, first), (TOPIC, first), (TOPIC, b"{"), ("site/B1/device/E-9/power", unknown))
        until(lambda: received() == said + 4)
    event = Event.objects.get()
    assert (event.source_id, event.unit, event.tenant) == ("r1", lease.unit, lease.tenants.get())
    run = Run.objects.get()
    assert (run.accepted, run.duplicate) == (1, 1)
    assert run.received == run.accepted + run.duplicate + run.rejected
    assert sorted(Refusal.objects.exclude(raw__line="hello").values_list("raw__line", flat=True)) == [
        "{",
        json.dumps(unknown | {"topic": "site/B1/device/E-9/power"}),
    ]
    assert not Alias.objects.filter(ref="E-9").exists()


@pytest.mark.skipif(brokers.MOSQUITTO is None, reason=brokers.KEEPS_LITTLE)
def test_what_is_said_while_the_listener_is_away_or_killed_is_stored_when_it_is_back(one_broker: int) -> None:
    clock.set_to(NOW)
    make_device(make_lease().unit, "E-1")
    with started(one_broker) as listener:
        hello(one_broker)
        listener.send_signal(signal.SIGKILL)
        listener.wait()
        publish(one_broker, *((TOPIC, reading(f"r{n}", value=n)) for n in range(300)))
    with started(one_broker):
        until(lambda: Event.objects.count() == 300)
        settle()
    assert Run.objects.get().accepted == 300
    assert set(Event.objects.values_list("data__value", flat=True)) == set(range(300))


def test_a_connection_to_the_database_that_is_cut_costs_nothing(one_broker: int) -> None:
    clock.set_to(NOW)
    make_device(make_lease().unit, "E-1")
    with listening(one_broker) as listener:
        for n in range(5):
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            publish(one_broker, (TOPIC, reading(f"r{n}")))
            until(lambda n=n: Event.objects.filter(source_id=f"r{n}").exists())  # type: ignore[misc]
        assert listener.poll() is None
    assert Event.objects.count() == 5


@pytest.mark.skipif(brokers.MOSQUITTO is None, reason=brokers.KEEPS_LITTLE)
def test_two_listeners_of_one_name_lose_nothing_and_do_not_chase_each_other(one_broker: int, tmp_path: Path) -> None:
    clock.set_to(NOW)
    make_device(make_lease().unit, "E-1")
    log = tmp_path / "log"
    with listening(one_broker, log) as first, started(one_broker, log) as second:
        until(lambda: b"is another listener called renewal-listener?" in log.read_bytes(), 30)
        publish(one_broker, *((TOPIC, reading(f"r{n}")) for n in range(20)))
        until(lambda: Event.objects.count() == 20, 60)
        assert _are_running(first, second)
    # Each pause is twice as long as the one before: 2, 4, 8, … seconds.
    assert log.read_bytes().count(b"Cut off") <= 8


def _are_running(*processes: subprocess.Popen[bytes]) -> bool:
    return all(process.poll() is None for process in processes)
