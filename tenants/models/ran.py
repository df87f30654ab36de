"""When it is, and which jobs have run."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


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
    # Each time it was run: when, and at which stage it broke off ("" if it came to its end).
    times = models.JSONField(default=list)  # [{"at": "2025-12-01T02:00:00+00:00", "broke_off": ""}, …]

    class Meta:
        verbose_name = _("job run")
        verbose_name_plural = _("job runs")
        constraints = [models.UniqueConstraint(fields=["job", "period"], name="job_run_once")]

    def __str__(self) -> str:
        return f"{self.job} {self.period}"
