"""The common door: a phone number, a code to it, one's own letter. What it says never tells who lives here."""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils.translation import gettext, override
from django.utils.translation import gettext_lazy as _

from renewal.models import Case, DoorCode
from tenants import codes, feedback, links, outbox, surveys, templating
from tenants.models import Lease, Link, Message, Tenant

VALID = timedelta(minutes=5)
PAUSE = timedelta(minutes=1)
AT_MOST = ((timedelta(hours=1), 5), (timedelta(days=1), 10))  # codes a number may ask for in such a time
TRIES = 5
QUESTIONS = {Link.Purpose.MOOD.value: feedback.newest, Link.Purpose.SURVEY.value: surveys.newest}


class Refused(Exception):
    """The message is fit for a person."""

    sentence = _("That did not work.")

    def __str__(self) -> str:
        return str(self.sentence)


class NotAPhone(Refused):
    """What was typed cannot be a mobile number."""

    sentence = _("Please type the eleven digits of your mobile number.")


class TooSoon(Refused):
    """A code was asked for a moment ago; another may be in `seconds`."""

    sentence = _("A code was sent a moment ago. Please wait a little before asking for another.")

    def __init__(self, seconds: int) -> None:
        super().__init__()
        self.seconds = seconds


class TooOften(Refused):
    """This number has had its share of codes."""

    sentence = _("Several codes have been asked for. Please try again in an hour, or ask at the front desk.")


class WrongCode(Refused):
    """Not the digits that were sent, or they are too old, or there were too many tries."""

    sentence = _("This code is not right, or it has expired. Please check it, or ask for a new one.")


class NothingHere(Exception):
    """The number is theirs, but they have never had a lease here, or no question that takes an answer."""


def phone_of(typed: str) -> str:
    """The number in what was typed, without spaces, country code and full-width digits. Raises `NotAPhone`."""
    digits = re.sub(r"[\s\-().]", "", unicodedata.normalize("NFKC", typed))
    digits = re.sub(r"^(\+|00)?86(?=1\d{10}$)", "", digits)
    if not re.fullmatch(r"1\d{10}", digits, re.ASCII):
        raise NotAPhone
    return digits


def masked(phone: str) -> str:
    """A number as it may be shown: 138****1234."""
    return f"{phone[:3]}****{phone[-4:]}" if len(phone) >= 7 else "****"


@transaction.atomic
def ask_code(phone: str, *, now: datetime) -> None:
    """If somebody here has this number, a code is on its way to it. Raises `TooSoon`, `TooOften`, for any number."""
    key = _hash(phone)
    asked = DoorCode.objects.filter(phone_hash=key)
    asked.filter(asked_at__lt=now - timedelta(days=2)).delete()
    last = asked.order_by("-number").first()
    if last and last.asked_at + PAUSE > now:
        raise TooSoon(int((last.asked_at + PAUSE - now).total_seconds()) + 1)
    if any(asked.filter(asked_at__gt=now - span).count() >= most for span, most in AT_MOST):
        raise TooOften
    number = last.number + 1 if last else 1
    try:
        with transaction.atomic():
            row = DoorCode.objects.create(phone_hash=key, number=number, asked_at=now, expires_at=now + VALID)
    except IntegrityError:
        raise TooSoon(int(PAUSE.total_seconds())) from None
    if tenant := _tenant(phone):
        row.message = _send(tenant, key=f"door:{row.pk}", now=now)
        row.save(update_fields=["message"])


def enter(phone: str, typed: str, *, origin: str, now: datetime) -> Link:
    """The letter of whoever holds this phone, opened by the code. Raises `WrongCode` or `NothingHere`.

    Whoever has nothing to renew (yet) is given a link to the roadmap of their stay.
    """
    number = _spend(phone, typed, now=now)
    return _letter(phone, carrier=f"door:{origin}:{number}", now=now)


def question(phone: str, typed: str, *, purpose: str, now: datetime) -> str:
    """The token of the newest question of this purpose to whoever holds this phone: no letter is opened by that.

    Raises `WrongCode`, or `NothingHere` where no such question takes an answer.
    """
    _spend(phone, typed, now=now)
    person = _tenant(phone)
    token = QUESTIONS[purpose](person, now=now) if person else ""
    if not token:
        raise NothingHere
    return token


def _spend(phone: str, typed: str, *, now: datetime) -> int:
    """The code that was sent to this number last is used up by its digits; which it was. Raises `WrongCode`."""
    row = DoorCode.objects.select_related("message").filter(phone_hash=_hash(phone)).order_by("-number").first()
    if row is None:
        raise WrongCode
    live = DoorCode.objects.filter(pk=row.pk, expires_at__gt=now, used_at__isnull=True, tries__lt=TRIES)
    # The try is spent before the digits are compared, whoever else is trying at this moment.
    if not live.update(tries=F("tries") + 1):
        raise WrongCode
    if row.message is None or not codes.matches(row.message.key, typed):
        raise WrongCode
    if not DoorCode.objects.filter(pk=row.pk, used_at__isnull=True).update(used_at=now):
        raise WrongCode  # two browsers at once: one of them has just used it
    return row.pk


def confirm(link: Link, typed: str, *, now: datetime) -> Link:
    """`link` may be read on this device too. Raises `WrongCode`."""
    with suppress(NothingHere):  # the code was right, and that is all that was asked
        enter(link.tenant.phone, typed, origin="device", now=now)
    return link


def _letter(phone: str, *, carrier: str, now: datetime) -> Link:
    ending = _lease(phone)
    lease = ending or _leases(phone).first()
    tenant = _tenant(phone)
    if lease is None or tenant is None:
        raise NothingHere
    # Whoever comes back after the last day still finds their page: a link of its own, for a day at least.
    expires_at = max(links.expiry(lease, now=now), now + timedelta(days=1))
    purpose = Link.Purpose.PROPOSAL if ending else Link.Purpose.ROADMAP
    link, _token = links.mint(carrier, tenant=tenant, lease=lease, purpose=purpose, expires_at=expires_at, now=now)
    links.prove(link, proof="code", now=now)
    return link


def _tenant(phone: str) -> Tenant | None:
    """Whoever has this number on file; the one with the lease that ends next, if it is on file twice."""
    lease = _lease(phone)
    of_phone = Tenant.objects.filter(phone=phone, merged_into__isnull=True).order_by("-pk")
    return (of_phone.filter(pk__in=_people(lease)).first() if lease else None) or of_phone.first()


def lease_of(person: Tenant) -> Lease | None:
    """Their lease that has a case: the newest, whichever of their rows is on it."""
    pk = person.merged_into_id or person.pk
    theirs = Tenant.objects.filter(Q(pk=pk) | Q(merged_into=pk))
    rows = Lease.objects.filter(tenants__in=theirs, state=Lease.State.SIGNED).order_by("-last_day", "-pk")
    return rows.filter(Exists(Case.objects.filter(lease=OuterRef("pk")))).first()


def _people(lease: Lease) -> QuerySet[Any]:
    """Who is on a lease, as the person each turned out to be."""
    return lease.tenants.values_list(Coalesce("merged_into_id", "pk"), flat=True)


def _lease(phone: str) -> Lease | None:
    """Their lease that has a case: the newest."""
    return _leases(phone).filter(Exists(Case.objects.filter(lease=OuterRef("pk")))).first()


def _leases(phone: str) -> QuerySet[Lease]:
    """The leases somebody of this number is on, the newest first."""
    of_phone = Tenant.objects.filter(phone=phone, merged_into__isnull=True).values("pk")
    theirs = Lease.objects.filter(
        Q(tenants__in=of_phone) | Q(tenants__merged_into__in=of_phone), state=Lease.State.SIGNED
    )
    return theirs.order_by("-last_day", "-pk")


def _send(tenant: Tenant, *, key: str, now: datetime) -> Message:
    with override(settings.LANGUAGE_CODE):
        text = gettext("[%(operator)s] {code} opens your letter. It is valid for five minutes.") % {
            "operator": settings.OPERATOR_NAME
        }
    draft = outbox.Draft(
        key=key,
        klass=Message.Class.CODE,
        tenant_id=tenant.pk,
        text=text,
        forms=templating.forms_of_codes(),
        deadline=now + VALID,
    )
    return outbox.post(draft, now=now)


def _hash(phone: str) -> str:
    return hmac.new(settings.LINK_KEY.encode(), f"phone:{phone}".encode(), hashlib.sha256).hexdigest()
