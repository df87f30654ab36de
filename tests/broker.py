"""A real MQTT broker on a free port: mosquitto where it is installed, and amqtt, which is pure Python, anywhere."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.product import ROOT, free_port

MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
BROKERS = ["mosquitto", "amqtt"] if MOSQUITTO else ["amqtt"]
# Measured: amqtt 0.12 queues nothing for a client that is away, nor what a leaving publisher said last at QoS 0.
KEEPS_LITTLE = "mosquitto is not installed, and amqtt drops what it should keep for a listener"

# The limits of the broker that we ship; where it listens and what it writes are a test's own.
MOSQUITTO_CONF = """
listener {port} 127.0.0.1
allow_anonymous true
persistence false
log_dest file {log}
{limits}
"""
AMQTT_CONF = """
listeners:
  default:
    type: tcp
    bind: 127.0.0.1:{port}
plugins:
  amqtt.plugins.authentication.AnonymousAuthPlugin:
    allow_anonymous: true
"""


@contextmanager
def running(name: str = BROKERS[0]) -> Iterator[int]:
    """The port of a broker that accepts connections; its log goes into a folder that is gone afterwards."""
    port = free_port()
    with TemporaryDirectory(prefix="broker-") as folder:
        conf = Path(folder) / "broker.conf"
        log = Path(folder) / "log"
        if name == "mosquitto":
            conf.write_text(MOSQUITTO_CONF.format(port=port, log=log, limits=_limits()))
            # As root it becomes another user, who has to write the log.
            Path(folder).chmod(0o777)
            command = [str(MOSQUITTO), "-c", str(conf)]
        else:
            conf.write_text(AMQTT_CONF.format(port=port))
            command = [str(Path(sys.executable).parent / "amqtt"), "-c", str(conf)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait(port, process)
            yield port
        finally:
            process.kill()
            process.wait()


def _limits() -> str:
    """How much a broker of ours keeps and sends at once."""
    shipped = (ROOT / "mosquitto.conf").read_text(encoding="utf-8").splitlines()
    limits = [line for line in shipped if line.startswith(("max_", "message_"))]
    assert limits
    return "\n".join(limits)


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while True:
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process.poll() is None, "the broker ended"
        assert time.monotonic() < deadline, "the broker did not start"
        time.sleep(0.05)
