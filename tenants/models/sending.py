"""What surrounds sending: stopped channels, decisions of persons, receipts, and how far the database has lived."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from tenants.models.told import Message
from tenants.models.who import User


class Pause(models.Model):
    """A channel that is stopped, by a person or because its provider takes nothing of ours; "*" stops everything."""

    class Cause(models.TextChoices):
        PERSON = "person", _("stopped by a person")
        PROVIDER = "provider", _("stopped by the provider's answer")
        RESTORED = "restored", _("the database is a restored or copied one")

    channel = models.CharField(_("channel"), max_length=16, unique=True)
    cause = models.CharField(_("cause"), max_length=8, choices=Cause.choices, default=Cause.PERSON, db_default="person")
    why = models.CharField(_("why"), max_length=200, blank=True, db_default="")
    by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("paused channel")
        verbose_name_plural = _("paused channels")

    def __str__(self) -> str:
        return self.channel


class Switching(models.Model):
    """That a channel, or everything, was stopped or let go; appended to, never changed."""

    channel = models.CharField(_("channel"), max_length=16)
    stopped = models.BooleanField(_("stopped"))
    cause = models.CharField(_("cause"), max_length=8, choices=Pause.Cause.choices)
    why = models.CharField(_("why"), max_length=200, blank=True)
    by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", verbose_name=_("by"))
    at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("stop or start of a channel")
        verbose_name_plural = _("stops and starts of channels")
        ordering = ["-at", "-id"]

    def __str__(self) -> str:
        return f"{self.channel} {'stopped' if self.stopped else 'let go'}"


class Decision(models.Model):
    """What a person decided about one message; appended to, never changed."""

    class Verdict(models.TextChoices):
        PARKED = "parked", _("parked")
        RELEASED = "released", _("sent again")
        CANCELLED = "cancelled", _("given up")

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="+")
    verdict = models.CharField(_("decision"), max_length=12, choices=Verdict.choices)
    why = models.CharField(_("why"), max_length=200, blank=True)
    by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", verbose_name=_("by"))
    at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("decision about a message")
        verbose_name_plural = _("decisions about messages")

    def __str__(self) -> str:
        return f"{self.message_id} {self.verdict}"


class Receipt(models.Model):
    """What a provider said later about a message, each word of it once; it waits until its message is known."""

    channel = models.CharField(_("channel"), max_length=16)
    digest = models.CharField(max_length=64, unique=True)  # SHA-256 of what it says, hex
    key = models.CharField(max_length=120, blank=True)
    ref = models.CharField(_("provider reference"), max_length=120, blank=True)
    # Where the provider says it went, and its keyed hash; until it is matched, then both are emptied.
    address = models.CharField(max_length=64, blank=True)
    address_hash = models.CharField(max_length=64, blank=True, db_default="")
    outcome = models.CharField(_("outcome"), max_length=12)  # "delivered", "undelivered"
    detail = models.CharField(_("detail"), max_length=200, blank=True)
    said_at = models.DateTimeField(_("said"), null=True)
    received_at = models.DateTimeField(_("received"))
    message = models.ForeignKey(Message, on_delete=models.CASCADE, null=True, related_name="+")
    settled_at = models.DateTimeField(_("settled"), null=True)  # it moved its message, or came too late to

    class Meta:
        verbose_name = _("receipt")
        verbose_name_plural = _("receipts")
        indexes = [models.Index(fields=["received_at"], name="receipt_open", condition=Q(settled_at__isnull=True))]

    def __str__(self) -> str:
        return f"{self.channel} {self.ref or self.key} {self.outcome}"


class Epoch(models.Model):
    """How far this database has lived, once a minute; a file outside it knows the same number. One row."""

    home = models.CharField(max_length=80)  # the cluster and database it was written in
    number = models.BigIntegerField(default=0)
    at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("epoch of the outbox")
        verbose_name_plural = _("epochs of the outbox")

    def __str__(self) -> str:
        return f"{self.home} {self.number}"


class Throttle(models.Model):
    """How many messages a channel with a limit has taken in the second that began at `since`."""

    channel = models.CharField(max_length=16, unique=True)
    since = models.DateTimeField()
    taken = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = _("throttle of a channel")
        verbose_name_plural = _("throttles of channels")

    def __str__(self) -> str:
        return f"{self.channel} {self.taken}"


class Holdout(models.Model):
    """对照组: from `at` on, so many per cent of households, by lot, hear no marketing. Only ever added to."""

    salt = models.CharField(max_length=32)  # hex; the same in every line
    percent = models.PositiveSmallIntegerField(_("of households, by lot (%)"))
    at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("holdout")
        verbose_name_plural = _("holdouts")
        constraints = [models.CheckConstraint(condition=Q(percent__lte=100), name="holdout_percent")]

    def __str__(self) -> str:
        return f"{self.percent} %"
