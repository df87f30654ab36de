"""What is said about the addresses is true: the OpenAPI document covers them all, and no call it allows breaks one."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import Client
from django.urls import get_resolver
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, settings
from schemathesis import checks

from connectors.models import Landed
from renewal.wsgi import application
from tenants import clock, landing
from tenants import keys as key_service
from tests.inbound import drain, make_key
from tests.makers import NOW
from tests.touch import make_touchpoint

EXAMPLES = 50
TOKEN = "lan-yu"
CHECKED = [
    checks.not_a_server_error, checks.status_code_conformance, checks.content_type_conformance,
    checks.response_schema_conformance,
]  # fmt: skip
answers: Counter[tuple[str, int]] = Counter()


@pytest.fixture
def world(db: None, settings: Any) -> Iterator[None]:
    clock.set_to(NOW)
    settings.WECHAT_TOKEN, settings.WECHAT_AES_KEY = TOKEN, ""
    settings.ESIGN_APP_ID, settings.ESIGN_SECRET = "1", "secret"
    # A request through WSGI would close the connection that holds the test's transaction.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    drain()
    # What was acknowledged can be taken in: none is set aside.
    assert (Landed.objects.count(), landing.set_aside()) == (0, 0)
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


document = SchemaGenerator().get_schema(request=None, public=True)
schema = schemathesis.openapi.from_dict(document)
schema.app = application


def make_test(label: str) -> Any:
    """A test of its own for one address: under one name for all, processes that share the tests would run one only."""

    @schema.include(name=label).parametrize()
    @settings(max_examples=EXAMPLES, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
    def check(case: schemathesis.Case, world: None, keys: dict[str, str]) -> None:
        headers, query = {}, dict(case.query or {})
        path = case.operation.path
        if path == "/api/sources/wechat":
            stamp = str(int(time.time()))
            signed = hashlib.sha1("".join(sorted([TOKEN, stamp, "n"])).encode()).hexdigest()
            query |= {"timestamp": stamp, "nonce": "n", "signature": signed}
        elif path not in {
            "/api/receipts/{channel}",
            "/api/esign/callback",
        }:  # signed over the body: tests/test_esign.py
            headers["Authorization"] = f"Bearer {keys[path.split('/')[1] + path.split('/')[-1][:3]]}"
        if path == "/api/touchpoints/{code}/links" and len(case.path_parameters["code"]) % 2:
            case.path_parameters["code"] = "locker"  # one that is there, in some of the calls
        case.query = query
        response = case.call(headers=headers)
        answers[path, response.status_code] += 1
        case.validate_response(response, checks=CHECKED)

    return check


LABELS = [f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item]
# No call breaks an address, and every answer is as described.
globals().update({f"test_every_answer_is_as_described_by {label}": make_test(label) for label in LABELS})


@pytest.fixture
def keys(db: None) -> dict[str, str]:
    """The key of each address, by the first part and the beginning of the last part of its path."""
    app, events, lock = make_key("segment"), make_key("cloudevents"), make_key("ttlock")
    kinds = ("track", "identify", "page", "screen", "group", "alias", "batch")
    mine = {f"v1{kind[:3]}": app for kind in kinds} | {f"v1{kind[0]}": app for kind in kinds}
    row, partner = key_service.make("touchpoint", "丰柜", by="mei", now=NOW)
    make_touchpoint("locker", key=str(row.pk))
    return mine | {"apieve": events, "apittl": lock, "apilin": partner}


def test_the_fuzzing_reached_the_inside() -> None:
    """Fed only calls that are turned away at the door, the test above would say nothing."""
    taken = {path for (path, status), _count in answers.items() if status in (200, 201, 202)}
    assert {"/v1/track", "/v1/batch", "/api/events", "/api/sources/wechat", "/api/touchpoints/{code}/links"} <= taken


@pytest.mark.django_db
def test_every_address_for_senders_is_described_and_nothing_else_is_said() -> None:
    document = Client().get("/api/schema/", headers={"accept": "application/json"}).json()
    assert document["openapi"].startswith("3.")
    described = {
        (path, method) for path, item in document["paths"].items() for method in item if method != "parameters"
    }
    segment = {"track", "identify", "page", "screen", "group", "alias", "batch", "t", "i", "p", "s", "g", "a"}
    assert described == {(f"/v1/{kind}", "post") for kind in segment} | {
        ("/api/events", "post"), ("/api/sources/wechat", "get"), ("/api/sources/wechat", "post"),
        ("/api/sources/ttlock", "post"), ("/api/receipts/{channel}", "post"), ("/api/touchpoints/{code}/links", "post"),
        ("/api/esign/callback", "post"),
    }  # fmt: skip
    routed = {
        f"/{route.replace('<str:', '{').replace('>', '}')}"
        for route in routes()
        if route.startswith(("v1/", "api/")) and route[-1:] != "/"
    }
    assert routed == {path for path, _method in described}


def routes() -> list[str]:
    found: list[str] = []
    open_: list[tuple[str, Any]] = [("", get_resolver())]
    while open_:
        before, resolver = open_.pop()
        for pattern in resolver.url_patterns:
            route = before + str(pattern.pattern)
            if hasattr(pattern, "url_patterns"):
                open_.append((route, pattern))
            else:
                found.append(route)
    return found


@pytest.mark.django_db
def test_the_page_of_the_addresses_needs_nothing_from_elsewhere() -> None:
    answer = Client().get("/api/docs/")
    page = answer.content.decode()
    assert answer.status_code == 200
    for path in ("/v1/batch", "/api/events", "/api/sources/wechat", "/api/sources/ttlock"):
        assert f"<code>{path}</code>" in page
    assert "<script" not in page
    assert "http://" not in page.replace("http://testserver", "")
    assert "https://" not in page
