"""Senders' keys: made once, shown once, kept as a hash."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from connectors.models import InboundKey

SENDERS = {
    "segment": _("app (Segment; the key is public)"),
    "segment-server": _("own server (Segment; the key is secret)"),
    "cloudevents": _("another system (CloudEvents)"),
    "ttlock": _("TTLock's callback"),
    "touchpoint": _("a touchpoint's partner (personal links)"),
}
NOTED = timedelta(hours=1)  # a key's last use is written down no more often


def make(source: str, name: str, *, by: str, now: datetime) -> tuple[InboundKey, str]:
    """A new key, with what the sender has to say; nobody can read that again."""
    secret = secrets.token_urlsafe(24)
    return InboundKey.objects.create(
        source=source, name=name, digest=digest(secret), hint=secret[-4:], by=by, created_at=now
    ), secret


def digest(secret: str) -> str:
    """The secret is long and random, so that a plain hash hides it."""
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def find(sources: Collection[str], secret: str) -> InboundKey | None:
    """The key this secret is, if it is one of such a sender and stands."""
    if not secret or len(secret) > 200:
        return None
    # Asked for every call; put together by the ORM, this query was a fifth of answering one.
    asked = "SELECT * FROM connectors_inboundkey WHERE digest = %s AND source = ANY(%s) AND revoked_at IS NULL"
    return next(iter(InboundKey.objects.raw(asked, [digest(secret), list(sources)])), None)


def note_use(key: InboundKey, *, now: datetime) -> None:
    """The key was used within the hour before `now`."""
    if key.used_at is None or key.used_at < now - NOTED:
        seen = Q(used_at=None) | Q(used_at__lt=now - NOTED)
        InboundKey.objects.filter(seen, pk=key.pk).update(used_at=now)


def revoke(key: InboundKey, *, now: datetime) -> bool:
    """The key opens nothing any more; whether it did before."""
    return bool(InboundKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now))
