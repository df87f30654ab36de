"""What we told them: messages, attempts, links and clicks."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Case, F, Q, When
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from tenants.models.leased import Lease
from tenants.models.where import Announcement
from tenants.models.who import Tenant, User


class Message(models.Model):
    """Anything sent out, of any room and class. `tenants.outbox` is its only writer."""

    class Class(models.TextChoices):
        MARKETING = "marketing", _("marketing")
        SERVICE = "service", _("service")
        CODE = "code", pgettext_lazy("message", "code")
        STAFF = "staff", _("staff")
        SYSTEM = "system", _("system")

    class State(models.TextChoices):
        PLANNED = "planned", _("planned")
        QUEUED = "queued", _("queued")
        SENDING = "sending", _("sending")
        UNKNOWN = "unknown", _("unknown")
        ACCEPTED = "accepted", pgettext_lazy("message", "accepted")
        DELIVERED = "delivered", _("delivered")
        UNDELIVERED = "undelivered", _("undelivered")
        FAILED = "failed", _("failed")
        PARKED = "parked", _("parked")
        SUPPRESSED = "suppressed", _("suppressed")
        CANCELLED = "cancelled", _("cancelled")
        EXPIRED = "expired", _("expired")
        DEAD = "dead", _("dead")

    key = models.CharField(_("key"), max_length=120)
    klass = models.CharField(_("class"), max_length=12, choices=Class.choices)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    user = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    lease = models.ForeignKey(Lease, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    channel = models.CharField(_("channel"), max_length=16)
    # Where it is tried next once this channel has certainly not taken it; never while that is unknown.
    route = ArrayField(models.CharField(max_length=16), default=list, db_default=[], verbose_name=_("then by"))
    text = models.CharField(_("text"), max_length=500)  # a code's digits are never here: "{code}" is
    # channel → {"template": the provider's code, "values": {name: text}}, for channels that send templates only;
    # or {"text"}, where a channel says it in other words
    forms = models.JSONField(default=dict, db_default={})
    priority = models.SmallIntegerField(
        _("priority"), default=0, db_default=0
    )  # the greater wins the tenant's attention
    link_purpose = models.CharField(max_length=16, blank=True)  # a link is rendered when it is sent
    claims = models.ForeignKey(Announcement, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    stops_on_answer = models.BooleanField(default=False)  # cancelled once the lease is renewed or noticed
    after_repairs = models.BooleanField(default=False, db_default=False)  # waits while something is to be put right
    is_personal = models.BooleanField(default=False, db_default=False)  # its words were chosen by what the tenant does
    state = models.CharField(_("state"), max_length=12, choices=State.choices, default=State.PLANNED)
    reason = models.CharField(_("reason"), max_length=200, blank=True)  # why suppressed, expired, parked …
    not_before = models.DateTimeField(_("not before"))
    deadline = models.DateTimeField(_("deadline"))
    attempt = models.PositiveIntegerField(_("attempt"), default=0)  # also the fencing token
    failures = models.PositiveIntegerField(default=0, db_default=0)  # tries that count; "slow down" does not
    # It stood in a database that was restored: it may have gone before, so the provider is asked before it is sent.
    doubtful = models.BooleanField(default=False, db_default=False)
    recalled = models.BooleanField(default=False, db_default=False)  # refused or answered while it was claimed
    lease_until = models.DateTimeField(null=True)  # the claim's, by the database's clock
    created_at = models.DateTimeField(_("created"))
    sent_at = models.DateTimeField(_("accepted at"), null=True)
    changed_at = models.DateTimeField(_("changed"))

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        constraints = [
            models.CheckConstraint(
                condition=Q(tenant__isnull=False) | Q(user__isnull=False) | Q(klass="system"),
                name="message_has_a_recipient",
            ),
            models.CheckConstraint(
                condition=Q(state="sending", lease_until__isnull=False) | ~Q(state="sending"),
                name="message_sending_is_leased",
            ),
            models.UniqueConstraint(fields=["key"], name="message_key_once"),
        ]
        # Each move of a message is written into every index whose condition it meets, or that has none: that is most
        # of what a move costs the database. So there is none that another does as well.
        indexes = [
            models.Index(fields=["not_before", "id"], name="message_due", condition=Q(state__in=["planned", "queued"])),
            models.Index(fields=["lease_until"], name="message_sending", condition=Q(state="sending")),
            # The order in which a channel's messages are claimed (tenants/outbox/claiming.py).
            models.Index(
                F("channel"),
                Case(When(klass="code", then=0), default=1),
                F("priority").desc(),
                F("not_before"),
                F("id"),
                name="message_claim",
                condition=Q(state="queued"),
            ),
            models.Index(fields=["channel", "not_before"], name="message_unknown", condition=Q(state="unknown")),
            models.Index(fields=["tenant"], name="message_of_tenant", condition=Q(tenant__isnull=False)),
            models.Index(fields=["user"], name="message_of_user", condition=Q(user__isnull=False)),
            models.Index(fields=["lease"], name="message_of_lease", condition=Q(lease__isnull=False)),
            models.Index(fields=["claims"], name="message_of_claim", condition=Q(claims__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.key


class Attempt(models.Model):
    """One try of one message through one channel."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="+", db_index=False)  # `attempt_once`
    number = models.PositiveIntegerField(_("number"))
    channel = models.CharField(_("channel"), max_length=16)
    outcome = models.CharField(_("outcome"), max_length=16, blank=True)  # empty while it is on its way
    provider_ref = models.CharField(_("provider reference"), max_length=120, blank=True)
    detail = models.CharField(_("detail"), max_length=300, blank=True)
    address_hash = models.CharField(max_length=64, blank=True, db_default="")  # where it went: tenants.outbox.addresses
    started_at = models.DateTimeField(_("started"))
    finished_at = models.DateTimeField(_("finished"), null=True)

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = pgettext_lazy("a message", "attempts")
        constraints = [models.UniqueConstraint(fields=["message", "number"], name="attempt_once")]
        indexes = [models.Index(fields=["channel", "provider_ref"], name="attempt_ref", condition=~Q(provider_ref=""))]

    def __str__(self) -> str:
        return f"{self.message_id}#{self.number} {self.outcome}"


class Link(models.Model):
    """One link per message or touchpoint scan. Only the hash of its token is kept."""

    class Purpose(models.TextChoices):
        PROPOSAL = "proposal", _("renewal proposal")
        MOOD = "mood", _("mood on a bill")
        SURVEY = "survey", _("survey")
        ROADMAP = "roadmap", _("roadmap of the stay")

    token_hash = models.CharField(max_length=64, unique=True)  # SHA-256, hex
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    lease = models.ForeignKey(Lease, on_delete=models.CASCADE, related_name="+")
    purpose = models.CharField(_("purpose"), max_length=16, choices=Purpose.choices)
    carrier = models.CharField(_("carrier"), max_length=140, unique=True)  # "message:<key>", "door:<from>:<n>"
    created_at = models.DateTimeField(_("created"))
    expires_at = models.DateTimeField(_("expires"))
    revoked_at = models.DateTimeField(_("revoked"), null=True)

    class Meta:
        verbose_name = _("link")
        verbose_name_plural = _("links")
        indexes = [models.Index(fields=["lease", "purpose"], name="link_of_lease")]

    def __str__(self) -> str:
        return f"{self.purpose} {self.carrier}"


class Click(models.Model):
    """That a link was opened by a POST; proven if a trusted gesture did it or a code confirmed it later."""

    link = models.OneToOneField(Link, on_delete=models.CASCADE, related_name="+")
    opened_at = models.DateTimeField(_("first opened"))
    proven_at = models.DateTimeField(_("proven"), null=True)
    proof = models.CharField(_("proof"), max_length=8, blank=True)  # "gesture", "code"

    class Meta:
        verbose_name = _("click")
        verbose_name_plural = _("clicks")

    def __str__(self) -> str:
        return f"{self.link_id} {self.proof or 'unproven'}"
