"""S13: nothing is sent for 72 hours, then the relay comes back to what has waited.

No message goes past its deadline (its "30 days left" would be false), and no channel is asked for more than its limit.
The red twin looks at no deadline, neither at the claim nor at the last moment.
"""

from __future__ import annotations

import time
from collections import Counter
from datetime import timedelta
from typing import Any

from faults import mail
from tenants.outbox import claiming, rules
from tests.makers import NOW
from tests.standins.base import Asked, Said

MESSAGES, LIMIT = 2000, 200  # and so many a second
OUTAGE = timedelta(hours=72)


def run(seed: int, share: float) -> dict[str, Any]:
    """The campaign, or a share of it: {"held", "counts", "red": {"held", "counts"}}."""
    green = _campaign(seed, round(MESSAGES * share))
    judge = rules.judge

    def patient(ids: list[int], **facts: Any) -> dict[int, rules.Verdict]:
        return {i: v for i, v in judge(ids, **facts).items() if v[0] != "expired"}

    look = claiming.STILL_OURS.replace("deadline > %(now)s AND", "")
    with mail.off("tenants.outbox.rules.judge", patient), mail.off("tenants.outbox.claiming.STILL_OURS", look):
        red = _campaign(seed, 200)
    return {**green, "red": red}


def _campaign(seed: int, n: int) -> dict[str, Any]:
    seconds: Counter[int] = Counter()
    with mail.provider("pager", seed=seed) as service, mail.off("tests.pager.Pager.per_second", LIMIT):
        answer = service.answer

        def timed(asked: Asked) -> Said:
            seconds[int(time.monotonic() * 4)] += 1
            return answer(asked)

        service.answer = timed  # type: ignore[method-assign]
        everybody = mail.people(n)
        half = n // 2
        mail.offers(everybody[:half], deadline=NOW + timedelta(hours=71))
        mail.offers(everybody[half:], deadline=NOW + timedelta(days=6))
        mail.drained(now=NOW + OUTAGE)
        stale = sum(f"offer:{one.pk}" in service.counts.arrived for one in everybody[:half])
        fresh = sum(f"offer:{one.pk}" in service.counts.arrived for one in everybody[half:])
        expired = mail.states().get("expired", 0)
    # Any four quarters in a row; two windows of the limit may touch, so twice the limit is what a second can see.
    most = max(sum(seconds[at + more] for more in range(4)) for at in seconds)
    counts = {"waited": n, "stale sent": stale, "expired": expired, "fresh sent": fresh, "most in a second": most}
    held = (stale, expired, fresh) == (0, half, n - half) and most <= 2 * LIMIT
    return {"held": held, "counts": counts}
