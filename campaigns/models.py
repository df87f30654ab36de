"""Who hears what, when: segments, playbooks with their steps, enrolments and pushes."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from tenants.models import Lease, Message, Perk, Tenant, User


class Segment(models.Model):
    """客群: the tenants a rule selects."""

    code = models.CharField(_("code"), max_length=32, unique=True)
    name = models.CharField(_("name"), max_length=80)
    rule = models.JSONField(_("rule"))

    class Meta:
        verbose_name = _("segment")
        verbose_name_plural = _("segments")

    def __str__(self) -> str:
        return self.name


class SegmentVersion(models.Model):
    """A rule that a segment has had, from `at` until the next version. Only ever added to: the database sees to it."""

    segment = models.ForeignKey(Segment, on_delete=models.PROTECT, related_name="+")
    number = models.PositiveIntegerField(_("version"))  # 1, 2, …
    rule = models.JSONField(_("rule"))
    by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", verbose_name=_("by"))
    at = models.DateTimeField(_("at"))
    note = models.CharField(_("note"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("version of a segment")
        verbose_name_plural = _("versions of segments")
        constraints = [models.UniqueConstraint(fields=["segment", "number"], name="segment_version_once")]

    def __str__(self) -> str:
        return f"{self.segment_id} {self.number}"


class Playbook(models.Model):
    """剧本: a segment's sequence of steps. A tenant follows the first playbook, by rank, that takes them."""

    code = models.CharField(_("code"), max_length=32, unique=True)
    name = models.CharField(_("name"), max_length=80)
    segment = models.ForeignKey(Segment, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    rank = models.PositiveSmallIntegerField(_("rank"), unique=True)  # the smallest wins
    is_active = models.BooleanField(_("active"), default=True)

    class Meta:
        verbose_name = _("playbook")
        verbose_name_plural = _("playbooks")

    def __str__(self) -> str:
        return self.name


class Step(models.Model):
    """One message of a playbook, due so many days before the lease's last day, to those its rule selects."""

    playbook = models.ForeignKey(Playbook, on_delete=models.PROTECT, related_name="+")
    code = models.CharField(_("code"), max_length=32, unique=True)
    days_before_end = models.PositiveSmallIntegerField(_("days before the end"))
    rule = models.JSONField(_("only to"), null=True, blank=True)
    text = models.CharField(_("wording"), max_length=200)  # under 40 Chinese characters; {announcement} may stand
    claims_topic = models.CharField(_("claims an announcement about"), max_length=32, blank=True)
    grants = models.ForeignKey(Perk, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    is_active = models.BooleanField(_("active"), default=True)

    class Meta:
        verbose_name = _("step")
        verbose_name_plural = _("steps")

    def __str__(self) -> str:
        return self.code


class Enrolment(models.Model):
    """A lease in a playbook, once per cycle."""

    playbook = models.ForeignKey(Playbook, on_delete=models.PROTECT, related_name="+")
    lease = models.ForeignKey(Lease, on_delete=models.PROTECT, related_name="+")
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    cycle = models.CharField(max_length=64, default="1")
    enrolled_on = models.DateField(_("enrolled on"))
    left_on = models.DateField(_("left on"), null=True)
    left_because = models.CharField(_("left because"), max_length=80, blank=True)

    class Meta:
        verbose_name = _("enrolment")
        verbose_name_plural = _("enrolments")
        constraints = [
            models.UniqueConstraint(fields=["playbook", "lease", "tenant", "cycle"], name="enrolment_once"),
            # A tenant follows one playbook at a time for a lease.
            models.UniqueConstraint(
                fields=["lease", "tenant"], condition=Q(left_on__isnull=True), name="enrolment_one_at_a_time"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.playbook_id} {self.lease_id}"


class Push(models.Model):
    """触达: the decision to send one tenant one step once. Sending is the outbox's."""

    class State(models.TextChoices):
        PLANNED = "planned", _("planned")
        SUPPRESSED = "suppressed", _("suppressed")
        HANDED_OVER = "handed_over", _("in the outbox")

    lease = models.ForeignKey(Lease, on_delete=models.PROTECT, related_name="+")
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    step = models.ForeignKey(Step, on_delete=models.PROTECT, related_name="+")
    cycle = models.CharField(max_length=64, default="1")
    due_on = models.DateField(_("due on"))
    state = models.CharField(_("state"), max_length=12, choices=State.choices, default=State.PLANNED)
    reason = models.CharField(_("why"), max_length=300)
    message = models.OneToOneField(Message, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(_("created"))

    class Meta:
        verbose_name = _("push")
        verbose_name_plural = _("pushes")
        constraints = [
            models.UniqueConstraint(fields=["lease", "tenant", "step", "cycle"], name="push_once"),
        ]
        indexes = [models.Index(fields=["due_on"], name="push_due", condition=Q(state="planned"))]

    def __str__(self) -> str:
        return f"{self.lease_id} {self.step_id}"
