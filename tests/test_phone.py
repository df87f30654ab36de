"""The simulated phone shows what its owner was sent, and nothing else."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from connectors.models import PhoneMessage
from tenants import clock
from tenants.models import Tenant
from tests.makers import NOW, make_tenant

pytestmark = pytest.mark.django_db


@pytest.fixture
def lin() -> Tenant:
    clock.set_to(NOW)
    return make_tenant("林晓")


def receive(tenant: Tenant, text: str, at: datetime = NOW, **facts: Any) -> PhoneMessage:
    key = f"k{PhoneMessage.objects.count()}"
    return PhoneMessage.objects.create(key=key, address=tenant.phone, sender="蓝寓", text=text, received_at=at, **facts)


def page(client: Client, tenant: Tenant, tail: str = "/") -> str:
    answer = client.get(f"/phone/{tenant.pk}{tail}")
    assert answer.status_code == 200
    return answer.content.decode()


def test_messages_stand_newest_first_with_sender_and_shanghai_time(client: Client, lin: Tenant) -> None:
    receive(lin, "昨天的消息", NOW - timedelta(days=1))
    receive(lin, "刚到的消息", NOW - timedelta(minutes=5))
    html = page(client, lin)
    assert html.count('class="message"') == 2
    assert html.index("刚到的消息") < html.index("昨天的消息")
    assert '<span class="sender">蓝寓</span>' in html
    assert re.findall(r"<time datetime=[^>]+>([^<]+)</time></p>", html) == ["09:55", "11月30日 10:00"]


def test_the_status_bar_tells_the_products_time(client: Client, lin: Tenant) -> None:
    assert re.search(r'<time id="clock"[^>]*>10:0\d</time>', page(client, lin))


def test_the_page_says_whose_phone_it_is_and_that_it_is_simulated(client: Client, lin: Tenant) -> None:
    html = page(client, lin)
    assert "林晓的手机" in html
    assert "模拟手机：演示用，真实环境中由短信、微信等渠道代替" in html


def test_the_whole_card_leads_to_the_link(client: Client, lin: Tenant) -> None:
    receive(lin, "共享厨房要升级了", url="http://testserver/r/abc")
    assert re.search(
        r'<a class="card" href="http://testserver/r/abc">.*共享厨房要升级了.*查看.*</a>', page(client, lin), re.DOTALL
    )


def test_a_message_without_a_link_leads_nowhere(client: Client, lin: Tenant) -> None:
    receive(lin, "师傅明天上午到")
    html = page(client, lin)
    assert "<a " not in html
    assert "查看" not in html


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("验证码 048213，10 分钟内有效。", ["048213"]),
        ("您的验证码是048213", ["048213"]),
        ("请致电 10000000001", []),
        ("报修 2025120101 已受理", []),
        ("押金 123456.00 元", []),
    ],
)
def test_a_six_digit_code_is_set_apart(client: Client, lin: Tenant, text: str, codes: list[str]) -> None:
    receive(lin, text)
    html = page(client, lin)
    assert re.findall(r'data-code="(\d+)">\d+</strong>', html) == codes
    assert text in re.sub(r"</?strong[^>]*>", "", html)


def test_a_text_is_text_and_not_markup(client: Client, lin: Tenant) -> None:
    receive(lin, "<script>1</script>")
    assert "<script>1" not in page(client, lin)


def test_nobody_elses_messages_are_shown(client: Client, lin: Tenant) -> None:
    receive(make_tenant("周航"), "给周航的消息")
    html = page(client, lin)
    assert "给周航的消息" not in html
    assert "还没有消息" in html
    assert "发给林晓的消息会出现在这里" in html


def test_the_fragment_is_the_messages_without_the_page(client: Client, lin: Tenant) -> None:
    receive(lin, "刚到的消息")
    fragment = page(client, lin, "/?fragment=1")
    assert "刚到的消息" in fragment
    assert "<html" not in fragment
    assert "林晓的手机" not in fragment


def test_the_address_works_without_its_slash(client: Client, lin: Tenant) -> None:
    assert "林晓的手机" in page(client, lin, "")


def test_the_fiftieth_message_is_the_last_shown(client: Client, lin: Tenant) -> None:
    for n in range(51):
        receive(lin, f"第{n}条", NOW - timedelta(minutes=n))
    html = page(client, lin)
    assert html.count('class="message"') == 50
    assert "第49条" in html
    assert "第50条" not in html


@pytest.mark.parametrize("tail", ["", "/", "/?fragment=1"])
def test_there_is_no_phone_where_that_channel_is_not_configured(
    client: Client, lin: Tenant, settings: Any, tail: str
) -> None:
    settings.CHANNELS = ["sms"]
    assert client.get(f"/phone/{lin.pk}{tail}").status_code == 404


def test_an_unknown_tenant_has_no_phone(client: Client) -> None:
    assert client.get("/phone/999999/").status_code == 404


def test_the_phone_runs_no_script_and_no_style_of_its_own(client: Client, lin: Tenant) -> None:
    answer = client.get(f"/phone/{lin.pk}/")
    html = answer.content.decode()
    assert not re.search(r"<style|style=|<script(?![^>]* src=)|\son\w+=", html)
    assert "script-src 'self'" in answer["Content-Security-Policy"]
    assert answer["Referrer-Policy"] == "no-referrer"
    assert answer["Cache-Control"] == "no-store"


def test_a_phone_is_only_read(client: Client, lin: Tenant) -> None:
    assert client.post(f"/phone/{lin.pk}/").status_code == 405
