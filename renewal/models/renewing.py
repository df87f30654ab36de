"""Cases, published prices, proposals, signatures, filing tasks and the daily figures."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from tenants.models import Building, Lease, Message, Tenant, User


class Case(models.Model):
    """续租个案: one ending lease on its way to an outcome; always in exactly one state."""

    class State(models.TextChoices):
        UPCOMING = "upcoming", _("upcoming")
        CONTACTED = "contacted", _("contacted")
        VIEWED = "viewed", _("viewed")
        CONSIDERING = "considering", _("considering")
        SIGNED = "signed", _("renewed")
        NOTICE = "notice", _("notice given")
        DECLINED = "declined", _("declined")
        TRANSFERRED = "transferred", _("transferred")
        MOVED_OUT = "moved_out", _("moved out")
        HOLDOVER = "holdover", _("holdover")
        ENDED_BY_OPERATOR = "ended_by_operator", _("ended by the operator")

    lease = models.OneToOneField(Lease, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(_("state"), max_length=20, choices=State.choices, default=State.UPCOMING)
    since = models.DateTimeField(_("since"))
    opened_at = models.DateTimeField(_("opened"))

    class Meta:
        verbose_name = _("renewal case")
        verbose_name_plural = _("renewal cases")
        indexes = [models.Index(fields=["state"], name="case_state")]

    def __str__(self) -> str:
        return f"#{self.lease_id} {self.get_state_display()}"


class CaseChange(models.Model):
    """One move of a case, with its time, its cause, and the person or the rule behind it."""

    case = models.ForeignKey(Case, on_delete=models.CASCADE, related_name="+")
    was = models.CharField(_("was"), max_length=20, blank=True)
    now = models.CharField(_("now"), max_length=20)
    at = models.DateTimeField(_("at"))
    cause = models.CharField(_("cause"), max_length=200)
    by = models.CharField(_("by"), max_length=80)  # a username, "tenant" or a rule's name

    class Meta:
        verbose_name = _("change of a case")
        verbose_name_plural = _("changes of cases")
        indexes = [models.Index(fields=["case", "at"], name="case_change_at")]

    def __str__(self) -> str:
        return f"{self.was} → {self.now}"


class Rate(models.Model):
    """One line of the published rate card. No personal field enters a price (PIPL 24)."""

    building = models.ForeignKey(Building, on_delete=models.PROTECT, related_name="+")
    room_type = models.CharField(_("room type"), max_length=32)
    term_months = models.PositiveSmallIntegerField(_("term (months)"))
    free_months = models.PositiveSmallIntegerField(_("free months"), default=0)
    monthly_rent = models.DecimalField(_("monthly rent"), max_digits=10, decimal_places=2)
    signed_from = models.DateField(_("signed from"))
    signed_to = models.DateField(_("signed to"))
    recorded_at = models.DateTimeField()

    class Meta:
        verbose_name = _("published rent")
        verbose_name_plural = _("published rents")
        constraints = [
            models.UniqueConstraint(
                fields=["building", "room_type", "term_months", "free_months", "signed_from"], name="rate_once"
            ),
            models.CheckConstraint(condition=Q(monthly_rent__gt=0), name="rate_positive"),
            models.CheckConstraint(condition=Q(signed_to__gte=models.F("signed_from")), name="rate_window"),
        ]

    def __str__(self) -> str:
        return f"{self.room_type} {self.term_months} {self.monthly_rent}"


class Proposal(models.Model):
    """续签建议书: the tenant's year and the offers, frozen when they were prepared."""

    lease = models.ForeignKey(Lease, on_delete=models.PROTECT, related_name="+")
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    story = models.JSONField(_("story"))  # a list of cards, see renewal/story.py
    card = models.JSONField(_("rate card"))  # the published lines this proposal may quote
    lead = models.JSONField(_("lead offer"), default=dict, blank=True)  # the line it begins with: renewal/leads.py
    prepared_on = models.DateField(_("prepared on"))
    prepared_at = models.DateTimeField(_("prepared"))
    opened_at = models.DateTimeField(_("first opened"), null=True)

    class Meta:
        verbose_name = _("renewal proposal")
        verbose_name_plural = _("renewal proposals")
        constraints = [models.UniqueConstraint(fields=["lease", "tenant"], name="proposal_once")]

    def __str__(self) -> str:
        return f"{self.lease_id} {self.prepared_on}"


class Code(models.Model):
    """A one-time code sent for a proposal. Its digits are derived, never stored."""

    proposal = models.ForeignKey(Proposal, on_delete=models.CASCADE, related_name="+")
    signer = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    number = models.PositiveIntegerField()
    message = models.OneToOneField(Message, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    tries = models.PositiveSmallIntegerField(default=0)
    used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["proposal", "signer", "number"], name="code_once")]

    def __str__(self) -> str:
        return f"{self.proposal_id}:{self.signer_id}:{self.number}"


class DoorCode(models.Model):
    """A code asked for at the common door. A number nobody has gets a row too, so that both are told the same."""

    phone_hash = models.CharField(max_length=64)  # HMAC-SHA256, hex: a plain hash of a phone number is soon guessed
    number = models.PositiveIntegerField()
    message = models.OneToOneField(Message, on_delete=models.PROTECT, null=True, related_name="+")
    asked_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    tries = models.PositiveSmallIntegerField(default=0)
    used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["phone_hash", "number"], name="door_code_once")]

    def __str__(self) -> str:
        return f"{self.phone_hash[:8]}:{self.number}"


class Signature(models.Model):
    """A tenant's yes, with its evidence: the text's hash, the moment, the device and the code."""

    proposal = models.ForeignKey(Proposal, on_delete=models.PROTECT, related_name="+")
    signer = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    lease = models.ForeignKey(Lease, on_delete=models.PROTECT, related_name="+")  # the new one
    quote = models.JSONField(_("quote"))
    text = models.TextField(_("agreement"))
    text_version = models.CharField(_("text version"), max_length=32, default="renewal-1")  # agreement.VERSION then
    text_hash = models.CharField(max_length=64)  # SHA-256, hex
    code = models.OneToOneField(Code, on_delete=models.PROTECT, related_name="+")
    device = models.CharField(_("device"), max_length=300)
    address = models.GenericIPAddressField(_("IP address"), null=True)
    signed_at = models.DateTimeField(_("signed"))

    class Meta:
        verbose_name = _("signature")
        verbose_name_plural = _("signatures")
        constraints = [models.UniqueConstraint(fields=["proposal", "signer"], name="signature_once")]

    def __str__(self) -> str:
        return f"{self.proposal_id} {self.signed_at:%Y-%m-%d}"


class Paper(models.Model):
    """The signed agreement as a file, kept as it was drawn at the signature: renewal/paper.py."""

    lease = models.OneToOneField(Lease, on_delete=models.PROTECT, related_name="+")  # the new one
    pdf = models.BinaryField()
    pdf_hash = models.CharField(max_length=64)  # SHA-256, hex
    made_at = models.DateTimeField(_("made"))

    class Meta:
        verbose_name = _("signed agreement")
        verbose_name_plural = _("signed agreements")

    def __str__(self) -> str:
        return f"{self.lease_id} {self.pdf_hash[:8]}"


class FilingTask(models.Model):
    """备案: every signed renewal is filed with the housing authority (住房租赁条例 art. 8)."""

    class State(models.TextChoices):
        TODO = "todo", _("to file")
        DONE = "done", _("filed")

    lease = models.OneToOneField(Lease, on_delete=models.PROTECT, related_name="+")
    due_on = models.DateField(_("due on"))
    state = models.CharField(_("state"), max_length=8, choices=State.choices, default=State.TODO)
    done_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(_("created"))

    class Meta:
        verbose_name = _("filing task")
        verbose_name_plural = _("filing tasks")

    def __str__(self) -> str:
        return f"#{self.lease_id} {self.get_state_display()}"


class KpiDay(models.Model):
    """The figures of one day, for one building or (null) all; one row per day and building."""

    day = models.DateField(_("day"))
    building = models.ForeignKey(Building, on_delete=models.CASCADE, null=True, related_name="+")
    figures = models.JSONField(_("figures"))
    computed_at = models.DateTimeField(_("computed"))

    class Meta:
        verbose_name = _("figures of a day")
        verbose_name_plural = _("figures of days")
        constraints = [
            models.UniqueConstraint(fields=["day", "building"], nulls_distinct=False, name="kpi_day_once"),
        ]

    def __str__(self) -> str:
        return f"{self.day}"


class Rehearsal(models.Model):
    """A back-test or a dry run somebody asked for: how far it is, and what came of it. No message ever comes of it."""

    class Kind(models.TextChoices):
        BACK = "back", _("back-test")
        AHEAD = "ahead", _("dry run")

    class State(models.TextChoices):
        WAITING = "waiting", pgettext_lazy("rehearsal", "waiting")
        RUNNING = "running", pgettext_lazy("rehearsal", "running")
        DONE = "done", pgettext_lazy("rehearsal", "done")
        FAILED = "failed", pgettext_lazy("rehearsal", "failed")
        CANCELLED = "cancelled", pgettext_lazy("rehearsal", "cancelled")

    kind = models.CharField(_("kind"), max_length=8, choices=Kind.choices)
    # {"from", "to", "playbook", "rule", "as_now", "basis"} of a back-test, {"days"} of a dry run
    asked = models.JSONField(_("asked"))
    by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", verbose_name=_("by"))
    asked_at = models.DateTimeField(_("asked for"))
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.WAITING)
    done = models.PositiveIntegerField(_("days done"), default=0)
    total = models.PositiveIntegerField(_("days in all"), default=0)
    seen_at = models.DateTimeField(null=True)  # when it last made progress, by the database's clock
    finished_at = models.DateTimeField(_("finished"), null=True)
    error = models.TextField(_("error"), blank=True)
    result = models.JSONField(_("result"), null=True)  # as in docs/rehearsals.md, without its pushes

    class Meta:
        verbose_name = _("rehearsal")
        verbose_name_plural = _("rehearsals")
        indexes = [models.Index(fields=["asked_at"], name="rehearsal_asked_at")]

    def __str__(self) -> str:
        return f"{self.kind} {self.asked_at:%Y-%m-%d}"


class RehearsedPush(models.Model):
    """A step as a rehearsal decided it, beside what was really decided; each side as in docs/rehearsals.md, or null."""

    rehearsal = models.ForeignKey(Rehearsal, on_delete=models.CASCADE, related_name="+")
    on = models.DateField(_("on"))
    lease = models.ForeignKey(Lease, on_delete=models.CASCADE, related_name="+")
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    playbook = models.CharField(_("playbook"), max_length=32)
    step = models.CharField(_("step"), max_length=40)
    due_on = models.DateField(_("due on"))
    would = models.JSONField(null=True)
    really = models.JSONField(null=True)
    is_same = models.BooleanField(default=True)
    why = models.CharField(_("why"), max_length=300, blank=True)

    class Meta:
        verbose_name = _("rehearsed push")
        verbose_name_plural = _("rehearsed pushes")
        indexes = [models.Index(fields=["rehearsal", "on"], name="rehearsed_push_on")]

    def __str__(self) -> str:
        return f"{self.on} {self.step}"

    @property
    def said(self) -> int | None:
        """The step in the version it was decided by, there or else really; old results do not tell."""
        side = self.would or self.really or {}
        return side.get("said")
