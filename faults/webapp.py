"""What gunicorn serves in campaigns: the product, with what `FAULTS_OFF` names switched off, and places to die at.

While a file `before` or `after` lies in the folder `FAULTS_PAUSE`, whoever signs stops there before anything is
written, or once all of it is committed: it writes its process's number into `reached`, and waits to be killed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from renewal.wsgi import application

# isort: split
from django.db import connection

from faults import readers
from renewal import agreement, caps, following, redact, repeats, signing
from renewal.views import frame
from tenants import leases

__all__ = ["application"]

OFF = os.environ.get("FAULTS_OFF", "").split()
PAUSE = Path(os.environ.get("FAULTS_PAUSE", "/nonexistent"))


def _no_lock(*_what: Any) -> None:
    """The protection off: whoever writes leases asks nobody."""


def _once_all_have_looked(conclude: Callable[..., Any]) -> Callable[..., Any]:
    """Nobody of a crowd writes before all of it have seen that the room is free: what the lock keeps from happening."""
    met = PAUSE / "met"
    met.mkdir(exist_ok=True)

    def concludes(*args: Any, **facts: Any) -> Any:
        (met / uuid4().hex).touch()
        crowd, end = -(-len(os.listdir(met)) // readers.CROWD) * readers.CROWD, time.monotonic() + 20
        while len(os.listdir(met)) < crowd and time.monotonic() < end:
            time.sleep(0.01)
        return conclude(*args, **facts)

    return concludes


def _as_they_come(units: Iterable[int]) -> None:
    """The protection off: units are locked in the order in which somebody named them, slowly."""
    with connection.cursor() as cursor:
        for unit in units:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s), pg_sleep(0.02)", [leases.LOCK, unit])


def _every_time(*_args: Any, **_facts: Any) -> repeats.Claim:
    """The protection off: no request has been made before."""
    return repeats.Claim(0, datetime.now(UTC))


def _breaks(*_args: Any, **_facts: Any) -> Any:
    """Something that nobody has thought of."""
    raise RuntimeError("broken on purpose")


def _stopping(sign: Any) -> Any:
    def stops(*args: Any, **facts: Any) -> Any:
        _stop("before")
        done = sign(*args, **facts)
        _stop("after")
        return done

    return stops


def _stop(place: str) -> None:
    if (PAUSE / place).exists():
        (PAUSE / "reaching").write_text(str(os.getpid()))
        (PAUSE / "reaching").rename(PAUSE / "reached")
        time.sleep(120)


if "locks" in OFF:
    leases.lock_units = _no_lock  # type: ignore[assignment]
    caps.lock = _no_lock  # type: ignore[assignment]
    following.conclude = _once_all_have_looked(following.conclude)
if "order" in OFF:
    leases.lock_units = _as_they_come
    signing.TRY_AGAIN.clear()
if "keys" in OFF:
    repeats.begin = _every_time
if "redaction" in OFF:
    redact.Tokens.filter = lambda _self, _record: True  # type: ignore[method-assign, assignment]
    frame.HEADERS["Referrer-Policy"] = "unsafe-url"
if "errors" in OFF:
    agreement.draft = _breaks
if "swaps" in OFF:
    readers.offer_undecided()
signing.sign = _stopping(signing.sign)
