"""The floor of anything that takes in JSON with Django: one view, no middleware, no database.

Served as `bench.bare:application`; settings of its own, so nothing of the product is loaded.
"""

from __future__ import annotations

import json

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1"], SECRET_KEY="bare")


def parse(request: HttpRequest) -> JsonResponse:
    json.loads(request.body)
    return JsonResponse({"success": True})


urlpatterns = [path("v1/batch", parse)]
application = get_wsgi_application()
