"""What a trivial page costs on this server: the product's settings and middleware, two queries, a short template.

Served as `bench.trivial:application`, beside the product itself.
"""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "renewal.settings")

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.urls import path

settings.ROOT_URLCONF = __name__
application = get_wsgi_application()

from tenants.models import Building, Unit  # noqa: E402 — the apps are loaded now

PAGE = engines["django"].from_string(
    "<!doctype html><title>{{ building.name }}</title><h1>{{ building.name }}</h1>"
    "<ul>{% for unit in units %}<li>{{ unit.code }}, {{ unit.floor }}</li>{% endfor %}</ul>"
)


def page(request: HttpRequest) -> HttpResponse:
    building = Building.objects.order_by("pk").first()
    units = Unit.objects.filter(building=building).order_by("pk")[:10]
    return HttpResponse(PAGE.render({"building": building, "units": units}, request))


urlpatterns = [path("", page)]
