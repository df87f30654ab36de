"""What a process of the product has cost so far: on machines shared with others, only this can be measured."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import psutil


class Cost(NamedTuple):
    seconds: float  # of the processor
    mb: float  # of memory now
    most_mb: float  # of memory at the most, since it began


def of(pid: int) -> Cost:
    used = psutil.Process(pid).cpu_times()
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    memory = {name.rstrip(":"): int(words[0]) / 1024 for name, *words in lines if name in ("VmRSS:", "VmHWM:")}
    return Cost(used.user + used.system, memory["VmRSS"], memory["VmHWM"])
