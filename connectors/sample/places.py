"""Where it plays: eight buildings in Binjiang, their flats and units, and where people work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from connectors.sample.dice import dice, portions, weighted, whole


@dataclass(frozen=True, slots=True)
class Building:
    code: str
    name: str
    address: str
    latitude: float
    longitude: float
    weight: int  # units at full size
    level: float  # of its rents
    has_iot: bool = True


@dataclass(frozen=True, slots=True)
class Unit:
    building: Building
    flat: str
    code: str
    room_type: str
    floor: int
    area: float

    @property
    def lock(self) -> str:
        return f"L-{self.code}" if self.building.has_iot else ""

    @property
    def power_meter(self) -> str:
        return f"P-{self.code}" if self.building.has_iot else ""

    @property
    def water_meter(self) -> str:
        return f"W-{self.code}" if self.building.has_iot else ""


BUILDINGS = (
    Building("B1", "滨江·江南里", "杭州市滨江区江南大道 1178 号", 30.2085, 120.2117, 168, 1.06),
    Building("B2", "滨江·星光里", "杭州市滨江区星光大道 96 号", 30.2071, 120.2052, 152, 1.08),
    Building("B3", "滨江·长河里", "杭州市滨江区长河路 421 号", 30.1925, 120.1905, 140, 1.00),
    Building("B4", "滨江·奥体湾", "杭州市滨江区飞虹路 288 号", 30.2262, 120.2325, 136, 1.10),
    Building("B5", "滨江·西兴渡", "杭州市滨江区西兴路 639 号", 30.1883, 120.2188, 128, 0.98),
    Building("B6", "滨江·白马湖畔", "杭州市滨江区长江南路 57 号", 30.1652, 120.2013, 120, 0.92),
    Building("B7", "滨江·浦沿社", "杭州市滨江区浦沿路 312 号", 30.1741, 120.1586, 118, 0.94),
    Building("B8", "滨江·六和旧里", "杭州市滨江区六和路 75 号", 30.1847, 120.1662, 80, 0.82, has_iot=False),
)
FULL_SIZE = sum(building.weight for building in BUILDINGS)
MINIMUM_ROOMS = 24  # three for each building: room for the cast and for neighbours

# Room type: (its rent in a building of level 1, its least and greatest area)
ROOM_TYPES = {
    "温馨次卧": (2250, 11, 15),
    "朝南主卧": (2850, 16, 21),
    "独立开间": (3500, 24, 29),
    "朝南一居": (4300, 34, 42),
    "复式一居": (5600, 44, 52),
}
# How a flat is cut: its units' types, and how often. B8 is too old for lofts.
_CUTS = {
    ("独立开间",): 34.0,
    ("朝南一居",): 20.0,
    ("复式一居",): 8.0,
    ("朝南主卧", "温馨次卧"): 12.0,
    ("朝南主卧", "温馨次卧", "温馨次卧"): 9.0,
    ("朝南主卧", "温馨次卧", "温馨次卧", "温馨次卧"): 6.0,
}
_FLATS_PER_FLOOR = 8

# Business places of Hangzhou: name → (latitude, longitude, how many of the tenants work there).
WORKPLACES = {
    "滨江物联网小镇": (30.2042, 120.2166, 26),
    "滨江互联网小镇": (30.1879, 120.1896, 24),
    "白马湖生态创意城": (30.1612, 120.2051, 8),
    "滨江区行政中心": (30.2089, 120.2112, 9),
    "奥体博览城": (30.2298, 120.2290, 6),
    "钱江新城": (30.2468, 120.2107, 11),
    "武林广场": (30.2741, 120.1636, 5),
    "萧山市心路": (30.1826, 120.2645, 5),
    "未来科技城": (30.2798, 120.0211, 4),
    "下沙高教园": (30.3087, 120.3462, 2),
}


def build(*, rooms: int, seed: int) -> list[Unit]:
    """All units, building by building. The first flats are studios: fixed people live there."""
    sizes = portions(rooms - 3 * len(BUILDINGS), {b: b.weight - 3.0 for b in BUILDINGS})
    return [unit for building in BUILDINGS for unit in _units(building, sizes[building] + 3, seed)]


def _units(building: Building, count: int, seed: int) -> Iterator[Unit]:
    rng = dice(seed, "units", building.code)
    cuts = {cut: weight for cut, weight in _CUTS.items() if building.has_iot or cut != ("复式一居",)}
    flat_no = 0
    while count:
        cut = ("独立开间",) if flat_no < 2 else weighted(rng, {c: w for c, w in cuts.items() if len(c) <= count})
        floor = 2 + flat_no // _FLATS_PER_FLOOR
        flat = f"{building.code}-{floor:02}{flat_no % _FLATS_PER_FLOOR + 1:02}"
        for position, room_type in enumerate(cut):
            _, least, greatest = ROOM_TYPES[room_type]
            area = 26.0 if flat_no < 2 else whole(rng, least * 2, greatest * 2) / 2
            letter = "ABCD"[position] if len(cut) > 1 else ""
            yield Unit(building, flat, f"{flat}{letter}", room_type, floor, area)
        count -= len(cut)
        flat_no += 1
