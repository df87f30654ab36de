"""Who hears what: segments with their sentence, and every push with its reason."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from campaigns import pushes, segments, versions
from campaigns.models import Push, Segment
from tenants import clock
from tenants.desk import HQ, Desk, MomentFilter, state
from tenants.models import User


class SegmentForm(forms.ModelForm):
    class Meta:
        model = Segment
        fields = ("name", "rule")

    def clean_rule(self) -> Any:
        rule = self.cleaned_data["rule"]
        try:
            segments.check(rule)
        except segments.BadRule as error:
            raise ValidationError(str(error)) from error
        return rule

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if Segment.objects.filter(name=name).exclude(pk=self.instance.pk).exists():
            raise ValidationError(_("There is already a segment called “%(name)s”.") % {"name": name})
        return name


@admin.register(Segment)
class SegmentDesk(Desk):
    list_display = ("name", "sentence")
    ordering = ("code",)
    seen_by = changed_by = HQ
    form = SegmentForm
    fields = ("name", "sentence", "rule")
    readonly_fields = ("sentence",)

    def save_model(self, request: HttpRequest, obj: Segment, form: Any, change: bool) -> None:
        """By the verb, so that this change is a version like any other."""
        by = request.user if isinstance(request.user, User) else None
        latest = versions.history(obj).first()
        seen = latest.number if latest else 0
        versions.save(obj.pk, obj.name, obj.rule, seen=seen, note="", by=by, now=clock.now())

    @display(description=_("in words"))
    def sentence(self, segment: Segment) -> str:
        return segments.sentence(segment.rule)


@admin.register(Push)
class PushDesk(Desk):
    """Each decision to tell one tenant one thing, with its reason; sending is the outbox's."""

    list_display = ("tenant", "wording", "shown_state", "sent", "reason", "created_at")
    list_filter = (
        ("state", ChoicesDropdownFilter),
        ("message__state", ChoicesDropdownFilter),
        ("step__playbook", RelatedDropdownFilter),
        ("lease__unit__building", RelatedDropdownFilter),
        ("created_at", MomentFilter),
    )
    search_fields = ("tenant__name", "tenant__phone", "lease__unit__code", "said__text")
    list_select_related = ("tenant", "lease__unit", "said", "message")
    ordering = ("-created_at", "-pk")
    building_path = "lease__unit__building"
    fields = ("lease", "tenant", "wording", "state", "reason", "due_on", "created_at", "message")
    readonly_fields = ("wording",)

    @display(description=_("wording"), ordering="said__text")
    def wording(self, push: Push) -> str:
        return pushes.read(push)

    @display(description=_("state"), ordering="state")
    def shown_state(self, push: Push) -> SafeString:
        return state(push.state, push.get_state_display(), "p")

    @display(description=_("message"), ordering="message__state")
    def sent(self, push: Push) -> str | SafeString:
        return state(push.message.state, push.message.get_state_display(), "m") if push.message else "–"
