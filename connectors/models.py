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
        return self.name


class Refusal(models.Model):
    """A refused record, kept with its reason until it is replayed with success."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="+")
    source = models.CharField(_("source"), max_length=32)
    line = models.PositiveIntegerField(_("line"))
    column = models.CharField(
        _("column"), max_length=64, blank=True, db_default=""
    )  # the cell that is wrong, if one is
    upload = models.ForeignKey("Upload", on_delete=models.SET_NULL, null=True, related_name="+")  # the file it stood in
    digest = models.CharField(max_length=64)  # of source and raw: the same bad row is kept once
    raw = models.JSONField(_("record"))
    reason = models.CharField(_("reason"), max_length=500)
    attempts = models.PositiveIntegerField(_("attempts"), default=1)
    first_seen_at = models.DateTimeField(_("first seen"))
    resolved_at = models.DateTimeField(_("resolved"), null=True)
    # As somebody corrected it; while it waits, what was tried last. `raw` stays what came.
    fixed = models.JSONField(_("corrected"), null=True)
    dismissed_because = models.CharField(_("put aside because"), max_length=200, blank=True, db_default="")
    settled_by = models.CharField(
        _("by"), max_length=150, blank=True, db_default=""
    )  # who corrected it or put it aside

    class Meta:
        verbose_name = _("refused record")
        verbose_name_plural = _("refused records")
        constraints = [models.UniqueConstraint(fields=["source", "digest"], name="refusal_once")]

    def __str__(self) -> str:
        return f"{self.source}:{self.line} {self.reason}"


class Upload(models.Model):
    """A file as somebody handed it in: what is previewed, applied, and exported with its bad cells marked."""

    source = models.CharField(_("source"), max_length=32)
    name = models.CharField(_("file"), max_length=255)
    content = models.BinaryField()
    sha256 = models.CharField(max_length=64)
    mapping = models.JSONField(_("columns"), default=dict)  # our column → the file's; empty: guessed
    by = models.CharField(_("by"), max_length=150, blank=True)  # account; empty: the command line
    uploaded_at = models.DateTimeField(_("uploaded"))
    applied_at = models.DateTimeField(_("applied"), null=True)
    run = models.ForeignKey(Run, on_delete=models.SET_NULL, null=True, related_name="+")

    class Meta:
        verbose_name = _("uploaded file")
        verbose_name_plural = _("uploaded files")
        indexes = [models.Index(fields=["-uploaded_at"], name="upload_latest")]

    def __str__(self) -> str:
        return self.name


class Mapping(models.Model):
    """Which column of a vendor's export stands for which of ours, as a clerk once chose it."""

    source = models.CharField(_("source"), max_length=32)
    name = models.CharField(_("vendor"), max_length=64)
    columns = models.JSONField(_("columns"))  # our column → the file's
    by = models.CharField(_("by"), max_length=150, blank=True)
    changed_at = models.DateTimeField(_("changed"))

    class Meta:
        verbose_name = _("saved mapping")
        verbose_name_plural = _("saved mappings")
        constraints = [models.UniqueConstraint(fields=["source", "name"], name="mapping_once")]

    def __str__(self) -> str:
        return self.name


class Landed(models.Model):
    """What a sender handed in over HTTP, as it came: committed before the answer, deleted once it is taken in."""

    source = models.CharField(_("source"), max_length=32)  # "segment", "cloudevents", "wechat", "ttlock"
    body = models.JSONField(_("body"))
    received_at = models.DateTimeField(_("received"))
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    error = models.CharField(_("error"), max_length=300, blank=True)

    class Meta:
        verbose_name = _("landed call")
        verbose_name_plural = _("landed calls")

    def __str__(self) -> str:
        return f"{self.source} #{self.pk}"


class InboundKey(models.Model):
    """A key by which a sender is known. Only its hash is kept; it is shown once, when it is made."""

    source = models.CharField(_("source"), max_length=32)
    name = models.CharField(_("sender"), max_length=64)
    digest = models.CharField(max_length=64, unique=True)  # SHA-256, hex
    hint = models.CharField(_("key"), max_length=12)  # its last characters, to tell keys apart
    by = models.CharField(_("by"), max_length=150, blank=True)
    created_at = models.DateTimeField(_("created"))
    used_at = models.DateTimeField(_("last used"), null=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True)

    class Meta:
        verbose_name = _("sender's key")
        verbose_name_plural = _("senders' keys")

    def __str__(self) -> str:
        return f"{self.source}: {self.name}"


class SourceHour(models.Model):
    """What a source gave us in one hour: how its usual rhythm is known, and so its silence."""

    source = models.CharField(_("source"), max_length=32)
    hour = models.DateTimeField(_("hour"))  # its beginning
    received = models.PositiveIntegerField(_("received"), default=0)
    accepted = models.PositiveIntegerField(_("accepted"), default=0)
    duplicate = models.PositiveIntegerField(_("duplicate"), default=0)
    rejected = models.PositiveIntegerField(_("rejected"), default=0)
    last_at = models.DateTimeField(_("last record"))

    class Meta:
        verbose_name = _("hour of a source")
        verbose_name_plural = _("hours of sources")
        constraints = [models.UniqueConstraint(fields=["source", "hour"], name="source_hour_once")]

    def __str__(self) -> str:
        return f"{self.source} {self.hour:%Y-%m-%d %H}: {self.received}"


class Retirement(models.Model):
    """A source that is not expected to say anything any more: by whom, why, and whether that stands."""

    source = models.CharField(_("source"), max_length=32)
    why = models.CharField(_("reason"), max_length=200)
    by = models.CharField(_("by"), max_length=150, blank=True)
    at = models.DateTimeField(_("at"))
    undone_at = models.DateTimeField(_("undone"), null=True)
    undone_by = models.CharField(_("undone by"), max_length=150, blank=True)

    class Meta:
        verbose_name = _("retired source")
        verbose_name_plural = _("retired sources")
        constraints = [
            models.UniqueConstraint(fields=["source"], condition=models.Q(undone_at=None), name="retirement_once")
        ]

    def __str__(self) -> str:
        return self.source


class AccessToken(models.Model):
    """What a provider gives for a secret, for all workers, sealed. One of them at a time asks for the next."""

    account = models.CharField(max_length=64, primary_key=True)  # whose, at which address and under which secret
    sealed = models.BinaryField(default=b"")
    expires_at = models.DateTimeField(null=True)  # both by the database's clock
    asking_until = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("access token")
        verbose_name_plural = _("access tokens")

    def __str__(self) -> str:
        return self.account


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
