"""Who they are and where they live: staff, buildings, units, tenants, consents, leases, the clock."""

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, DateRangeField, IntegerRangeField, RangeOperators
from django.db import models
from django.db.models import F, Func, Q, Value
from django.utils.translation import gettext_lazy as _


class User(AbstractUser):
    """A member of staff who signs in."""

    class Meta(AbstractUser.Meta):
        verbose_name = _("staff user")  # type: ignore[assignment]
        verbose_name_plural = _("staff users")  # type: ignore[assignment]


class Building(models.Model):
    """楼栋."""

    code = models.CharField(_("code"), max_length=16, unique=True)
    name = models.CharField(_("name"), max_length=80)
    address = models.CharField(_("address"), max_length=200, blank=True)
    latitude = models.FloatField(null=True)  # degrees, WGS 84
    longitude = models.FloatField(null=True)
    has_iot = models.BooleanField(_("has IoT"), default=True)

    class Meta:
        verbose_name = _("building")
        verbose_name_plural = _("buildings")

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """What a user may do, in which building (null: all of them), between which days."""

    class Role(models.TextChoices):
        TECHNICIAN = "technician", _("technician")
        CARE = "care", _("tenant care")
        MANAGER = "manager", _("building manager")
        FINANCE = "finance", _("finance")
        HQ = "hq", _("headquarters")

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    building = models.ForeignKey(Building, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    role = models.CharField(_("role"), max_length=16, choices=Role.choices)
    first_day = models.DateField(_("from"))
    last_day = models.DateField(_("to"), null=True, blank=True)

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [
            models.UniqueConstraint(fields=["user", "building", "role"], nulls_distinct=False, name="membership_once"),
        ]

    def __str__(self) -> str:
        return f"{self.user} {self.role}"


class Staff(models.Model):
    """A user's working facts: phone, skills and shift."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(_("name"), max_length=80)
    phone = models.CharField(_("phone"), max_length=32, unique=True)
    skills = ArrayField(models.CharField(max_length=16), default=list, verbose_name=_("skills"))
    shift = models.CharField(_("shift"), max_length=16, blank=True)  # "08:00-20:00"

    class Meta:
        verbose_name = _("member of staff")
        verbose_name_plural = _("members of staff")

    def __str__(self) -> str:
        return self.name


class Flat(models.Model):
    """套: units that share a kitchen and a living room."""

    building = models.ForeignKey(Building, on_delete=models.PROTECT, related_name="+")
    code = models.CharField(_("code"), max_length=32)

    class Meta:
        verbose_name = _("flat")
        verbose_name_plural = _("flats")
        constraints = [models.UniqueConstraint(fields=["building", "code"], name="flat_once")]

    def __str__(self) -> str:
        return self.code


class Unit(models.Model):
    """房间: what is let."""

    building = models.ForeignKey(Building, on_delete=models.PROTECT, related_name="+")
    flat = models.ForeignKey(Flat, on_delete=models.PROTECT, null=True, related_name="+")
    code = models.CharField(_("code"), max_length=32, unique=True)
    room_type = models.CharField(_("room type"), max_length=32)
    floor = models.SmallIntegerField(_("floor"))
    area = models.DecimalField(_("area (m²)"), max_digits=6, decimal_places=2)
    list_rent = models.DecimalField(_("list rent"), max_digits=10, decimal_places=2)

    class Meta:
        verbose_name = _("unit")
        verbose_name_plural = _("units")
        constraints = [models.CheckConstraint(condition=Q(list_rent__gt=0), name="unit_list_rent_positive")]

    def __str__(self) -> str:
        return self.code


class Device(models.Model):
    """A lock or a meter; it stands for a unit."""

    class What(models.TextChoices):
        LOCK = "lock", _("lock")
        POWER = "power", _("power meter")
        WATER = "water", _("water meter")

    unit = models.ForeignKey(Unit, on_delete=models.CASCADE, related_name="+")
    ref = models.CharField(_("reference"), max_length=64, unique=True)
    what = models.CharField(_("kind"), max_length=8, choices=What.choices)

    class Meta:
        verbose_name = _("device")
        verbose_name_plural = _("devices")

    def __str__(self) -> str:
        return self.ref


class Tenant(models.Model):
    """A person. Readers resolve `merged_into`; no foreign key ever moves."""

    name = models.CharField(_("name"), max_length=80)
    phone = models.CharField(_("phone"), max_length=32, blank=True)  # the phone on file: codes go there
    merged_into = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    general_version = models.BooleanField(_("chose the general version"), default=False)  # 通用版, PIPL 24
    created_at = models.DateTimeField(_("created"))

    class Meta:
        verbose_name = _("tenant")
        verbose_name_plural = _("tenants")
        indexes = [models.Index(fields=["phone"], name="tenant_phone")]

    def __str__(self) -> str:
        return self.name


class Alias(models.Model):
    """(source, reference) that stands for a tenant or a unit."""

    source = models.CharField(_("source"), max_length=16)
    ref = models.CharField(_("reference"), max_length=128)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, null=True, related_name="+")
    unit = models.ForeignKey(Unit, on_delete=models.CASCADE, null=True, related_name="+")
    # What told us: "contracts HT000001 r2", "app m-17".
    origin = models.CharField(_("learnt from"), max_length=120, blank=True, db_default="")
    recorded_at = models.DateTimeField()

    class Meta:
        verbose_name = _("alias")
        verbose_name_plural = _("aliases")
        constraints = [
            models.UniqueConstraint(fields=["source", "ref"], name="alias_once"),
            models.CheckConstraint(
                condition=Q(tenant__isnull=False, unit__isnull=True) | Q(tenant__isnull=True, unit__isnull=False),
                name="alias_names_one",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source}:{self.ref}"


class Merge(models.Model):
    """Two rows of tenants turned out to be one person. `merged_into` follows from the merges that stand.

    No foreign key moves, so undoing one restores both histories exactly.
    """

    kept = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", verbose_name=_("kept"))
    merged = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", verbose_name=_("merged"))
    reason = models.CharField(_("reason"), max_length=200)
    by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", verbose_name=_("by"))
    at = models.DateTimeField(_("at"))
    undone_at = models.DateTimeField(_("undone"), null=True)
    undone_by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, related_name="+", verbose_name=_("undone by")
    )
    undone_why = models.CharField(_("reason of undoing"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("merge of tenants")
        verbose_name_plural = _("merges of tenants")
        constraints = [
            models.UniqueConstraint(fields=["merged"], condition=Q(undone_at__isnull=True), name="merge_once"),
            models.CheckConstraint(condition=~Q(kept=F("merged")), name="merge_of_two"),
        ]

    def __str__(self) -> str:
        return f"{self.merged_id} → {self.kept_id}"


class Consent(models.Model):
    """One line of the append-only consent ledger; the latest line per purpose and channel holds."""

    class Purpose(models.TextChoices):
        MARKETING = "marketing", _("renewal offers")
        PROFILING = "profiling", _("personalised wording")
        DOOR_LOGS = "door_logs", _("door logs")

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    purpose = models.CharField(_("purpose"), max_length=16, choices=Purpose.choices)
    channel = models.CharField(_("channel"), max_length=16, default="any")
    granted = models.BooleanField(_("granted"))
    at = models.DateTimeField(_("at"))
    text_version = models.CharField(_("text version"), max_length=32)
    proof = models.CharField(_("proof"), max_length=200)
    recorded_at = models.DateTimeField()

    class Meta:
        verbose_name = _("consent")
        verbose_name_plural = _("consents")
        constraints = [
            models.UniqueConstraint(fields=["tenant", "purpose", "channel", "at"], name="consent_once"),
        ]
        indexes = [models.Index(fields=["tenant", "purpose", "-at"], name="consent_latest")]

    def __str__(self) -> str:
        return f"{self.purpose} {self.granted}"


class Announcement(models.Model):
    """楼栋公告: a dated fact about a building. A message that claims it dies with it."""

    building = models.ForeignKey(Building, on_delete=models.CASCADE, related_name="+")
    code = models.CharField(_("code"), max_length=32, unique=True)
    topic = models.CharField(_("topic"), max_length=32)
    text = models.CharField(_("text"), max_length=300)
    on = models.DateField(_("date"))
    until = models.DateField(_("shown until"))
    owner = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    withdrawn_at = models.DateTimeField(_("withdrawn"), null=True, blank=True)
    recorded_at = models.DateTimeField()

    class Meta:
        verbose_name = _("building announcement")
        verbose_name_plural = _("building announcements")

    def __str__(self) -> str:
        return self.text


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
        SIGNED = "signed", _("signed")
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
    revision = models.PositiveIntegerField()
    unit = models.ForeignKey(Unit, on_delete=models.CASCADE, related_name="+")
    terms = models.JSONField()
    reason = models.CharField(_("reason"), max_length=300)
    recorded_at = models.DateTimeField()

    class Meta:
        verbose_name = _("waiting contract")
        verbose_name_plural = _("waiting contracts")
        constraints = [models.UniqueConstraint(fields=["contract_no", "revision"], name="waiting_contract_once")]

    def __str__(self) -> str:
        return self.contract_no


class Clock(models.Model):
    """The product's now = real now + this offset. One row; only the demo and tests may move it."""

    id = models.BooleanField(primary_key=True, default=True)
    offset = models.DurationField()

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=True), name="clock_is_one_row")]

    def __str__(self) -> str:
        return str(self.offset)


class JobRun(models.Model):
    """One run of one periodic job for one period: the row that makes it once."""

    job = models.CharField(_("job"), max_length=64)
    period = models.CharField(_("period"), max_length=32)  # "2025-12-01"
    started_at = models.DateTimeField(_("started"))
    finished_at = models.DateTimeField(_("finished"), null=True)
    stage = models.CharField(_("stage"), max_length=64, blank=True)
    counts = models.JSONField(_("counts"), default=dict)
    error = models.TextField(_("error"), blank=True)

    class Meta:
        verbose_name = _("job run")
        verbose_name_plural = _("job runs")
        constraints = [models.UniqueConstraint(fields=["job", "period"], name="job_run_once")]

    def __str__(self) -> str:
        return f"{self.job} {self.period}"
