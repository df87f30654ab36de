"""Who hears what, when: playbooks with their versions and steps, releases, enrolments and pushes."""

from django.db import models
from django.db.models import F, Q, Value
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from campaigns.models.who import Segment
from tenants.models import Lease, Message, Perk, Tenant, User


class Playbook(models.Model):
    """剧本: a segment's sequence of steps. A tenant follows the first playbook, by rank, that takes them.

    One that starts by what happened (its versions name a kind of event) is followed beside the others, once for each
    occurrence.
    """

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


class PlaybookVersion(models.Model):
    """What a playbook is from some release on: a draft until then, and never changed afterwards."""

    class UnderWay(models.TextChoices):
        FINISH = "finish", _("finish the version they are in")
        MOVE = "move", _("move to this version")

    playbook = models.ForeignKey(Playbook, on_delete=models.PROTECT, related_name="+")
    number = models.PositiveIntegerField(_("version"))  # 1, 2, …
    is_draft = models.BooleanField(_("draft"), default=True)
    # Days before the lease's end at which it starts, where nothing in the lease says otherwise (campaigns/starts.py).
    lead_days = models.PositiveSmallIntegerField(_("starts, days before the end"), default=60)
    # What starts it instead: {"events": kind, "where": […]} as in a rule; empty for the lease's end.
    starts_on = models.JSONField(_("starts on"), default=dict, blank=True)
    leaves_with_segment = models.BooleanField(_("who leaves the segment leaves the playbook"), default=True)
    fix_first = models.BooleanField(_("ask only after repairs"), default=True)
    # Per cent of households, by lot, for whom asks do not wait: those it is measured against.
    unfixed_percent = models.PositiveSmallIntegerField(_("by lot without waiting (%)"), default=0)
    under_way = models.CharField(_("those under way"), max_length=8, choices=UnderWay.choices, default=UnderWay.FINISH)
    note = models.CharField(_("note"), max_length=200, blank=True)
    by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", verbose_name=_("by"))
    at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("version of a playbook")
        verbose_name_plural = _("versions of playbooks")
        constraints = [
            models.UniqueConstraint(fields=["playbook", "number"], name="playbook_version_once"),
            models.UniqueConstraint(fields=["playbook"], condition=Q(is_draft=True), name="playbook_one_draft"),
            models.CheckConstraint(condition=Q(unfixed_percent__lte=100), name="playbook_version_percent"),
        ]

    def __str__(self) -> str:
        return f"{self.playbook_id} {self.number}"


class Step(models.Model):
    """One message of a playbook: the same step in whichever version, so that nobody hears it twice."""

    playbook = models.ForeignKey(Playbook, on_delete=models.PROTECT, related_name="+")
    code = models.CharField(_("code"), max_length=40, unique=True)

    class Meta:
        verbose_name = _("step")
        verbose_name_plural = _("steps")

    def __str__(self) -> str:
        return self.code


class StepVersion(models.Model):
    """What a step says in one version of its playbook, to whom, and when it is due."""

    class Anchor(models.TextChoices):
        START = "start", _("days after the start")
        END = "end", _("days before the lease's end")
        EVENT = "event", _("days after what happened")
        WAVE = "wave", _("a wave on one day")

    class Kind(models.TextChoices):
        ASK = "ask", _("about renewing")  # marketing: needs consent, has a link, waits for repairs
        CARE = "care", _("about a service")  # a service message: an apology, an answer

    version = models.ForeignKey(PlaybookVersion, on_delete=models.CASCADE, related_name="+")
    step = models.ForeignKey(Step, on_delete=models.PROTECT, related_name="+")
    anchor = models.CharField(_("due"), max_length=8, choices=Anchor.choices, default=Anchor.END)
    days = models.PositiveSmallIntegerField(_("days"), default=0)
    # Of a wave: its day, and the leases it speaks to by how many days after it they end.
    on = models.DateField(_("on"), null=True, blank=True)
    ends_from = models.PositiveSmallIntegerField(_("ends from (days)"), default=20)
    ends_to = models.PositiveSmallIntegerField(_("ends to (days)"), default=75)
    kind = models.CharField(_("kind"), max_length=8, choices=Kind.choices, default=Kind.ASK)
    rule = models.JSONField(_("only to"), null=True, blank=True)
    # channel → code of the template it goes by there (tenants.templating)
    templates = models.JSONField(_("templates"), default=dict, db_default=Value({}, models.JSONField()), blank=True)
    text = models.CharField(_("wording"), max_length=200)  # under 40 Chinese characters; {announcement} may stand
    # What those hear who do not agree to personal wording, where there is a rule (campaigns/general.py).
    general_text = models.CharField(_("general wording"), max_length=200, blank=True, default="", db_default="")
    general_templates = models.JSONField(default=dict, db_default=Value({}, models.JSONField()), blank=True)
    claims_topic = models.CharField(_("claims an announcement about"), max_length=32, blank=True)
    grants = models.ForeignKey(Perk, on_delete=models.PROTECT, null=True, blank=True, related_name="+")

    class Meta:
        verbose_name = _("step in a version")
        verbose_name_plural = _("steps in versions")
        constraints = [
            models.UniqueConstraint(fields=["version", "step"], name="step_version_once"),
            models.CheckConstraint(
                condition=Q(anchor="wave", on__isnull=False) | ~Q(anchor="wave"), name="step_version_wave_has_a_day"
            ),
            models.CheckConstraint(condition=Q(ends_from__lte=F("ends_to")), name="step_version_wave_window"),
        ]

    def __str__(self) -> str:
        return f"{self.version_id} {self.step_id}"


class Release(models.Model):
    """灰度: whom a version of a playbook may take from now on. The latest that stands counts.

    One that would reach many waits for a second person. Only ever added to, but for the one decision.
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("waits for a second person")
        STANDING = "standing", _("released")
        REFUSED = "refused", pgettext_lazy("a release", "refused")
        WITHDRAWN = "withdrawn", pgettext_lazy("a release", "withdrawn")

    version = models.ForeignKey(PlaybookVersion, on_delete=models.PROTECT, related_name="+")
    percent = models.PositiveSmallIntegerField(_("of households, by lot (%)"), default=100)
    rule = models.JSONField(_("only to"), null=True, blank=True)  # a building, a list, or anything a rule may say
    reach = models.PositiveIntegerField(_("leases reached when it was asked for"))
    state = models.CharField(_("state"), max_length=10, choices=State.choices)
    why = models.CharField(_("reason"), max_length=200, blank=True)
    asked_by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, related_name="+", verbose_name=_("asked for by")
    )
    asked_at = models.DateTimeField(_("asked for"))
    decided_by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, related_name="+", verbose_name=_("decided by")
    )
    decided_at = models.DateTimeField(_("decided"), null=True)

    class Meta:
        verbose_name = _("release")
        verbose_name_plural = _("releases")
        constraints = [
            models.UniqueConstraint(fields=["version"], condition=Q(state="waiting"), name="release_one_waiting"),
            models.CheckConstraint(condition=Q(percent__lte=100), name="release_percent"),
            # A second person is another person.
            models.CheckConstraint(
                condition=~Q(state__in=["standing", "refused"])
                | Q(decided_by__isnull=True)
                | ~Q(decided_by=F("asked_by")),
                name="release_by_two",
            ),
            models.CheckConstraint(
                condition=Q(state="waiting", decided_at__isnull=True)
                | Q(decided_at__isnull=False) & ~Q(state="waiting"),
                name="release_decided_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.version_id} {self.percent} % {self.state}"


class Enrolment(models.Model):
    """A lease in a playbook, once per cycle: "1", or the id of the event that started it."""

    playbook = models.ForeignKey(Playbook, on_delete=models.PROTECT, related_name="+")
    version = models.ForeignKey(PlaybookVersion, on_delete=models.PROTECT, related_name="+")
    # Versions followed before: [{"on": the day of the move, "from": version}, …], the latest first.
    moves = models.JSONField(default=list, db_default=Value([], models.JSONField()))
    lease = models.ForeignKey(Lease, on_delete=models.PROTECT, related_name="+")
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    cycle = models.CharField(max_length=64, default="1")
    started_at = models.DateTimeField(_("what started it happened at"), null=True)  # of an event
    start_on = models.DateField(_("starts on"))
    start_why = models.CharField(_("why then"), max_length=200)
    fix_first = models.BooleanField(_("asks wait for repairs"), default=True)  # as the lot fell
    enrolled_on = models.DateField(_("enrolled on"))
    left_on = models.DateField(_("left on"), null=True)
    left_because = models.CharField(_("left because"), max_length=80, blank=True)
    is_final = models.BooleanField(_("for good"), default=False)  # the tenant answered: no playbook asks again

    class Meta:
        verbose_name = _("enrolment")
        verbose_name_plural = _("enrolments")
        constraints = [
            models.UniqueConstraint(fields=["playbook", "lease", "tenant", "cycle"], name="enrolment_once"),
            # A tenant follows one playbook at a time for a lease's end.
            models.UniqueConstraint(
                fields=["lease", "tenant"],
                condition=Q(left_on__isnull=True, cycle="1"),
                name="enrolment_one_at_a_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.playbook_id} {self.lease_id}"


class Push(models.Model):
    """触达: the decision to send one tenant one step once. Sending is the outbox's."""

    class State(models.TextChoices):
        HELD = "held", _("held back")  # not decided yet: something has to be put right first
        PLANNED = "planned", _("planned")
        SUPPRESSED = "suppressed", _("suppressed")
        HANDED_OVER = "handed_over", _("in the outbox")

    lease = models.ForeignKey(Lease, on_delete=models.PROTECT, related_name="+")
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    step = models.ForeignKey(Step, on_delete=models.PROTECT, related_name="+")
    said = models.ForeignKey(StepVersion, on_delete=models.PROTECT, related_name="+")  # in which version
    cycle = models.CharField(max_length=64, default="1")
    general = models.BooleanField(_("general wording"), default=False, db_default=False)
    due_on = models.DateField(pgettext_lazy("push", "due on"))
    held_on = models.DateField(_("held back until"), null=True)  # the last day on which it was
    state = models.CharField(_("state"), max_length=12, choices=State.choices, default=State.PLANNED)
    reason = models.CharField(_("why"), max_length=300)
    message = models.OneToOneField(Message, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(_("created"))  # when it was decided, or last held back
    first_at = models.DateTimeField(null=True)  # when it had come due and was looked at first

    class Meta:
        verbose_name = _("push")
        verbose_name_plural = _("pushes")
        constraints = [
            models.UniqueConstraint(fields=["lease", "tenant", "step", "cycle"], name="push_once"),
        ]
        indexes = [
            models.Index(fields=["due_on"], name="push_due", condition=Q(state__in=["planned", "held"])),
            models.Index(fields=["-created_at", "-id"], name="push_decided"),  # the page of pushes, a period at a time
        ]

    def __str__(self) -> str:
        return f"{self.lease_id} {self.step_id}"


class Quiet(models.Model):
    """Until a day no playbook asks about a lease: the line written last holds."""

    lease = models.ForeignKey(Lease, on_delete=models.CASCADE, related_name="+")
    until = models.DateField(_("until"))  # they ask again from this day on
    why = models.CharField(_("why"), max_length=200, blank=True)
    at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("quiet time of a lease")
        verbose_name_plural = _("quiet times of leases")
        indexes = [models.Index(fields=["lease", "at"], name="quiet_lease_at")]

    def __str__(self) -> str:
        return f"{self.lease_id} {self.until}"
