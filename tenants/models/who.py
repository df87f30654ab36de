"""Who they are: staff and tenants, what stands for them, what they consented to."""

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from tenants.models.where import Building, Unit


class User(AbstractUser):
    """A member of staff who signs in."""

    class Meta(AbstractUser.Meta):
        verbose_name = _("staff user")  # type: ignore[assignment]
        verbose_name_plural = _("staff users")  # type: ignore[assignment]


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

    No foreign key moves, so undoing one restores both histories exactly. One with an alias was made when somebody
    gave a person that alias by hand (`tenants.naming`): `merged` stands for nothing but what came under it.
    """

    kept = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", verbose_name=_("kept"))
    merged = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", verbose_name=_("merged"))
    alias_source = models.CharField(max_length=16, blank=True, db_default="")
    alias_ref = models.CharField(max_length=128, blank=True, db_default="")
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
