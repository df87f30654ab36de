"""Time to think with one reminder, a one-tap intent that changes what happens next, and a wish for another room."""

from __future__ import annotations

import re
from datetime import date, timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from campaigns import pushes
from campaigns.models import Enrolment, Push
from renewal import cases, facts, figures, notices
from renewal.models import Case, CaseChange, Errand, Fact
from tenants import clock, outbox
from tenants.models import Link, Message
from tests.letter import make_letter, opened, sign_it
from tests.makers import NOW, TODAY, make_lease, make_playbook, make_tenant, make_user
from tests.test_case_pages import make_case

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _ten_in_the_morning(db: None) -> None:
    clock.set_to(NOW)


@pytest.fixture
def letter(client: Client) -> Link:
    link, token = make_letter()
    opened(client, token)
    return link


def text(response: Any) -> str:
    return unescape(response.content.decode())


def reminders() -> list[tuple[str, str, Any]]:
    rows = Message.objects.filter(key__startswith="remind:").order_by("pk")
    return [(message.key, message.state, message.not_before) for message in rows]


# --- Time to think ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "on"),
    [
        ({"when": "3"}, date(2025, 12, 4)), ({"when": "7"}, date(2025, 12, 8)),
        ({"when": "day", "day": "2025-12-25"}, date(2025, 12, 25)),
    ],
)  # fmt: skip
def test_a_reminder_is_one_service_message_on_the_chosen_day(
    client: Client, letter: Link, form: dict[str, str], on: date
) -> None:
    assert client.get("/r/letter/think").status_code == 200
    assert Case.objects.get().state == "viewed"
    page = text(client.post("/r/letter/think", form))
    assert f"我们会在 {on.year} 年 {on.month} 月 {on.day} 日提醒您" in page
    key = f"remind:{letter.lease_id}:{letter.tenant_id}:1"
    assert reminders() == [(key, "queued", clock.at(on, 10))]
    message = Message.objects.get()
    assert (message.klass, message.stops_on_answer, message.link_purpose) == ("service", True, "proposal")
    assert Case.objects.get().state == "considering"
    # The same once more is the same.
    client.post("/r/letter/think", form)
    assert (len(reminders()), Fact.objects.count()) == (1, 1)


def test_it_goes_out_once_and_in_the_daytime(client: Client, letter: Link) -> None:
    client.post("/r/letter/think", {"when": "3"})
    outbox.drain(now=clock.at(date(2025, 12, 4), 9))
    assert Message.objects.get().sent_at is None  # not before ten
    # Late at night nothing is sent; the next morning it is.
    outbox.drain(now=clock.at(date(2025, 12, 4), 22))
    assert Message.objects.get().sent_at is None
    outbox.drain(now=clock.at(date(2025, 12, 5), 9) + timedelta(minutes=1))
    message = Message.objects.get()
    assert (message.sent_at is not None, message.state) == (True, "accepted")
    assert "12 月 26 日" in message.text


def test_another_day_takes_the_place_of_the_first_and_none_at_all_takes_it_back(client: Client, letter: Link) -> None:
    client.post("/r/letter/think", {"when": "3"})
    client.post("/r/letter/think", {"when": "7"})
    assert [state for _key, state, _at in reminders()] == ["cancelled", "queued"]
    page = text(client.post("/r/letter/think", {"when": "none"}))
    assert "我们不会提醒您" in page
    assert [state for _key, state, _at in reminders()] == ["cancelled", "cancelled"]
    assert [fact.said["choice"] for fact in Fact.objects.order_by("pk")] == ["3", "7", "none"]
    # And the first once more is a new one, with a key of its own.
    client.post("/r/letter/think", {"when": "3"})
    assert (len(reminders()), reminders()[-1][:2]) == (3, (f"remind:{letter.lease_id}:{letter.tenant_id}:4", "queued"))


@pytest.mark.parametrize("answer", ["decline", "notice", "intent", "wish", "sign"])
def test_any_answer_takes_the_reminder_back(client: Client, letter: Link, answer: str) -> None:
    client.post("/r/letter/think", {"when": "7"})
    if answer == "sign":
        sign_it(client)
    else:
        client.post(f"/r/letter/{answer}", {"lean": "stay", "floor": "6"})
    assert [state for _key, state, _at in reminders()] == ["cancelled"]


@pytest.mark.parametrize(
    "form",
    [
        {}, {"when": "9"}, {"when": "day", "day": "2025-12-01"}, {"when": "day", "day": "2025-12-26"},
        {"when": "day", "day": "x"},
    ],
)  # fmt: skip
def test_what_is_no_day_before_the_last_one_is_said_in_a_sentence(
    client: Client, letter: Link, form: dict[str, str]
) -> None:
    answer = client.post("/r/letter/think", form)
    assert (answer.status_code, text(answer).count('role="alert"')) == (422, 1)
    assert (Fact.objects.exists(), Message.objects.exists(), Case.objects.get().state) == (False, False, "viewed")


def test_near_the_end_only_days_before_it_are_offered(client: Client) -> None:
    link, token = make_letter(last_day=TODAY + timedelta(days=4))
    opened(client, token)
    page = text(client.get("/r/letter/think"))
    assert ('value="3"' in page, 'value="7"' in page, 'value="none"' in page) == (True, False, True)
    assert client.post("/r/letter/think", {"when": "7"}).status_code == 422
    assert link.lease.last_day == date(2025, 12, 5)


# --- One tap ------------------------------------------------------------------------------------


def test_an_intent_is_kept_with_its_time_and_may_be_changed(client: Client, letter: Link) -> None:
    assert client.post("/r/letter/intent", {"lean": "stay"})["Location"] == "/r/letter/#offers"
    client.post("/r/letter/intent", {"lean": "stay"})
    clock.set_to(NOW + timedelta(hours=1))
    assert client.post("/r/letter/intent", {"lean": "unsure"})["Location"] == "/r/letter/think"
    said = [(fact.said["lean"], fact.by) for fact in Fact.objects.order_by("pk")]
    assert said == [("stay", "tenant"), ("unsure", "tenant")]
    page = text(client.get("/r/letter/"))
    assert re.findall(r'value="(\w+)" aria-pressed="true"', page) == ["unsure"]
    client.post("/r/letter/intent", {"lean": "nonsense"})
    assert Fact.objects.count() == 2
    assert Case.objects.get().state == "viewed"  # an intent is a fact, no state


def test_an_intent_of_a_month_ago_says_nothing_and_may_be_said_again(letter: Link) -> None:
    case = Case.objects.get()
    fact = facts.add(case, "intent", {"lean": "leave", "reason": "", "more": ""}, now=NOW, by="tenant")
    assert not facts.is_stale(fact, now=NOW + timedelta(days=30) - timedelta(seconds=1))
    assert facts.is_stale(fact, now=NOW + timedelta(days=30))


def follow(link: Link, *steps: dict[str, Any]) -> None:
    said = make_playbook("x", *steps)
    Enrolment.objects.create(
        lease=link.lease, tenant=link.tenant, playbook=said.playbook, version=said, start_on=TODAY,
        start_why="到期前 60 天", enrolled_on=TODAY,
    )  # fmt: skip


def run(day: date) -> str:
    """What the day's planning came to for the one step."""
    now = clock.at(day, 10)
    pushes.plan(today=day, now=now)
    pushes.hand_over(today=day, now=now)
    return Push.objects.get().state


def test_who_may_leave_and_says_why_is_called_and_not_asked_for_a_week(client: Client, letter: Link) -> None:
    follow(letter, {"code": "x-24", "days": 24, "text": "信在这里"})
    assert client.post("/r/letter/intent", {"lean": "leave"})["Location"] == "/r/letter/intent"
    assert not Errand.objects.exists()  # one tap alone calls nobody
    page = text(client.post("/r/letter/intent", {"lean": "leave", "reason": "rent", "more": "太贵", "told": "1"}))
    assert "2025 年 12 月 8 日" in page
    errand = Errand.objects.get()
    assert (errand.kind, errand.why) == ("call", "rent: 太贵")
    html = text(staff().get(reverse("staff-case", args=[Case.objects.get().pk])))
    assert "我们要：联系租客" in html
    # Due on the 2nd, held until the 8th.
    assert [run(date(2025, 12, day)) for day in (2, 7)] == ["held", "held"]
    assert Push.objects.get().reason == "租客可能要走，先由同事联系。"
    assert run(date(2025, 12, 8)) == "handed_over"


def test_who_says_no_reason_is_asked_as_before(client: Client, letter: Link) -> None:
    follow(letter, {"code": "x-24", "days": 24, "text": "信在这里"})
    client.post("/r/letter/intent", {"lean": "leave", "told": "1"})
    assert (Errand.objects.exists(), run(date(2025, 12, 2))) == (False, "handed_over")


def test_who_wants_to_stay_after_all_is_asked_again_at_once(client: Client, letter: Link) -> None:
    follow(letter, {"code": "x-24", "days": 24, "text": "信在这里"})
    client.post("/r/letter/intent", {"lean": "leave", "reason": "rent"})
    clock.set_to(NOW + timedelta(hours=1))
    client.post("/r/letter/intent", {"lean": "stay"})
    assert run(date(2025, 12, 2)) == "handed_over"


def test_what_waited_to_ask_is_cancelled_and_what_was_planned_waits(client: Client, letter: Link) -> None:
    follow(letter, {"code": "x-25", "days": 25, "text": "信在这里"}, {"code": "x-24", "days": 24, "text": "还在"})
    assert pushes.plan(today=TODAY, now=NOW)["planned"] == 1
    draft = outbox.Draft(
        key="push:1", klass="marketing", text="…", deadline=NOW + timedelta(days=5), tenant_id=letter.tenant_id,
        lease_id=letter.lease_id, stops_on_answer=True,
    )  # fmt: skip
    outbox.post(draft, now=NOW)
    client.post("/r/letter/intent", {"lean": "leave", "reason": "rent"})
    assert Message.objects.get(key="push:1").state == "cancelled"
    assert Push.objects.get().state == "held"


# --- Another room -------------------------------------------------------------------------------


def test_a_wish_is_a_fact_and_a_task_and_leaves_the_offers_open(client: Client, letter: Link) -> None:
    assert "朝南一居" in text(client.get("/r/letter/wish"))
    form = {"room_type": "朝南一居", "floor": "6", "month": "2026-01", "more": "安静"}
    assert "我们帮您找" in text(client.post("/r/letter/wish", form))
    client.post("/r/letter/wish", form)
    fact = Fact.objects.get()
    assert (fact.kind, fact.said) == ("wish", form)
    errand = Errand.objects.get()
    assert (errand.kind, errand.why) == ("room", "朝南一居 · 6 楼 · 2026-01 起 · 安静")
    assert CaseChange.objects.latest("pk").cause == "the tenant asks for another room"
    assert client.get("/r/letter/").status_code == 200


@pytest.mark.parametrize("form", [{}, {"floor": "6", "month": "soon"}, {"room_type": "城堡"}])
def test_a_wish_for_nothing_is_none(client: Client, letter: Link, form: dict[str, str]) -> None:
    answer = client.post("/r/letter/wish", form)
    assert (answer.status_code, text(answer).count('role="alert"')) == (422, 1)
    assert not Fact.objects.exists()


@pytest.mark.parametrize("page", ["think", "intent", "wish"])
def test_looking_changes_nothing_and_a_closed_letter_takes_no_answer(client: Client, letter: Link, page: str) -> None:
    assert client.get(f"/r/letter/{page}").status_code == 200
    assert (Fact.objects.exists(), Message.objects.exists(), Case.objects.get().state) == (False, False, "viewed")
    notices.give(letter.lease, letter.tenant, notices.Word(letter.lease.last_day), now=NOW)
    for answer in (client.get(f"/r/letter/{page}"), client.post(f"/r/letter/{page}", {"when": "3", "lean": "stay"})):
        assert answer.status_code == 410
    assert not Fact.objects.exists()


# --- Do they do what they say -------------------------------------------------------------------


def staff() -> Client:
    browser = Client()
    browser.force_login(make_user("root", is_superuser=True))
    return browser


def settled(lean: str, to: str, *, days_before: int = 5) -> None:
    """A case that was decided now, `days_before` after its tenant said so."""
    case = make_case("viewed")
    lease = case.lease
    if lean:
        said = {"lean": lean, "reason": "", "more": ""}
        facts.add(case, "intent", said, now=NOW - timedelta(days=days_before), by="tenant")
    cases.move(case, to, now=NOW, cause="x", by="x")
    if to == "signed":
        year = {"first_day": lease.last_day + timedelta(days=1), "last_day": lease.last_day + timedelta(days=365)}
        make_lease(lease.tenants.get(), lease.unit, renews=lease, signed_on=TODAY, recorded_at=NOW, **year)


def test_intent_is_held_against_outcome_with_n_and_wilsons_interval() -> None:
    root = staff()
    assert "还没有人说过意向" in text(root.get(reverse("staff-case-intents")))
    for _ in range(7):
        settled("stay", "signed")
    settled("stay", "notice")
    settled("leave", "notice")
    settled("leave", "signed")
    settled("leave", "signed", days_before=30)  # too long ago to count
    settled("", "signed")
    facts.add(make_case("viewed"), "intent", {"lean": "stay", "reason": "", "more": ""}, now=NOW, by="tenant")  # open
    html = text(root.get(reverse("staff-case-intents")))
    assert "已决的 12 份租约里，10 位租客说过意向" in html
    rows = dict(re.findall(r'data-lean="(\w*)">.*?n = (\d+)<', html, re.S))
    assert rows == {"stay": "8", "unsure": "0", "leave": "2", "": "2"}
    share = figures.share(7, 8)
    assert f"{share['low'] * 100:.0f}–{share['high'] * 100:.0f}%" in html
    assert re.search(r'data-lean="unsure">(?:(?!</tr>).)*还没有', html, re.S)


def test_the_table_counts_only_the_buildings_of_who_looks() -> None:
    from tests.test_case_pages import staff as somebody

    settled("stay", "signed")
    other = make_case("viewed", building="B2")
    cases.move(other, "notice", now=NOW, cause="x", by="x")
    html = text(somebody("care", "care", "B2").get(reverse("staff-case-intents")))
    assert dict(re.findall(r'data-lean="(\w*)">.*?n = (\d+)<', html, re.S)) == {
        "stay": "0", "unsure": "0", "leave": "0", "": "1",
    }  # fmt: skip
    assert make_tenant("x").pk
