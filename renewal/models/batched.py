"""Proposals prepared in batches: who let which leases have theirs, at which card, and which were held back."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from renewal.models.priced import RateBand
from renewal.models.renewing import Rate
from tenants.models import Lease, User


class Batch(models.Model):
    """One approval: what was asked for, the card it was looked at on, and what was forecast."""

    asked = models.JSONField(_("asked"))  # {"first", "last", "building", "room_type"}: days as ISO, codes
    change_percent = models.PositiveSmallIntegerField(_("largest change that passes, %"))
    card = models.JSONField(_("rate card"))  # {"day", "lines", "bands", "digest"}: renewal/batches.py says what of
    forecast = models.JSONField(_("forecast"))  # as it was shown: rents as text, renewals with their interval
    why = models.CharField(_("reason"), max_length=200, blank=True)  # of the exceptions among the approved
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", verbose_name=_("by"))
    at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("batch of proposals")
        verbose_name_plural = _("batches of proposals")

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d} {self.by}"


class BatchLine(models.Model):
    """One lease of a batch. Held back, its tenant reads that it is a little early, until somebody releases it."""

    class Verdict(models.TextChoices):
        APPROVED = "approved", pgettext_lazy("a lease of a batch", "approved")
        HELD = "held", pgettext_lazy("a lease of a batch", "held back")

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="+")
    lease = models.ForeignKey(Lease, on_delete=models.PROTECT, related_name="+")
    verdict = models.CharField(_("decision"), max_length=10, choices=Verdict.choices)
    rent_today = models.DecimalField(_("monthly rent"), max_digits=10, decimal_places=2)
    rate = models.ForeignKey(Rate, on_delete=models.PROTECT, related_name="+")  # the line of twelve months
    band = models.ForeignKey(RateBand, on_delete=models.PROTECT, null=True, related_name="+")
    reasons = models.JSONField(_("reasons"), default=list)  # why it did not pass by itself; none: it did
    released_at = models.DateTimeField(_("released"), null=True)
    released_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        verbose_name = _("lease of a batch")
        verbose_name_plural = _("leases of batches")
        constraints = [
            models.UniqueConstraint(fields=["batch", "lease"], name="batch_lease_once"),
            models.UniqueConstraint(
                fields=["lease"], condition=Q(verdict="held", released_at=None), name="batch_held_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.lease_id} {self.verdict}"
