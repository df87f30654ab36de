"""券码: what a tenant shows and staff redeem.

A code is derived by HMAC from its grant's key, as links are, so that the same grant always shows the same one; the
ledger keeps a keyed hash of it, by which the database alone redeems nothing. Twelve characters of 31 that are not
taken for one another: eleven carry 54 bits, the last is a checksum that finds every wrong character and every two
exchanged ones, so that a slip of the finger is told from a code that is not there.

Redeeming, revoking and taking either back are lines that answer the grant (tenants.models.Grant): nothing is changed.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from tenants import perksums
from tenants.models import Grant, Perk, User

ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # 31, a prime, without 0 O 1 I L
LENGTH, GROUP = 12, 4
TAKEN_BACK_WITHIN = timedelta(minutes=10)


class NotACode(Exception):
    """What was typed cannot be a code: a character is missing, or wrong."""

    def __str__(self) -> str:
        return _("This is no voucher code. Please check it against the tenant's page: three groups of four.")


class Refused(Exception):
    """It cannot be done now; the message says why."""


@dataclass(frozen=True, slots=True)
class Voucher:
    """A grant as it stands: `state` is open, redeemed, revoked or expired."""

    grant: Grant
    state: str
    last: Grant | None  # the latest answer, if any

    @property
    def is_open(self) -> bool:
        return self.state == "open"


def code_of(grant: Grant) -> str:
    """The code that the tenant shows, in groups: ABCD-EFGH-JKMN."""
    return grouped(derive(grant.key))


def derive(key: str) -> str:
    """The twelve characters of a grant's key."""
    mac = hmac.new(settings.LINK_KEY.encode(), f"voucher:{key}".encode(), hashlib.sha256).digest()
    number = int.from_bytes(mac, "big")
    digits = [number // len(ALPHABET) ** n % len(ALPHABET) for n in range(LENGTH - 1)]
    return "".join(ALPHABET[digit] for digit in digits) + _check(digits)


def grouped(code: str) -> str:
    return "-".join(code[n : n + GROUP] for n in range(0, len(code), GROUP))


def read(typed: str) -> str:
    """The code in what was typed or scanned, in whatever case, width and grouping. Raises `NotACode`."""
    text = unicodedata.normalize("NFKC", typed).strip()
    text = re.sub(r"^.*/admin/voucher/\?code=", "", text)  # the address that the drawing holds
    code = re.sub(r"[\s\-–—_.]", "", text).upper()
    if len(code) != LENGTH or not set(code) <= set(ALPHABET):
        raise NotACode
    if _check([ALPHABET.index(each) for each in code[:-1]]) != code[-1]:
        raise NotACode
    return code


def _check(digits: list[int]) -> str:
    """With it the sum of the digits, weighted 1 to 12, is a multiple of 31.

    The weights differ from each other and from 0 modulo a prime: so one wrong digit changes the sum, and so do two
    different ones that are exchanged, wherever they stand.
    """
    rest = sum(weight * digit for weight, digit in enumerate(digits, 1))
    return ALPHABET[-rest * pow(LENGTH, -1, len(ALPHABET)) % len(ALPHABET)]


def hash_of(code: str) -> str:
    """What the ledger keeps of a code."""
    return hmac.new(settings.LINK_KEY.encode(), f"voucher-hash:{code}".encode(), hashlib.sha256).hexdigest()


def find(code: str, *, now: datetime) -> Voucher | None:
    """The voucher of this code, as `read` gave it; none if there is none. Changes nothing."""
    grant = _grants().filter(voucher_hash=hash_of(code)).first()
    return stands([grant], now=now)[0] if grant else None


def stands(grants: list[Grant], *, now: datetime) -> list[Voucher]:
    """How each of these grants stands, in their order."""
    answers = Grant.objects.filter(of__in=grants).select_related("owner").order_by("number")
    last = {answer.of_id: answer for answer in answers}
    return [_standing(grant, last.get(grant.pk), now=now) for grant in grants]


def redeem(grant: Grant, *, by: User | None, now: datetime) -> Voucher:
    """It has been given out. A second call changes nothing: what is returned says when it was. Raises `Refused`."""
    return _close(grant, Grant.Kind.REDEEMED, reason="", by=by, now=now)


def revoke(grant: Grant, *, reason: str, by: User | None, now: datetime) -> Voucher:
    """It was given by mistake and is taken back, with a reason; one of the stock is free again. Raises `Refused`."""
    reason = reason.strip()[:200]
    if not reason:
        raise Refused(_("Please say why, for whoever reads the history."))
    return _close(grant, Grant.Kind.REVOKED, reason=reason, by=by, now=now)


def take_back(grant: Grant, *, by: User | None, now: datetime) -> Voucher:
    """The last answer is reversed by another line, within minutes of it. Raises `Refused`."""
    with transaction.atomic():
        perk, voucher = _locked(grant, now=now)
        last = voucher.last
        if last is None or last.kind == Grant.Kind.REVERSED:
            return voucher
        if now >= last.granted_at + TAKEN_BACK_WITHIN:
            raise Refused(
                _("This can be taken back within %(n)d minutes only.")
                % {"n": TAKEN_BACK_WITHIN // timedelta(minutes=1)}
            )
        if last.quantity:
            if perksums.left(perk) == 0:
                raise Refused(_("The stock is used up: the one that was free again has been given to another."))
            perksums.take(perk, 1)
        _answer(grant, last, Grant.Kind.REVERSED, quantity=-last.quantity, reason="", by=by, now=now)
    return stands([grant], now=now)[0]


def _close(grant: Grant, kind: str, *, reason: str, by: User | None, now: datetime) -> Voucher:
    try:
        with transaction.atomic():
            perk, voucher = _locked(grant, now=now)
            if voucher.state == kind:
                return voucher
            if kind == Grant.Kind.REDEEMED and not perk.has_voucher:
                raise Refused(_("This perk holds by itself: there is nothing to redeem."))
            if voucher.state == "revoked":
                raise Refused(_("It was taken back and cannot be redeemed."))
            if voucher.state == "redeemed":
                raise Refused(_("It is redeemed already."))
            if voucher.state == "expired":
                raise Refused(_("It has expired."))
            gives_back = int(kind == Grant.Kind.REVOKED)
            _answer(grant, voucher.last, kind, quantity=-gives_back, reason=reason, by=by, now=now)
            perksums.take(perk, -gives_back)
    except IntegrityError:  # not by this file, which locks; the constraint stands behind it
        raise Refused(_("Somebody else has just answered this voucher.")) from None
    return stands([grant], now=now)[0]


def _locked(grant: Grant, *, now: datetime) -> tuple[Perk, Voucher]:
    """The perk and the grant as they stand, with nobody else at either: the perk first, as whoever gives takes it."""
    perk = Perk.objects.select_for_update().get(pk=grant.perk_id)
    Grant.objects.select_for_update(no_key=True).get(pk=grant.pk)
    return perk, stands([grant], now=now)[0]


def _answer(
    grant: Grant, last: Grant | None, kind: str, *, quantity: int, reason: str, by: User | None, now: datetime
) -> None:
    number = last.number + 1 if last else 1
    Grant.objects.create(
        key=f"answer:{grant.pk}:{number}",
        kind=kind,
        of=grant,
        number=number,
        perk_id=grant.perk_id,
        tenant_id=grant.tenant_id,
        lease_id=grant.lease_id,
        cost=grant.cost,
        quantity=quantity,
        owner=by,
        reason=reason,
        granted_at=now,
    )


def _standing(grant: Grant, last: Grant | None, *, now: datetime) -> Voucher:
    if last is not None and last.kind != Grant.Kind.REVERSED:
        return Voucher(grant, last.kind, last)
    is_over = grant.expires_at is not None and grant.expires_at <= now
    return Voucher(grant, "expired" if is_over else "open", last)


def _grants() -> QuerySet[Grant]:
    return Grant.objects.filter(kind=Grant.Kind.GRANTED).select_related(
        "perk", "tenant__merged_into", "lease__unit__building"
    )
