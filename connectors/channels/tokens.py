"""Access tokens: what WeChat and WeCom give for a secret, for two hours. All workers share one; one at a time asks.

A token is kept sealed in the database, since Redis may be missing, and in the memory of each process, so that the
database is asked once in two hours and not once a message. Who asks the provider holds a claim on the row, which runs
out by the database's clock; no transaction is open meanwhile, and a worker that is killed holds up nobody for long.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from django.db import Error, connection
from django.utils.translation import gettext as _

from connectors import sealing
from connectors.channels import Answer, Outcome
from connectors.http import NotSent, Unclear
from connectors.sources import Unusable

SPARE = 240  # seconds: WeChat gives the next token five minutes before the last one ends
ASKING = 15  # seconds for which a claim to ask holds: longer than asking twice takes
PATIENCE = 5.0  # seconds for which we wait for another worker that asks
LOOK = 0.05  # seconds between two looks
QUIET = 5.0  # seconds for which a failure to get a token answers for the next ones, too

READ = """
    SELECT sealed, extract(epoch FROM expires_at - clock_timestamp()) FROM connectors_accesstoken WHERE account = %s
"""
CLAIM = """
    INSERT INTO connectors_accesstoken AS t (account, sealed, asking_until)
    VALUES (%(account)s, '', clock_timestamp() + make_interval(secs => %(asking)s))
    ON CONFLICT (account) DO UPDATE SET asking_until = excluded.asking_until
    WHERE t.asking_until IS NULL OR t.asking_until < clock_timestamp()
    RETURNING account
"""
KEEP = """
    UPDATE connectors_accesstoken
    SET sealed = %(sealed)s, expires_at = clock_timestamp() + make_interval(secs => %(seconds)s), asking_until = NULL
    WHERE account = %(account)s
"""
LET_GO = "UPDATE connectors_accesstoken SET asking_until = NULL WHERE account = %s"
FORGET = "DELETE FROM connectors_accesstoken WHERE expires_at < clock_timestamp() - interval '1 day'"


@dataclass(frozen=True, slots=True)
class Given:
    """A token and for how many seconds it holds."""

    token: str
    seconds: float


class NoToken(Exception):
    """There is no token to be had, so nothing was sent; `answer` says so of the message."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.detail)
        self.answer = answer


Ask = Callable[[bool], Given]  # whether the provider shall make a new one; raises NotSent, Unclear or NoToken

_held: dict[str, tuple[str, float]] = {}  # account → token, and until when by the monotonic clock
_failed: dict[str, tuple[NoToken, float]] = {}
_locks: dict[str, threading.Lock] = {}


def account_of(*facts: str) -> str:
    """Under what a token is kept: another address or another secret is another account."""
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()


def get(account: str, ask: Ask, *, refused: str = "") -> str:
    """A token that is not the one that was refused. Raises `NoToken`."""
    lock = _locks.setdefault(account, threading.Lock())
    if not lock.acquire(timeout=PATIENCE):
        raise _not_now()
    try:
        token, until = _held.get(account, ("", 0.0))
        if token and token != refused and until > time.monotonic():
            return token
        failure, until = _failed.get(account, (None, 0.0))
        if failure and until > time.monotonic():
            raise failure
        given = _shared(account, ask, refused)
        _held[account] = (given.token, time.monotonic() + given.seconds - SPARE)
        return given.token
    except NoToken as failure:
        _failed[account] = (failure, time.monotonic() + QUIET)
        raise
    finally:
        lock.release()


def forget() -> None:
    """This process remembers nothing."""
    _held.clear()
    _failed.clear()


def _shared(account: str, ask: Ask, refused: str) -> Given:
    try:
        ends = time.monotonic() + PATIENCE
        while (kept := _kept(account, refused)) is None:
            if _is_claimed(account):
                # Between our look and our claim another worker may have got one.
                kept = _kept(account, refused)
                return _let_go(account, kept) if kept else _asked(account, ask, refused)
            if time.monotonic() > ends:
                raise _not_now()
            time.sleep(LOOK)
        return kept
    except Error as error:
        raise NoToken(Answer(Outcome.NOT_SENT, detail=f"{type(error).__name__}")) from error


def _kept(account: str, refused: str) -> Given | None:
    """The token in the database, if it holds for long enough and was not refused."""
    with connection.cursor() as cursor:
        cursor.execute(READ, [account])
        row = cursor.fetchone()
    if row is None or row[1] is None or row[1] <= SPARE:
        return None
    try:
        token = sealing.unseal(bytes(row[0])).decode()
    except Unusable:  # sealed under another FILE_KEY
        return None
    return Given(token, float(row[1])) if token != refused else None


def _is_claimed(account: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, {"account": account, "asking": ASKING})
        return cursor.fetchone() is not None


def _let_go(account: str, kept: Given) -> Given:
    with connection.cursor() as cursor:
        cursor.execute(LET_GO, [account])
    return kept


def _asked(account: str, ask: Ask, refused: str) -> Given:
    """A token from the provider, which all workers find from now on."""
    try:
        given = ask(False)
        if given.token == refused:
            given = ask(True)
    except (NotSent, Unclear) as error:
        failure = NoToken(Answer(Outcome.NOT_SENT, detail=_("No access token: %(why)s") % {"why": error}))
        _let_go(account, Given("", 0))
        raise failure from error
    except NoToken:
        _let_go(account, Given("", 0))
        raise
    with connection.cursor() as cursor:
        sealed = sealing.seal(given.token.encode())
        cursor.execute(KEEP, {"account": account, "sealed": sealed, "seconds": given.seconds})
        cursor.execute(FORGET)
    return given


def _not_now() -> NoToken:
    words = _("Another worker is asking for the access token.")
    return NoToken(Answer(Outcome.NOT_SENT, detail=words))
