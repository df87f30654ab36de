"""What tenants and staff say about a case: facts, notices to leave, and what staff have to do because of them."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from renewal.models.renewing import Case
from tenants.models import Tenant


class Fact(models.Model):
    """Something said about a case that is no state of it. Never changed: of a kind, the latest counts."""

    class Kind(models.TextChoices):
        INTENT = "intent", _("intent")
        REMINDER = "reminder", _("reminder")
        WISH = "wish", _("wish for another room")
        NOTE = "note", pgettext_lazy("a case", "note")
        WORD = "word", _("verbal yes")

    case = models.ForeignKey(Case, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(_("kind"), max_length=12, choices=Kind.choices)
    said = models.JSONField(_("said"))  # what it holds, by kind: see renewal/facts.py
    at = models.DateTimeField(_("at"))
    by = models.CharField(_("by"), max_length=80)  # a username, or "tenant"

    class Meta:
        verbose_name = _("fact on a case")
        verbose_name_plural = _("facts on cases")
        indexes = [models.Index(fields=["case", "kind", "at"], name="case_fact_at")]

    def __str__(self) -> str:
        return f"{self.case_id} {self.kind}"


class Notice(models.Model):
    """退租通知: a tenant's word that they leave. It stands until it is withdrawn, and counts once staff confirm it."""

    class Reason(models.TextChoices):
        WORK = "work", _("my work or my school moves")
        BOUGHT = "bought", _("I have bought a home")
        RENT = "rent", _("The rent")
        ROOM = "room", _("I would like another kind of room")
        SERVICE = "service", _("The service")
        FAMILY = "family", _("My family or my household changes")
        OTHER = "other", _("Something else")

    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="+")
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")  # who gave it, or for whom it is
    only_them = models.BooleanField(_("the others stay"), default=False)
    reason = models.CharField(_("reason"), max_length=12, choices=Reason.choices, blank=True)
    more = models.CharField(_("in their words"), max_length=200, blank=True)
    last_day = models.DateField(_("planned last day"))
    forwarding = models.BinaryField(default=b"")  # where post is to follow, sealed (connectors/sealing.py)
    given_at = models.DateTimeField(_("given"))
    given_by = models.CharField(_("by"), max_length=80)  # a username, or "tenant"
    window_ends_at = models.DateTimeField(_("may be withdrawn until"))
    confirmed_at = models.DateTimeField(_("confirmed"), null=True)
    confirmed_by = models.CharField(_("confirmed by"), max_length=80, blank=True)
    withdrawn_at = models.DateTimeField(_("withdrawn"), null=True)
    withdrawn_by = models.CharField(_("withdrawn by"), max_length=80, blank=True)

    class Meta:
        verbose_name = _("notice to leave")
        verbose_name_plural = _("notices to leave")
        constraints = [
            models.UniqueConstraint(
                fields=["case", "tenant"], condition=Q(withdrawn_at__isnull=True), name="notice_once_at_a_time"
            )
        ]

    def __str__(self) -> str:
        return f"{self.case_id} {self.last_day}"


class Errand(models.Model):
    """Something a person of the staff has to do about a case; one of a kind is open at a time."""

    class Kind(models.TextChoices):
        CALL = "call", _("call the tenant")
        ROOM = "room", _("look for another room")
        CLASH = "clash", _("settle who gets the room")
        TERM = "term", _("find a length for them")

    case = models.ForeignKey(Case, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(_("kind"), max_length=8, choices=Kind.choices)
    why = models.CharField(_("why"), max_length=200)
    opened_at = models.DateTimeField(_("opened"))
    done_at = models.DateTimeField(_("done"), null=True)
    done_by = models.CharField(_("done by"), max_length=80, blank=True)
    outcome = models.CharField(_("what came of it"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("errand of a case")
        verbose_name_plural = _("errands of cases")
        constraints = [
            models.UniqueConstraint(fields=["case", "kind"], condition=Q(done_at__isnull=True), name="errand_once_open")
        ]

    def __str__(self) -> str:
        return f"{self.case_id} {self.kind}"
