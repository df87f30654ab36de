"""The OpenAPI document as a page, drawn here: it needs no script and nothing from elsewhere."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator

METHODS = ("get", "post", "put", "patch", "delete")


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """Every address of the document with what it takes and how it answers."""
    schema = SchemaGenerator().get_schema(request=None, public=True)
    operations = [
        _operation(path, method, item[method])
        for path, item in schema["paths"].items()
        for method in METHODS
        if method in item
    ]
    return render(request, "tenants/docs.html", {"info": schema["info"], "operations": operations})


def _operation(path: str, method: str, facts: dict[str, Any]) -> dict[str, Any]:
    takes = facts.get("requestBody", {}).get("content", {})
    return {
        "path": path,
        "method": method.upper(),
        "summary": facts.get("summary", ""),
        "description": facts.get("description", ""),
        "parameters": facts.get("parameters", []),
        "takes": [_taken(kind, media) for kind, media in takes.items()],
        "answers": [
            {"status": status, "types": ", ".join(answer.get("content", {}))}
            for status, answer in facts.get("responses", {}).items()
        ],
    }


def _taken(kind: str, media: dict[str, Any]) -> dict[str, Any]:
    examples = [example.get("value") for example in media.get("examples", {}).values()]
    return {
        "type": kind,
        "schema": json.dumps(media.get("schema", {}), ensure_ascii=False, indent=2),
        "examples": [json.dumps(example, ensure_ascii=False, indent=2) for example in examples],
    }
