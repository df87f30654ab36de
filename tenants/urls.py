"""Addresses of this room: the simulated phone, and what monitors ask."""

from django.urls import path

from tenants import views

urlpatterns = [
    path("phone/<int:tenant_id>", views.phone, name="phone"),
    path("phone/<int:tenant_id>/", views.phone),
    path("healthz", views.alive, name="healthz"),
    path("readyz", views.ready, name="readyz"),
    path("metrics", views.metrics, name="metrics"),
]
