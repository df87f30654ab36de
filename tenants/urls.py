"""Addresses of this room: the simulated phone, what monitors ask, and where senders send."""

from django.urls import path
from drf_spectacular.views import SpectacularAPIView

from connectors.sources.behaviour import TYPES
from tenants import views
from tenants.api import cloudevents, docs, receipts, segment, ttlock, wechat

# Segment's addresses, and the short ones to which its script for browsers sends.
calls = [path(f"v1/{kind}", segment.view(kind), name=f"segment-{kind}") for kind in (*TYPES, "batch")]
short = [path(f"v1/{kind[0]}", segment.view(kind, short=True), name=f"segment-{kind[0]}") for kind in TYPES]

urlpatterns = [
    path("phone/<int:tenant_id>", views.phone, name="phone"),
    path("phone/<int:tenant_id>/", views.phone),
    path("healthz", views.alive, name="healthz"),
    path("readyz", views.ready, name="readyz"),
    path("metrics", views.metrics, name="metrics"),
    *calls,
    *short,
    path("api/events", cloudevents.CloudEvents.as_view(), name="cloudevents"),
    path("api/sources/wechat", wechat.WeChat.as_view(), name="wechat"),
    path("api/sources/ttlock", ttlock.TTLock.as_view(), name="ttlock"),
    path("api/receipts/<str:channel>", receipts.Receipts.as_view(), name="receipts"),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", docs.page, name="api-docs"),
]
