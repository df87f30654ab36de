"""The segments that ship: what they find of the sample portfolio's latent types, and that each can be read."""

from __future__ import annotations

import csv
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from campaigns import segments, shipped, shipping
from campaigns.models import Segment
from renewal import loading
from tenants import clock, consents, current
from tenants.models import Feature, Tenant, TenantTag
from tests.makers import NOW, TODAY, make_event, make_lease, make_tenant
from tests.test_segment_pages import cells, client_of, get, report, resident
from tests.test_tags import gives_mood

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _today() -> None:
    clock.set_to(NOW)


LATENT = {"social": "social", "price": "price", "service": "service"}  # of the generator, by segment
TAG_OF = {"social": "social", "price": "price_sensitive", "service": "service_dependent"}
FILES = ["units.csv", "staff.csv", "contracts.xlsx", "consents.csv", "tickets.csv", "bills.csv", "payments.csv",
         "community.csv", "app.jsonl"]  # fmt: skip


def load(folder: Path, *, seed: int) -> dict[str, str]:
    """A sample of 200 rooms is loaded and computed; the latent type of each resident, by phone."""
    call_command("sample", str(folder), rooms=200, seed=seed, today="2025-12-01", verbosity=0)
    for file in FILES:
        loading.load(file.partition(".")[0], folder / file, now=NOW)
    current.compute(today=TODAY, now=NOW)
    shipping.ship(now=NOW)
    with (folder / "truth" / "tenants.csv").open(encoding="utf-8") as lines:
        latent = {row["phone"]: row["latent"] for row in csv.DictReader(lines)}
    living = Tenant.objects.filter(pk__in=Feature.objects.values("tenant")).values_list("phone", flat=True)
    return {phone: latent[phone] for phone in living}


def members(code: str) -> set[str]:
    ids = segments.members(Segment.objects.get(code=code).rule, today=TODAY)
    return set(Tenant.objects.filter(pk__in=ids).values_list("phone", flat=True))


def percent(part: set[str], whole: set[str]) -> float:
    return round(100 * len(part) / len(whole), 1)


# In %: of all residents in the segment, of that latent type; of the segment those that are of the type; of the type,
# as far as it agreed to a profile, those in the segment. Then how many the other segments have.
SEVEN = {
    "social": (36.3, 37.4, 89.2, 93.5),
    "price": (20.1, 29.1, 88.9, 66.7),
    "service": (13.4, 17.9, 79.2, 67.9),
}
ELEVEN = {
    "social": (36.5, 37.1, 92.3, 95.2),
    "price": (19.1, 29.2, 88.2, 69.8),
    "service": (13.5, 18.0, 83.3, 64.5),
}
OTHERS = {"night": (5, 4), "kitchen-25": (5, 3), "repair-late": (63, 59), "moods-soso": (9, 11), "parcels": (0, 1),
          "flatmate-missing": (9, 17), "steady": (105, 104)}  # fmt: skip


@pytest.mark.parametrize(("seed", "measured", "column"), [(7, SEVEN, 0), (11, ELEVEN, 1)])
def test_the_three_types_find_the_samples_latent_types(
    tmp_path: Path, seed: int, measured: dict[str, tuple[float, ...]], column: int
) -> None:
    latent = load(tmp_path, seed=seed)
    everybody = set(latent)
    ids = segments.members({"consent": "profiling"}, today=TODAY)
    agreed = set(Tenant.objects.filter(pk__in=ids).values_list("phone", flat=True))
    found = {code: members(code) for code in LATENT}
    meant = {code: {phone for phone, each in latent.items() if each == LATENT[code]} for code in LATENT}

    assert {
        code: (
            percent(found[code], everybody),
            percent(meant[code], everybody),
            percent(found[code] & meant[code], found[code]),
            percent(found[code] & meant[code], meant[code] & agreed),
        )
        for code in LATENT
    } == measured
    # One voice to each, and the segment as it ships is whom the tag of its name has.
    assert sum(map(len, found.values())) == len(set().union(*found.values()))
    for code, tag in TAG_OF.items():
        assert set(TenantTag.objects.filter(tag=tag).values_list("tenant__phone", flat=True)) == found[code]
    assert {code: len(members(code)) for code in OTHERS} == {code: counts[column] for code, counts in OTHERS.items()}
    assert set(OTHERS) | set(LATENT) == {segment["code"] for segment in shipped.SEGMENTS}


def test_staff_read_what_ships_with_its_sentence_and_its_count() -> None:
    shipping.ship(now=NOW)
    lin, chen = resident("林晓", "A-0101"), resident("陈默", "A-0102")
    for days_ago in (1, 2, 3):
        report(lin, days_ago, 23)
    for days_ago in range(1, 9):
        at = clock.at(TODAY - timedelta(days=days_ago), 19)
        make_event("facility.used", lin, at=at, data={"facility": "shared_kitchen"})
    for month in ("2025-09", "2025-10", "2025-11"):
        gives_mood(chen, month, "soso")
    current.compute(today=TODAY, now=NOW)
    rows = [row[:3] for row in cells(get(client_of("hq"), "/admin/segment/"))]
    assert {name: count for name, _sentence, count in rows if count != "0"} == {
        "厨房常客，25 天内到期": "1",
        "夜间报修": "1",
        "连续三张账单都选😐": "1",
        "社交活跃型": "1",
    }
    sentence = dict(row[:2] for row in rows)
    assert (len(sentence), sentence["夜间报修"]) == (10, "近 365 天报修最近 3 次都满足：22:00 至 06:00 之间")
    assert sentence["社交活跃型"] == (
        "同意个性化内容，且（近 365 天社区活动次数 ≥ 4，或近 90 天社群发言数 ≥ 3，或近 90 天共享厨房次数 ≥ 8）"
    )


def test_who_chose_the_general_version_or_agreed_to_no_profile_is_of_no_type() -> None:
    people: dict[str, dict[str, Any]] = {
        "同意": {},
        "未同意": {"consents": ("marketing",)},
        "通用版": {"general_version": True},
    }
    for name, facts in people.items():
        tenant = make_tenant(name, **facts)
        make_lease(tenant)
        Feature.objects.create(tenant=tenant, day=TODAY, computed_at=NOW, community_365=9)
    rule = shipped.SEGMENTS[0]["rule"]

    def names() -> list[str]:
        return list(Tenant.objects.filter(pk__in=segments.members(rule, today=TODAY)).values_list("name", flat=True))

    assert names() == ["同意"]
    refused = Tenant.objects.get(name="通用版")
    assert segments.nearest(segments.explain(rule, refused.pk, today=TODAY)) == ["同意个性化内容"]
    consents.choose_general(refused, general=False, now=NOW)
    assert sorted(names()) == ["同意", "通用版"]
