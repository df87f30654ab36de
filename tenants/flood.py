"""One device that says too much: what it may say, and what is surplus. Pure, and asked for every message."""

from __future__ import annotations

# A bucket for each device, which leaks 5 a second. It holds a week of a reading a minute, so that a device which
# was out of reach, or a listener that was away, loses nothing; a device that floods fills it within seconds.
RATE = 5.0
ALLOWANCE = 12_000
MANY = 20_000  # buckets; more are swept


class Guard:
    """How much of its allowance each device has used."""

    def __init__(self) -> None:
        self.full: dict[str, tuple[float, float]] = {}  # sender → how full its bucket was, and when

    def admits(self, sender: str, at: float) -> bool:
        """Whether `sender` may be heard at this moment (seconds); what is admitted counts."""
        level, since = self.full.get(sender, (0.0, at))
        level = max(level - (at - since) * RATE, 0.0)
        if level >= ALLOWANCE:
            return False
        if len(self.full) > MANY:
            self._sweep(at)
        self.full[sender] = level + 1, at
        return True

    def _sweep(self, at: float) -> None:
        """Buckets that have run empty are forgotten; if senders' names are made up, all of them are."""
        kept = {key: (level, since) for key, (level, since) in self.full.items() if level > (at - since) * RATE}
        self.full = kept if len(kept) < MANY / 2 else {}


def sender(topic: str) -> str:
    """Who speaks: the topic up to the device. Another building's topic uses up nothing of this one's device."""
    return topic.rpartition("/")[0] or topic
