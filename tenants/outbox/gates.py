"""Gates: which channels may send now. A person stops and releases them; a provider and a restored backup stop them too.

The epoch: once a minute this database's number goes up, and a file outside it is told. A database whose number is
behind the file has been restored; one that finds itself in another place than it was written in is a copy. Either
would send again what has gone already, so it sends nothing until a named person releases it.
"""

from __future__ import annotations

import hashlib
import logging
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import connection, transaction
from django.utils.translation import gettext as _
from django.utils.translation import override

from tenants.models import Epoch, Message, Pause, Switching, User
from tenants.outbox import claiming

log = logging.getLogger(__name__)
EVERYTHING = "*"
TICK = timedelta(minutes=1)


class NotStopped(Exception):
    """Somebody asked to release what is not stopped. The message is fit for a person."""


def open_channels(*, now: datetime) -> list[str]:
    """The channels that may send, in the order of preference; none where everything is stopped."""
    _live(now=now)
    stopped = set(Pause.objects.values_list("channel", flat=True))
    return [] if EVERYTHING in stopped else [name for name in settings.CHANNELS if name not in stopped]


def stop(channel: str, *, by: User | None, why: str, now: datetime) -> bool:
    """The channel, or everything, sends nothing more until it is let go; whether that is new."""
    return _stop(channel, cause=Pause.Cause.PERSON, by=by, why=why, now=now)


def stop_for_provider(channel: str, *, why: str, now: datetime) -> bool:
    """The provider takes nothing of ours: its channel waits for a person; whether that is new."""
    log.error("Channel %s is stopped: %s", channel, why)
    return _stop(channel, cause=Pause.Cause.PROVIDER, by=None, why=why, now=now)


def stopped() -> list[Pause]:
    """What is stopped now, everything before a channel, each with who stopped it, why and since when."""
    return sorted(Pause.objects.select_related("by"), key=lambda pause: (pause.channel != EVERYTHING, pause.channel))


@transaction.atomic
def let_go(channel: str, *, by: User, why: str = "", seen: str = "", now: datetime) -> Pause.Cause:
    """The channel, or everything, sends again; what had stopped it. Raises `NotStopped`.

    What waits in a restored database may have gone before it was restored: its provider is asked first. `seen` is the
    stop that whoever releases has read about (`mark_of`): another that came meanwhile stands.
    """
    pause = Pause.objects.select_for_update().filter(channel=channel).first()
    if pause is None:
        with override(settings.LANGUAGE_CODE):
            raise NotStopped(_("%(channel)s is not stopped.") % {"channel": channel})
    if seen and seen != mark_of(pause):
        with override(settings.LANGUAGE_CODE):
            raise NotStopped(_("It has been stopped for another reason meanwhile: it stays stopped."))
    cause = Pause.Cause(pause.cause)
    if cause == Pause.Cause.RESTORED:
        _begin_anew(now=now)
    pause.delete()
    Switching.objects.create(channel=channel, stopped=False, cause=cause, why=why[:200], by=by, at=now)
    return cause


def mark_of(pause: Pause) -> str:
    """What tells this stop from any other of the same channel."""
    return f"{pause.pk}-{pause.cause}"


@transaction.atomic
def _stop(channel: str, *, cause: Pause.Cause, by: User | None, why: str, now: datetime) -> bool:
    facts: dict[str, Any] = {"cause": cause, "why": why[:200], "by": by, "at": now}
    pause, is_new = Pause.objects.select_for_update().get_or_create(channel=channel, defaults=facts)
    if not is_new and cause == Pause.Cause.RESTORED and pause.cause != cause:
        # Whoever releases it must know that it is more than what a colleague stopped.
        Pause.objects.filter(pk=pause.pk).update(**facts)
        is_new = True
    if is_new:
        Switching.objects.create(channel=channel, stopped=True, **facts)
    return is_new


# --- The epoch ----------------------------------------------------------------------------------------------


def _live(*, now: datetime) -> None:
    """The epoch goes on, or everything is stopped because this database is not the one that lived until now."""
    home = _home()
    # In this order: the file is told after the commit, so it is never ahead of the row that is read after it.
    outside = _read(home)
    with transaction.atomic():
        epoch = Epoch.objects.order_by("pk").first()
        if epoch is None:
            Epoch.objects.get_or_create(pk=1, defaults={"home": home, "number": outside + 1, "at": now})
            return
        if problem := _problem(epoch, home=home, outside=outside):
            _stop(EVERYTHING, cause=Pause.Cause.RESTORED, by=None, why=problem, now=now)
            return
        if outside == epoch.number and abs(now - epoch.at) < TICK:
            return
        # Of two who come at once the second changes nothing.
        Epoch.objects.filter(pk=epoch.pk, number=epoch.number).update(number=epoch.number + 1, at=now)
        number = Epoch.objects.values_list("number", flat=True).get(pk=epoch.pk)
    transaction.on_commit(lambda: _write(home, number))


def _problem(epoch: Epoch, *, home: str, outside: int) -> str:
    with override(settings.LANGUAGE_CODE):
        if epoch.home != home:
            return _("This database was copied from another place: nothing is sent until somebody releases it.")
        if outside > epoch.number:
            return _("This database has been restored to an earlier state: nothing is sent until somebody releases it.")
    return ""


def _begin_anew(*, now: datetime) -> None:
    """The database's life goes on from here; what waits in it is asked about before it is sent."""
    home = _home()
    number = max(Epoch.objects.get(pk=1).number, _read(home)) + 1
    Epoch.objects.filter(pk=1).update(home=home, number=number, at=now)
    waiting = [Message.State.PLANNED, Message.State.QUEUED]
    Message.objects.filter(state__in=waiting, created_at__lte=now).update(doubtful=True)
    claiming.let_lapse(now=now, all=True)
    transaction.on_commit(lambda: _write(home, number))


def _home() -> str:
    """The cluster and database we speak to, and by which address: a copy has another."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT oid FROM pg_database WHERE datname = current_database()")
        oid = cursor.fetchone()[0]
    server = connection.settings_dict
    # The embedded server's socket lies where its data does, which may be moved.
    place = f"{server['HOST']}:{server['PORT']}/{server['NAME']}" if os.environ.get("DATABASE_URL") else "embedded"
    return hashlib.sha256(f"{place} {_cluster()} {oid}".encode()).hexdigest()


def _cluster() -> str:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT has_function_privilege('pg_control_system()', 'execute')")
        if not cursor.fetchone()[0]:
            return ""
        cursor.execute("SELECT system_identifier FROM pg_control_system()")
        return str(cursor.fetchone()[0])


def _file(home: str) -> Path:
    return Path(settings.OUTBOX_EPOCH_DIR) / home[:16]


def _read(home: str) -> int:
    try:
        return int(_file(home).read_text())
    except (OSError, ValueError):
        return 0  # a machine that is new here: it takes the database's word


def _write(home: str, number: int) -> None:
    """The file says `number`, or a later one that another process has written meanwhile."""
    path = _file(home)
    path.parent.mkdir(parents=True, exist_ok=True)
    if _read(home) >= number:
        return
    fresh = path.with_suffix(f".{uuid4()}")  # of one process, threads come here at once, too
    fresh.write_text(str(number))
    fresh.replace(path)
