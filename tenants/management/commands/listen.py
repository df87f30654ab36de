"""`listen`: the MQTT listener. A message is acknowledged after it is committed, never before."""

import logging
import queue
import signal
import threading
import time
from collections import Counter
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from tenants import clock, flood, listening

log = logging.getLogger(__name__)
TOPICS = "site/+/device/+/+"
BATCH = 500
# Heard and not yet stored. When it is full we stop reading, and the broker keeps the rest.
WAITING = 5_000
# A connection that lives shorter was probably taken over by another client of the same name.
SHORT = 30.0
LONGEST_PAUSE = 120


class Heard(NamedTuple):
    """A message on its way from the broker's connection to the database."""

    link: int
    mid: int
    qos: int
    topic: str
    payload: bytes | None  # None: surplus, of which only the sender is counted


class Command(BaseCommand):
    help = "Take in what locks and meters say over MQTT (MQTT_URL)."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.MQTT_URL:
            raise CommandError("MQTT_URL is not set, for example mqtt://127.0.0.1:1883.", returncode=2)
        self.heard: queue.SimpleQueue[Heard] = queue.SimpleQueue()
        self.guard = flood.Guard()
        self.stopped = False
        self.link = 0  # the number of the present connection to the broker
        self.connected_at = 0.0
        self.short = 0  # connections in a row that were cut soon
        signal.signal(signal.SIGTERM, self.stop)
        signal.signal(signal.SIGINT, self.stop)
        client = self.client()
        network = threading.Thread(target=client.loop_forever, kwargs={"retry_first_connection": True}, daemon=True)
        network.start()
        while not self.stopped:
            if not network.is_alive():
                raise CommandError("The connection to the MQTT broker has ended for good.")
            self.take(client)
        client.disconnect()
        network.join(timeout=5)

    def stop(self, *args: Any) -> None:
        self.stopped = True

    def client(self) -> mqtt.Client:
        address = urlsplit(settings.MQTT_URL)
        # A persistent session: what arrives while we are away is kept by the broker.
        client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id=settings.MQTT_CLIENT, clean_session=False, manual_ack=True
        )
        if address.username:
            client.username_pw_set(address.username, address.password)
        if address.scheme == "mqtts":
            client.tls_set()
        client.on_connect = self.connected
        client.on_disconnect = self.cut
        client.on_message = self.hear
        client.connect_async(address.hostname or "127.0.0.1", address.port or 1883)
        return client

    # --- on the connection's thread ---------------------------------------------------------------

    def connected(self, client: mqtt.Client, _data: Any, _flags: Any, code: Any, *_: Any) -> None:
        if code.is_failure:
            log.error("The MQTT broker refuses us: %s", code)
            return
        self.link += 1
        self.connected_at = time.monotonic()
        client.subscribe(TOPICS, qos=1)

    def cut(self, client: mqtt.Client, *_: Any) -> None:
        """Two listeners of one name would cut each other off for ever: each pauses longer every time."""
        soon = time.monotonic() - self.connected_at < SHORT
        self.short = self.short + 1 if soon else 0
        pause = min(2**self.short, LONGEST_PAUSE)
        client.reconnect_delay_set(min_delay=pause, max_delay=LONGEST_PAUSE)
        if not self.stopped and self.short > 1:
            log.error(
                "Cut off %s times in a row soon after connecting; is another listener called %s? Trying again in %s s",
                self.short, settings.MQTT_CLIENT, pause,
            )  # fmt: skip

    def hear(self, _client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        topic = bytes(message._topic).decode(errors="replace")
        payload: bytes | None = bytes(message.payload[: listening.MOST_BYTES + 1])  # enough to see that it is too large
        if not self.guard.admits(flood.sender(topic), time.monotonic()):
            payload = None
        while self.heard.qsize() >= WAITING and not self.stopped:
            time.sleep(0.01)
        self.heard.put(Heard(self.link, message.mid, message.qos, topic, payload))

    # --- on the main thread -----------------------------------------------------------------------

    def take(self, client: mqtt.Client) -> None:
        """Whatever has been heard within a moment is committed, then acknowledged."""
        batch, surplus = self.gather()
        if not batch:
            return
        messages = [(heard.topic, heard.payload) for heard in batch if heard.payload is not None]
        while not self.stopped:
            try:
                listening.take(messages, now=clock.now(), surplus=surplus)
                break
            except listening.AWAY:
                # Not acknowledged, so the broker keeps them too.
                log.exception("The database is away; %s messages wait", len(messages))
                connection.close()
                time.sleep(1)
        else:
            return
        self.acknowledge(client, batch)

    def gather(self) -> tuple[list[Heard], Counter[str]]:
        """What has been heard, BATCH messages at most, and how much surplus of whom is among it."""
        batch: list[Heard] = []
        surplus: Counter[str] = Counter()
        try:
            heard = self.heard.get(timeout=0.5)
            while True:
                batch.append(heard)
                if heard.payload is None:
                    surplus[flood.sender(heard.topic)] += 1
                if len(batch) - surplus.total() >= BATCH or len(batch) >= WAITING:
                    break
                heard = self.heard.get_nowait()
        except queue.Empty:
            pass
        return batch, surplus

    def acknowledge(self, client: mqtt.Client, batch: list[Heard]) -> None:
        """What came over a connection that is gone comes again: its number may mean another message by now."""
        for heard in batch:
            if heard.link == self.link:
                client.ack(heard.mid, heard.qos)
