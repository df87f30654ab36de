"""Who may send us something over HTTP, and what came in and could not be taken: two lists of the head office."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from connectors.models import InboundKey, Landed
from tenants import clock, keys, landing
from tenants.desk import HQ, Desk, by_words, said

ADDRESSES = {
    "segment": "/v1/",
    "segment-server": "/v1/",
    "cloudevents": "/api/events",
    "ttlock": "/api/sources/ttlock?key=",
    "touchpoint": "/api/touchpoints/…/links",
}
LANDS = {"segment": "Segment", "cloudevents": "CloudEvents", "ttlock": "TTLock", "wechat": _("WeChat")}


class NewKey(forms.ModelForm):
    source = forms.ChoiceField(
        label=_("kind of sender"), choices=list(keys.SENDERS.items()), widget=UnfoldAdminSelectWidget
    )

    class Meta:
        model = InboundKey
        fields = ("source", "name")
        widgets = {"name": UnfoldAdminTextInputWidget}


@admin.register(InboundKey)
class InboundKeyDesk(Desk):
    """Senders' keys: made here, shown once, revoked here."""

    form = NewKey
    list_display = ("name", "shown_source", "shown_key", "by", "created_at", "used_at", "revoked_at")
    ordering = ("-created_at", "-pk")
    seen_by = added_by = HQ
    fields = ("source", "name")
    actions = ["revoke"]  # type: ignore[assignment]

    @display(description=_("kind of sender"), ordering="source")
    def shown_source(self, key: InboundKey) -> str:
        return said(keys.SENDERS, key.source)

    @display(description=_("key"))
    def shown_key(self, key: InboundKey) -> str:
        return f"…{key.hint}"

    def save_model(self, request: HttpRequest, obj: InboundKey, form: forms.ModelForm[Any], change: bool) -> None:
        made, secret = keys.make(obj.source, obj.name, by=request.user.get_username(), now=clock.now())
        obj.pk = made.pk
        request._secret = secret  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: InboundKey, post_url_continue: str | None = None) -> HttpResponse:
        """The answer itself shows the key: no cookie, no log and no second look holds it."""
        context = {
            **self.admin_site.each_context(request),
            "title": _("The new key"),
            "opts": self.model._meta,
            "secret": request._secret,  # type: ignore[attr-defined]
            "sender": keys.SENDERS[obj.source],
            "name": obj.name,
            "address": request.build_absolute_uri(ADDRESSES[obj.source]),
            "list_url": reverse("admin:connectors_inboundkey_changelist"),
        }
        return TemplateResponse(request, "staff/key.html", context, headers={"Cache-Control": "no-store"})

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """The row itself says who made it and when."""

    @admin.action(description=_("Revoke"), permissions=["add"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[InboundKey]) -> None:
        now = clock.now()
        revoked = sum(keys.revoke(key, now=now) for key in chosen)
        said = ngettext("%(n)d key opens nothing any more.", "%(n)d keys open nothing any more.", revoked)
        self.message_user(request, said % {"n": revoked}, messages.SUCCESS)


@admin.register(Landed)
class LandedDesk(Desk):
    """Calls that landed and are not taken in: for a moment, or, after five tries, until somebody looks."""

    list_display = ("shown_source", "received_at", "attempts", "error")
    list_filter = (by_words("source", _("source"), LANDS), "attempts")
    ordering = ("-received_at", "-pk")
    seen_by = HQ
    fields = ("shown_source", "received_at", "attempts", "error")
    readonly_fields = ("shown_source",)
    actions = ["try_again"]  # type: ignore[assignment]

    @display(description=_("source"), ordering="source")
    def shown_source(self, call: Landed) -> str:
        return said(LANDS, call.source)

    @admin.action(description=_("Try again"), permissions=["view"])
    def try_again(self, request: HttpRequest, chosen: QuerySet[Landed]) -> None:
        waiting = landing.forgive(chosen.values_list("pk", flat=True))
        said = ngettext("%(n)d call is tried again.", "%(n)d calls are tried again.", waiting)
        self.message_user(request, said % {"n": waiting}, messages.SUCCESS)
