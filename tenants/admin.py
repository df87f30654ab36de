"""Lists of the shared tenant model: settings of the house, what was sent, what came in and was refused."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from unfold.admin import ModelAdmin, TabularInline
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from connectors import channels
from connectors.models import Refusal, Run
from tenants import admin_inbound as admin_inbound  # its lists register themselves
from tenants import clock
from tenants.access import Role
from tenants.desk import HQ, Desk, MomentFilter, Within, by_words, may_run_the_house, said, state
from tenants.models import (
    Announcement,
    Attempt,
    Building,
    Membership,
    Message,
    Staff,
    User,
)
from tenants.vocabulary import FACILITIES, SKILLS

admin.site.unregister(Group)  # what a person may do follows from memberships


class AttemptInline(Within):
    model = Attempt
    fields = ("number", "by", "came_to", "provider_ref", "detail", "started_at", "finished_at")
    readonly_fields = ("by", "came_to")
    ordering = ("number",)

    @display(description=_("channel"))
    def by(self, attempt: Attempt) -> str:
        return channels.title(attempt.channel)

    @display(description=_("outcome"))
    def came_to(self, attempt: Attempt) -> str:
        return channels.outcome_name(attempt.outcome)


@admin.register(Message)
class MessageDesk(Desk):
    """Everything sent. The outbox is the only writer."""

    list_display = ("text", "recipient", "klass", "shown_state", "reason", "by", "created_at", "sent_at")
    list_filter = (
        ("state", ChoicesDropdownFilter),
        ("klass", ChoicesDropdownFilter),
        ("lease__unit__building", RelatedDropdownFilter),
        ("created_at", MomentFilter),
    )
    search_fields = ("text", "tenant__name", "tenant__phone", "key")
    list_select_related = ("tenant", "user", "lease__unit")
    ordering = ("-created_at", "-pk")
    building_path = "lease__unit__building"
    inlines = (AttemptInline,)
    fields = (
        "key", "klass", "tenant", "lease", "by", "text", "claims", "state", "reason", "not_before", "deadline",
        "attempt", "created_at", "sent_at", "changed_at",
    )  # fmt: skip
    readonly_fields = ("by",)

    @display(description=_("channel"), ordering="channel")
    def by(self, message: Message) -> str:
        return channels.title(message.channel)

    @display(description=pgettext_lazy("a message", "to"))
    def recipient(self, message: Message) -> str:
        return str(message.tenant or message.user or "–")

    @display(description=_("state"), ordering="state")
    def shown_state(self, message: Message) -> SafeString:
        return state(message.state, message.get_state_display(), "m")


@admin.register(Building)
class BuildingDesk(Desk):
    list_display = ("name", "code", "address", "has_iot")
    search_fields = ("name", "code")
    ordering = ("code",)
    building_path = "pk"
    fields = ("code", "name", "address", "latitude", "longitude", "has_iot")


@admin.register(Announcement)
class AnnouncementDesk(Desk):
    """Facts that messages may claim; a withdrawn one stops every message that claims it."""

    list_display = ("text", "building", "about", "on", "until", "owner", "withdrawn_at")
    list_filter = (("building", RelatedDropdownFilter),)
    list_select_related = ("building", "owner")
    ordering = ("-on", "-pk")
    building_path = "building"
    changed_by = added_by = frozenset({Role.HQ, Role.MANAGER})
    fields = ("building", "code", "topic", "text", "on", "until", "withdrawn_at")

    @display(description=_("topic"), ordering="topic")
    def about(self, announcement: Announcement) -> str:
        return said(FACILITIES, announcement.topic)

    def save_model(self, request: HttpRequest, obj: Announcement, form: forms.ModelForm[Any], change: bool) -> None:
        if not change:
            assert isinstance(request.user, User)  # noqa: S101
            obj.owner, obj.recorded_at = request.user, clock.now()
        super().save_model(request, obj, form, change)


class MembershipInline(TabularInline):
    model = Membership
    extra = 0


@admin.register(User)
class UserDesk(UserAdmin, ModelAdmin):
    """Who signs in. Only the head office sees the list."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "first_name", "is_active", "is_staff", "last_login")
    list_filter = ("is_active", "is_staff")
    ordering = ("username",)
    inlines = (MembershipInline,)
    fieldsets = (
        (None, {"fields": ("username", "password", "first_name", "last_name", "email")}),
        (None, {"fields": ("is_active", "is_staff", "last_login", "date_joined")}),
    )
    readonly_fields = ("last_login", "date_joined")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return may_run_the_house(request)

    def has_view_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return may_run_the_house(request)

    # Whoever sets a password can become that person; so only those who may do everything do.
    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False  # people leave; what they did keeps their name


@admin.register(Membership)
class MembershipDesk(Desk):
    list_display = ("user", "role", "building", "first_day", "last_day")
    list_filter = (("role", ChoicesDropdownFilter), ("building", RelatedDropdownFilter))
    list_select_related = ("user", "building")
    search_fields = ("user__username", "user__first_name")
    ordering = ("user__username", "pk")
    seen_by = changed_by = added_by = HQ
    fields = ("user", "role", "building", "first_day", "last_day")


@admin.register(Staff)
class StaffDesk(Desk):
    """Working facts, which come from the list of staff. Where to reach somebody in WeCom may be put right here."""

    list_display = ("name", "user", "phone", "wecom_id", "able", "shift")
    list_select_related = ("user",)
    search_fields = ("name", "phone", "user__username", "wecom_id")
    ordering = ("user__username", "pk")
    seen_by = changed_by = HQ
    fields = ("name", "user", "phone", "able", "shift", "wecom_id")
    readonly_fields = ("name", "user", "phone", "able", "shift")

    @display(description=_("skills"), ordering="skills")
    def able(self, person: Staff) -> str:
        return " · ".join(said(SKILLS, skill) for skill in person.skills) or "–"


SOURCES = {
    "units": _("units"),
    "contracts": _("contracts"),
    "rates": _("published rents"),
    "consents": _("consents"),
    "iot": _("locks and meters"),
    "app": _("app behaviour"),
    "tickets": _("tickets"),
    "community": _("community"),
    "payments": _("payments"),
    "bills": _("bills and moods"),
    "staff": _("members of staff"),
    "cloudevents": _("other systems (CloudEvents)"),
    "wechat": _("WeChat"),
}


@admin.register(Run)
class RunDesk(Desk):
    """What a source brought: received = accepted + duplicate + rejected."""

    list_display = (
        "shown_source",
        "name",
        "received",
        "accepted",
        "duplicate",
        "rejected",
        "started_at",
        "finished_at",
    )
    list_filter = (by_words("source", _("source"), SOURCES), ("started_at", MomentFilter))
    search_fields = ("name",)
    ordering = ("-started_at", "-pk")
    seen_by = HQ
    fields = list_display
    readonly_fields = ("shown_source",)

    @display(description=_("source"), ordering="source")
    def shown_source(self, run: Run) -> str:
        return said(SOURCES, run.source)


@admin.register(Refusal)
class RefusalDesk(Desk):
    """Records that were refused, each with its reason, until they are replayed with success."""

    list_display = ("reason", "shown_source", "line", "attempts", "first_seen_at", "resolved_at")
    list_filter = (by_words("source", _("source"), SOURCES), ("resolved_at", admin.EmptyFieldListFilter))
    search_fields = ("reason",)
    ordering = ("-first_seen_at", "-pk")
    seen_by = HQ
    fields = ("shown_source", "run", "line", "reason", "raw", "attempts", "first_seen_at", "resolved_at")
    readonly_fields = ("shown_source",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("run")

    @display(description=_("source"), ordering="source")
    def shown_source(self, refusal: Refusal) -> str:
        return said(SOURCES, refusal.source)
