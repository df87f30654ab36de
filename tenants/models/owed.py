"""What we owe them: the perk catalogue with its history, and the append-only ledger of grants and their answers."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from tenants.models.leased import Lease
from tenants.models.who import Tenant, User


class Perk(models.Model):
    """权益: something given, open to all who meet its published condition. `tenants.catalogue` is its only writer.

    `tenants.perks` alone takes from the stock, and `tenants.vouchers` gives back to it.
    """

    code = models.CharField(_("code"), max_length=32, unique=True)
    name = models.CharField(_("name"), max_length=80)
    condition = models.CharField(_("published condition"), max_length=200)
    partner = models.CharField(_("partner"), max_length=80, blank=True, db_default="")  # who provides it, if not we
    cost = models.DecimalField(_("cost"), max_digits=10, decimal_places=2)
    budget = models.DecimalField(_("budget"), max_digits=12, decimal_places=2, null=True, blank=True)  # null: no limit
    stock = models.PositiveIntegerField(_("stock"), null=True, blank=True)  # what is left; null: not limited
    # Kept for whoever may still be given one, and taken from the stock already, where that is limited.
    aside = models.PositiveIntegerField(_("kept for signers"), default=0, db_default=0)
    valid_days = models.PositiveSmallIntegerField(_("valid for (days)"), null=True, blank=True)  # null: for good
    offered_from = models.DateField(_("given from"), null=True, blank=True)
    offered_to = models.DateField(_("given until"), null=True, blank=True)  # inclusive
    min_term_months = models.PositiveSmallIntegerField(_("from a term of (months)"), null=True, blank=True)
    is_choice = models.BooleanField(_("may be chosen on the proposal"), default=False)
    has_voucher = models.BooleanField(_("redeemed by a voucher"), default=True, db_default=True)

    class Meta:
        verbose_name = _("perk")
        verbose_name_plural = _("perks")
        constraints = [
            models.CheckConstraint(condition=Q(cost__gte=0), name="perk_cost_not_negative"),
            models.CheckConstraint(condition=Q(budget=None) | Q(budget__gte=0), name="perk_budget_not_negative"),
        ]

    def __str__(self) -> str:
        return self.name


class PerkChange(models.Model):
    """One line of a perk's history: what was changed, by whom, and how many were put into stock. Never changed."""

    perk = models.ForeignKey(Perk, on_delete=models.PROTECT, related_name="+")
    changes = models.JSONField(default=dict)  # {field: [was, is]}, as text or null
    added = models.IntegerField(default=0)  # to the stock; below zero: taken out of it
    why = models.CharField(_("reason"), max_length=200, blank=True)
    by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("change of a perk")
        verbose_name_plural = _("changes of perks")

    def __str__(self) -> str:
        return f"{self.perk_id} {self.at:%Y-%m-%d}"


class Grant(models.Model):
    """One line of the ledger: a perk was given to a tenant, or an answer to such a line. Never changed.

    The answers to a grant are numbered from 1: an odd one closes it (redeemed, revoked), an even one reverses the
    answer before it. So one number is one closing, and two at once cannot both be it.
    """

    class Kind(models.TextChoices):
        GRANTED = "granted", _("granted")
        REDEEMED = "redeemed", _("redeemed")
        REVOKED = "revoked", _("revoked")
        REVERSED = "reversed", _("reversed")

    key = models.CharField(_("key"), max_length=120, unique=True)
    kind = models.CharField(_("kind"), max_length=8, choices=Kind.choices, default="granted", db_default="granted")
    of = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    number = models.PositiveSmallIntegerField(_("number"), default=0, db_default=0)
    perk = models.ForeignKey(Perk, on_delete=models.PROTECT, related_name="+")
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    lease = models.ForeignKey(Lease, on_delete=models.PROTECT, null=True, related_name="+")
    quantity = models.SmallIntegerField(_("quantity"), default=1)  # what it takes from the stock; −1 gives one back
    cost = models.DecimalField(_("cost"), max_digits=10, decimal_places=2, default=0, db_default=0)  # as it was given
    owner = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")  # of an answer: who gave it
    reason = models.CharField(_("reason"), max_length=200)
    voucher_hash = models.CharField(max_length=64, blank=True, db_default="")  # empty where there is nothing to redeem
    granted_at = models.DateTimeField(_("granted"))  # of an answer: when it was given
    expires_at = models.DateTimeField(_("expires"), null=True)

    class Meta:
        verbose_name = _("granted perk")
        verbose_name_plural = _("granted perks")
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="granted", of=None, number=0, quantity=1)
                | Q(kind="redeemed", of__isnull=False, number__gte=1, quantity=0)
                | Q(kind="revoked", of__isnull=False, number__gte=1, quantity=-1)
                | Q(kind="reversed", of__isnull=False, number__gte=2, quantity__in=[0, 1]),
                name="grant_is_of_its_kind",
            ),
            models.CheckConstraint(
                condition=Q(kind="granted")
                | Q(kind__in=["redeemed", "revoked"], number__in=range(1, 100, 2))
                | Q(kind="reversed", number__in=range(2, 100, 2)),
                name="grant_closes_and_reverses_by_turns",
            ),
            models.UniqueConstraint(fields=["of", "number"], condition=Q(of__isnull=False), name="grant_answered_once"),
            models.UniqueConstraint(fields=["voucher_hash"], condition=~Q(voucher_hash=""), name="grant_voucher_once"),
        ]
        indexes = [models.Index(fields=["tenant", "perk"], name="grant_of_tenant")]

    def __str__(self) -> str:
        return self.key
