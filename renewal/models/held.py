"""What keeps a room from everybody else for a while."""

from datetime import timedelta

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeOperators
from django.db import models
from django.db.models import F, Func, Q, Value
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from renewal.models.renewing import Proposal
from tenants.models import Unit
from tenants.models.leased import SelfRange


class MomentRange(Func):
    """`tstzrange(from, until)`: the first moment belongs to it, the last does not."""

    function = "tstzrange"
    output_field = DateTimeRangeField()


class Hold(models.Model):
    """A room kept for one proposal while its quote lives. `renewal.holds` is its only writer.

    No two holds of a room, and no two of a proposal, share a moment: the database sees to it. What ended early has
    its `until` moved to that moment.
    """

    class Over(models.TextChoices):
        RUNS = "", _("by itself")
        OTHER = "other", _("another choice")
        SIGNED = "signed", pgettext_lazy("a hold", "signed")
        ANSWERED = "answered", _("another answer")

    MOST = timedelta(hours=2)  # so long at one time, and so long in all within a day

    proposal = models.ForeignKey(Proposal, on_delete=models.CASCADE, related_name="+")
    unit = models.ForeignKey(Unit, on_delete=models.PROTECT, related_name="+")
    taken_at = models.DateTimeField(_("taken"))
    until = models.DateTimeField(_("kept until"))
    why_over = models.CharField(_("how it ended"), max_length=8, choices=Over.choices, blank=True)

    class Meta:
        verbose_name = _("hold of a room")
        verbose_name_plural = _("holds of rooms")
        constraints = [
            ExclusionConstraint(
                name="hold_of_a_room_once",
                expressions=[
                    (SelfRange("unit_id", "unit_id", Value("[]")), RangeOperators.OVERLAPS),
                    (MomentRange("taken_at", "until"), RangeOperators.OVERLAPS),
                ],
            ),
            ExclusionConstraint(
                name="hold_of_a_proposal_once",
                expressions=[
                    (SelfRange("proposal_id", "proposal_id", Value("[]")), RangeOperators.OVERLAPS),
                    (MomentRange("taken_at", "until"), RangeOperators.OVERLAPS),
                ],
            ),
            models.CheckConstraint(condition=Q(until__gte=F("taken_at")), name="hold_forwards"),
            models.CheckConstraint(
                condition=Q(until__lte=F("taken_at") + timedelta(hours=2)), name="hold_not_for_ever"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.unit_id} {self.until:%Y-%m-%d %H:%M}"
