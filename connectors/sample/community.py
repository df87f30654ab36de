"""community.csv: activities joined, posts in the groups, and the buildings' announcements.

Each building has an activity every other week. Who joins and who posts follows the habits of `people`.
Only B1 announces something about its shared kitchen, so that a message which claims it can be true there alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta

import numpy as np

from connectors.sample.days import Calendar, moment, seconds, stamp
from connectors.sample.dice import dice, pick, whole
from connectors.sample.files import columns
from connectors.sample.leases import Tenancy
from connectors.sample.places import BUILDINGS, Building
from connectors.sample.staff import manager_of

HEADER = columns("类型,编号,社群号,时间,主题,内容,楼栋编号,截止日期,负责人")
ACTIVITY, POST, ANNOUNCEMENT = "活动", "发言", "公告"

_ACTIVITIES = (
    "天台观影夜", "周末烘焙课", "江边夜跑", "桌游局", "晨间瑜伽", "邻里火锅", "手冲咖啡体验", "旧物交换市集",
    "羽毛球约球", "读书分享会", "包饺子", "宠物友好日", "简历互助会", "花艺小课", "钱塘江骑行",
)  # fmt: skip
_POSTS = (
    "有人今晚去夜跑吗，江边集合", "拼一单水果，满五十免配送", "谁家的快递放错到三楼了", "周末桌游还差两位",
    "求推荐附近好吃的面馆", "共享厨房的烤箱真好用", "捡到一把雨伞，放前台了", "明早有一起拼车去未来科技城的吗",
    "多出一张话剧票，有人要吗", "猫粮团购，明天截单", "健身房的新音响不错", "请教一下空调怎么调除湿",
    "今天的晚霞太好看了", "有没有会修自行车的邻居", "下周搬家，转让一个小书架", "谢谢昨天帮我收被子的邻居",
)  # fmt: skip

# Building, topic, days from today of the fact and of the last day it is shown, what is said.
_ANNOUNCEMENTS = (
    ("B1", "shared_kitchen", 19, 61, "共享厨房 {month} 月 {day} 日升级烘焙区"),
    ("B3", "gym", -21, -1, "健身房 {month} 月 {day} 日更换两台跑步机"),
    ("B5", "laundry", 11, 30, "洗衣房 {month} 月 {day} 日新增两台烘干机"),
)


def rows(tenancies: list[Tenancy], *, seed: int, calendar: Calendar, counts: Counter[str]) -> Iterator[list[object]]:
    """The whole file in the order of time, announcements last; `counts` by type on the way."""
    members = [tenancy for tenancy in tenancies if tenancy.person.member]
    found = [*_activities(members, seed, calendar), *_posts(members, calendar)]
    found.sort(key=lambda row: (str(row[3]), str(row[1])))
    for row in found:
        counts[str(row[0])] += 1
        yield row
    yield from _announcements(calendar)


def _activities(members: list[Tenancy], seed: int, calendar: Calendar) -> Iterator[list[object]]:
    for building in BUILDINGS:
        rng = dice(seed, "activities", building.code)
        dates = _dates(rng, calendar)
        for tenancy in (t for t in members if t.unit.building is building):
            own = tenancy.person.dice("activities")
            open_to = [n for n, at in enumerate(dates) if tenancy.start < at.date() <= tenancy.end]
            if tenancy.person.counts:
                going = sorted(own.permutation(open_to)[: tenancy.person.counts["activities"]])
            else:
                chance = min(0.9, tenancy.person.yearly("activities") / len(dates))
                going = [n for n in open_to if own.random() < chance]
            for n in going:
                at = dates[n] + timedelta(minutes=whole(own, -10, 20))
                number = f"HD-{building.code}-{at:%y%m%d}-{tenancy.person.member}"
                title = _ACTIVITIES[(n * 7 + int(building.code[1:])) % len(_ACTIVITIES)]
                yield [ACTIVITY, number, tenancy.person.member, stamp(at), title, "签到", building.code, "", ""]


def _dates(rng: np.random.Generator, calendar: Calendar) -> list[datetime]:
    """Every other week of the history, on a Friday or at the weekend."""
    friday = calendar.history_start + timedelta(days=(4 - calendar.history_start.weekday()) % 7)
    found = []
    for week in range(0, 51, 2):
        day = friday + timedelta(weeks=week, days=whole(rng, 0, 2))
        hour = 19 if day.weekday() == 4 else pick(rng, (10, 14, 19))
        found.append(datetime.combine(day, time(hour, 30)))
    return [at for at in found if at < calendar.now]


def _posts(members: list[Tenancy], calendar: Calendar) -> Iterator[list[object]]:
    for tenancy in members:
        person, building = tenancy.person, tenancy.unit.building
        rng = person.dice("posts")
        earliest = max(seconds(tenancy.start, 12), seconds(calendar.history_start))
        latest = min(seconds(tenancy.end, 20), seconds(calendar.today, 9.5))
        if latest <= earliest:
            continue
        n = person.counts.get("posts", rng.poisson(person.yearly("posts") * (latest - earliest) / (365 * 86_400)))
        for serial, at in enumerate(np.sort(rng.integers(earliest, latest, n)), start=1):
            hour = min(23, 8 + int(rng.gamma(6, 1.9)))
            when = datetime.combine(moment(at).date(), time(hour, whole(rng, 0, 59), whole(rng, 0, 59)))
            when = min(max(when, moment(earliest)), calendar.now - timedelta(minutes=whole(rng, 1, 90)))
            number = f"FY-{person.member}-{tenancy.unit.code}-{serial}"
            yield [POST, number, person.member, stamp(when), _group(building), pick(rng, _POSTS), building.code, "", ""]


def _group(building: Building) -> str:
    return f"{building.name.split('·')[1]}住户群"


def _announcements(calendar: Calendar) -> Iterator[list[object]]:
    for serial, (building, topic, on, until, text) in enumerate(_ANNOUNCEMENTS, start=1):
        day: date = calendar.today + timedelta(days=on)
        said = text.format(month=day.month, day=day.day)
        last = calendar.today + timedelta(days=until)
        owner = manager_of(building).username
        yield [ANNOUNCEMENT, f"GG-{serial:04}", "", stamp(day), topic, said, building, stamp(last), owner]
