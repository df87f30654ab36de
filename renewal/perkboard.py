"""The catalogue of perks as staff read it: what each one is, what was given of it and how it stands, what is owed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db.models import Case, CharField, Exists, F, OuterRef, Q, QuerySet, Subquery, Value, When
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from renewal import milestones
from tenants import access, perks, perksums, vouchers
from tenants.models import Grant, Perk, User
from tenants.perksums import Figures

STATES = {
    "open": pgettext_lazy("a perk", "open"),
    "redeemed": pgettext_lazy("a perk", "redeemed"),
    "expired": pgettext_lazy("a perk", "expired"),
    "revoked": pgettext_lazy("a perk", "revoked"),
}
FIELD_NAMES = {
    "name": _("name"), "condition": _("published condition"), "partner": _("partner"), "cost": _("cost"),
    "budget": _("budget"), "stock": _("stock"), "valid_days": _("valid for (days)"), "offered_from": _("given from"),
    "offered_to": _("given until"), "min_term_months": _("from a term of (months)"),
    "is_choice": _("may be chosen on the proposal"), "has_voucher": _("redeemed by a voucher"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """A perk with what the ledger says of it."""

    perk: Perk
    sums: Figures
    short: int  # have reached its milestone and wait, for want of stock or budget
    left: int | None  # may still be given, by stock and budget; None: not limited
    is_offered: bool

    @property
    def budget_left(self) -> Decimal | None:
        return None if self.perk.budget is None else self.perk.budget - self.sums.promised


def rows(*, today: date, now: datetime) -> list[Row]:
    """Every perk, by code."""
    found = perksums.figures(now=now)
    waiting = milestones.short(milestones.due(today=today))
    return [
        Row(
            perk,
            found.get(perk.pk, Figures()),
            waiting.get(perk.code, 0),
            perksums.left(perk),
            perks.is_offered(perk, now=now),
        )
        for perk in Perk.objects.order_by("code")
    ]


def given(perk: Perk, state: str, *, user: User, today: date, now: datetime) -> QuerySet[Any]:
    """What was given of a perk to people whom `user` may see, the latest first; in one state, if one of `STATES`."""
    theirs = access.tenants_for(user, today=today)
    lines = with_state(Grant.objects.filter(kind=Grant.Kind.GRANTED, perk=perk), now=now).filter(
        Q(tenant__in=theirs) | Q(tenant__merged_into__in=theirs)
    )
    lines = lines.filter(state=state) if state in STATES else lines
    return lines.select_related("tenant__merged_into", "lease__unit", "owner").order_by("-granted_at", "-pk")


def redeemed(user: User, *, today: date) -> QuerySet[Grant]:
    """The redemptions that stand, of people whom `user` may see, the latest first."""
    theirs = access.tenants_for(user, today=today)
    later = Grant.objects.filter(of=OuterRef("of"), number__gt=OuterRef("number"))
    lines = Grant.objects.filter(~Exists(later), kind=Grant.Kind.REDEEMED)
    lines = lines.filter(Q(tenant__in=theirs) | Q(tenant__merged_into__in=theirs))
    return lines.select_related("of", "perk", "owner", "tenant__merged_into").order_by("-granted_at", "-pk")


def may_see(grant: Grant, *, user: User, today: date) -> bool:
    """Whether the person it was given to is one whom `user` may see."""
    person = grant.tenant.merged_into_id or grant.tenant_id
    return access.tenants_for(user, today=today).filter(pk=person).exists()


def with_state(lines: QuerySet[Grant], *, now: datetime) -> QuerySet[Any]:
    """Grants with their `state`, as tenants.perksums has it, and the moment of the answer that made it so."""
    last = Grant.objects.filter(of=OuterRef("pk")).order_by("-number")
    closing = Q(last_kind__in=[Grant.Kind.REDEEMED, Grant.Kind.REVOKED])
    return lines.annotate(
        last_kind=Subquery(last.values("kind")[:1]),
        answered_at=Subquery(last.values("granted_at")[:1]),
    ).annotate(
        state=Case(
            When(closing, then=F("last_kind")),
            When(expires_at__lte=now, then=Value("expired")),
            default=Value("open"),
            output_field=CharField(),
        )
    )


def of_people(people: Collection[Any], *, now: datetime) -> list[vouchers.Voucher]:
    """What one person was given, under all of their rows, the latest first."""
    lines = Grant.objects.filter(kind=Grant.Kind.GRANTED, tenant__in=people).select_related("perk")
    return vouchers.stands(list(lines.order_by("-granted_at", "-pk")), now=now)


def changes(perk: Perk, history: Collection[Any]) -> list[dict[str, Any]]:
    """The history of a perk, each line with its differences in words."""
    return [
        {
            "line": line,
            "said": [
                {"name": FIELD_NAMES.get(name, name), "was": _said(name, was), "now": _said(name, now)}
                for name, (was, now) in line.changes.items()
            ],
        }
        for line in history
    ]


def _said(name: str, value: str | None) -> str:
    if name in {"is_choice", "has_voucher"}:
        return str(_("yes") if value else _("no"))
    return value or "–"
