"""How they feel about it: whom we asked on which bill and in which quarter, and what they answered to a survey.

A mood is an event (`mood.given`), whoever asked for it; what stands here is that we asked.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from tenants.models.leased import Lease
from tenants.models.who import Tenant, User


class Asking(models.Model):
    """Staff switched questions of a kind on or off. Only ever added to: the latest holds; without one they are off."""

    class What(models.TextChoices):
        MOODS = "moods", _("the mood on each bill")
        SURVEYS = "surveys", _("the quarterly survey")

    what = models.CharField(_("question"), max_length=8, choices=What.choices)
    is_on = models.BooleanField(_("on"))
    by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", verbose_name=_("by"))
    at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("switching of questions")
        verbose_name_plural = _("switchings of questions")
        indexes = [models.Index(fields=["what", "-at"], name="asking_latest")]

    def __str__(self) -> str:
        return f"{self.what} {self.is_on}"


class BillAsk(models.Model):
    """A person is asked for the mood of one bill, once. Its message and its link are called `mood:<id>`."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    lease = models.ForeignKey(Lease, on_delete=models.CASCADE, related_name="+")
    bill = models.CharField(_("bill"), max_length=100)
    month = models.CharField(_("month"), max_length=7)  # YYYY-MM
    issued_at = models.DateTimeField(_("issued"))
    asked_at = models.DateTimeField(_("asked"))

    class Meta:
        verbose_name = _("question on a bill")
        verbose_name_plural = _("questions on bills")
        constraints = [models.UniqueConstraint(fields=["tenant", "bill"], name="bill_ask_once")]

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.month}"


class Survey(models.Model):
    """A person is asked in one quarter how likely they are to recommend us, and their answer once there is one.

    Its message and its link are called `survey:<id>`. The building is that of the day of asking.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    lease = models.ForeignKey(Lease, on_delete=models.CASCADE, related_name="+")
    quarter = models.DateField(_("quarter"))  # its first day
    stay_months = models.PositiveSmallIntegerField(_("lived here, months"))  # whole months, when asked
    asked_at = models.DateTimeField(_("asked"))
    score = models.PositiveSmallIntegerField(_("score"), null=True)  # 0–10
    reasons = ArrayField(models.CharField(max_length=16), default=list, db_default=[], verbose_name=_("reasons"))
    words = models.CharField(_("in their words"), max_length=300, blank=True, db_default="")
    answered_at = models.DateTimeField(_("answered"), null=True)  # first
    changed_at = models.DateTimeField(_("changed"), null=True)

    class Meta:
        verbose_name = _("survey")
        verbose_name_plural = _("surveys")
        constraints = [
            models.UniqueConstraint(fields=["tenant", "quarter"], name="survey_once_a_quarter"),
            models.CheckConstraint(
                condition=Q(quarter__day=1, quarter__month__in=[1, 4, 7, 10]), name="survey_of_quarter"
            ),
            models.CheckConstraint(
                condition=Q(score=None, answered_at=None) | Q(score__lte=10, answered_at__isnull=False),
                name="survey_score",
            ),
        ]
        indexes = [models.Index(F("quarter"), F("lease"), name="survey_of_quarter_by_lease")]

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.quarter:%Y-%m}: {self.score}"
