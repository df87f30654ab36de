"""Who works at 蓝寓: headquarters, store managers, tenant care, and technicians with skills and shifts.

Two technicians for each skill and half of the buildings by day, and three who work through the night.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from connectors.sample.files import columns

HEADER = columns("账号,姓名,手机号,角色,楼栋,技能,班次")


@dataclass(frozen=True, slots=True)
class Colleague:
    username: str
    name: str
    role: str
    buildings: tuple[str, ...] = ()  # empty: all
    skills: tuple[str, ...] = ()
    shift: str = "09:00-18:00"

    def on_shift(self, at: datetime) -> bool:
        start, end = self.shift.split("-")
        clock = at.strftime("%H:%M")
        return start <= clock < end if start < end else clock >= start or clock < end

    def covers(self, building: str) -> bool:
        return not self.buildings or building in self.buildings


_NORTH, _SOUTH = ("B1", "B2", "B4", "B5"), ("B3", "B6", "B7", "B8")
_DAY, _LATE, _NIGHT = "08:00-20:00", "13:00-23:00", "20:00-08:00"

TECHNICIANS = (
    Colleague("zhaodeshun", "赵德顺", "维修", _NORTH, ("漏水", "空调"), _DAY),
    Colleague("qianguofu", "钱国富", "维修", _SOUTH, ("漏水", "空调"), _DAY),
    Colleague("luzhiqiang", "陆志强", "维修", _NORTH, ("电路", "空调"), _DAY),
    Colleague("tangyong", "汤勇", "维修", _SOUTH, ("电路", "空调"), _DAY),
    Colleague("fanjun", "范军", "维修", _NORTH, ("门锁", "网络"), _DAY),
    Colleague("xiapeng", "夏鹏", "维修", _SOUTH, ("门锁", "网络"), _DAY),
    Colleague("moxiaobo", "莫晓波", "维修", (), ("漏水", "电路", "其他"), _LATE),
    Colleague("shenlihua", "沈立华", "维修", (), ("门锁", "网络", "其他"), _LATE),
    Colleague("guanhai", "管海", "维修", (), ("其他",), _DAY),
    Colleague("yedachun", "叶大春", "维修", _NORTH, ("漏水", "电路", "空调"), _NIGHT),
    Colleague("kangxingwang", "康兴旺", "维修", _SOUTH, ("漏水", "电路", "空调"), _NIGHT),
    Colleague("bailei", "柏磊", "维修", (), ("门锁", "网络", "其他"), _NIGHT),
)
_MANAGERS = (
    Colleague("songyanli", "宋燕丽", "店长", ("B1", "B2")),
    Colleague("duminghui", "杜明辉", "店长", ("B3", "B4")),
    Colleague("jiangwenjuan", "蒋文娟", "店长", ("B5", "B6")),
    Colleague("raojianping", "饶建平", "店长", ("B7", "B8")),
)
_CARE = tuple(
    Colleague(username, name, "管家", (f"B{number}",), (), "10:00-19:00")
    for number, (username, name) in enumerate(
        (
            ("lvxinyi", "吕心怡"),
            ("dingyuchen", "丁雨辰"),
            ("gaoshan", "高珊"),
            ("weizihan", "魏子涵"),
            ("panxiaomeng", "潘晓萌"),
            ("luojiaqi", "罗嘉琪"),
            ("huangkai", "黄凯"),
            ("xieyunfang", "谢云芳"),
        ),
        start=1,
    )
)
_OFFICE = (
    Colleague("mei", "梅若兰", "总部"),
    Colleague("renshaofeng", "任少峰", "总部"),
    Colleague("fuminmin", "傅敏敏", "财务"),
    Colleague("shibaozhen", "施宝珍", "财务"),
)
STAFF = (*_OFFICE, *_MANAGERS, *_CARE, *TECHNICIANS)


def manager_of(building: str) -> Colleague:
    return next(colleague for colleague in _MANAGERS if colleague.covers(building))


def rows() -> Iterator[list[object]]:
    """staff.csv; the numbers end in 101 and up, so that no tenant has one of them."""
    for number, c in enumerate(STAFF, start=101):
        yield [c.username, c.name, f"100{number:08}", c.role, ";".join(c.buildings), ";".join(c.skills), c.shift]
