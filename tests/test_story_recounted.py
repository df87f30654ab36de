"""A thousand letters: every sentence counted again from the raw events, and nothing told that must not be."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
from django.conf import settings

from renewal import proposals, story
from renewal.models import Proposal
from tenants import features
from tenants.models import Event
from tests.makers import NOW, TODAY
from tests.story_world import House, Person, Recount
from workorders import intake

pytestmark = pytest.mark.django_db

SEED = 20251201
LETTERS = 1_000
ORDER = [sentence.code for sentence in story.LIBRARY]
# Whatever of a person's life is no reason to write to them: doors, hours, money owed, quarrels, health.
NEVER = re.compile(
    r"门|锁|开门|出入|凌晨|深夜|半夜|晚归|几点|点钟|逾期|欠|滞纳|迟|投诉|差评|不满|违约|身份证|电话|手机"
    r"|door|lock|night|o'clock|late|overdue|owe|debt|complain|unhappy|identity|phone",
    re.IGNORECASE,
)


def furnish(people: int) -> House:
    """So many people with their letters."""
    house = House(SEED, people=people, per_building=125)
    intake.take(now=NOW)
    features.refresh(today=TODAY, now=NOW)
    assert proposals.prepare(today=TODAY, now=NOW) == people
    return house


def test_every_sentence_of_a_thousand_letters_is_what_the_raw_events_say_and_none_is_unkind() -> None:
    house = furnish(LETTERS)
    letters = {letter.tenant_id: letter for letter in Proposal.objects.all()}
    recount = Recount(house, baseline_minutes=settings.COMMUTE_BASELINE_MINUTES)
    told: Counter[str] = Counter()
    spoken: set[str] = set()
    for person in house.people:
        letter = letters[person.rows[0].pk]
        assert unsupported(letter, person, recount) == []
        for card in letter.story:
            told[card["code"]] += 1
            spoken.update(words for part in ("unit", "sentence", "how") for words in card[part].values())
    # Each sentence was told to many and withheld from many: the comparison had something to compare.
    assert all(30 < told[code] < LETTERS for code in ORDER), told
    assert [words for words in spoken if NEVER.search(words)] == []


def test_an_event_less_is_a_sentence_without_support() -> None:
    """The recount can fail: without one event, exactly the letter that counted it is found out."""
    house = furnish(60)
    letters = {letter.tenant_id: letter for letter in Proposal.objects.all()}
    person = next(each for each in house.people if "gym" in [card["code"] for card in letters[each.rows[0].pk].story])
    counted = Event.objects.filter(tenant__in=person.rows, kind="facility.used", data__facility="gym", at__lte=NOW)
    counted.order_by("-at")[0].delete()
    recount = Recount(house, baseline_minutes=settings.COMMUTE_BASELINE_MINUTES)
    assert [each for each in house.people if unsupported(letters[each.rows[0].pk], each, recount)] == [person]


def unsupported(letter: Proposal, person: Person, recount: Recount) -> list[Any]:
    """The cards of a letter that the recount does not bear out, and those it misses."""
    facts = recount.facts(person)
    wanted = [code for code in ORDER if code in facts][: story.MOST_CARDS]
    faults: list[Any] = [] if [card["code"] for card in letter.story] == wanted else [(wanted, letter.story)]
    for card in letter.story:
        fact = facts.get(card["code"])
        figure = f"{fact['figure']:,}" if fact else None
        is_said = all(figure in words for words in card["sentence"].values()) if figure else False
        # Whatever the explanation names is the evidence's.
        named = [str(value) for key, value in (fact or {}).items() if key not in {"figure", "stays"}]
        is_explained = all(value in words for value in named for words in card["how"].values())
        if not (card["evidence"] == fact and card["figure"] == figure and is_said and is_explained):
            faults.append((card, fact))
    return faults
