"""The house's web processes for campaigns about letters, and readers who speak HTTP to them, many at once.

gunicorn with threads, unlike production's three processes of one thread each: as many requests as are sent are acted
on at once.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode

from django.contrib.sessions.backends.db import SessionStore

from bench.scratch import ROOT
from faults.readers import EVERY, LIMITS
from tenants import clock
from tenants.models import Link
from tests.product import free_port

CSRF = "a" * 32
WORKERS, THREADS = 2, 16
# The last line of a traceback, or what gunicorn says of a worker that is gone.
ERROR = re.compile(r"[\w.]+(Error|Exception|Timeout)\b|.*\[(ERROR|CRITICAL)\]")


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back; status 0 if nothing did."""

    status: int
    location: str = ""
    body: bytes = b""
    retry_after: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Post:
    """A POST of somebody whose session this is."""

    session: str
    path: str
    form: dict[str, str]
    key: str = ""


class Site:
    """Where the web processes listen."""

    def __init__(self, port: int, pause: Path, said: Path) -> None:
        self.port, self.pause, self.said = port, pause, said

    def post(self, said: Post) -> Answered:
        start = time.monotonic()
        connection = HTTPConnection("127.0.0.1", self.port, timeout=150)
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Cookie": f"sessionid={said.session}; csrftoken={CSRF}",
            "User-Agent": "Mozilla/5.0 (iPhone)",
        } | ({"Idempotency-Key": said.key} if said.key else {})
        try:
            connection.request("POST", said.path, urlencode(said.form | {"csrfmiddlewaretoken": CSRF}), headers)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, HTTPException):
            return Answered(0, seconds=time.monotonic() - start)
        finally:
            connection.close()
        location, retry_after = answer.getheader("Location", ""), answer.getheader("Retry-After", "")
        return Answered(answer.status, location, body, retry_after, time.monotonic() - start)

    def at_once(self, posts: list[Post]) -> list[Answered]:
        """The answers, in the order of the posts, which all leave in one moment."""
        barrier = threading.Barrier(len(posts))
        answers: list[Answered] = [Answered(0)] * len(posts)

        def send(place: int) -> None:
            barrier.wait(timeout=30)
            answers[place] = self.post(posts[place])

        together([lambda place=place: send(place) for place in range(len(posts))])  # type: ignore[misc]
        return answers

    def broken(self) -> list[str]:
        """What the web processes broke with, the end of each traceback once."""
        said = self.said.read_text(encoding="utf-8", errors="replace")
        return sorted({line[:300] for line in said.splitlines() if ERROR.match(line)})


def together(acts: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=act) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@contextmanager
def served(*, off: str = "", log: Path | None = None, more: Mapping[str, str] | None = None) -> Iterator[Site]:
    """The house on a port of its own, without the protections in `off` (faults/webapp.py), unthrottled.

    With `log`, everything it says goes there, an access log too. `more` of its environment is as told.
    """
    port = free_port()
    with TemporaryDirectory() as folder:
        env = {
            **os.environ, "FAULTS_OFF": off, "FAULTS_PAUSE": folder, "LOG_LEVEL": "ERROR", "DATA": folder,
            **dict.fromkeys(LIMITS, str(EVERY)), "REDIS_URL": "", **(more or {}),
        }  # fmt: skip
        command = [sys.executable, "-m", "gunicorn", "faults.webapp", "--bind", f"127.0.0.1:{port}"]
        command += ["--workers", str(WORKERS), "--threads", str(THREADS), "--timeout", "60"]
        command += ["--log-level", "debug", "--access-logfile", "-"] if log else ["--log-level", "error"]
        site = Site(port, Path(folder), log or Path(folder) / "said")
        with site.said.open("wb") as said:
            process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=said, stderr=said)
        try:
            _until_it_answers(site)
            yield site
        finally:
            process.terminate()
            process.wait()


def _until_it_answers(site: Site) -> None:
    end = time.monotonic() + 60
    while site.post(Post("none", "/r/type", {})).status == 0:
        assert time.monotonic() < end, "gunicorn does not answer"
        time.sleep(0.1)


def session_of(link: Link, **more: Any) -> str:
    """The session of a browser in which this letter is open."""
    session = SessionStore()
    session["letter"] = {"link": link.pk, "until": clock.at(clock.today(), 23, 59).isoformat(), **more}
    session.save()
    assert session.session_key
    return session.session_key
