"""How often a letter's pages may be asked for, opened and signed (docs/throttles.md).

Looking is counted where counters are kept (CACHES["counters"]: Redis, or each process for itself), and goes on if they
cannot be reached. What is done, opening and signing, is counted in PostgreSQL in one statement; without it nothing is
done. Spans are whole minutes or hours of the clock: across a border up to twice as much may pass.
"""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address, ip_address

from django.conf import settings
from django.core.cache import caches
from django.db import connection

from tenants.models import Link

logger = logging.getLogger(__name__)

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
AGAIN = 5.0  # seconds for which counters that did not answer are not asked
_away_until = float("-inf")

ACT = """
    insert into renewal_tally as tally (link_id, act, since, n) values (%(link)s, %(act)s, %(since)s, 1)
    on conflict on constraint tally_once do update
    set n = case when tally.since = excluded.since then tally.n + 1 else 1 end, since = excluded.since
    returning n
"""


class TooOften(Exception):
    """It was asked for too often; `seconds` until it may be again."""

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds


def look(*, address: str, link: int | None, now: datetime) -> None:
    """A page is looked at: by the reader of a letter (whatever their address), or by somebody unknown from an address.

    Raises `TooOften`. Many share an address: who holds a good link is never turned away for theirs.
    """
    if link is not None:
        _count(f"link:{link}", settings.H5_LOOKS_PER_LINK, MINUTE, now=now)
    else:
        _count(f"from:{net_of(address)}", settings.H5_LOOKS_PER_ADDRESS, MINUTE, now=now)


def miss(*, address: str, now: datetime) -> None:
    """A token that nobody gave was tried. Raises `TooOften`; many in all are said in the log, once a minute."""
    whole, _seconds = _counted("missed", MINUTE, now=now)
    if whole == settings.H5_MISSES_ALARM + 1:
        logger.warning("More than %s unknown links were tried within a minute.", settings.H5_MISSES_ALARM)
    _count(f"missed:{net_of(address)}", settings.H5_MISSES_PER_ADDRESS, MINUTE, now=now)


def opening(link: Link, *, now: datetime) -> None:
    """A letter is opened. Raises `TooOften`."""
    _act(link, "open", settings.H5_OPENINGS_PER_MINUTE, MINUTE, now=now)


def signing(link: Link, *, now: datetime) -> None:
    """Somebody tries to sign. Raises `TooOften`."""
    _act(link, "sign", settings.H5_SIGNINGS_PER_HOUR, HOUR, now=now)


def answering(link: Link, *, now: datetime) -> None:
    """A question is answered, or answered anew. Raises `TooOften`."""
    _act(link, "answer", settings.H5_OPENINGS_PER_MINUTE, MINUTE, now=now)


def net_of(address: str) -> str:
    """What stands for one connection: the address, of IPv6 the network of it that one customer has."""
    try:
        known = ip_address(address)
    except ValueError:
        return "unknown"
    return str(IPv6Address(int(known) >> 64 << 64)) if isinstance(known, IPv6Address) else str(known)


def _act(link: Link, act: str, most: int, span: timedelta, *, now: datetime) -> None:
    since, seconds = _span(span, now=now)
    with connection.cursor() as cursor:
        cursor.execute(ACT, {"link": link.pk, "act": act, "since": since})
        (n,) = cursor.fetchone()
    if n > most:
        raise TooOften(seconds)


def _count(what: str, most: int, span: timedelta, *, now: datetime) -> None:
    n, seconds = _counted(what, span, now=now)
    if n > most:
        raise TooOften(seconds)


def _counted(what: str, span: timedelta, *, now: datetime) -> tuple[int, int]:
    """How often it was said in this span, with this time, and in how many seconds the span ends; 0 without counters."""
    global _away_until
    since, seconds = _span(span, now=now)
    if time.monotonic() < _away_until:
        return 0, seconds
    key, counters = f"{what}:{since:%Y%m%d%H%M}", caches["counters"]
    try:
        counters.add(key, 0, timeout=span.total_seconds() + 60)
        return counters.incr(key), seconds
    except ValueError:  # swept out in this moment
        return 0, seconds
    except Exception as error:  # whatever the client of the counters calls it: pages stay open
        _away_until = time.monotonic() + AGAIN
        logger.warning("The counters cannot be reached, and pages are not counted: %s", type(error).__name__)
        return 0, seconds


def _span(span: timedelta, *, now: datetime) -> tuple[datetime, int]:
    """When the span that holds `now` began, and in how many seconds it ends."""
    length, second = int(span.total_seconds()), int(now.timestamp())
    return datetime.fromtimestamp(second - second % length, UTC), length - second % length
