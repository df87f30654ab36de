"""The tenant's year in numbers: a library of sentences, each true, kind, and explained.

`renewal.year` finds the facts; here are the words. Where nothing true and kind was found about somebody, a
sentence is silent. Whoever did not agree to personal wording, or chose the general version, gets only the
general ones. What was found is frozen in both languages with its evidence, so that a proposal reads the same
for as long as it lives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.conf import settings

from renewal import year
from renewal.year import Found, Subject

MOST_CARDS = 6


@dataclass(frozen=True, slots=True)
class Words:
    zh: str
    en: str

    def filled(self, facts: dict[str, Any]) -> dict[str, str]:
        return {"zh": self.zh.format(**facts), "en": self.en.format(**facts)}


@dataclass(frozen=True, slots=True)
class Sentence:
    code: str
    find: Callable[[Sequence[Subject], date], Found]
    unit: Words
    sentence: Words
    how: Words
    general: bool = False  # says nothing drawn from behaviour


def tell(subjects: Sequence[Subject], *, today: date) -> dict[Subject, list[dict[str, Any]]]:
    """Each subject's cards in order, at most six; one look per sentence, however many subjects."""
    cards: dict[Subject, list[dict[str, Any]]] = {subject: [] for subject in subjects}
    for sentence in LIBRARY:
        asked = [subject for subject in subjects if subject.personal or sentence.general]
        found = sentence.find(asked, today) if asked else {}
        for subject in asked:
            if (facts := found.get(subject.tenant_id)) and len(cards[subject]) < MOST_CARDS:
                words = {**facts, "figure": f"{facts['figure']:,}", "operator": settings.OPERATOR_NAME}
                cards[subject].append(
                    {
                        "code": sentence.code,
                        "figure": words["figure"],
                        "unit": sentence.unit.filled(words),
                        "sentence": sentence.sentence.filled(words),
                        "how": sentence.how.filled(words),
                        "evidence": facts,
                        "general": sentence.general,
                    }
                )
    return cards


@dataclass(frozen=True, slots=True)
class Told:
    """One card of the year in one language."""

    code: str
    figure: str
    unit: str
    sentence: str
    how: str
    evidence: dict[str, Any]


def told(stored: list[dict[str, Any]], *, language: str, general: bool = False) -> list[Told]:
    """The frozen cards of a proposal (`proposal.story`) in `language`; with `general`, only the impersonal ones."""
    key = "en" if language.startswith("en") else "zh"
    return [
        Told(
            code=card["code"],
            figure=card["figure"],
            unit=card["unit"][key],
            sentence=card["sentence"][key],
            how=card["how"][key],
            evidence=card["evidence"],
        )
        for card in stored
        if card["general"] or not general
    ]


# --- The library, in the order of the cards ---------------------------------------------------------------

LIBRARY = (
    Sentence(
        "days",
        year.days_lived,
        unit=Words("天", "days"),
        sentence=Words("到今天，您在{operator}住了 {figure} 天。", "You have lived with {operator} for {figure} days."),
        how=Words(
            "从 {first} 起，按租约在期的天数相加，同一天只算一次。",
            "The days under a lease since {first} added up, each day once.",
        ),
        general=True,
    ),
    Sentence(
        "gym",
        year.times("facility.used", year.AT_LEAST_TIMES, facility="gym"),
        unit=Words("次", "times"),
        sentence=Words("过去一年，您共使用健身房 {figure} 次。", "In the past year you used the gym {figure} times."),
        how=Words(
            "按您在 App 里的健身房使用记录计数，{first} 至 {last}。",
            "Counted from your gym records in the app, {first} to {last}.",
        ),
    ),
    Sentence(
        "kitchen",
        year.times("facility.used", year.AT_LEAST_TIMES, facility="shared_kitchen"),
        unit=Words("次", "times"),
        sentence=Words(
            "过去一年，您用过 {figure} 次共享厨房。", "In the past year you used the shared kitchen {figure} times."
        ),
        how=Words(
            "按您在 App 里的共享厨房使用记录计数，{first} 至 {last}。",
            "Counted from your shared-kitchen records in the app, {first} to {last}.",
        ),
    ),
    Sentence(
        "commute",
        year.hours_saved,
        unit=Words("小时", "hours"),
        sentence=Words(
            "平均每月节省通勤时间约 {figure} 小时。",
            "On average you spend about {figure} hours a month less commuting.",
        ),
        how=Words(
            "按您 {stated} 填写的工作地点估算：直线 {straight_km} 公里，按 1.3 倍绕行约 {road_km} 公里；"
            "前 3 公里时速 12 公里、3 至 10 公里时速 20 公里、更远时速 30 公里，单程约 {minutes} 分钟。"
            "与全城平均的单程 {baseline_minutes} 分钟相比，往返，每月 {workdays} 个工作日。",
            "Estimated from the workplace you gave on {stated}: {straight_km} km straight, about {road_km} km by road "
            "(× 1.3); 12 km/h up to 3 km, 20 km/h up to 10 km, 30 km/h beyond, about {minutes} minutes one way. "
            "Compared with the city's average of {baseline_minutes} minutes, both ways, {workdays} workdays a month.",
        ),
    ),
    Sentence(
        "community",
        year.times("community.joined", year.AT_LEAST_ACTIVITIES),
        unit=Words("次", "times"),
        sentence=Words(
            "过去一年，您参加了 {figure} 次社区活动。", "In the past year you came to {figure} community activities."
        ),
        how=Words("按活动签到计数，{first} 至 {last}。", "Counted from the sign-ins of activities, {first} to {last}."),
    ),
    Sentence(
        "repairs",
        year.repairs,
        unit=Words("件", "repairs"),
        sentence=Words(
            "过去一年，您报修 {figure} 件，已修好 {figure} 件。",
            "In the past year: {figure} reported, {figure} mended.",
        ),
        how=Words(
            "按工单计数，同一件事报过几次也只算一件，{first} 至 {last}。",
            "Counted by work order; one problem reported more than once counts once, {first} to {last}.",
        ),
    ),
    Sentence(
        "on_time",
        year.paid_on_time,
        unit=Words("期", "rents"),
        sentence=Words(
            "过去一年，{figure} 期房租您都按时交了。", "In the past year you paid all {figure} rents on time."
        ),
        how=Words(
            "按房租的应付日与支付日比对，应付日 {first} 至 {last}。",
            "The day each rent was paid against the day it was due, {first} to {last}.",
        ),
        general=True,
    ),
    Sentence(
        "power",
        year.less_power,
        unit=Words("度", "kWh"),
        sentence=Words(
            "近 30 天，您比同楼的中位数少用了 {figure} 度电。",
            "In the last 30 days you used {figure} kWh less than the building's median.",
        ),
        how=Words(
            "同楼 {neighbours} 户近 30 天用电的中位数约 {median} 度，您约 {own} 度，截至 {day}。",
            "The median of {neighbours} homes in the building over 30 days is about {median} kWh, yours about {own}, "
            "up to {day}.",
        ),
    ),
    Sentence(
        "held",
        year.activities_held,
        unit=Words("场", "activities"),
        sentence=Words(
            "过去一年，这栋楼办了 {figure} 场社区活动。",
            "In the past year {figure} activities took place in this building.",
        ),
        how=Words(
            "按有人签到的活动计数，同一天同一主题算一场，{first} 至 {last}。",
            "Activities somebody signed in to; one title on one day counts once, {first} to {last}.",
        ),
        general=True,
    ),
)
