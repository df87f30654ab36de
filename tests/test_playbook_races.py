"""Several people at one playbook in the same moment: one is heard, the others are told, and nothing is lost between."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from campaigns import drafts, releases, shelf
from campaigns.draftchecks import NotSaved
from campaigns.models import Playbook, PlaybookVersion, Release, StepVersion
from campaigns.releases import NotReleased
from tests.makers import NOW, TODAY, make_playbook, make_user
from tests.test_playbook_drafts import STEP, draft, new, save

pytestmark = pytest.mark.django_db(transaction=True)

PEOPLE = 6


def at_once(*deeds: Callable[[], Any]) -> list[Any]:
    """What each returned, or what it was told, all begun in the same moment."""
    barrier = Barrier(len(deeds))

    def do(deed: Callable[[], Any]) -> Any:
        try:
            barrier.wait(30)
            return deed()
        except (NotSaved, NotReleased) as told:
            return told
        finally:
            connection.close()

    with ThreadPoolExecutor(len(deeds)) as pool:
        return list(pool.map(do, deeds))


def test_of_all_who_save_at_once_one_is_kept_and_the_others_are_told() -> None:
    book = new()
    code = save(book).step.code
    seen = drafts.mark(draft(book))

    def write(n: int) -> StepVersion:
        return drafts.save_step(
            book.pk, code, {**STEP, "text": f"第 {n} 人写的"}, seen=seen, by=None, today=TODAY, now=NOW
        )

    said = at_once(*(partial(write, n) for n in range(PEOPLE)))
    kept = [each for each in said if isinstance(each, StepVersion)]
    assert len(kept) == 1
    assert sum(isinstance(each, drafts.Overtaken) for each in said) == PEOPLE - 1
    assert StepVersion.objects.get().text == kept[0].text


def test_only_one_draft_begins() -> None:
    book = make_playbook("x").playbook
    begun = at_once(*[lambda: drafts.begin(book.pk, like=None, by=None, now=NOW)] * PEOPLE)
    assert sum(isinstance(each, PlaybookVersion) for each in begun) == 1
    assert sum("已有一份草稿" in str(each) for each in begun) == PEOPLE - 1
    assert list(PlaybookVersion.objects.order_by("number").values_list("number", "is_draft")) == [(1, False), (2, True)]


def test_a_draft_is_released_as_it_was_seen_or_not_at_all() -> None:
    lan = make_user("lan")
    for n in range(4):
        book = new(f"剧本 {n}")
        code = save(book).step.code
        version, seen = draft(book), drafts.mark(draft(book))
        saved, asked = at_once(
            lambda b=book, c=code, s=seen: drafts.save_step(  # type: ignore[misc]
                b.pk, c, {**STEP, "text": "改了"}, seen=s, by=None, today=TODAY, now=NOW
            ),
            lambda v=version, s=seen: drafts.ask(  # type: ignore[misc]
                v.pk, percent=100, rule=None, why="", seen=s, by=lan, today=TODAY, now=NOW
            ),
        )
        text = StepVersion.objects.get(version=version).text
        if isinstance(asked, Release):
            assert isinstance(saved, drafts.Overtaken)
            assert text == STEP["text"]
        else:
            assert isinstance(asked, drafts.Overtaken)
            assert (text, draft(book).is_draft) == ("改了", True)


def test_a_release_is_decided_once_whoever_is_first() -> None:
    lan, mei, wang = make_user("lan"), make_user("mei"), make_user("wang")
    version = make_playbook("x")
    asked = Release.objects.create(version=version, percent=50, reach=99, state="waiting", asked_by=lan, asked_at=NOW)
    decided = at_once(
        lambda: releases.decide(asked.pk, is_approved=True, why="", by=mei, now=NOW),
        lambda: releases.decide(asked.pk, is_approved=False, why="不行", by=wang, now=NOW),
        lambda: releases.withdraw(asked.pk, by=lan, now=NOW),
    )
    won = [each for each in decided if isinstance(each, Release)]
    assert len(won) == 1
    asked.refresh_from_db()
    assert (asked.state, asked.decided_by_id) == (won[0].state, won[0].decided_by_id)


def test_moving_naming_and_adding_at_once_leave_an_order_and_names_of_their_own() -> None:
    books = [make_playbook(f"x{n}", name=f"剧本 {n}").playbook for n in range(3)]
    done = at_once(
        lambda: shelf.move(books[0].pk, up=False),
        lambda: shelf.move(books[1].pk, up=True),
        lambda: shelf.move(books[2].pk, up=True),
        lambda: shelf.rename(books[2].pk, "新的"),
        lambda: new("新的"),
        lambda: new("新的"),
        lambda: shelf.copy(books[0].pk, by=None, now=NOW),
        lambda: shelf.copy(books[0].pk, by=None, now=NOW),
    )
    assert sum("已经有名为“新的”的剧本" in str(each) for each in done) == 2
    rows = list(Playbook.objects.values_list("name", "rank"))
    assert len({name for name, _rank in rows}) == len({rank for _name, rank in rows}) == len(rows)
    assert sum(name == "新的" for name, _rank in rows) == 1
