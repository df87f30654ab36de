"""The quarterly survey: whom it asks and when, and what its page takes."""

from __future__ import annotations

import hashlib
import re
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from connectors.channels import kind
from connectors.models import PhoneMessage
from renewal import days
from tenants import asking, clock, feedback, links, outbox, surveys, templating
from tenants.models import Consent, Lease, Link, Message, Survey, Tenant
from tenants.outbox import envelopes
from tests.makers import NOW, make_lease, make_tenant
from tests.test_moods import HEADERS, approved, bill, refuses, through_the_door

pytestmark = pytest.mark.django_db

QUARTER = date(2025, 10, 1)


@pytest.fixture(autouse=True)
def _it_is_ten_in_the_morning(db: None) -> None:
    clock.set_to(NOW)
    asking.switch(asking.SURVEYS, on=True, by=None, now=NOW - timedelta(days=100))


def day_of(tenant: Tenant, quarter: date = QUARTER) -> date:
    """The day on which somebody is asked, worked out beside the product."""
    digest = hashlib.md5(f"{tenant.pk}:{quarter}".encode(), usedforsecurity=False).hexdigest()
    return quarter + timedelta(days=int(digest[:8], 16) % surveys.SPREAD_DAYS)


def at(day: date, hour: int = 10) -> datetime:
    return clock.at(day, hour)


def resident(name: str = "林晓", **facts: Any) -> Lease:
    """Somebody who has lived here for long, and stays."""
    facts = {"first_day": date(2024, 1, 1), "last_day": date(2027, 12, 31)} | facts
    return make_lease(make_tenant(name), **facts)


def survey(**facts: Any) -> tuple[Survey, str]:
    """Somebody who has just been asked, on their day of the quarter."""
    lease = resident(**facts)
    clock.set_to(at(day_of(lease.tenants.get())))
    surveys.ask(now=clock.now())
    one = Survey.objects.get(lease=lease)
    return one, links.token_for(surveys.carrier_of(one))


# --- Asking ---


def test_everybody_is_asked_once_a_quarter_on_the_day_drawn_for_them() -> None:
    people = [resident(f"租客{n}").tenants.get() for n in range(60)]
    for quarter, end in ((QUARTER, date(2025, 12, 31)), (date(2026, 1, 1), date(2026, 3, 31))):
        day = quarter
        while day <= end:
            assert surveys.ask(now=at(day)) == sum(day_of(each, quarter) == day for each in people)
            assert surveys.ask(now=at(day, 15)) == 0
            day += timedelta(days=1)
        assert Survey.objects.filter(quarter=quarter).count() == 60
    spread = {day_of(each) for each in people}
    assert len(spread) > 25  # of 60 people and 70 days: 40 ± 3
    assert max(spread) <= date(2025, 12, 9)


def test_a_day_that_was_not_run_is_made_up_for_a_week_and_switching_on_late_asks_not_everybody() -> None:
    people = [resident(f"租客{n}").tenants.get() for n in range(120)]
    late = date(2025, 11, 20)
    due = [each for each in people if late - timedelta(days=7) <= day_of(each) <= late]
    assert surveys.ask(now=at(late)) == len(due)
    assert 0 < len(due) < 36  # 14 ± 3.5
    assert set(Survey.objects.values_list("tenant", flat=True)) == {each.pk for each in due}


def test_whom_nobody_asks(settings: Any) -> None:
    settings.SURVEY_AFTER_DAYS = 60
    new, refused, gone, offered, soon, plain = (resident(name) for name in "新拒走荐问平")
    days_of = {lease.pk: day_of(lease.tenants.get()) for lease in (new, refused, gone, offered, soon, plain)}
    Lease.objects.filter(pk=new.pk).update(first_day=days_of[new.pk] - timedelta(days=59))
    Lease.objects.filter(pk=gone.pk).update(last_day=days_of[gone.pk] - timedelta(days=1))
    refuses(refused.tenants.get(), at=NOW - timedelta(days=99))
    told_as: dict[int, dict[str, Any]] = {offered.pk: {"klass": "marketing"}}
    told_as[soon.pk] = {"klass": "service", "link_purpose": "mood"}
    for lease in (offered, soon):
        told = at(days_of[lease.pk]) - timedelta(hours=71)
        draft = outbox.Draft(
            key=f"x:{lease.pk}", text="…", tenant_id=lease.tenants.get().pk, lease_id=lease.pk,
            deadline=told + timedelta(days=3), **told_as[lease.pk],
        )  # fmt: skip
        outbox.post(draft, now=told)
        Message.objects.filter(key=draft.key).update(state="sending", lease_until=told)
        Message.objects.filter(key=draft.key).update(state="accepted", sent_at=told)
    asked: dict[int, date] = {}
    for n in range(92):
        day = QUARTER + timedelta(days=n)
        surveys.ask(now=at(day))
        asked |= {pk: day for pk in Survey.objects.values_list("lease", flat=True) if pk not in asked}
    # A day later the offer is more than three days old.
    later = {offered.pk: days_of[offered.pk] + timedelta(days=1), soon.pk: days_of[soon.pk] + timedelta(days=1)}
    moved_in = days_of[new.pk] + timedelta(days=1)  # sixty days after moving in, within the week after their day
    assert asked == {plain.pk: days_of[plain.pk], new.pk: moved_in, **later}


def test_someone_who_moved_in_lately_is_left_alone_for_the_whole_quarter() -> None:
    lease = resident(first_day=date(2025, 11, 15))
    for n in range(92):
        surveys.ask(now=at(QUARTER + timedelta(days=n)))
    assert not Survey.objects.exists()
    renewed = resident("老租客", first_day=date(2025, 11, 15))
    make_lease(renewed.tenants.get(), first_day=date(2024, 11, 15), last_day=date(2025, 11, 14))
    for n in range(92):
        surveys.ask(now=at(QUARTER + timedelta(days=n)))
    one = Survey.objects.get()
    day = clock.day_of(one.asked_at)
    # Who has lived here before has not moved in lately.
    assert one.lease_id == (renewed.pk if day >= date(2025, 11, 15) else one.lease_id)
    assert one.tenant_id == renewed.tenants.get().pk
    assert one.stay_months == (day.year - 2024) * 12 + day.month - 11 - (day.day < 15)
    assert lease.tenants.get().pk != one.tenant_id


def test_the_database_itself_refuses_a_second_survey_in_a_quarter() -> None:
    one, _token = survey()
    with pytest.raises(IntegrityError), transaction.atomic():
        Survey.objects.create(tenant=one.tenant, lease=one.lease, quarter=QUARTER, stay_months=3, asked_at=one.asked_at)
    for wrong in ({"quarter": date(2025, 11, 1)}, {"quarter": date(2026, 1, 1), "score": 11, "answered_at": NOW}):
        facts: dict[str, Any] = {"tenant": one.tenant, "lease": one.lease, "stay_months": 3, "asked_at": NOW} | wrong
        with pytest.raises(IntegrityError), transaction.atomic():
            Survey.objects.create(**facts)


def test_two_rows_of_one_person_are_asked_once() -> None:
    lease = resident()
    other = resident("林小")
    Tenant.objects.filter(pk=other.tenants.get().pk).update(merged_into=lease.tenants.get())
    for n in range(92):
        surveys.ask(now=at(QUARTER + timedelta(days=n)))
    assert Survey.objects.count() == 1


def test_switched_off_nobody_is_asked() -> None:
    lease = resident()
    asking.switch(asking.SURVEYS, on=False, by=None, now=NOW)
    assert surveys.ask(now=at(day_of(lease.tenants.get()))) == 0


def test_a_day_asks_and_the_phone_shows_a_link_that_works(client: Client) -> None:
    lease = resident()
    day = day_of(lease.tenants.get())
    clock.set_to(at(day))
    assert days.run(today=day, now=at(day))["stages"]["questions"] == {"moods": 0, "surveys": 1}
    received = PhoneMessage.objects.get(text__contains="愿不愿意")
    assert re.fullmatch(r"http://[^/]+/s/[a-z2-7]{26}", received.url)
    assert client.get("/s/" + received.url.rpartition("/")[2]).status_code == 200
    message = Message.objects.get(key=f"survey:{Survey.objects.get().pk}")
    assert (message.klass, message.state, message.deadline) == ("service", "accepted", at(day) + timedelta(days=5))


def test_at_night_the_survey_waits_for_the_morning() -> None:
    lease = resident()
    day = day_of(lease.tenants.get())
    surveys.ask(now=at(day, 22))
    outbox.drain(now=at(day, 22))
    message = Message.objects.get()
    assert (message.state, message.not_before) == ("queued", at(day + timedelta(days=1), 9))


# --- By templates, and through the common door ---


def test_where_approved_templates_alone_are_sent_the_survey_goes_by_one(settings: Any) -> None:
    approved("survey-ask", settings)
    one, token = survey()
    message = Message.objects.get()
    room = one.lease.unit.code
    assert message.forms == {
        "sms": {"template": "SMS_500001", "values": {}},
        "wechat": {"template": "t" * 32, "values": {"thing1": room}},
        "wechat_subscribe": {"template": "s" * 32, "values": {"thing1": room}},
    }
    sealed = envelopes.seal([message.pk], kind("wechat"), now=clock.now())[message.pk]
    assert sealed.envelope.url == f"{settings.SITE_URL}/s/{token}"
    standing = templating.shelf()
    said = {channel: templating.read(standing[channel, "survey-ask"], {"room": room}) for channel in settings.CHANNELS}
    door = f"{settings.SITE_URL}/r/?then=survey"
    assert said["sms"] == f"每季度一问：您愿意向朋友推荐住在这里吗？凭手机号在 {door} 回答，一分钟就好。"
    assert said["wechat"] == said["wechat_subscribe"] == f"房间：{room}\n提醒内容：每季度一问，您愿意推荐这里吗"


def test_the_common_door_leads_to_the_own_survey_while_it_opens(client: Client) -> None:
    one, token = survey()
    assert "<h1>这个季度的一个问题</h1>" in client.get("/r/?then=survey").content.decode()
    assert through_the_door(client, one.tenant.phone, "survey")["Location"] == f"/s/{token}"
    clock.advance(timedelta(days=14))
    assert "这次提问已经结束" in through_the_door(Client(), one.tenant.phone, "survey").content.decode()


# --- The page ---


@pytest.mark.parametrize("method", ["get", "head", "options"])
def test_looking_at_the_survey_changes_nothing_and_tells_nothing(client: Client, method: str) -> None:
    one, token = survey()
    client.post(f"/s/{token}", {"score": "3", "reason": "repair", "text": "修得慢"})
    with CaptureQueriesContext(connection) as queries:
        page = getattr(client, method)(f"/s/{token}").content.decode()
    assert not [q["sql"] for q in queries if re.match(r"\s*(insert|update|delete)", q["sql"], re.I)]
    for secret in (one.tenant.name, one.tenant.phone, one.lease.unit.code, "修得慢", "checked"):
        assert secret not in page
    if method == "get":
        assert re.findall(r'name="score" value="(\d+)"', page) == [str(n) for n in range(11)]


def test_an_answer_stands_and_can_be_given_anew_on_the_same_day_only(client: Client) -> None:
    one, token = survey()
    first = clock.now()
    for _again in range(2):
        page = client.post(f"/s/{token}", {"score": "9", "reason": ["repair", "bogus", "place"], "text": " 都好 "})
        assert page.status_code == 200
        clock.set_to(first + timedelta(minutes=1))
    one.refresh_from_db()
    assert (one.score, one.reasons, one.words) == (9, ["repair", "place"], "都好")
    assert one.changed_at == one.answered_at
    clock.set_to(first + timedelta(hours=1))
    client.post(f"/s/{token}", {"score": "0"})
    one.refresh_from_db()
    assert (one.score, one.reasons, one.words) == (0, [], "")
    assert one.changed_at
    assert one.answered_at
    assert one.changed_at > one.answered_at
    clock.set_to(first + timedelta(days=1))
    for page in (client.get(f"/s/{token}"), client.post(f"/s/{token}", {"score": "10"})):
        assert (page.status_code, "您已经回答过了" in page.content.decode()) == (200, True)
    one.refresh_from_db()
    assert one.score == 0


@pytest.mark.parametrize("score", ["", "11", "-1", "1.0", "５", "1e0", "ten", " 7"])
def test_what_is_no_number_is_told_in_a_sentence_and_what_was_typed_stays(client: Client, score: str) -> None:
    one, token = survey()
    page = client.post(f"/s/{token}", {"score": score, "reason": "price", "text": "贵"})
    text = page.content.decode()
    assert (page.status_code, "请在 0 到 10 里选一个数。" in text) == (422, True)
    assert ">贵</textarea>" in text
    assert 'value="price" checked' in text
    one.refresh_from_db()
    assert one.score is None


def test_expired_revoked_and_unknown_links_answer_as_letters_do(client: Client) -> None:
    one, token = survey()
    now = clock.now()
    unknown, strange = client.get("/s/" + "a" * 26), client.get("/s/x")
    links.revoke(one.lease, purpose="survey", now=now)
    revoked, revoked_post = client.get(f"/s/{token}"), client.post(f"/s/{token}", {"score": "1"})
    stopped = client.post(f"/s/{token}/stop")
    Link.objects.filter(carrier=surveys.carrier_of(one)).update(revoked_at=None, expires_at=now)
    expired, expired_post = client.get(f"/s/{token}"), client.post(f"/s/{token}", {"score": "1"})
    answers = [unknown, strange, revoked, revoked_post, stopped, expired, expired_post]
    assert [page.status_code for page in answers] == [404, 404, 410, 410, 410, 410, 410]

    def shape(page: Any) -> str:
        return re.sub(r">[^<]+<", "><", re.sub(r'(csrfmiddlewaretoken" value=")[^"]+', r"\1", page.content.decode()))

    letter = client.get("/r/" + "a" * 26)
    assert {shape(page) for page in answers} == {shape(unknown)}
    assert re.findall(r"<(\w+)", shape(unknown))[:20] == re.findall(r"<(\w+)", shape(letter))[:20]
    for page in answers:
        assert {name: page[name] for name in HEADERS} == HEADERS
        assert page["Content-Security-Policy"] == letter["Content-Security-Policy"]
        assert token not in page.content.decode()
    one.refresh_from_db()
    assert one.score is None
    assert not Consent.objects.filter(purpose="surveys").exists()


def test_one_tap_refuses_surveys_and_moods_alike(client: Client) -> None:
    one, token = survey()
    asking.switch(asking.MOODS, on=True, by=None, now=NOW)
    assert client.post(f"/s/{token}/stop").status_code == 200
    assert Message.objects.get().state == "suppressed"
    bill(one.lease, at=clock.now() - timedelta(hours=1))
    assert feedback.ask(now=clock.now()) == 0
    for n in range(180):
        surveys.ask(now=at(date(2026, 1, 1) + timedelta(days=n)))
    assert Survey.objects.count() == 1
