"""What we owe them: the perk catalogue and the append-only ledger of grants."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from tenants.models.leased import Lease
from tenants.models.who import Tenant, User


class Perk(models.Model):
    """权益: something given, open to all who meet its published condition."""

    code = models.CharField(_("code"), max_length=32, unique=True)
    name = models.CharField(_("name"), max_length=80)
    condition = models.CharField(_("published condition"), max_length=200)
    cost = models.DecimalField(_("cost"), max_digits=10, decimal_places=2)
    stock = models.PositiveIntegerField(_("stock"), null=True, blank=True)  # null: not limited
    min_term_months = models.PositiveSmallIntegerField(_("from a term of (months)"), null=True, blank=True)
    is_choice = models.BooleanField(_("may be chosen on the proposal"), default=False)

    class Meta:
        verbose_name = _("perk")
        verbose_name_plural = _("perks")

    def __str__(self) -> str:
        return self.name


class Grant(models.Model):
    """One line of the ledger: this perk was given to this tenant; never changed, only answered by another line."""

    key = models.CharField(_("key"), max_length=120, unique=True)
    perk = models.ForeignKey(Perk, on_delete=models.PROTECT, related_name="+")
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    lease = models.ForeignKey(Lease, on_delete=models.PROTECT, null=True, related_name="+")
    quantity = models.SmallIntegerField(_("quantity"), default=1)  # −1 takes one back
    owner = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    reason = models.CharField(_("reason"), max_length=200)
    granted_at = models.DateTimeField(_("granted"))
    expires_at = models.DateTimeField(_("expires"), null=True)

    class Meta:
        verbose_name = _("granted perk")
        verbose_name_plural = _("granted perks")
        constraints = [models.CheckConstraint(condition=~Q(quantity=0), name="grant_is_something")]
        indexes = [models.Index(fields=["tenant", "perk"], name="grant_of_tenant")]

    def __str__(self) -> str:
        return self.key
