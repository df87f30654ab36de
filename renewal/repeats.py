"""One request, one answer: what is said again with the same key gets the answer it got the first time.

A key belongs to the link whose letter is open. Of several requests with one key the first is acted on; while it is, the
others are told to wait, and afterwards they get its answer to the letter. Should the process die before it could keep
the answer, the key is free again after `CLAIM`; what it had committed by then is found as it stands, so that acting
again signs nothing twice. Answers are kept as long as a letter may be open, not a day: a browser comes back late.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.utils.crypto import salted_hmac

from renewal.models import Repeat
from tenants.models import Link

CLAIM = timedelta(seconds=60)  # more than signing may take in all: three attempts of ten seconds (renewal/signing.py)
KEPT = timedelta(days=120)  # cases open 90 days before a lease ends, and a link lives 30 at most

BEGIN = """
    insert into renewal_repeat as kept (link_id, key, request_hash, at, claimed_until, location, body)
    values (%(link)s, %(key)s, %(hash)s, %(now)s, %(until)s, '', '')
    on conflict on constraint repeat_once do update set claimed_until = excluded.claimed_until
    where kept.status is null and kept.claimed_until <= %(now)s and kept.request_hash = excluded.request_hash
    returning id
"""


class InFlight(Exception):
    """The same request is being acted on; ask again in `seconds`."""

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class OtherRequest(Exception):
    """The key was said before, with something else."""


@dataclass(frozen=True, slots=True)
class Claim:
    """This request is to be acted on, and its answer to be kept."""

    pk: int
    until: datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was told."""

    status: int
    location: str
    body: str


def begin(link: Link, key: str, said: Mapping[str, str], *, now: datetime) -> Claim | Answer:
    """The claim of a request that nobody has acted on, or the answer it got. Raises `InFlight` or `OtherRequest`."""
    request_hash = _hash(said)
    until = now + CLAIM
    with connection.cursor() as cursor:
        cursor.execute(BEGIN, {"link": link.pk, "key": key, "hash": request_hash, "now": now, "until": until})
        if row := cursor.fetchone():
            Repeat.objects.filter(at__lt=now - KEPT).delete()
            return Claim(row[0], until)
    kept = Repeat.objects.filter(link=link, key=key).first()
    if kept is None:  # let go of in this moment
        raise InFlight(1)
    if kept.request_hash != request_hash:
        raise OtherRequest
    if kept.status is None:
        raise InFlight(max(1, min(5, -((now - kept.claimed_until) // timedelta(seconds=1)))))
    return Answer(kept.status, kept.location, kept.body)


def keep(claim: Claim, answer: Answer) -> None:
    """From now on this is what the request is told, unless somebody else has taken it over meanwhile."""
    _mine(claim).update(status=answer.status, location=answer.location, body=answer.body)


def let_go(claim: Claim) -> None:
    """The request may be made again as if it had never been: nothing came of it."""
    _mine(claim).delete()


def _mine(claim: Claim):  # type: ignore[no-untyped-def]
    return Repeat.objects.filter(pk=claim.pk, claimed_until=claim.until, status=None)


def _hash(said: Mapping[str, str]) -> str:
    whole = "\0".join(f"{name}={said[name]}" for name in sorted(said))
    return salted_hmac("renewal.repeats", whole, algorithm="sha256").hexdigest()
