"""When a tenant likes to be written to: chosen on their own page, written down by staff, kept at sending."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse

from campaigns import rehearsing
from renewal import preferences as page_words
from renewal import writing_hours
from tenants import clock, merges, outbox, past, preferred
from tenants.models import Message, Preference, Tenant
from tenants.outbox import Draft
from tests.letter import make_letter, opened
from tests.makers import NOW, TODAY, make_building, make_lease, make_tenant, make_unit, make_user
from tests.test_ledger_page import client_of

pytestmark = pytest.mark.django_db
PAGE = "/r/letter/preferences"
EVENING = clock.at(TODAY, 18)
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _it_is_ten_in_the_morning(db: None) -> None:
    clock.set_to(NOW)


def choose(client: Client, hours: str, **more: str) -> Any:
    return client.post("/r/letter/hours", {"hours": hours, **more}, follow=True)


def stands(tenant: Tenant) -> tuple[int, int] | None:
    return preferred.span(preferred.standing(tenant))


def read(page: Any, start: str, end: str) -> str:
    """A part of a page as a person reads it: words, without marks."""
    part = page.content.decode().split(start)[1].split(end)[0]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", part))


# --- On the tenant's own page ---


def test_the_tenant_chooses_and_offers_keep_to_it(client: Client) -> None:
    link, token = make_letter()
    tenant = link.tenant
    draft = Draft(
        key="push:9", klass="marketing", tenant_id=tenant.pk, text="信", deadline=NOW + timedelta(days=2)
    )  # fmt: skip
    outbox.post(draft, now=NOW)
    opened(client, token)
    section = read(client.get(PAGE), 'id="hours"', "</section>")
    assert "什么时候都可以，9 点至 21 点" in section
    assert "休息日只在 10 点至 20 点之间写。" in section
    assert [part in section for part in ("上午 9 点至 12 点", "中午 12 点至 14 点", "晚上 18 点至 21 点")] == [True] * 3
    page = choose(client, "evening")
    assert page.redirect_chain == [(PAGE, 303)]
    assert "即刻生效：晚上，18 点至 21 点" in page.content.decode()
    assert stands(tenant) == (18, 21)
    outbox.drain(now=NOW)
    assert Message.objects.values_list("state", "not_before", "reason").get() == (
        "queued", EVENING, "等到租客偏好的时段（18 点至 21 点）。",
    )  # fmt: skip
    outbox.drain(now=EVENING)
    assert Message.objects.get().state == "accepted"


def test_without_the_choice_it_goes_in_the_morning(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The red twin: where the look before sending asks nobody's wish, what waits goes outside of it."""
    link, token = make_letter()
    draft = Draft(
        key="push:9", klass="marketing", tenant_id=link.tenant_id, text="信", deadline=NOW + 9 * 24 * 60 * MINUTE
    )
    outbox.post(draft, now=NOW)
    opened(client, token)
    choose(client, "evening")
    monkeypatch.setattr("tenants.outbox.rules._wanted", lambda _row: None)
    outbox.drain(now=NOW)
    assert Message.objects.get().state == "accepted"


def test_own_hours_the_way_back_and_any_time_again(client: Client) -> None:
    link, token = make_letter()
    opened(client, token)
    choose(client, "own", first="17", end="20")
    assert stands(link.tenant) == (17, 20)
    page = choose(client, "any", first="17", end="20")  # the selects are sent along and mean nothing
    assert stands(link.tenant) is None
    back = re.findall(r'name="(back|first|end)" value="(\d+)"', read_form(page))
    assert back == [("back", "1"), ("first", "17"), ("end", "20")]
    page = choose(client, "own", first="17", end="20", back="1")
    assert stands(link.tenant) == (17, 20)
    assert 'role="status"' not in page.content.decode()
    said = read(page, 'class="past-choices"', "</ul>")
    assert re.findall(r"什么时候写给您: (\S+(?: 点至 \d+ 点)?)", said) == [
        "17 点至 20 点",
        "什么时候都可以，9 点至 21 点",
        "17 点至 20 点",
    ]
    assert Preference.objects.count() == 3


def read_form(page: Any) -> str:
    found = re.search(r'role="status".*?</form>', page.content.decode(), re.S)
    assert found
    return found.group()


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"hours": "own", "first": "20", "end": "18"}, "结束时间要晚于开始时间。"),
        ({"hours": "own", "first": "7", "end": "10"}, "我们只在 9 点至 21 点之间写信，请在其中选择。"),
        ({"hours": "own", "first": "18", "end": "22"}, "我们只在 9 点至 21 点之间写信，请在其中选择。"),
        ({"hours": "own", "first": "x", "end": "²"}, "请选择从几点到几点。"),
        ({"hours": "own"}, "请选择从几点到几点。"),
        ({"hours": "night"}, "请选择时段。"),
    ],
)
def test_what_the_house_cannot_keep_is_refused_and_what_was_typed_stays(
    client: Client, typed: dict[str, str], said: str
) -> None:
    _link, token = make_letter()
    opened(client, token)
    page = client.post("/r/letter/hours", typed)
    assert page.status_code == 409
    assert said in read(page, 'id="hours"', "</section>")
    if typed.get("first") == "20":
        assert '<option value="20" selected>' in page.content.decode()
    assert not Preference.objects.exists()


def test_the_choices_follow_the_hours_of_the_house(settings: Any) -> None:
    settings.QUIET_BEFORE_HOUR, settings.QUIET_FROM_HOUR = 13, 18
    settings.QUIET_REST_BEFORE_HOUR = settings.QUIET_REST_FROM_HOUR = 10  # silent
    assert [(each.code, each.hours) for each in writing_hours.named()] == [("any", None), ("noon", (13, 14))]
    assert page_words.hours_words()[1].endswith("休息日不写续租来信。")
    settings.QUIET_REST_BEFORE_HOUR, settings.QUIET_REST_FROM_HOUR = 13, 18
    assert "休息日" not in page_words.hours_words()[1]


def test_hours_that_the_house_writes_at_no_longer_are_shown_as_set_aside(client: Client) -> None:
    link, token = make_letter()
    preferred.prefer(link.tenant, (22, 24), now=NOW - MINUTE, proof="app")
    opened(client, token)
    section = read(client.get(PAGE), 'id="hours"', "</section>")
    assert "22 点至 24 点" in section
    assert "目前不起作用" in section
    page = choose(client, "any").content.decode()
    assert 'role="status"' in page
    assert 'name="back" value="1"' not in page  # there is no way back to them


def test_a_choice_keeps_the_words_the_page_and_the_browser_without_its_address(client: Client) -> None:
    link, token = make_letter()
    opened(client, token)
    client.post("/r/letter/hours", {"hours": "noon"}, REMOTE_ADDR="203.0.113.7", HTTP_USER_AGENT="WeChat/8")
    line = Preference.objects.get()
    assert line.text
    assert line.text.text == (
        "什么时候写给您\n续租来信在您选的时段发出；哪天我们在这些时段都不发信，就按当天的时间发。\n"
        "休息日只在 10 点至 20 点之间写。\n中午，12 点至 14 点"
    )
    assert (line.text.version, line.proof) == (page_words.VERSION, f"letter:{link.pk}")
    assert (line.evidence["page"], line.evidence["link"]) == ("preferences", link.pk)
    assert [re.fullmatch(r"[0-9a-f]{16}", line.evidence[name]) is not None for name in ("address", "device")] == [
        True
    ] * 2
    assert "203.0.113.7" not in str(line.evidence)
    assert NOW <= line.at == line.recorded_at < NOW + MINUTE


def test_a_bare_token_and_a_get_choose_nothing(client: Client) -> None:
    _link, token = make_letter()
    assert client.post(f"/r/{token}/hours", {"hours": "noon"})["Location"] == f"/r/{token}"
    assert client.post("/r/letter/hours", {"hours": "noon"}).status_code == 410
    opened(client, token)
    assert client.get("/r/letter/hours").status_code == 405
    assert not Preference.objects.exists()


def test_a_wish_said_before_a_merge_is_listed_as_long_as_both_are_one(client: Client) -> None:
    link, token = make_letter()
    other = make_tenant("林晓（旧）")
    preferred.prefer(other, (12, 14), now=NOW - MINUTE, proof="app")
    opened(client, token)

    def listed() -> list[str]:
        return re.findall(r"什么时候写给您: (.*?)</span>", client.get(PAGE).content.decode())

    assert listed() == []
    made = merges.merge(link.tenant, other, reason="同一人", by=None, now=NOW)
    assert listed() == ["中午，12 点至 14 点"]
    choose(client, "evening")
    assert listed() == ["晚上，18 点至 21 点", "中午，12 点至 14 点"]
    merges.unmerge(made, why="不是同一人", by=None, now=NOW)
    assert listed() == ["晚上，18 点至 21 点"]  # the other's wish is the other's again
    assert stands(Tenant.objects.get(pk=other.pk)) == (12, 14)


# --- On the staff's page ---


@pytest.fixture
def person() -> Tenant:
    return make_lease(make_tenant(consents=("marketing",)), make_unit("A-0101", make_building("A"))).tenants.get()


def hear(client: Client, person: Tenant, **facts: str) -> Any:
    said = {"hours": "evening", "who": "林晓", "at": "2025-12-01T09:30", "words": "下班以后再发"}
    return client.post(reverse("staff-hours", args=[person.pk]), said | facts, follow=True)


def panel(page: Any) -> str:
    return read(page, 'id="hours"', 'id="identity"')


def test_a_wish_heard_on_the_phone_holds_with_who_when_and_the_words(person: Tenant) -> None:
    client = client_of("care")
    assert "什么时候都可以 租客没有说过" in panel(client.get(reverse("staff-tenant", args=[person.pk])))
    for _twice in range(2):
        page = hear(client, person)
    assert "已登记，续租优惠即刻按此时段发送。" in page.content.decode()
    line = Preference.objects.get()
    assert preferred.span(line) == (18, 21)
    assert (line.at, line.recorded_at.date()) == (datetime.fromisoformat("2025-12-01T09:30+08:00"), NOW.date())
    assert {name: line.evidence[name] for name in ("via", "who", "words")} == {
        "via": "staff", "who": "林晓", "words": "下班以后再发",
    }  # fmt: skip
    text = panel(page)
    assert "晚上，18 点至 21 点 自 2025-12-01 起" in text.replace("2025-12-01 起", "自 2025-12-01 起")
    assert "由 梅 听到并登记" in text
    assert "谁说的 林晓 原话 下班以后再发" in text
    hear(client, person, hours="own", first="9", end="11", words="还是早上吧")
    assert stands(person) == (9, 11)  # said in the same minute, and later


def test_what_the_tenant_chose_after_that_moment_stands(person: Tenant) -> None:
    preferred.prefer(person, (9, 12), now=NOW, proof="app")
    page = hear(client_of("care"), person)
    assert "以之后的为准" in page.content.decode()
    assert stands(person) == (9, 12)
    assert Preference.objects.count() == 2


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"words": " "}, "请写明是谁说的、原话是什么。"),
        ({"at": "昨天"}, "请写明是什么时候说的。"),
        ({"at": "2025-12-01T11:00"}, "时间在未来。"),
        ({"hours": "own", "first": "21", "end": "9"}, "结束时间要晚于开始时间。"),
        ({"words": "长" * 501}, "内容过长。"),
    ],
)
def test_without_its_proof_no_wish_is_written(person: Tenant, typed: dict[str, str], said: str) -> None:
    page = hear(client_of("care"), person, **typed)
    assert page.status_code == 409
    assert said in panel(page)
    assert 'value="林晓"' in page.content.decode()
    assert not Preference.objects.exists()


@pytest.mark.parametrize(("role", "building", "status"), [("technician", "A", 403), ("care", "B", 404)])
def test_only_who_may_see_the_person_writes_it_down(person: Tenant, role: str, building: str, status: int) -> None:
    assert hear(client_of(role, building), person).status_code == status
    assert not Preference.objects.exists()


def test_of_one_person_known_as_two_the_latest_word_holds(person: Tenant) -> None:
    other = make_tenant("林晓（旧）")
    preferred.prefer(other, (12, 14), now=NOW - MINUTE, proof="app")
    Tenant.objects.filter(pk=other.pk).update(merged_into=person)
    assert stands(person) == (12, 14)
    chief = Client()
    chief.force_login(make_user("chief", is_superuser=True))
    hear(chief, person, at="2025-12-01T10:00")
    assert stands(person) == stands(Tenant.objects.get(pk=other.pk)) == (18, 21)


# --- Only added to ---


def test_a_past_day_is_run_without_a_wish_that_was_written_down_later(person: Tenant) -> None:
    hear(client_of("care"), person)
    at = clock.at(TODAY, 9) + 45 * MINUTE  # said at half past nine, written down at ten
    found = {}
    for basis in (past.RECORDED, past.HAPPENED):
        with rehearsing.rehearsal(rehearsing.Setting(at=at, day=TODAY, basis=basis)) as there, there.world.closed():
            found[basis] = stands(person)
    assert found == {past.RECORDED: None, past.HAPPENED: (18, 21)}


@pytest.mark.parametrize("change", ["UPDATE tenants_preference SET end_hour = 20", "DELETE FROM tenants_preference"])
@pytest.mark.parametrize("is_guarded", [True, False])
def test_the_database_refuses_to_change_or_delete_a_line(change: str, is_guarded: bool) -> None:
    """With its red twin: without the trigger a line can be changed."""
    preferred.prefer(make_tenant(), (19, 21), now=NOW, proof="app")
    with connection.cursor() as cursor:
        if is_guarded:
            with pytest.raises(IntegrityError, match="tenants_preference is only ever added to"), transaction.atomic():
                cursor.execute(change)
            return
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE tenants_preference DISABLE TRIGGER consent_ledger_only_grows")
        cursor.execute(change)
        assert cursor.rowcount == 1
