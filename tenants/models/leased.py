"""What they signed: leases, who is on them, their revisions, and contracts that wait."""

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateRangeField, IntegerRangeField, RangeOperators
from django.db import models
from django.db.models import F, Func, Q, Value
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from tenants.models.where import Unit
from tenants.models.who import Tenant


class SelfRange(Func):
    """`int8range(unit, unit, '[]')`: equality inside a GiST index without btree_gist."""

    function = "int8range"
    output_field = IntegerRangeField()


class DateRange(Func):
    function = "daterange"
    output_field = DateRangeField()


class Lease(models.Model):
    """租约: tenants + unit + first day + last day (both inclusive) + rent + deposit + anchor day.

    `tenants.leases` is its only writer. A renewal is a new lease that names the one it renews.
    """

    class State(models.TextChoices):
        SIGNED = "signed", pgettext_lazy("a lease", "signed")
        VOID = "void", _("void")

    class EndedBy(models.TextChoices):
        NOBODY = "", _("ran to its end")
        TENANT = "tenant", _("the tenant")
        OPERATOR = "operator", _("the operator")

    unit = models.ForeignKey(Unit, on_delete=models.PROTECT, related_name="+")
    tenants = models.ManyToManyField(Tenant, through="LeaseTenant", related_name="+")
    contract_no = models.CharField(_("contract no."), max_length=64, blank=True)
    signed_on = models.DateField(_("signed on"))
    first_day = models.DateField(_("first day"))
    last_day = models.DateField(_("last day"))  # the agreed one, or the day it ended early
    agreed_last_day = models.DateField(_("agreed last day"))
    monthly_rent = models.DecimalField(_("monthly rent"), max_digits=10, decimal_places=2)
    deposit = models.DecimalField(_("deposit"), max_digits=10, decimal_places=2)
    anchor_day = models.PositiveSmallIntegerField(_("anchor day"))
    state = models.CharField(_("state"), max_length=8, choices=State.choices, default=State.SIGNED)
    ended_by = models.CharField(_("ended early by"), max_length=8, choices=EndedBy.choices, blank=True, default="")
    ended_agreed_on = models.DateField(_("end agreed on"), null=True)
    renews = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    revision = models.PositiveIntegerField(_("revision"), default=1)
    recorded_at = models.DateTimeField()

    class Meta:
        verbose_name = _("lease")
        verbose_name_plural = _("leases")
        constraints = [
            models.CheckConstraint(condition=Q(last_day__gte=F("first_day")), name="lease_ends_after_it_starts"),
            models.CheckConstraint(condition=Q(monthly_rent__gt=0), name="lease_rent_positive"),
            models.CheckConstraint(condition=Q(deposit__gte=0), name="lease_deposit_not_negative"),
            models.CheckConstraint(condition=Q(anchor_day__gte=1, anchor_day__lte=31), name="lease_anchor_day_exists"),
            models.UniqueConstraint(fields=["contract_no"], condition=~Q(contract_no=""), name="lease_contract_once"),
            models.UniqueConstraint(fields=["renews"], condition=~Q(state="void"), name="lease_one_successor"),
            ExclusionConstraint(
                name="lease_no_overlap_on_a_unit",
                expressions=[
                    (SelfRange("unit_id", "unit_id", Value("[]")), RangeOperators.OVERLAPS),
                    (DateRange("first_day", "last_day", Value("[]")), RangeOperators.OVERLAPS),
                ],
                condition=Q(state="signed"),
            ),
        ]
        indexes = [models.Index(fields=["last_day"], name="lease_last_day")]

    def __str__(self) -> str:
        return self.contract_no or f"#{self.pk}"


class LeaseTenant(models.Model):
    """Who is on a lease."""

    lease = models.ForeignKey(Lease, on_delete=models.CASCADE, related_name="+")
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    is_primary = models.BooleanField(_("primary tenant"), default=True)

    class Meta:
        verbose_name = _("tenant on a lease")
        verbose_name_plural = _("tenants on leases")
        constraints = [models.UniqueConstraint(fields=["lease", "tenant"], name="lease_tenant_once")]

    def __str__(self) -> str:
        return f"{self.lease_id}: {self.tenant_id}"


class Promotion(models.Model):
    """Who stands first on a lease instead of whom its contract names first: a flatmate who stays when that one leaves.

    It holds until it is undone, whatever a later revision of the contract says of the order.
    """

    lease = models.ForeignKey(Lease, on_delete=models.CASCADE, related_name="+")
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    before = models.ForeignKey(Tenant, on_delete=models.PROTECT, null=True, related_name="+")  # who stood first
    at = models.DateTimeField(_("at"))
    by = models.CharField(_("by"), max_length=80)
    undone_at = models.DateTimeField(_("undone"), null=True)

    class Meta:
        verbose_name = _("promotion on a lease")
        verbose_name_plural = _("promotions on leases")
        constraints = [
            models.UniqueConstraint(fields=["lease"], condition=Q(undone_at__isnull=True), name="promotion_once")
        ]

    def __str__(self) -> str:
        return f"{self.lease_id}: {self.tenant_id}"


class LeaseRevision(models.Model):
    """What a contract said in one revision, and when we learnt it."""

    lease = models.ForeignKey(Lease, on_delete=models.CASCADE, related_name="+")
    revision = models.PositiveIntegerField()
    terms = models.JSONField()  # the contract record as it came
    recorded_at = models.DateTimeField()

    class Meta:
        verbose_name = _("lease revision")
        verbose_name_plural = _("lease revisions")
        constraints = [models.UniqueConstraint(fields=["lease", "revision"], name="lease_revision_once")]

    def __str__(self) -> str:
        return f"{self.lease_id} r{self.revision}"


class WaitingContract(models.Model):
    """A contract that overlaps another; tried again whenever a contract of its unit changes."""

    contract_no = models.CharField(_("contract no."), max_length=64)
    revision = models.PositiveIntegerField(_("revision"))
    unit = models.ForeignKey(Unit, on_delete=models.CASCADE, related_name="+", verbose_name=_("unit"))
    terms = models.JSONField()
    reason = models.CharField(_("reason"), max_length=300)
    recorded_at = models.DateTimeField(_("waits since"))

    class Meta:
        verbose_name = _("waiting contract")
        verbose_name_plural = _("waiting contracts")
        constraints = [models.UniqueConstraint(fields=["contract_no", "revision"], name="waiting_contract_once")]

    def __str__(self) -> str:
        return self.contract_no
