"""tickets.csv: repairs over the year, with the faults of the old days.

Before the season a technician accepted after 6.7 hours on average, since then after 2.1: gamma-distributed
(shape 1.5), and scaled so that the mean is exact. A third of the service-dependent report only at night;
the night shift takes theirs at once. One leak in 25 is reported twice; the fixed 陈默's through three
channels. A few are still waiting today.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta

import numpy as np

from connectors.sample.days import Calendar, moment, seconds, stamp
from connectors.sample.dice import dice, pick, weighted, whole
from connectors.sample.files import columns
from connectors.sample.leases import Tenancy
from connectors.sample.people import Latent
from connectors.sample.staff import TECHNICIANS, Colleague

HEADER = columns("报修单号,渠道,房源编号,手机号,报修类型,内容,报修时间,接单时间,到场时间,完成时间,维修人,评分")

HOURS_TO_ACCEPT_BEFORE, HOURS_TO_ACCEPT_SINCE = 6.7, 2.1
_NIGHT_ONLY = 0.34  # of the service-dependent
_CHANNELS = {"App": 40.0, "公众号": 20.0, "微信群": 18.0, "前台": 12.0, "电话": 10.0}
_CATEGORIES = {"漏水": 22.0, "电路": 15.0, "空调": 20.0, "门锁": 13.0, "网络": 14.0, "快递错柜": 6.0, "其他": 10.0}
_NIGHT_CATEGORIES = {"漏水": 30.0, "电路": 22.0, "空调": 20.0, "门锁": 28.0}
_TEXTS = {
    "漏水": ("洗手池下面一直滴水", "卫生间天花板渗水", "阳台地漏返水", "热水器接口漏水", "马桶水箱关不住"),
    "电路": ("厨房插座没电", "跳闸推不上去", "卧室灯不亮", "插座有焦味，不敢用"),
    "空调": ("空调不制冷", "空调制热有异响", "空调滴水到床边", "遥控器没反应"),
    "门锁": ("指纹识别不了，进不去门", "门锁没电了", "密码输入没有反应", "门把手松了"),
    "网络": ("网络断断续续", "路由器一直闪红灯", "晚上网速很慢", "网口松动"),
    "快递错柜": ("快递放到别人的柜子里了", "取件码打开是空柜"),
    "其他": ("窗帘轨道掉了", "柜门合页坏了", "纱窗破了", "衣柜有异味", "床板断了一根"),
}
_HOURS = np.array([1, 0.6, 0.3, 0.3, 0.3, 0.5, 2, 5, 7, 7, 6, 5, 4, 4, 5, 5, 5, 6, 8, 10, 10, 8, 2.5, 1.5])


@dataclass(slots=True, eq=False)
class Ticket:
    """One report. `hours` to acceptance; None: nobody has taken it."""

    tenancy: Tenancy
    channel: str
    category: str
    text: str
    reported: datetime
    hours: float | None
    at_night: bool = False
    no: str = ""
    accepted: datetime | None = None
    arrived: datetime | None = None
    finished: datetime | None = None
    technician: str = ""
    score: int | None = None

    def row(self) -> list[object]:
        times = (self.reported, self.accepted, self.arrived, self.finished)
        score = "" if self.score is None else self.score
        person, unit = self.tenancy.person, self.tenancy.unit
        return [
            self.no, self.channel, unit.code, person.phone, self.category, self.text,
            *map(stamp, times), self.technician, score,
        ]  # fmt: skip


def report(tenancies: list[Tenancy], *, rooms: int, seed: int, calendar: Calendar) -> list[Ticket]:
    """All tickets in the order of time, with their numbers."""
    found = [ticket for tenancy in tenancies if not tenancy.person.cast for ticket in _of(tenancy, calendar)]
    _scale(found, calendar)
    for ticket in found:
        _work(ticket, calendar)
    found += list(_twice(found, seed))
    found += _waiting(tenancies, max(3, round(rooms * 0.008)), seed, calendar)
    found += [ticket for tenancy in tenancies for ticket in _of_cast(tenancy, calendar)]
    found.sort(key=lambda ticket: (ticket.reported, ticket.tenancy.unit.code, ticket.channel))
    for serial, ticket in enumerate(found, start=1):
        ticket.no = f"BX{ticket.reported:%y%m%d}-{serial:05}"
    return found


def _of(tenancy: Tenancy, calendar: Calendar) -> Iterator[Ticket]:
    person = tenancy.person
    rng = person.dice("tickets")
    earliest = max(seconds(tenancy.start, 12), seconds(calendar.history_start))
    latest = min(seconds(tenancy.end), seconds(calendar.today) - 86_400)
    if latest <= earliest:
        return
    night_only = person.latent is Latent.SERVICE and rng.random() < _NIGHT_ONLY
    n = rng.poisson(person.yearly("tickets") * (latest - earliest) / (365 * 86_400))
    for at in np.sort(rng.integers(earliest, latest, n)).tolist():
        day = moment(at).date()
        hour = int(np.searchsorted(np.cumsum(_HOURS) / _HOURS.sum(), rng.random()))
        if night_only:
            hour = pick(rng, (22, 22, 23, 23, 0, 0, 1))
        reported = datetime.combine(day, time(hour, whole(rng, 0, 59), whole(rng, 0, 59)))
        if reported < moment(earliest):
            reported += timedelta(days=1)
        category = weighted(rng, _NIGHT_CATEGORIES if night_only else _CATEGORIES)
        hours = float(rng.uniform(0.3, 1.0)) if night_only else float(rng.gamma(1.5))
        channel = weighted(
            rng, _CHANNELS if 8 <= hour < 20 else {"App": 60.0, "公众号": 15.0, "微信群": 15.0, "电话": 10.0}
        )
        yield Ticket(tenancy, channel, category, pick(rng, _TEXTS[category]), reported, hours, night_only)


def _scale(found: list[Ticket], calendar: Calendar) -> None:
    """The mean time to accept is what it should be, before the season and since."""
    for since, mean in ((False, HOURS_TO_ACCEPT_BEFORE), (True, HOURS_TO_ACCEPT_SINCE)):
        mine = [t for t in found if (t.reported.date() >= calendar.season_start) is since]
        quick = sum(t.hours or 0 for t in mine if t.at_night)
        slow = [t for t in mine if not t.at_night]
        factor = max(0.5, (mean * len(mine) - quick) / (sum(t.hours or 0 for t in slow) or 1))
        for ticket in slow:
            ticket.hours = max(0.05, (ticket.hours or 0) * factor)


def _work(ticket: Ticket, calendar: Calendar) -> None:
    """What has been done about it by now."""
    if ticket.hours is None:
        return
    rng = ticket.tenancy.person.dice(f"work {ticket.reported}")
    accepted = ticket.reported + timedelta(seconds=round(ticket.hours * 3600))
    way, job = (0.4, 0.7) if ticket.at_night else (0.3 + rng.gamma(1.5, 1.1), 0.3 + rng.gamma(1.5, 0.6))
    arrived = accepted + timedelta(seconds=round(way * 3600))
    finished = arrived + timedelta(seconds=round(job * 3600))
    if accepted > calendar.now:
        return
    ticket.accepted = accepted
    ticket.technician = _technician(rng, ticket, accepted).username
    ticket.arrived = arrived if arrived <= calendar.now else None
    ticket.finished = finished if finished <= calendar.now else None
    if ticket.finished and rng.random() < 0.6:
        ticket.score = _score(rng, ticket.hours)


def _technician(rng: np.random.Generator, ticket: Ticket, at: datetime) -> Colleague:
    """One with the skill, if possible on shift and of this building."""
    skill = ticket.category if ticket.category != "快递错柜" else "其他"
    able = [c for c in TECHNICIANS if skill in c.skills]
    here = [c for c in able if c.covers(ticket.tenancy.unit.building.code)]
    return pick(rng, [c for c in here if c.on_shift(at)] or [c for c in able if c.on_shift(at)] or here)


def _score(rng: np.random.Generator, hours: float) -> int:
    if hours < 2.5:
        return weighted(rng, {5: 62.0, 4: 28.0, 3: 8.0, 2: 2.0})
    if hours < 8:
        return weighted(rng, {5: 22.0, 4: 34.0, 3: 27.0, 2: 12.0, 1: 5.0})
    return weighted(rng, {5: 5.0, 4: 17.0, 3: 31.0, 2: 27.0, 1: 20.0})


def _twice(found: list[Ticket], seed: int) -> Iterator[Ticket]:
    """Some leaks are reported once more, elsewhere, before anybody has come; both are closed together."""
    rng = dice(seed, "twice")
    for ticket in found:
        if ticket.category != "漏水" or ticket.at_night or rng.random() > 0.04 or not ticket.accepted:
            continue
        channel = pick(rng, [channel for channel in _CHANNELS if channel != ticket.channel])
        reported = ticket.reported + (ticket.accepted - ticket.reported) * float(rng.uniform(0.1, 0.4))
        again = Ticket(
            ticket.tenancy, channel, ticket.category, ticket.text, reported.replace(microsecond=0), ticket.hours
        )
        again.accepted, again.arrived, again.finished = ticket.accepted, ticket.arrived, ticket.finished
        again.technician = ticket.technician
        yield again


def _waiting(tenancies: list[Tenancy], n: int, seed: int, calendar: Calendar) -> Iterator[Ticket]:
    """Reported last night or this morning, and nobody has taken them yet."""
    rng = dice(seed, "waiting")
    there = [t for t in tenancies if t.start <= calendar.today - timedelta(days=2) and t.end > calendar.today]
    candidates = [t for t in there if not t.person.cast]
    for index in rng.choice(len(candidates), size=n, replace=False):
        category = weighted(rng, _CATEGORIES)
        reported = calendar.now - timedelta(minutes=whole(rng, 8, 200) if rng.random() < 0.7 else whole(rng, 500, 900))
        text = pick(rng, _TEXTS[category])
        yield Ticket(candidates[index], weighted(rng, _CHANNELS), category, text, reported, None)


def _of_cast(tenancy: Tenancy, calendar: Calendar) -> Iterator[Ticket]:
    """陈默: one leak through three channels, accepted 6.7 hours after the first word; two repairs before, one since.
    林晓 and 周航: one repair each, quickly done. 何静: none."""

    def ticket(days_ago: int, clock: time, channel: str, category: str, text: str, hours: float) -> Ticket:
        reported = datetime.combine(calendar.today - timedelta(days=days_ago), clock)
        made = Ticket(tenancy, channel, category, text, reported, hours)
        made.accepted = reported + timedelta(minutes=round(hours * 60))
        made.arrived = made.accepted + timedelta(minutes=55)
        made.finished = made.arrived + timedelta(minutes=80)
        made.technician = _technician(tenancy.person.dice(f"work {days_ago}"), made, made.accepted).username
        return made

    if tenancy.person.cast == "late_repair":
        yield ticket(238, time(19, 40), "App", "网络", "网络断断续续", 4.5)
        yield ticket(129, time(13, 5), "公众号", "空调", "空调不制冷", 5.2)
        first = ticket(41, time(8, 12), "微信群", "漏水", "卫生间天花板渗水，已经滴到地上了", 6.7)
        for at, channel, text in (
            (time(8, 47), "公众号", "卫生间漏水，群里说了没人回"),
            (time(9, 30), "前台", "卫生间顶上漏水，第三次说了"),
        ):
            again = ticket(41, at, channel, "漏水", text, 0)
            again.accepted, again.arrived, again.finished = first.accepted, first.arrived, first.finished
            again.technician = first.technician
            yield again
        first.score = 2
        yield first
        last = ticket(16, time(10, 20), "App", "其他", "柜门合页坏了", 1.5)
        last.score = 5
        yield last
    elif "tickets" in tenancy.person.counts:
        yield ticket(67, time(10, 30), "App", "空调", "遥控器没反应", 1.2)
