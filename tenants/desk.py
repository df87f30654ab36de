"""What lists of the staff site have in common: who sees them, of which buildings, and who may change what.

A list names the roles that see it and the path from its rows to their building; a row of another building
does not exist for whoever asks. Rows are changed here only where a list says so: most have a verb as their
only writer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date, timedelta
from typing import Any

from django.db.models import Model, QuerySet, Value
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy
from unfold.admin import ModelAdmin, TabularInline
from unfold.contrib.filters.admin import RangeDateFilter
from unfold.contrib.filters.admin.dropdown_filters import DropdownFilter

from tenants import access, clock
from tenants.access import SEES_PEOPLE, Role

HQ: Collection[str] = frozenset({Role.HQ})
EVERYBODY: Collection[str] = frozenset(Role)


def role(request: HttpRequest) -> str:
    """The role of who asks, looked up once a request."""
    if not hasattr(request, "_role"):
        request._role = access.role_for(request.user, today=clock.today())  # type: ignore[attr-defined]
    return str(request._role)  # type: ignore[attr-defined]


def may_see_people(request: HttpRequest) -> bool:
    """Whether who asks may see tenants."""
    return role(request) in SEES_PEOPLE


def may_run_the_house(request: HttpRequest) -> bool:
    """Whether who asks may see and set what concerns all buildings."""
    return role(request) in HQ


def may_decide_contracts(request: HttpRequest) -> bool:
    """Whether who asks may decide about a contract that waits, of their buildings."""
    return role(request) in {Role.HQ, Role.MANAGER}


def may_decide_pushes(request: HttpRequest) -> bool:
    """Whether who asks may say what becomes of a message whose sending ended in doubt, of their buildings."""
    return role(request) in {Role.HQ, Role.MANAGER}


def may_work_on_cases(request: HttpRequest) -> bool:
    """Whether who asks may write on a renewal case, of their buildings: those who see people, but for finance."""
    return role(request) in SEES_PEOPLE - {Role.FINANCE}


def state(code: str, title: str, kind: str = "") -> SafeString:
    """A state as a coloured word (hues: static/staff/staff.css); `kind` tells two rooms' states of one name apart."""
    return format_html('<span class="state state--{}{}">{}</span>', f"{kind}-" if kind else "", code, title)


class Desk(ModelAdmin):
    """A list of rows that staff read. `changed_by` names who may change one, `added_by` who may add one."""

    seen_by: Collection[str] = SEES_PEOPLE
    changed_by: Collection[str] = frozenset()
    added_by: Collection[str] = frozenset()
    building_path = ""  # from a row to its building; empty where rows belong to no building

    list_per_page = 50
    show_full_result_count = False
    list_filter_submit = True
    list_filter_sheet = False
    actions = None

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        title = capfirst(str(self.model._meta.verbose_name_plural))
        return super().changelist_view(request, {"title": title, **(extra_context or {})})

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        rows = rows.annotate(product_now=Value(clock.now()))  # asked once a page, not once a row
        if self.building_path and not access.sees_everything(request.user, today=clock.today()):
            theirs = access.buildings_for(request.user, today=clock.today(), roles=self.seen_by)
            rows = rows.filter(**{f"{self.building_path}__in": theirs})
        return rows

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return role(request) in self.seen_by

    def has_add_permission(self, request: HttpRequest) -> bool:
        return role(request) in self.added_by

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return role(request) in self.changed_by

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def name_columns(models: Iterable[type[Model]]) -> None:
    """Columns called only by their Python name (most foreign keys) are named in the reader's language, too."""
    for model in models:
        for column in model._meta.fields:
            if column._verbose_name is None:  # type: ignore[attr-defined]
                column.verbose_name = gettext_lazy(str(column.verbose_name))


def said(words: Mapping[Any, Any], code: str) -> str:
    """What a code is called in the reader's language; one that has no word stays as it is."""
    return str(words.get(code, code))


def by_words(column: str, title: Promise, words: Mapping[Any, Any]) -> type[DropdownFilter]:
    """A filter for a column of codes, which offers those that occur, in words."""

    class WordsFilter(DropdownFilter):
        parameter_name = column

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
            codes = model_admin.get_queryset(request).order_by(column).values_list(column, flat=True).distinct()
            return [(code, said(words, code)) for code in codes]

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            return queryset.filter(**{column: self.value()}) if self.value() else queryset

    WordsFilter.title = title
    return WordsFilter


class MomentFilter(RangeDateFilter):
    """Moments between two days of Shanghai, both inclusive: `…_from` and `…_to` in the address."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        try:
            if first := self.used_parameters.get(f"{self.field_path}_from"):
                queryset = queryset.filter(**{f"{self.field_path}__gte": clock.at(date.fromisoformat(first))})
            if last := self.used_parameters.get(f"{self.field_path}_to"):
                end = clock.at(date.fromisoformat(last) + timedelta(days=1))
                queryset = queryset.filter(**{f"{self.field_path}__lt": end})
        except ValueError:
            return None
        return queryset


class Within(TabularInline):
    """Rows that belong to the one shown, to be read by whoever sees that one."""

    extra = 0
    can_delete = False
    hide_title = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True
