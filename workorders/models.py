"""One problem, many reports."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from tenants import vocabulary
from tenants.models import Staff, Tenant, Unit


class WorkOrder(models.Model):
    """工单: one problem of one unit. At most one is open per fingerprint (unit and category)."""

    Category = vocabulary.Category

    class State(models.TextChoices):
        OPEN = "open", _("waiting for a technician")
        ACCEPTED = "accepted", pgettext_lazy("work order", "accepted")
        FINISHED = "finished", pgettext_lazy("work order", "finished")

    unit = models.ForeignKey(Unit, on_delete=models.PROTECT, related_name="+")
    category = models.CharField(_("category"), max_length=12, choices=Category.choices)
    fingerprint = models.CharField(max_length=64)  # "{unit_id}:{category}"
    state = models.CharField(_("state"), max_length=12, choices=State.choices, default=State.OPEN)
    text = models.CharField(_("problem"), max_length=500)
    first_reported_at = models.DateTimeField(_("first reported"))
    accepted_at = models.DateTimeField(pgettext_lazy("time", "accepted"), null=True)
    arrived_at = models.DateTimeField(_("arrived"), null=True)
    finished_at = models.DateTimeField(_("finished"), null=True)
    technician = models.ForeignKey(Staff, on_delete=models.PROTECT, null=True, related_name="+")
    score = models.PositiveSmallIntegerField(_("rating"), null=True)  # 1–5

    class Meta:
        verbose_name = _("work order")
        verbose_name_plural = _("work orders")
        constraints = [
            models.UniqueConstraint(fields=["fingerprint"], condition=~Q(state="finished"), name="work_order_one_open"),
        ]
        indexes = [models.Index(fields=["first_reported_at"], name="work_order_reported")]

    def __str__(self) -> str:
        return f"#{self.pk} {self.get_category_display()}"


class Report(models.Model):
    """报修: one tenant's word about a problem, through one channel."""

    ticket = models.CharField(_("ticket no."), max_length=64, unique=True)
    order = models.ForeignKey(WorkOrder, on_delete=models.CASCADE, related_name="+")
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, null=True, related_name="+")
    channel = models.CharField(_("channel"), max_length=16)  # "app", "wechat", "group", "desk", "phone"
    text = models.CharField(_("text"), max_length=500)
    reported_at = models.DateTimeField(_("reported"))

    class Meta:
        verbose_name = _("report")
        verbose_name_plural = pgettext_lazy("a work order", "reports")

    def __str__(self) -> str:
        return self.ticket
