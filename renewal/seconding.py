"""What one person asks for and another decides: bands of rents, weekly caps. A row is decided once, and kept."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from django.db import transaction
from django.utils.translation import gettext as _

from renewal.models import Seconded
from tenants.models import User

Row = TypeVar("Row", bound=Seconded)
State = Seconded.State


class NotSet(Exception):
    """What was asked for cannot be, in one sentence; nothing was changed. `field` names what is wrong, if one is."""

    def __init__(self, sentence: str, field: str = "") -> None:
        super().__init__(sentence)
        self.field = field


@transaction.atomic
def decide(model: type[Row], pk: int, *, is_approved: bool, why: str, by: User, now: datetime) -> Row:
    """A second person has said yes or no. Raises `NotSet`."""
    row = _waiting(model, pk)
    if row.asked_by_id == by.pk:
        raise NotSet(_("Who asked for it cannot decide it: a second person has to."))
    if not is_approved and not why.strip():
        raise NotSet(_("Say why it is refused."))
    return _decided(row, State.STANDING if is_approved else State.REFUSED, why=why, by=by, now=now)


@transaction.atomic
def withdraw(model: type[Row], pk: int, *, by: User, now: datetime) -> Row:
    """Who asked for it no longer wants it. Raises `NotSet`."""
    row = _waiting(model, pk)
    if row.asked_by_id != by.pk:
        raise NotSet(_("Only who asked for it withdraws it; anybody else refuses it."))
    return _decided(row, State.WITHDRAWN, why="", by=by, now=now)


def _waiting(model: type[Row], pk: int) -> Row:
    row = model._default_manager.select_for_update().filter(pk=pk, state=State.WAITING).first()
    if row is None:
        raise NotSet(_("It waits for nobody any more."))
    return row


def _decided(row: Row, state: Seconded.State, *, why: str, by: User, now: datetime) -> Row:
    row.state, row.decided_by, row.decided_at, row.answer = state, by, now, why.strip()[:200]
    row.save(update_fields=["state", "decided_by", "decided_at", "answer"])
    return row
