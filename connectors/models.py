"""Book-keeping of what came in, and the simulated phone's own storage. No domain row lives here."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Run(models.Model):
    """One pass of one source over one file or stream."""

    source = models.CharField(_("source"), max_length=32)
    name = models.CharField(_("file"), max_length=255)
    started_at = models.DateTimeField(_("started"))
    finished_at = models.DateTimeField(_("finished"), null=True)
    received = models.PositiveIntegerField(_("received"), default=0)
    accepted = models.PositiveIntegerField(_("accepted"), default=0)
    duplicate = models.PositiveIntegerField(_("duplicate"), default=0)
    rejected = models.PositiveIntegerField(_("rejected"), default=0)

    class Meta:
        verbose_name = _("source run")
        verbose_name_plural = _("source runs")
        indexes = [models.Index(fields=["source", "-started_at"], name="run_source_started")]

    def __str__(self) -> str:
        return f"{self.source} {self.name}"


class Refusal(models.Model):
    """A refused record, kept with its reason until it is replayed with success."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="+")
    source = models.CharField(_("source"), max_length=32)
    line = models.PositiveIntegerField(_("line"))
    digest = models.CharField(max_length=64)  # of source and raw: the same bad row is kept once
    raw = models.JSONField(_("record"))
    reason = models.CharField(_("reason"), max_length=500)
    attempts = models.PositiveIntegerField(_("attempts"), default=1)
    first_seen_at = models.DateTimeField(_("first seen"))
    resolved_at = models.DateTimeField(_("resolved"), null=True)

    class Meta:
        verbose_name = _("refused record")
        verbose_name_plural = _("refused records")
        constraints = [models.UniqueConstraint(fields=["source", "digest"], name="refusal_once")]

    def __str__(self) -> str:
        return f"{self.source}:{self.line} {self.reason}"


class PhoneMessage(models.Model):
    """What the simulated phone received. It stands for a provider's storage, so it knows no tenant."""

    key = models.CharField(max_length=200, unique=True)  # the provider's idempotency key
    address = models.CharField(max_length=32, db_index=True)
    sender = models.CharField(max_length=40)
    text = models.TextField()
    url = models.CharField(max_length=300, blank=True)
    received_at = models.DateTimeField()

    class Meta:
        verbose_name = _("simulated phone message")
        verbose_name_plural = _("simulated phone messages")

    def __str__(self) -> str:
        return f"{self.address}: {self.text[:30]}"
