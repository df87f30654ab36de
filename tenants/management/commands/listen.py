"""`listen`: the MQTT listener. A message is acknowledged after it is committed, never before."""

import logging
import queue
import signal
import time
from typing import Any
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection

from tenants import clock, listening

log = logging.getLogger(__name__)
TOPICS = "site/+/device/+/+"
BATCH = 500


class Command(BaseCommand):
    help = "Take in what locks and meters say over MQTT (MQTT_URL)."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.MQTT_URL:
            raise CommandError("MQTT_URL is not set, for example mqtt://127.0.0.1:1883.", returncode=2)
        self.heard: queue.Queue[mqtt.MQTTMessage] = queue.Queue(maxsize=10 * BATCH)
        self.stopped = False
        signal.signal(signal.SIGTERM, self.stop)
        signal.signal(signal.SIGINT, self.stop)
        client = self.connect()
        client.loop_start()
        while not self.stopped:
            self.take(client)
        client.disconnect()
        client.loop_stop()

    def stop(self, *args: Any) -> None:
        self.stopped = True

    def connect(self) -> mqtt.Client:
        address = urlsplit(settings.MQTT_URL)
        # A persistent session: what arrives while we are away is kept by the broker.
        client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id=settings.MQTT_CLIENT, clean_session=False, manual_ack=True
        )
        if address.username:
            client.username_pw_set(address.username, address.password)
        if address.scheme == "mqtts":
            client.tls_set()
        client.on_connect = lambda client, *_: client.subscribe(TOPICS, qos=1)
        client.on_message = lambda _client, _data, message: self.heard.put(message)
        client.connect_async(address.hostname or "127.0.0.1", address.port or 1883)
        return client

    def take(self, client: mqtt.Client) -> None:
        """Whatever has been heard within a moment is committed, then acknowledged."""
        try:
            batch = [self.heard.get(timeout=0.5)]
        except queue.Empty:
            return
        while len(batch) < BATCH and not self.heard.empty():
            batch.append(self.heard.get_nowait())
        messages = [(message.topic, bytes(message.payload)) for message in batch]
        while not self.stopped:
            try:
                listening.take(messages, now=clock.now())
                break
            except DatabaseError:
                # Not acknowledged, so the broker keeps them too.
                log.exception("The database is away; %s messages wait", len(batch))
                connection.close()
                time.sleep(1)
        else:
            return
        for message in batch:
            client.ack(message.mid, message.qos)
