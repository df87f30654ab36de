"""Work orders as staff see them: one problem, its reports, and how long it waited."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, F, OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from tenants.desk import EVERYBODY, Desk, MomentFilter, Within, said, state
from tenants.vocabulary import CHANNELS
from workorders.models import Report, WorkOrder


class ReportInline(Within):
    model = Report
    fields = ("reported_at", "by", "text", "ticket")
    readonly_fields = ("by",)
    ordering = ("reported_at", "pk")

    @display(description=_("channel"))
    def by(self, report: Report) -> str:
        return said(CHANNELS, report.channel)


@admin.register(WorkOrder)
class WorkOrderDesk(Desk):
    list_display = (
        "problem",
        "building",
        "shown_state",
        "reports",
        "first_reported_at",
        "waited",
        "technician",
        "score",
    )
    list_filter = (
        ("state", ChoicesDropdownFilter),
        ("category", ChoicesDropdownFilter),
        ("unit__building", RelatedDropdownFilter),
        ("first_reported_at", MomentFilter),
    )
    search_fields = ("unit__code", "text", "technician__name")
    list_select_related = ("unit__building", "technician")
    ordering = ("-first_reported_at", "-pk")
    building_path = "unit__building"
    seen_by = EVERYBODY
    inlines = (ReportInline,)
    fields = (
        "unit", "category", "state", "text", "first_reported_at", "accepted_at", "arrived_at", "finished_at",
        "technician", "score",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        reports = Report.objects.filter(order=OuterRef("pk")).order_by().values("order").annotate(n=Count("pk"))
        return super().get_queryset(request).annotate(reports_n=Subquery(reports.values("n")))

    @display(description=_("problem"), ordering="category")
    def problem(self, order: WorkOrder) -> str:
        return f"{order.unit.code} {order.get_category_display()}"

    @display(description=_("building"), ordering="unit__building__code")
    def building(self, order: WorkOrder) -> str:
        return order.unit.building.name

    @display(description=_("state"), ordering="state")
    def shown_state(self, order: WorkOrder) -> SafeString:
        hues = {"open": "waiting", "accepted": "plain", "finished": "done"}
        return state(hues[order.state], order.get_state_display())

    @display(description=_("reports"), ordering="reports_n")
    def reports(self, order: Any) -> int:
        return int(order.reports_n or 0)

    @display(description=_("time to accept"), ordering=F("accepted_at") - F("first_reported_at"))
    def waited(self, order: Any) -> str:
        """Hours until a technician accepted; of one that still waits, so far."""
        until = order.accepted_at or order.arrived_at or order.finished_at
        hours = ((until or order.product_now) - order.first_reported_at).total_seconds() / 3600
        return _("%.1f h") % hours if until else _("waiting, %.1f h") % hours
