"""Whether it worked: experiments, their arms and audiences, looks and verdicts."""

from django.db import models
from django.db.models import Q, Value
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from campaigns.models.told import Step
from tenants.models import Lease, Tenant, User


class Experiment(models.Model):
    """实验: wordings of one step, compared on proven clicks and signatures. `campaigns.trials` is its only writer.

    Of a wave the audience is frozen on its day and there is a verdict after 72 hours; a step that trickles by lease end
    goes on, with intervals and an e-value, until somebody stops it.
    """

    class State(models.TextChoices):
        READY = "ready", pgettext_lazy("an experiment", "waits for its day")
        RUNNING = "running", pgettext_lazy("an experiment", "running")
        DECIDED = "decided", pgettext_lazy("an experiment", "decided")
        STOPPED = "stopped", pgettext_lazy("an experiment", "stopped")

    name = models.CharField(_("name"), max_length=80)
    step = models.ForeignKey(Step, on_delete=models.PROTECT, related_name="+")
    on = models.DateField(_("the day of the wave"), null=True)  # null: as the step comes due, without an end
    seed = models.CharField(_("seed"), max_length=32)  # whoever has it and the roster comes to the same arms
    # Of a wave, frozen on its day: [household, building, mood, tenure, persons] of `experiments.assigning.Household`.
    roster = models.JSONField(_("roster"), default=list, db_default=Value([], models.JSONField()))
    # Of a wave, written down before it starts: {"asked": n, "refused": rate, …}, `tallies.usual`.
    usual = models.JSONField(_("usual rates"), default=dict, db_default=Value({}, models.JSONField()))
    state = models.CharField(_("state"), max_length=8, choices=State.choices, default=State.READY)
    made_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", verbose_name=_("by"))
    made_at = models.DateTimeField(_("made"))
    started_at = models.DateTimeField(_("started"), null=True)  # its first tenant was assigned
    ended_at = models.DateTimeField(_("ended"), null=True)

    class Meta:
        verbose_name = _("experiment")
        verbose_name_plural = _("experiments")
        constraints = [
            models.UniqueConstraint(
                fields=["step"], condition=Q(state__in=["ready", "running"]), name="experiment_one_a_step"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Arm(models.Model):
    """版本: one wording of an experiment. "A" is what the step says without it."""

    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="+")
    letter = models.CharField(_("version"), max_length=1)  # A, B, …
    text = models.CharField(_("wording"), max_length=200)
    # channel → code of the template it goes by there, as a step has them
    templates = models.JSONField(_("templates"), default=dict, blank=True)
    dropped_at = models.DateTimeField(_("dropped"), null=True)  # nobody new hears it; who heard it counts as before

    class Meta:
        verbose_name = _("version in an experiment")
        verbose_name_plural = _("versions in an experiment")
        constraints = [models.UniqueConstraint(fields=["experiment", "letter"], name="arm_once")]

    def __str__(self) -> str:
        return f"{self.experiment_id} {self.letter}"


class Assigned(models.Model):
    """A tenant of an experiment's audience, and the arm the lot gave them: for good, whatever they hear in the end."""

    experiment = models.ForeignKey(Experiment, on_delete=models.PROTECT, related_name="+")
    arm = models.ForeignKey(Arm, on_delete=models.PROTECT, related_name="+")
    lease = models.ForeignKey(Lease, on_delete=models.PROTECT, related_name="+")
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    household = models.CharField(max_length=32)
    block = models.PositiveIntegerField(_("block"))  # neighbours in a wave's roster among whom the lot was drawn
    at = models.DateTimeField(_("assigned"))

    class Meta:
        verbose_name = _("tenant in an experiment")
        verbose_name_plural = _("tenants in an experiment")
        constraints = [
            models.UniqueConstraint(fields=["experiment", "lease", "tenant"], name="assigned_once"),
        ]

    def __str__(self) -> str:
        return f"{self.experiment_id} {self.lease_id} {self.arm_id}"


class Look(models.Model):
    """One of the looks laid down before the start: what had been counted by then, and what followed."""

    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="+")
    number = models.PositiveSmallIntegerField(_("look"))  # 1, 2, …
    due_at = models.DateTimeField(_("due"))
    done_at = models.DateTimeField(_("done"), null=True)
    # {"arms": {letter: counts}, "p", "bound", "e", "share": of all the information there will be}
    found = models.JSONField(_("found"), default=dict)

    class Meta:
        verbose_name = _("look")
        verbose_name_plural = _("looks")
        constraints = [models.UniqueConstraint(fields=["experiment", "number"], name="look_once")]

    def __str__(self) -> str:
        return f"{self.experiment_id} {self.number}"


class Verdict(models.Model):
    """What was concluded, and what it rests on. The latest counts; lines are only ever added."""

    class Kind(models.TextChoices):
        CONFIRMED = "confirmed", _("confirmed")
        PROVISIONAL = "provisional", _("provisional")  # the better-looking arm is rolled out, unproven
        NO_DIFFERENCE = "no_difference", _("no difference")
        DROPPED = "dropped", pgettext_lazy("an arm", "dropped")
        UPHELD = "upheld", _("upheld by signatures")
        REVERSED = "reversed", _("reversed by signatures")
        BLOCKED = "blocked", _("no verdict")  # the arms were not filled as they should have been
        STOPPED = "stopped", pgettext_lazy("an experiment", "stopped")

    experiment = models.ForeignKey(Experiment, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(_("verdict"), max_length=16, choices=Kind.choices)
    arm = models.ForeignKey(Arm, on_delete=models.PROTECT, null=True, related_name="+")  # what is said from now on
    why = models.CharField(_("why"), max_length=300)
    found = models.JSONField(_("found"), default=dict)
    by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", verbose_name=_("by"))
    at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("verdict")
        verbose_name_plural = _("verdicts")

    def __str__(self) -> str:
        return f"{self.experiment_id} {self.kind}"
