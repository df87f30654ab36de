"""What happened: the event store, one feature row per tenant, and tags with their evidence."""

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from tenants.models.where import Unit
from tenants.models.who import Tenant

# Four in five of all events, and no rule asks for them.
READINGS = ("power.read", "water.read", "door.opened")


class Event(models.Model):
    """Something that happened, immutable but for its tenant. A leaf: nothing points at it.

    The two references carry no database constraint: rows are only ever written by `tenants.ingest`,
    which takes both ids from a join with the referenced tables in the same statement, and with the
    checks loading takes two fifths longer (measured: 814,000 readings in 29 s instead of 21 s).
    """

    id = models.BigAutoField(primary_key=True)
    source = models.CharField(_("source"), max_length=16)
    source_id = models.CharField(_("source id"), max_length=128)
    kind = models.CharField(_("kind"), max_length=32)
    at = models.DateTimeField(_("at"))
    tenant = models.ForeignKey(
        Tenant, on_delete=models.DO_NOTHING, null=True, related_name="+", db_constraint=False, db_index=False
    )
    unit = models.ForeignKey(
        Unit, on_delete=models.DO_NOTHING, null=True, related_name="+", db_constraint=False, db_index=False
    )
    data = models.JSONField(_("data"), default=dict)
    recorded_at = models.DateTimeField(_("recorded"))
    # When we learnt whose it is, where that was later.
    attributed_at = models.DateTimeField(_("tenant learnt"), null=True)

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        constraints = [
            models.UniqueConstraint(fields=["source", "source_id"], name="event_once"),
            models.CheckConstraint(
                condition=Q(tenant__isnull=False) | Q(unit__isnull=False), name="event_belongs_to_someone"
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "kind", "at"], name="event_of_tenant"),
            models.Index(fields=["unit", "kind", "at"], name="event_of_unit", condition=Q(kind__startswith="ticket.")),
            # Who did something of a kind, and when: what most rules ask first, answered without reading the events.
            models.Index(
                fields=["kind", "at"], include=["tenant"], name="event_of_kind", condition=~Q(kind__in=READINGS)
            ),
            # What happened while nobody was known to live there; its tenant is found when the contract arrives.
            models.Index(fields=["unit", "at"], name="event_of_nobody", condition=Q(tenant__isnull=True)),
            # What came on some day: rows stand in the order in which they came, so a few bytes a block are enough.
            BrinIndex(fields=["recorded_at"], name="event_recorded", pages_per_range=32, autosummarize=True),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.at:%Y-%m-%d %H:%M}"


class WaitingEvent(models.Model):
    """Something that happened to somebody not known yet; it becomes an event when one of its aliases is learnt."""

    id = models.BigAutoField(primary_key=True)
    source = models.CharField(_("source"), max_length=16)
    source_id = models.CharField(_("source id"), max_length=128)
    kind = models.CharField(_("kind"), max_length=32)
    at = models.DateTimeField(_("at"))
    who_source = models.CharField(max_length=16)
    who_ref = models.CharField(max_length=128)
    data = models.JSONField(_("data"), default=dict)
    recorded_at = models.DateTimeField(_("recorded"))

    class Meta:
        verbose_name = _("waiting event")
        verbose_name_plural = _("waiting events")
        constraints = [models.UniqueConstraint(fields=["source", "source_id"], name="waiting_event_once")]
        indexes = [models.Index(fields=["who_source", "who_ref"], name="waiting_event_of_alias")]

    def __str__(self) -> str:
        return f"{self.kind} {self.who_source}:{self.who_ref}"


class DirtyTenant(models.Model):
    """A tenant something happened to since their feature row was computed."""

    tenant = models.OneToOneField(
        Tenant, on_delete=models.DO_NOTHING, primary_key=True, related_name="+", db_constraint=False
    )
    since = models.DateTimeField()

    def __str__(self) -> str:
        return str(self.tenant_id)


class DoorMonth(models.Model):
    """What is kept of door logs after 90 days: how often a door was opened in a month, never when."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    month = models.DateField()  # its first day
    openings = models.PositiveIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "month"], name="door_month_once")]

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.month:%Y-%m}: {self.openings}"


class Feature(models.Model):
    """One row per tenant with a current or future lease, as of `day`; see tenants/features.py for each formula."""

    tenant = models.OneToOneField(Tenant, on_delete=models.CASCADE, primary_key=True, related_name="+")
    day = models.DateField(_("as of"))
    gym_365 = models.PositiveIntegerField(_("gym visits, 365 days"), default=0)
    kitchen_90 = models.PositiveIntegerField(_("shared kitchen, 90 days"), default=0)
    kitchen_365 = models.PositiveIntegerField(_("shared kitchen, 365 days"), default=0)
    laundry_365 = models.PositiveIntegerField(_("laundry, 365 days"), default=0)
    community_90 = models.PositiveIntegerField(_("community activities, 90 days"), default=0)
    community_365 = models.PositiveIntegerField(_("community activities, 365 days"), default=0)
    posts_90 = models.PositiveIntegerField(_("community posts, 90 days"), default=0)
    app_30 = models.PositiveIntegerField(_("app opens, 30 days"), default=0)
    price_views_90 = models.PositiveIntegerField(_("price pages seen, 90 days"), default=0)
    coupon_views_90 = models.PositiveIntegerField(_("coupon pages seen, 90 days"), default=0)
    repair_views_90 = models.PositiveIntegerField(_("repair pages seen, 90 days"), default=0)
    repairs_365 = models.PositiveIntegerField(_("repairs, 365 days"), default=0)
    repairs_open = models.PositiveIntegerField(_("open repairs"), default=0)
    late_accepts_365 = models.PositiveIntegerField(_("repairs accepted late, 365 days"), default=0)
    last3_night = models.BooleanField(_("last three repairs at night"), default=False)
    night_share_365 = models.FloatField(_("share of repairs at night, 365 days"), null=True)  # 0–1
    worst_accept_hours = models.FloatField(_("slowest acceptance, hours"), null=True)
    last_bad_rating_at = models.DateTimeField(_("last bad rating"), null=True)
    last_moods = models.JSONField(_("last three moods"), default=list)  # newest first
    last_bad_mood_at = models.DateTimeField(_("last bad mood"), null=True)
    payments_365 = models.PositiveIntegerField(_("payments, 365 days"), default=0)
    late_payments_365 = models.PositiveIntegerField(_("late payments, 365 days"), default=0)
    pay_day_sd = models.FloatField(_("spread of the payment day"), null=True)  # days
    paid_share = models.FloatField(_("share of months paid"), null=True)  # 0–1
    power_30 = models.FloatField(_("power, 30 days (kWh)"), null=True)
    workplace = models.JSONField(_("stated workplace"), null=True)  # [latitude, longitude]
    computed_at = models.DateTimeField(_("computed"))

    class Meta:
        verbose_name = _("feature row")
        verbose_name_plural = _("feature rows")

    def __str__(self) -> str:
        return f"{self.tenant_id} @ {self.day}"


class TenantTag(models.Model):
    """A computed property of a tenant, with the facts behind it."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    tag = models.CharField(_("tag"), max_length=32)
    since = models.DateField(_("since"))
    evidence = models.JSONField(_("evidence"))  # {"facts": {...}, "events": [[source, source_id], …]}
    computed_at = models.DateTimeField(_("computed"))

    class Meta:
        verbose_name = _("tag of a tenant")
        verbose_name_plural = _("tags of tenants")
        constraints = [models.UniqueConstraint(fields=["tenant", "tag"], name="tenant_tag_once")]
        indexes = [models.Index(fields=["tag"], name="tenant_tag_tag")]

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.tag}"
