"""触点: places that show the way to one's letter (`/r/?from=<code>`). The only writer of them and of their counts.

Where a partner already knows the tenant, it may ask for more than the common door: campaigns/tickets.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from campaigns import placing
from campaigns.draftchecks import UNFIT
from campaigns.models import Placement, Touchpoint, TouchpointChange, TouchpointDay
from connectors.models import InboundKey
from tenants.models import Building, User

KEYS = "touchpoint"  # the kind of sender whose keys ask for tickets
CODE = re.compile(r"[a-z0-9][a-z0-9-]{2,31}", re.ASCII)
TAKEN = {"device"}  # the door names its own entrances so (renewal/door.py)
ORIGIN = re.compile(r"https://(?:\*\.)?[a-z0-9-]+(?:\.[a-z0-9-]+)+(?::\d{1,5})?", re.ASCII)
LOOPBACK = re.compile(r"http://(?:127\.0\.0\.1|localhost)(?::\d{1,5})?", re.ASCII)
# On a wall or in somebody else's page nothing may be filled in, and nobody is named by their number.
PERSONAL = re.compile(r"[{}<>]|\d{7,}")
COLUMNS = {"shown", "opened", "machines"}
Kind, Change = Touchpoint.Kind, TouchpointChange.Kind

# What each kind says until somebody writes something better: true for whoever reads it.
WORDING = {
    Kind.LIFT: ("租约快到期？有一封信给您", "扫一扫，用租约上的手机号打开自己的那一封", "扫码打开"),
    Kind.LOCKER: ("租约快到期了？您的信在这里", "用租约上的手机号打开", "看我的信"),
    Kind.PAYMENT: ("租约快到期了？您的信在这里", "这一年住得怎样、续住怎么算，都写好了", "看我的信"),
    Kind.BILL: ("租约快到期了？您的信在这里", "扫一扫，用租约上的手机号打开", "看我的信"),
    Kind.APP: ("租约快到期了？您的信在这里", "这一年住得怎样、续住怎么算，都写好了", "看我的信"),
}


class NotSaved(Exception):
    """Something that cannot be saved so, in one sentence; nothing was changed. `place` names the field."""

    def __init__(self, fault: str, place: str = "") -> None:
        self.place = place
        super().__init__(fault)


@dataclass(frozen=True, slots=True)
class Facts:
    """A touchpoint as somebody typed it, sound: the columns of its table but for the code."""

    name: str
    kind: str
    building: Building | None
    partner: str
    origins: tuple[str, ...]
    key: InboundKey | None
    title: str
    line: str
    action: str


def checked(given: Mapping[str, Any]) -> Facts:
    """The facts of {"name", "kind", "building": code, "partner", "origins": lines, "key": id, "title", "line",
    "action"}, all of them text. Raises `NotSaved`."""
    name = _text(given, "name", _("The name"), 80)
    if given["kind"] not in Kind.values:
        raise NotSaved(_("Say what kind of place it is."), "kind")
    building = Building.objects.filter(code=given["building"]).first() if given["building"] else None
    if given["building"] and building is None:
        raise NotSaved(_("There is no such building."), "building")
    key = None
    if given["key"]:
        number = int(given["key"]) if given["key"].isdecimal() and len(given["key"]) < 19 else 0
        key = InboundKey.objects.filter(pk=number, source=KEYS, revoked_at=None).first()
        if key is None:
            raise NotSaved(_("This key opens nothing."), "key")
    said = {
        "title": _text(given, "title", _("The title"), 24),
        "line": _text(given, "line", _("The line under it"), 40, may_lack=True),
        "action": _text(given, "action", _("The button"), 8),
    }
    for place, words in said.items():
        if found := PERSONAL.search(words):
            raise NotSaved(
                _("“%(part)s” does not belong on a public page: nothing personal stands there.")
                % {"part": found.group()},
                place,
            )
        if found := UNFIT.search(words):
            raise NotSaved(
                _("“%(part)s” urges, threatens, praises, or may be untrue on the day it is read.")
                % {"part": found.group()},
                place,
            )
    return Facts(
        name=name,
        kind=given["kind"],
        building=building,
        partner=_text(given, "partner", _("The partner"), 80, may_lack=True),
        origins=_origins(given["origins"]),
        key=key,
        **said,
    )


@transaction.atomic
def make(code: str, facts: Facts, *, by: User | None, now: datetime) -> Touchpoint:
    """A new touchpoint, shown every day. Raises `NotSaved`."""
    if not CODE.fullmatch(code) or code in TAKEN:
        raise NotSaved(_("A code is 3 to 32 small letters, digits or hyphens."), "code")
    try:
        with transaction.atomic():
            made = Touchpoint.objects.create(code=code, created_at=now, **_columns(facts))
    except IntegrityError:
        raise NotSaved(_("There is a touchpoint of this code already."), "code") from None
    _note(made, Change.MADE, by=by, now=now, facts=_told(facts))
    return made


@transaction.atomic
def change(pk: int, facts: Facts, *, by: User | None, now: datetime) -> Touchpoint:
    """The touchpoint is as told from now on; its code stays, because it is printed. The same again changes nothing."""
    one = Touchpoint.objects.select_for_update(of=("self",)).select_related("building", "key").get(pk=pk)
    before = {name: getattr(one, name) for name in _columns(facts)}
    if before == _columns(facts):
        return one
    for name, value in _columns(facts).items():
        setattr(one, name, value)
    one.save()
    _note(one, Change.CHANGED, by=by, now=now, facts=_told(facts))
    return one


@transaction.atomic
def pause(pk: int, *, why: str, by: User | None, now: datetime) -> None:
    """It shows nothing and opens nothing until somebody resumes it. Raises `NotSaved`."""
    why = why.strip()[:200]
    if not why:
        raise NotSaved(_("Please say why: it is kept with the touchpoint. Nothing was changed."))
    if Touchpoint.objects.filter(pk=pk, paused_at=None).update(paused_at=now, paused_because=why):
        _note(Touchpoint.objects.get(pk=pk), Change.PAUSED, by=by, now=now, why=why)


@transaction.atomic
def resume(pk: int, *, by: User | None, now: datetime) -> None:
    """It shows again."""
    if Touchpoint.objects.filter(pk=pk).exclude(paused_at=None).update(paused_at=None, paused_because=""):
        _note(Touchpoint.objects.get(pk=pk), Change.RESUMED, by=by, now=now)


def history(one: Touchpoint) -> QuerySet[TouchpointChange]:
    """What was done to it, the latest first."""
    return TouchpointChange.objects.filter(touchpoint=one).select_related("by").order_by("-pk")


# --- When it shows ----------------------------------------------------------------------------------------


@transaction.atomic
def draw(pk: int, *, first_day: date, seed: str = "", by: User | None, now: datetime) -> Placement:
    """From `first_day` on a lot decides, by building and day, whether it shows. What runs already goes on."""
    one = Touchpoint.objects.select_for_update().get(pk=pk)
    running = Placement.objects.filter(touchpoint=one, last_day=None).first()
    if running:
        return running
    made = Placement.objects.create(touchpoint=one, seed=seed or uuid4().hex, first_day=first_day)
    _note(one, Change.DRAWN, by=by, now=now, facts={"seed": made.seed, "first_day": first_day.isoformat()})
    return made


@transaction.atomic
def end_draw(pk: int, *, today: date, by: User | None, now: datetime) -> None:
    """It shows every day again, from tomorrow on; a draw that has not begun is taken back."""
    one = Touchpoint.objects.select_for_update().get(pk=pk)
    running = Placement.objects.filter(touchpoint=one, last_day=None)
    if not running.exists():
        return
    running.filter(first_day__gt=today).delete()
    running.update(last_day=today)
    _note(one, Change.ENDED, by=by, now=now)


def placement(one: Touchpoint, *, day: date) -> Placement | None:
    """The draw that decides about this day, if one does."""
    rows = Placement.objects.filter(touchpoint=one, first_day__lte=day).exclude(last_day__lt=day)
    return rows.order_by("-first_day", "-pk").first()


def shows(one: Touchpoint, building: str, *, drawn: Placement | None, day: date) -> bool:
    """Whether it shows in this building on this day. Without a building no lot can be drawn: it shows."""
    if one.paused_at is not None:
        return False
    return not drawn or not building or placing.shows(drawn.seed, building, day)


# --- How often it was asked for ---------------------------------------------------------------------------


def count(code: str, column: str, *, building: str = "", day: date) -> None:
    """One more of `column` (shown, opened, machines); a code that is unknown or paused counts nothing.

    The touchpoint's own building counts before the one that the asking page names.
    """
    if column not in COLUMNS:
        raise ValueError(column)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO campaigns_touchpointday AS old (touchpoint_id, building_id, day, {column})
            SELECT t.id, coalesce(t.building_id, (SELECT id FROM tenants_building WHERE code = %(building)s)),
                %(day)s, 1
            FROM campaigns_touchpoint t WHERE t.code = %(code)s AND t.paused_at IS NULL
            ON CONFLICT ON CONSTRAINT touchpoint_day_once DO UPDATE SET {column} = old.{column} + 1
            """,  # noqa: S608 - one of COLUMNS
            {"code": code, "building": building, "day": day},
        )


def report_played(one: Touchpoint, *, day: date, played: int) -> None:
    """So often the partner's own report says it was played that day; told again, the new number counts."""
    TouchpointDay.objects.update_or_create(touchpoint=one, building=one.building, day=day, defaults={"played": played})


# --- The parts of it --------------------------------------------------------------------------------------


def _text(given: Mapping[str, Any], place: str, what: str, most: int, *, may_lack: bool = False) -> str:
    words = " ".join(str(given[place]).split())
    if not words and not may_lack:
        raise NotSaved(_("%(what)s is missing.") % {"what": what}, place)
    if len(words) > most:
        raise NotSaved(
            _("%(what)s has %(n)d characters; %(most)d is the most.") % {"what": what, "n": len(words), "most": most},
            place,
        )
    return words


def _origins(typed: str) -> tuple[str, ...]:
    """Origins as `frame-ancestors` takes them, one a line: a wrong one would let anybody in, or nobody."""
    found = [each.rstrip("/").lower() for each in typed.split()]
    for each in found:
        is_near = settings.IS_SHELTERED and LOOPBACK.fullmatch(each)
        if len(each) > 200 or not (is_near or ORIGIN.fullmatch(each)):
            raise NotSaved(
                _("“%(origin)s” is no origin: write https://host, one a line, without a path.") % {"origin": each[:80]},
                "origins",
            )
    if len(found) > 50:
        raise NotSaved(_("More than 50 origins do not fit into a header."), "origins")
    return tuple(dict.fromkeys(found))


def _columns(facts: Facts) -> dict[str, Any]:
    return {name: getattr(facts, name) for name in Facts.__slots__} | {"origins": list(facts.origins)}


def _told(facts: Facts) -> dict[str, Any]:
    told = _columns(facts)
    return told | {"building": facts.building.code if facts.building else "", "key": facts.key.pk if facts.key else 0}


def _note(
    one: Touchpoint,
    kind: TouchpointChange.Kind,
    *,
    by: User | None,
    now: datetime,
    why: str = "",
    facts: dict[str, Any] | None = None,
) -> None:
    TouchpointChange.objects.create(touchpoint=one, kind=kind, facts=facts or {}, why=why, by=by, at=now)
