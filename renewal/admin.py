"""Cases, signatures, filing tasks, published rents and the figures of past days."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.db.models import Case as When
from django.db.models import F, QuerySet, Value
from django.db.models import When as If
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateFilter, RelatedDropdownFilter
from unfold.contrib.filters.admin.dropdown_filters import DropdownFilter
from unfold.decorators import display

from connectors.records import AliasSource
from renewal import days, kpis, phrases
from renewal.contracts import DECIDES
from renewal.models import Case, CaseChange, FilingTask, KpiDay, Rate, Round, Seat, Signature
from renewal.sources import NAMES
from tenants import clock
from tenants.access import SEES_PEOPLE, Role, masked
from tenants.attributes import ALIASES
from tenants.desk import HQ, Desk, MomentFilter, Within, by_words, name_columns, said, state
from tenants.models import ContractDecision, JobRun, WaitingContract, WaitingEvent
from tenants.waiting import ALSO

name_columns(apps.get_models())  # this room's lists come last, so every model is there


class ChangeInline(Within):
    model = CaseChange
    fields = ("at", "moved", "why", "by")
    readonly_fields = ("moved", "why")
    ordering = ("-at", "-pk")

    @display(description=_("change"))
    def moved(self, change: CaseChange) -> str:
        names = dict(Case.State.choices)
        was = names.get(change.was)
        return f"{was} → {names[change.now]}" if was else str(names[change.now])

    @display(description=_("cause"))
    def why(self, change: CaseChange) -> str:
        return str(_(change.cause)) if change.cause else "–"


class OutcomeFilter(DropdownFilter):
    """The leases behind a figure of the dashboard, counted the same way."""

    title = _("outcome")
    parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterator[tuple[str, Any]]:
        yield from kpis.OUTCOMES_NAMED.items()

    def queryset(self, request: HttpRequest, queryset: QuerySet[Case]) -> QuerySet[Case]:
        if not self.value():
            return queryset
        now = clock.now()
        return queryset.filter(
            lease__in=kpis.leases_with(self.value(), day=clock.day_of(now), now=now),
        )


@admin.register(Case)
class CaseDesk(Desk):
    """Ending leases on their way to an outcome, the nearest end first."""

    list_display = ("who", "unit", "building", "last_day", "days_left", "shown_state", "since")
    list_display_links = None
    list_filter = (
        ("state", ChoicesDropdownFilter),
        OutcomeFilter,
        ("lease__unit__building", RelatedDropdownFilter),
        ("lease__last_day", RangeDateFilter),
    )
    search_fields = ("lease__tenants__name", "lease__tenants__phone", "lease__contract_no", "lease__unit__code")
    list_select_related = ("lease__unit__building",)
    building_path = "lease__unit__building"
    inlines = (ChangeInline,)
    fields = ("lease", "state", "since", "opened_at")

    def get_ordering(self, request: HttpRequest) -> Any:
        is_over = When(If(lease__last_day__lt=clock.today(), then=Value(1)), default=Value(0))
        return (is_over, "lease__last_day", "pk")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).prefetch_related("lease__tenants")

    @display(description=_("tenant"))
    def who(self, case: Case) -> SafeString:
        return format_html_join(
            "、",
            '<a href="{}" class="font-semibold">{}</a>',
            ((reverse("staff-tenant", args=[t.merged_into_id or t.pk]), t.name) for t in case.lease.tenants.all()),
        )

    @display(description=_("unit"), ordering="lease__unit__code")
    def unit(self, case: Case) -> str:
        return case.lease.unit.code

    @display(description=_("building"), ordering="lease__unit__building__code")
    def building(self, case: Case) -> str:
        return case.lease.unit.building.name

    @display(description=_("last day"), ordering="lease__last_day")
    def last_day(self, case: Case) -> SafeString:
        return _to("staff-contract", case.lease_id, case.lease.last_day.isoformat())

    @display(description=_("days left"), ordering="lease__last_day")
    def days_left(self, case: Any) -> int:
        return int((case.lease.last_day - clock.day_of(case.product_now)).days)

    @display(description=_("state"), ordering="state")
    def shown_state(self, case: Case) -> SafeString:
        return state(case.state, case.get_state_display())


@admin.register(WaitingContract)
class WaitingContractDesk(Desk):
    """Contracts that wait for days, or for a person; each leads to both of its sides."""

    list_display = ("contract", "tenant", "unit", "building", "revision", "reason", "recorded_at")
    list_display_links = None
    list_filter = (("unit__building", RelatedDropdownFilter),)
    list_select_related = ("unit__building",)
    search_fields = ("contract_no", "unit__code")
    ordering = ("-recorded_at", "-pk")
    seen_by = DECIDES
    building_path = "unit__building"
    fields = ("contract_no", "revision", "unit", "reason", "recorded_at")

    @display(description=_("contract no."), ordering="contract_no")
    def contract(self, row: WaitingContract) -> SafeString:
        return _to("staff-waiting", row.pk, row.contract_no)

    @display(description=_("tenant"))
    def tenant(self, row: WaitingContract) -> str:
        return str(row.terms["tenant_name"])

    @display(description=_("building"), ordering="unit__building__code")
    def building(self, row: WaitingContract) -> str:
        return row.unit.building.name


@admin.register(ContractDecision)
class ContractDecisionDesk(Desk):
    """What was accepted or refused, by whom and why; a decision that stands can be undone."""

    list_display = ("contract", "unit", "revision", "shown", "why", "by", "at", "undone_at", "back")
    list_display_links = None
    list_filter = (("verdict", ChoicesDropdownFilter), ("unit__building", RelatedDropdownFilter))
    list_select_related = ("unit__building", "by", "lease")
    search_fields = ("contract_no", "unit__code", "why")
    ordering = ("-at", "-pk")
    seen_by = DECIDES
    building_path = "unit__building"
    fields = ("contract_no", "revision", "unit", "waited_for", "verdict", "why", "by", "at", "undone_at", "undone_by")

    @display(description=_("contract no."), ordering="contract_no")
    def contract(self, row: ContractDecision) -> SafeString | str:
        return _to("staff-contract", row.lease_id, row.contract_no) if row.lease_id else row.contract_no

    @display(description=_("decision"), ordering="verdict")
    def shown(self, row: ContractDecision) -> SafeString:
        return state(row.verdict, row.get_verdict_display(), "d")

    @display(description="")
    def back(self, row: ContractDecision) -> SafeString | str:
        if row.undone_at:
            return ""
        # The list is one form already; the button sends its own.
        return format_html(
            '<button type="submit" class="link" formmethod="post" formaction="{}">{}</button>',
            reverse("staff-undo", args=[row.pk]),
            _("Undo"),
        )


@admin.register(WaitingEvent)
class WaitingEventDesk(Desk):
    """What happened to somebody not known yet: it finds its tenant when one of its aliases is learnt."""

    list_display = ("what", "whose", "shown_source", "at", "recorded_at")
    list_filter = (by_words("source", _("source"), NAMES),)
    search_fields = ("who_ref", "source_id")
    ordering = ("-recorded_at", "-pk")
    seen_by = HQ
    fields = ("what", "whose", "shown_source", "source_id", "at", "recorded_at")
    readonly_fields = ("what", "whose", "shown_source")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).exclude(kind=ALSO)

    @display(description=_("what happened"), ordering="kind")
    def what(self, event: WaitingEvent) -> str:
        return phrases.say(event)

    @display(description=_("whose"), ordering="who_ref")
    def whose(self, event: WaitingEvent) -> str:
        ref = masked(event.who_ref) if event.who_source == AliasSource.PHONE else event.who_ref
        return f"{said(ALIASES, event.who_source)} {ref}"

    @display(description=_("source"), ordering="source")
    def shown_source(self, event: WaitingEvent) -> str:
        return said(NAMES, event.source)


def _to(page: str, pk: int | None, text: str) -> SafeString:
    return format_html('<a href="{}" class="font-semibold">{}</a>', reverse(page, args=[pk]), text)


@admin.register(Signature)
class SignatureDesk(Desk):
    """Who signed what, and the evidence for it."""

    list_display = ("who", "lease", "first_day", "rent", "signed_at")
    list_display_links = None
    list_filter = (("lease__unit__building", RelatedDropdownFilter), ("signed_at", MomentFilter))
    search_fields = ("signer__name", "signer__phone", "lease__contract_no", "lease__unit__code")
    list_select_related = ("signer", "lease__unit")
    ordering = ("-signed_at", "-pk")
    building_path = "lease__unit__building"
    fields = ("signer", "lease", "text", "text_hash", "quote", "device", "address", "signed_at")

    @display(description=_("signer"), ordering="signer__name")
    def who(self, signature: Signature) -> SafeString:
        return _to("staff-signature", signature.pk, signature.signer.name)

    @display(description=_("first day"), ordering="lease__first_day")
    def first_day(self, signature: Signature) -> str:
        return signature.lease.first_day.isoformat()

    @display(description=_("monthly rent"), ordering="lease__monthly_rent")
    def rent(self, signature: Signature) -> str:
        return f"{signature.lease.monthly_rent:,.2f}"


class SeatsInside(Within):
    model = Seat
    fields = ("signer", "signed_at", "device", "address")
    readonly_fields = fields
    ordering = ("pk",)


@admin.register(Round)
class RoundDesk(Desk):
    """Who still has to sign with others, until when, and what became of it."""

    list_display = ("unit_agreed", "lease", "state", "deadline", "because")
    list_filter = (("state", ChoicesDropdownFilter), ("lease__unit__building", RelatedDropdownFilter))
    search_fields = ("lease__contract_no", "unit__code")
    list_select_related = ("lease__unit", "unit")
    ordering = ("-opened_at", "-pk")
    building_path = "lease__unit__building"
    fields = (
        "lease",
        "unit",
        "state",
        "opened_at",
        "deadline",
        "closed_at",
        "closed_by",
        "because",
        "sealing",
        "flow",
        "sealing_trouble",
        "text",
    )
    inlines = (SeatsInside,)

    @display(description=_("unit"), ordering="unit__code")
    def unit_agreed(self, round: Round) -> str:
        return round.unit.code


@admin.register(FilingTask)
class FilingTaskDesk(Desk):
    """Every signed renewal is filed with the housing authority."""

    list_display = ("lease", "unit", "due_on", "state", "done_by")
    list_filter = (("state", ChoicesDropdownFilter), ("lease__unit__building", RelatedDropdownFilter))
    list_select_related = ("lease__unit", "done_by")
    ordering = ("due_on", "pk")
    building_path = "lease__unit__building"
    changed_by = SEES_PEOPLE - {Role.FINANCE}
    fields = ("lease", "due_on", "state", "done_by", "created_at")
    readonly_fields = ("lease", "due_on", "done_by", "created_at")

    @display(description=_("unit"), ordering="lease__unit__code")
    def unit(self, task: FilingTask) -> str:
        return task.lease.unit.code

    def save_model(self, request: HttpRequest, obj: FilingTask, form: Any, change: bool) -> None:
        obj.done_by = request.user if obj.state == FilingTask.State.DONE else None  # type: ignore[assignment]
        super().save_model(request, obj, form, change)


@admin.register(Rate)
class RateDesk(Desk):
    """The published card. It is changed by loading the next one, never by hand."""

    list_display = ("room_type", "building", "term_months", "free_months", "monthly_rent", "signed_from", "signed_to")
    list_filter = (("building", RelatedDropdownFilter), "room_type")
    list_select_related = ("building",)
    ordering = ("building__code", "room_type", "term_months", "free_months", "signed_from")
    building_path = "building"
    fields = list_display


@admin.register(KpiDay)
class KpiDayDesk(Desk):
    list_display = ("day", "building", "ending", "renewed", "rate", "computed_at")
    list_filter = (("building", RelatedDropdownFilter), ("day", RangeDateFilter))
    list_select_related = ("building",)
    ordering = ("-day", F("building__code").asc(nulls_first=True))
    seen_by = HQ
    fields = ("day", "building", "figures", "computed_at")

    @display(description=_("leases ending in the season"))
    def ending(self, row: KpiDay) -> int:
        return int(row.figures["renewal"]["season"]["ending"])

    @display(description=_("renewed"))
    def renewed(self, row: KpiDay) -> int:
        return int(row.figures["renewal"]["season"]["renewed"])

    @display(description=_("of those decided"))
    def rate(self, row: KpiDay) -> str:
        share = row.figures["renewal"]["season"]["decided"]
        return "–" if share["rate"] is None else f"{share['rate']:.1%} (n {share['n']})"


@admin.register(JobRun)
class JobRunDesk(Desk):
    list_display = ("shown_job", "period", "started_at", "finished_at", "shown_stage", "error")
    ordering = ("-started_at", "-pk")
    seen_by = HQ
    fields = ("shown_job", "period", "started_at", "finished_at", "shown_stage", "counts", "error")
    readonly_fields = ("shown_job", "shown_stage")

    @display(description=_("job"), ordering="job")
    def shown_job(self, run: JobRun) -> str:
        return said({days.JOB: _("daily run")}, run.job)

    @display(description=_("stage"), ordering="stage")
    def shown_stage(self, run: JobRun) -> str:
        return str(next((_(stage.title) for stage in days.STAGES if stage.name == run.stage), run.stage))
