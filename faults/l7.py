"""L7: the last second of a day in Shanghai and the first of the next, in three time zones: one answer.

New Year's Eve, the ends of February of common years and leap years, and 31 January, each at 23:59:59 and at
00:00:00, and at 16:30 UTC on 31 January, which is 1 February in Shanghai: somebody reads the letter, asks for a
price, and signs, where one rent is published to the end of the day and another from the next. What they see, and
what is written down (the days of the lease, of the signature and of the filing, the rent, how long the code is
good), is the same whether the process and its database session run in UTC, in New York or in Shanghai, and is the
day that eight hours added to UTC give. A share lives through three of the moments at least. The red twin takes the day
from the time zone of the process.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from django.test import Client

from bench.scratch import ROOT
from faults import Outcome, outcome, readers
from renewal.models import Code, FilingTask, Rate, Signature
from tenants import clock
from tenants.models import Link
from tests import makers
from tests.letter import digits_of, hidden, opened
from tests.makers import make_building, make_unit

ZONES = ("UTC", "America/New_York", "Asia/Shanghai")
EIGHT_HOURS = timedelta(hours=8)
LAST_DAYS = (
    date(2025, 12, 31), date(2026, 12, 31), date(2026, 2, 28), date(2028, 2, 28), date(2028, 2, 29), date(2027, 1, 31),
)  # fmt: skip
MOMENTS = [
    *(
        datetime(day.year, day.month, day.day, 15, 59, 59, tzinfo=UTC) + timedelta(seconds=later)
        for day in LAST_DAYS
        for later in (0, 1)
    ),
    datetime(2027, 1, 31, 16, 30, tzinfo=UTC),
]
BEFORE, AFTER = Decimal("3900.00"), Decimal("4000.00")  # the rent to the end of the day, and from the next one
DAYS = 25  # from the day that ends to the end of the lease
SAID = "answers: "


def run(seed: int, share: float) -> Outcome:
    some = random.Random(seed).sample(range(len(MOMENTS)), max(3, round(len(MOMENTS) * share)))
    # Before midnight in Shanghai it is the same day elsewhere: the last moment is one that tells.
    return outcome(*_campaign("shanghai", some), red=_campaign("process", [*some[:2], len(MOMENTS) - 1]))


def _campaign(day: str, some: list[int]) -> tuple[bool, dict[str, Any]]:
    told = {zone: _told(zone, day, some) for zone in ZONES}
    found: Counter[str] = Counter()
    for place, moment in enumerate(MOMENTS[n] for n in some):
        answers = [told[zone][place] for zone in ZONES]
        found["moments"] += 1
        found["wrong: differs between zones"] += any(answer != answers[0] for answer in answers)
        found["wrong: another day"] += sum(answer != _expected(moment) for answer in answers)
    wrong = {name: found[name] for name in ("wrong: differs between zones", "wrong: another day")}
    return not any(wrong.values()), {"moments": found["moments"], "zones": len(ZONES), **wrong}


def _ends_on(moment: datetime) -> date:
    """The day of which the moment is the last second, or after which it comes."""
    return (moment + EIGHT_HOURS - timedelta(hours=1)).date()


def _expected(moment: datetime) -> dict[str, Any]:
    """By adding eight hours to UTC, and nothing else."""
    today, ending = (moment + EIGHT_HOURS).date(), _ends_on(moment)
    first_day = ending + timedelta(days=DAYS + 1)
    return {
        "today": today.isoformat(),
        "page": f"{today.year} 年 {today.month} 月 {today.day} 日",
        "rent": str(BEFORE if today == ending else AFTER),
        "first_day": first_day.isoformat(),
        "last_day": (first_day.replace(year=first_day.year + 1) - timedelta(days=1)).isoformat(),
        "signed_on": today.isoformat(),
        "filed_by": (today + timedelta(days=30)).isoformat(),
        "code_good_for": 300.0,
        "signed_at": moment.isoformat(),
    }


def _told(zone: str, day: str, some: list[int]) -> list[dict[str, Any]]:
    """The answers of a process in this time zone."""
    env = {**os.environ, "TZ": zone, "PGTZ": zone}
    command = [
        sys.executable,
        "-c",
        f"import django; django.setup(); from faults.l7 import child; child({zone!r}, {day!r}, {some!r})",
    ]
    done = subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=True)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith(SAID)]
    answers: list[dict[str, Any]] = json.loads(line.removeprefix(SAID))
    return answers


def child(zone: str, day: str, some: list[int]) -> None:
    """Runs in the process of `_told`."""
    readers.begin()
    number = 1_000 * (1 + ZONES.index(zone)) + 10_000 * (day == "process")  # all write into one database
    makers._numbers, readers._numbers = count(number), count(number)
    os.environ["TZ"] = zone  # Django has set its own
    time.tzset()
    assert time.tzname != ("CST", "CST") or zone == "Asia/Shanghai"
    if day == "process":
        clock.day_of = lambda moment: datetime.fromtimestamp(moment.timestamp()).date()  # noqa: DTZ006 - the red twin
    print(SAID + json.dumps([_lived(f"{zone[:2]}{day[0]}{place}", MOMENTS[place]) for place in some]))


def _lived(house: str, moment: datetime) -> dict[str, Any]:
    """The letter read, priced and signed in that moment, which does not pass."""
    clock.now = lambda: moment
    ending = _ends_on(moment)
    building = make_building(house)
    facts = {"term_months": 12, "free_months": 0, "building": building, "room_type": "朝南一居", "recorded_at": moment}
    far = timedelta(days=300)
    Rate.objects.create(**facts, monthly_rent=BEFORE, signed_from=ending - far, signed_to=ending)
    Rate.objects.create(
        **facts, monthly_rent=AFTER, signed_from=ending + timedelta(days=1), signed_to=ending + timedelta(days=30)
    )
    last_day = ending + timedelta(days=DAYS)
    first_day = last_day + timedelta(days=1)
    link = readers.letter(unit=make_unit("", building), last_day=last_day, anchor_day=first_day.day)
    Link.objects.filter(pk=link.pk).update(expires_at=moment + timedelta(days=20))
    client = Client(SERVER_NAME="127.0.0.1")
    opened(client, readers.minted(link))
    page = client.get("/r/letter/").content.decode()
    answer = client.post("/r/letter/quote", {"term": "12", "free": "0"}, headers={"accept": "application/json"}).json()
    quote = hidden(client.get("/r/letter/agreement"), "quote")
    client.post("/r/letter/code", {"quote": quote, "agree": "1"})
    client.post("/r/letter/sign", {"code": digits_of()})
    signature = Signature.objects.select_related("lease", "code").get(proposal__lease=link.lease_id)
    lease, code = signature.lease, Code.objects.get(pk=signature.code_id)
    today = _expected(moment)["page"]
    return {
        "today": clock.today().isoformat(),
        "page": today if today in page else page[:2000],
        "rent": answer["monthly_rent"] if Decimal(answer["monthly_rent"]) == lease.monthly_rent else "two rents",
        "first_day": lease.first_day.isoformat(),
        "last_day": lease.last_day.isoformat(),
        "signed_on": lease.signed_on.isoformat(),
        "filed_by": FilingTask.objects.get(lease=lease).due_on.isoformat(),
        "code_good_for": (code.expires_at - code.asked_at).total_seconds(),
        "signed_at": signature.signed_at.astimezone(UTC).isoformat(),
    }
