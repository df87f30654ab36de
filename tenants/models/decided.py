"""What a person decided about a contract that waited."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from tenants.models.leased import Lease
from tenants.models.where import Unit
from tenants.models.who import User


class ContractDecision(models.Model):
    """A revision that waited was taken over what had been signed here, or refused; by whom, why, and whether it stands.

    An undone one stays: on the days between, the contract was known as it said.
    """

    class Verdict(models.TextChoices):
        ACCEPTED = "accepted", pgettext_lazy("decision", "accepted")
        REFUSED = "refused", pgettext_lazy("decision", "refused")

    contract_no = models.CharField(_("contract no."), max_length=64)
    revision = models.PositiveIntegerField(_("revision"))
    unit = models.ForeignKey(Unit, on_delete=models.CASCADE, related_name="+", verbose_name=_("unit"))
    # The lease that changed by it, and the revision it stood at before; none where the revision was refused.
    lease = models.ForeignKey(Lease, on_delete=models.CASCADE, null=True, related_name="+")
    stood_at = models.PositiveIntegerField(null=True)
    terms = models.JSONField()
    waited_for = models.CharField(_("waited because"), max_length=300)
    verdict = models.CharField(_("decision"), max_length=8, choices=Verdict.choices)
    why = models.CharField(_("reason"), max_length=200)
    by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", verbose_name=_("by"))
    at = models.DateTimeField(_("at"))
    waited_since = models.DateTimeField(_("waited since"))
    undone_at = models.DateTimeField(_("undone"), null=True)
    undone_by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, related_name="+", verbose_name=_("undone by")
    )

    class Meta:
        verbose_name = _("decision about a contract")
        verbose_name_plural = _("decisions about contracts")
        constraints = [
            models.UniqueConstraint(
                fields=["contract_no", "revision"], condition=Q(undone_at__isnull=True), name="contract_decision_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.contract_no} r{self.revision} {self.verdict}"
