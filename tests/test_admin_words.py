"""The plain lists of the staff site say words, not the codes that are stored."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from connectors.models import Landed, Refusal, Run
from tenants import clock
from tenants.models import Announcement, Attempt, JobRun, Message, Staff, WaitingEvent
from tests.makers import (
    NOW,
    TODAY,
    first_step,
    make_building,
    make_lease,
    make_playbook,
    make_push,
    make_tenant,
    make_unit,
    make_user,
)
from workorders.models import Report, WorkOrder

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    clock.set_to(NOW)
    client = Client()
    client.force_login(make_user("chief", is_superuser=True))
    return client


def read(client: Client, model: str, pk: int | None = None, *, language: str = "zh-hans", query: str = "") -> str:
    """The page of this list, or of this row of it, as one reads it."""
    address = reverse(f"admin:{model}_change", args=[pk]) if pk else reverse(f"admin:{model}_changelist") + query
    answer = client.get(address, headers={"accept-language": language})
    assert answer.status_code == 200
    html = re.sub(r"(?s)<(script|style).*?</\1>", " ", answer.content.decode().split('id="content"')[1])
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def says(text: str, *words: str, never: str) -> None:
    """The page has each of these words, and beside them none of these codes."""
    for word in words:
        assert f" {word} " in text, word
        text = text.replace(f" {word} ", "  ")
    for code in never.split():
        assert not re.search(rf" {code} ", text), code


def test_a_message_and_its_attempts_say_their_channel_and_outcome(client: Client) -> None:
    message = Message.objects.create(
        key="m", klass="service", tenant=make_tenant(), channel="jpush", text="您好", state="queued",
        not_before=NOW, deadline=NOW, created_at=NOW, changed_at=NOW,
    )  # fmt: skip
    Attempt.objects.create(message=message, number=1, channel="phone", outcome="not_sent", started_at=NOW)
    says(read(client, "tenants_message"), "收件人", "App 推送", never="jpush 止")
    says(read(client, "tenants_message", language="en"), "push to the app", never="jpush")
    says(
        read(client, "tenants_message", message.pk),
        "App 推送",
        "模拟手机",
        "确定没有发出",
        never="jpush phone not_sent",
    )


def test_a_report_of_a_work_order_says_through_which_channel_it_came(client: Client) -> None:
    order = WorkOrder.objects.create(
        unit=make_unit(building=make_building()), category="water", fingerprint="f", text="漏水", first_reported_at=NOW
    )
    Report.objects.create(ticket="T1", order=order, channel="group", text="漏水", reported_at=NOW)
    says(read(client, "workorders_workorder", order.pk), "报修记录", "微信群", never="group")
    says(read(client, "workorders_workorder", order.pk, language="en"), "WeChat group", never="group")


def test_skills_are_said_in_words(client: Client) -> None:
    person = Staff.objects.create(user=make_user(), name="王工", phone="13800000001", skills=["water", "lock"])
    Staff.objects.create(user=make_user("hao"), name="郝姐", phone="13800000002", shift="08:00-20:00")
    says(read(client, "tenants_staff"), "水路 · 门锁", "– 08:00-20:00", never="water lock")
    says(read(client, "tenants_staff", person.pk, language="en"), "plumbing · door lock", never="water lock")


def test_what_an_announcement_is_about_is_said_in_words(client: Client) -> None:
    owner = make_user()
    for topic in ("gym", "电梯"):
        Announcement.objects.create(
            building=make_building(), code=topic, topic=topic, text="…", on=TODAY, until=TODAY + timedelta(days=9),
            owner=owner, recorded_at=NOW,
        )  # fmt: skip
    says(read(client, "tenants_announcement"), "健身房", "电梯", never="gym")


@pytest.mark.parametrize("model", [Run, Refusal, WaitingEvent])
def test_a_source_is_said_in_words_and_chosen_by_them(client: Client, model: Any) -> None:
    rows = {}
    for source in ("iot", "app"):
        run = Run(source=source, name="r", started_at=NOW)
        if model is Refusal:
            run.save()
        rows[source] = {
            Run: run,
            Refusal: Refusal(source=source, run=run, line=1, digest="d", raw={}, reason="…", first_seen_at=NOW),
            WaitingEvent: WaitingEvent(
                source=source, source_id="w", kind="app.viewed", at=NOW, who_source="app", who_ref="u", recorded_at=NOW
            ),
        }[model]
        rows[source].save()
    name = f"{model._meta.app_label}_{model._meta.model_name}"
    both, chosen = read(client, name), read(client, name, query="?source=iot")
    assert both.count(" 门锁与表计 ") == chosen.count(" 门锁与表计 ") == 2  # the row, and the choice of the filter
    assert (both.count(" App 行为 "), chosen.count(" App 行为 ")) == (2, 1)
    says(both + chosen, never="iot app")
    says(read(client, name, rows["iot"].pk), "门锁与表计", never="iot")
    says(read(client, name, language="en"), "locks and meters", "app behaviour", never="iot")


def test_what_landed_names_its_sender(client: Client) -> None:
    call = Landed.objects.create(source="wechat", body={}, received_at=NOW)
    assert read(client, "connectors_landed").count(" 公众号 ") == 2
    says(read(client, "connectors_landed", call.pk), "公众号", never="wechat")


def test_a_run_of_the_day_names_its_stage(client: Client) -> None:
    run = JobRun.objects.create(job="day", period="2025-12-01", started_at=NOW, stage="hand_over", error="…")
    says(read(client, "tenants_jobrun"), "每日运行", never="day hand_over")
    says(read(client, "tenants_jobrun", run.pk, language="en"), "daily run", "Handing messages over", never="hand_over")


def test_the_password_of_an_account_is_spoken_of_in_the_reader_s_language(client: Client) -> None:
    page = read(client, "tenants_user", make_user().pk)
    assert "密码不以原文保存" in page
    assert "Raw passwords" not in page


def test_a_push_says_its_words(client: Client) -> None:
    push = make_push(make_lease(), first_step(make_playbook()))
    says(read(client, "campaigns_push", push.pk), "信在这里", "到期日", never="服务商时间")
