"""Who they are: staff and tenants, what stands for them, what they consented to."""

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from connectors.records import WECOM_ID
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
    # Their account in WeCom, where words to staff may go.
    wecom_id = models.CharField(
        _("WeCom account"),
        max_length=64,
        blank=True,
        db_default="",
        validators=[
            RegexValidator(rf"^{WECOM_ID.pattern}\Z", _("Letters, digits and _-.@, beginning with one of the former."))
        ],
    )

    class Meta:
        verbose_name = _("member of staff")
        verbose_name_plural = _("members of staff")
        constraints = [
            models.UniqueConstraint(Lower("wecom_id"), condition=~Q(wecom_id=""), name="wecom_id_once"),
        ]

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


class GeneralChoice(models.Model):
    """A change of `general_version`, of one row of a person: what it was on any day. Only ever added to."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    general = models.BooleanField(_("chose the general version"))
    at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("choice of the general version")
        verbose_name_plural = _("choices of the general version")
        indexes = [models.Index(fields=["tenant", "at"], name="general_choice_of_tenant")]

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.general}"


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


class ConsentText(models.Model):
    """Words under which somebody said yes or no, exactly as they were shown; appended to, never changed."""

    digest = models.CharField(max_length=64, unique=True)  # SHA-256 of the text, hex
    version = models.CharField(_("text version"), max_length=32)
    text = models.TextField(_("text"))
    recorded_at = models.DateTimeField(_("first shown"))

    class Meta:
        verbose_name = _("text of a consent")
        verbose_name_plural = _("texts of consents")

    def __str__(self) -> str:
        return f"{self.version} {self.digest[:8]}"


class Consent(models.Model):
    """One line of the append-only consent ledger; the latest line per purpose and channel holds."""

    class Purpose(models.TextChoices):
        MARKETING = "marketing", _("renewal offers")
        PROFILING = "profiling", _("personalised wording")
        DOOR_LOGS = "door_logs", _("door logs")
        SURVEYS = "surveys", _("questions about living here")

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    purpose = models.CharField(_("purpose"), max_length=16, choices=Purpose.choices)
    channel = models.CharField(_("channel"), max_length=16, default="any")
    granted = models.BooleanField(_("granted"))
    at = models.DateTimeField(_("at"))
    text_version = models.CharField(_("text version"), max_length=32)
    proof = models.CharField(_("proof"), max_length=200)
    # What was shown where we asked ourselves; of what others tell us we know the version alone.
    text = models.ForeignKey(ConsentText, on_delete=models.PROTECT, null=True, related_name="+", verbose_name=_("text"))
    # Where it was said on a page of ours: {"page", "link", "address", "device"}, the last two as keyed hashes.
    evidence = models.JSONField(_("evidence"), default=dict, db_default={}, blank=True)
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


class Preference(models.Model):
    """The hours of Shanghai in which a person likes to hear offers; none: any. The latest holds. Only ever added to."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    first_hour = models.PositiveSmallIntegerField(_("from (hour)"), null=True)
    end_hour = models.PositiveSmallIntegerField(_("until (hour)"), null=True)  # not in it
    text = models.ForeignKey(ConsentText, on_delete=models.PROTECT, null=True, related_name="+", verbose_name=_("text"))
    proof = models.CharField(_("proof"), max_length=200)
    evidence = models.JSONField(_("evidence"), default=dict, db_default={}, blank=True)
    at = models.DateTimeField(_("at"))
    recorded_at = models.DateTimeField()

    class Meta:
        verbose_name = _("preferred hours")
        verbose_name_plural = _("preferred hours")
        constraints = [
            models.CheckConstraint(
                condition=Q(first_hour__isnull=True, end_hour__isnull=True)
                | Q(first_hour__lt=F("end_hour"), end_hour__lte=24),
                name="preference_is_a_span",
            ),
        ]
        indexes = [models.Index(fields=["tenant", "at"], name="preference_of_tenant")]

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.first_hour}-{self.end_hour}"
