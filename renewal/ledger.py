"""What a tenant agreed to and refused, as staff read it: what stands, and every line of how it came to stand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.paginator import Page, Paginator
from django.utils.functional import cached_property
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from renewal import writing_hours
from renewal.preferences import channel_name
from tenants import consents, refusals
from tenants.models import Consent, Preference, Tenant, User
from tenants.preferred import span

LINES_PER_PAGE = 10


@dataclass(frozen=True, slots=True)
class Stands:
    """What holds for a purpose on a channel now; without a line nobody was ever asked."""

    channel: str
    line: Consent | None


@dataclass(frozen=True, slots=True)
class Held:
    """A purpose, and what holds for it on each channel."""

    purpose: str
    title: str
    channels: list[Stands]


@dataclass(frozen=True)
class Line:
    """One line of the ledger."""

    row: Consent
    by: str  # the member of staff who wrote it down
    obstacle: str  # why it cannot be taken back; "" where it can

    @property
    def channel(self) -> str:
        return channel_name(self.row.channel)

    @cached_property
    def came(self) -> str:
        """How it came, in words."""
        evidence = self.row.evidence
        if "undoes" in evidence:
            return _("taken back by %(who)s") % {"who": self.by}
        if evidence.get("via") == consents.STAFF:
            return _("said to %(who)s") % {"who": self.by}
        if evidence.get("page") or self.row.proof.startswith("letter:"):
            return _("on the tenant's own page")
        if evidence.get("via") == consents.PROVIDER:
            return _("told by the provider")
        # Lines from before the way was noted: an answer to a message came without a text.
        if evidence.get("via") == consents.FILE or self.row.text_version:
            return _("from a file of the ERP")
        return _("by an answer to a message")

    @cached_property
    def facts(self) -> list[tuple[str, str]]:
        """The proof, piece by piece: name and value."""
        row, evidence = self.row, self.row.evidence
        known = [
            (_("who said it"), evidence.get("who")),
            (_("reason") if "undoes" in evidence else _("what was said"), evidence.get("words")),
            (_("proof"), "" if row.proof.startswith("staff:") else row.proof),
            (_("page"), evidence.get("page")),
            (_("letter"), evidence.get("link")),
            (_("address (keyed hash)"), evidence.get("address")),
            (_("browser (keyed hash)"), evidence.get("device")),
            (_("text version"), row.text_version),
            (_("written down"), f"{localtime(row.recorded_at):%Y-%m-%d %H:%M}"),
        ]
        return [(name, str(value)) for name, value in known if value]


@dataclass(frozen=True)
class Wish:
    """One line of the preferred hours."""

    row: Preference
    by: str  # the member of staff who wrote it down

    @property
    def words(self) -> str:
        return writing_hours.words(span(self.row))

    @property
    def is_set_aside(self) -> bool:
        return writing_hours.is_set_aside(self.row)

    @property
    def came(self) -> str:
        """How it came, in words."""
        evidence = self.row.evidence
        if evidence.get("via") == consents.STAFF:
            return _("said to %(who)s") % {"who": self.by}
        if evidence.get("page"):
            return _("on the tenant's own page")
        return self.row.proof

    @property
    def facts(self) -> list[tuple[str, str]]:
        """The proof, piece by piece: name and value."""
        row, evidence = self.row, self.row.evidence
        known = [
            (_("who said it"), evidence.get("who")),
            (_("what was said"), evidence.get("words")),
            (_("letter"), evidence.get("link")),
            (_("address (keyed hash)"), evidence.get("address")),
            (_("browser (keyed hash)"), evidence.get("device")),
            (_("written down"), f"{localtime(row.recorded_at):%Y-%m-%d %H:%M}"),
        ]
        return [(name, str(value)) for name, value in known if value]


def panel(tenant: Tenant, *, page: int, now: datetime) -> dict[str, Any]:
    """What the page of a tenant shows of the ledger: what holds, and its lines, newest first."""
    rows = Consent.objects.filter(tenant__in=consents.rows_of(tenant)).select_related("text")
    chosen = Paginator(rows.order_by("-at", "-recorded_at", "-pk"), LINES_PER_PAGE).get_page(page)
    return {
        "held": held(tenant, rows.order_by().values_list("channel", flat=True).distinct()),
        "ledger": _lines(tenant, chosen, now=now),
        "purposes": Consent.Purpose.choices,
        "refusable": [(name, channel_name(name)) for name in channels()],
        "wishes": wishes(tenant),
    }


def wishes(tenant: Tenant) -> list[Wish]:
    """When the tenant likes to be written to: what was said last, the newest first, which holds."""
    rows = Preference.objects.filter(tenant__in=consents.rows_of(tenant)).select_related("text")
    lines = list(rows.order_by("-at", "-pk")[:LINES_PER_PAGE])
    names = _writers(lines)
    return [Wish(line, names.get(line.evidence.get("by"), "")) for line in lines]


def channels() -> list[str]:
    """What a refusal can be of: everywhere, or a channel of this house by which an offer can reach a tenant."""
    return [consents.ANY, *consents.offer_channels()]


def held(tenant: Tenant, named: Iterable[str]) -> list[Held]:
    """What holds by purpose: offers by each channel of this house and each `named` one, the others as a whole."""
    offers = list(dict.fromkeys([*consents.offer_channels(), *sorted(set(named) - {consents.ANY})]))
    lines = consents.standing(tenant, [consents.ANY, *offers])
    found = []
    for purpose, title in Consent.Purpose.choices:
        own = [name for name in offers if (line := lines.get((purpose, name))) and line.channel == name]
        shown = (offers or [consents.ANY]) if purpose == Consent.Purpose.MARKETING else [consents.ANY, *own]
        states = [Stands(channel_name(name), lines.get((purpose, name))) for name in shown]
        found.append(Held(purpose, str(title), states))
    return found


def _lines(tenant: Tenant, page: Page[Any], *, now: datetime) -> Page[Any]:
    names = _writers(page)
    page.object_list = [
        Line(line, names.get(line.evidence.get("by"), ""), refusals.obstacle(tenant, line, now=now)) for line in page
    ]
    return page


def _writers(lines: Iterable[Consent | Preference]) -> dict[Any, str]:
    """The names of the staff who wrote lines down, by their id."""
    writers = {line.evidence["by"] for line in lines if "by" in line.evidence}
    return {user.pk: user.get_full_name() or user.username for user in User.objects.filter(pk__in=writers)}
