"""The tables of touchpoints: what hangs where, what was done to it, how often it was seen, when it shows, its tickets.

`campaigns.touchpoints` is their only writer.
"""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from connectors.models import InboundKey
from tenants.models import Building, Tenant, User


class Touchpoint(models.Model):
    """触点: a place that shows the way to one's letter. It never knows who looks at it."""

    class Kind(models.TextChoices):
        LIFT = "lift", _("lift screen")
        LOCKER = "locker", _("parcel locker")
        PAYMENT = "payment", _("payment page")
        BILL = "bill", pgettext_lazy("touchpoint", "bill")
        APP = "app", pgettext_lazy("touchpoint", "app")

    code = models.CharField(_("code"), max_length=32, unique=True)  # stands in addresses: a-z, 0-9, hyphen
    name = models.CharField(_("name"), max_length=80)
    kind = models.CharField(_("kind"), max_length=8, choices=Kind.choices)
    # Of one in all buildings at once (an app, a payment page) the page that embeds it says which building it speaks to.
    building = models.ForeignKey(Building, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    partner = models.CharField(_("partner"), max_length=80, blank=True)
    origins = ArrayField(models.CharField(max_length=200), default=list, verbose_name=_("may be embedded by"))
    key = models.ForeignKey(InboundKey, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    title = models.CharField(_("title"), max_length=40)
    line = models.CharField(_("line under it"), max_length=80, blank=True)
    action = models.CharField(_("button"), max_length=16)
    paused_because = models.CharField(_("paused because"), max_length=200, blank=True)
    paused_at = models.DateTimeField(_("paused"), null=True)
    created_at = models.DateTimeField(_("created"))

    class Meta:
        verbose_name = _("touchpoint")
        verbose_name_plural = _("touchpoints")

    def __str__(self) -> str:
        return self.name


class TouchpointChange(models.Model):
    """What somebody did to a touchpoint. Only ever added to: the database sees to it."""

    class Kind(models.TextChoices):
        MADE = "made", pgettext_lazy("a touchpoint", "made")
        CHANGED = "changed", pgettext_lazy("a touchpoint", "changed")
        PAUSED = "paused", pgettext_lazy("a touchpoint", "paused")
        RESUMED = "resumed", pgettext_lazy("a touchpoint", "shown again")
        DRAWN = "drawn", pgettext_lazy("a touchpoint", "days drawn by lot from here on")
        ENDED = "ended", pgettext_lazy("a touchpoint", "shown every day again")

    touchpoint = models.ForeignKey(Touchpoint, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(_("kind"), max_length=8, choices=Kind.choices)
    facts = models.JSONField(_("what it was changed to"), default=dict)  # of what was made or changed, column → value
    why = models.CharField(_("reason"), max_length=200, blank=True)
    by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", verbose_name=_("by"))
    at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("change of a touchpoint")
        verbose_name_plural = _("changes of touchpoints")

    def __str__(self) -> str:
        return f"{self.touchpoint_id} {self.kind}"


class TouchpointDay(models.Model):
    """How often a touchpoint was asked for on one day in one building. Sums only: nothing in it is about a person."""

    touchpoint = models.ForeignKey(Touchpoint, on_delete=models.PROTECT, related_name="+", db_index=False)
    building = models.ForeignKey(Building, on_delete=models.PROTECT, null=True, related_name="+")
    day = models.DateField(_("day"))  # in Shanghai
    shown = models.PositiveIntegerField(_("shown"), default=0, db_default=0)  # as the pages themselves report
    opened = models.PositiveIntegerField(_("opened"), default=0, db_default=0)  # unproven
    machines = models.PositiveIntegerField(_("machines"), default=0, db_default=0)
    played = models.PositiveIntegerField(_("played"), default=0, db_default=0)  # by the partner's own report

    class Meta:
        verbose_name = _("day of a touchpoint")
        verbose_name_plural = _("days of touchpoints")
        constraints = [
            models.UniqueConstraint(
                fields=["touchpoint", "building", "day"], nulls_distinct=False, name="touchpoint_day_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.touchpoint_id} {self.day}"


class Placement(models.Model):
    """A stretch of days on which a lot decides, by building and day, whether a touchpoint shows (campaigns/placing)."""

    touchpoint = models.ForeignKey(Touchpoint, on_delete=models.PROTECT, related_name="+")
    seed = models.CharField(_("seed"), max_length=32)
    first_day = models.DateField(_("first day"))
    last_day = models.DateField(_("last day"), null=True)  # inclusive; none while it runs

    class Meta:
        verbose_name = _("draw of days")
        verbose_name_plural = _("draws of days")
        constraints = [
            models.UniqueConstraint(
                fields=["touchpoint"], condition=Q(last_day__isnull=True), name="placement_one_at_a_time"
            ),
            models.CheckConstraint(
                condition=Q(last_day__isnull=True) | Q(last_day__gte=F("first_day")), name="placement_days"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.touchpoint_id} {self.first_day}"


class Ticket(models.Model):
    """A way in for somebody a partner knows, good once and for minutes. One for nobody looks the same from outside."""

    token_hash = models.CharField(max_length=64, unique=True)  # SHA-256, hex
    touchpoint = models.ForeignKey(Touchpoint, on_delete=models.PROTECT, related_name="+")
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, null=True, related_name="+")
    created_at = models.DateTimeField(_("created"))
    expires_at = models.DateTimeField(_("expires"), db_index=True)
    used_at = models.DateTimeField(_("used"), null=True)

    class Meta:
        verbose_name = _("ticket")
        verbose_name_plural = _("tickets")

    def __str__(self) -> str:
        return f"{self.touchpoint_id} #{self.pk}"
