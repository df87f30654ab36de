"""S11: a tenant refuses, signs, gives notice or moves out between queue and send, 1,000 times, many while claimed.

Nothing is sent after the commit. The red twin checks at planning only.
"""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from faults import mail
from tenants import consents, outbox
from tenants.models import Lease, LeaseTenant
from tenants.outbox import claiming
from tests.makers import NOW, TODAY, make_lease

TIMES = 1000
KINDS = ("refused", "signed", "gave notice", "moved out")


def run(seed: int, share: float) -> dict[str, Any]:
    """The campaign, or a share of it: {"held", "counts", "red": {"held", "counts"}}."""
    green = _campaign(seed, round(TIMES * share))
    with (
        mail.off("tenants.outbox.rules.judge", lambda *_, **__: {}),
        mail.off("tenants.recalling.offers", lambda *_, **__: 0),
        mail.off("tenants.outbox.cancel_for_lease", lambda *_, **__: 0),
    ):
        red = _campaign(seed, 60)
    return {**green, "red": red}


def _campaign(seed: int, times: int) -> dict[str, Any]:
    dice = random.Random(seed)
    still_ours = claiming.still_ours
    waiting: list[tuple[Lease, str]] = []

    def at_the_last_moment(claims: list[claiming.Claim], *, channel: str, now: Any) -> set[claiming.Claim]:
        while waiting:
            _withdraw(*waiting.pop())
        return still_ours(claims, channel=channel, now=now)

    with mail.provider("pager", seed=seed) as service:
        leases = [make_lease(last_day=TODAY + timedelta(days=25)) for _ in range(times + times // 4)]
        kinds = {lease.pk: dice.choice(KINDS) for lease in leases[:times]}
        heard_on = 0
        # A few at a time, so that each withdrawal falls between its own claim and its own call.
        for at in range(0, len(leases), 8):
            some = leases[at : at + 8]
            drafts = [_draft(lease) for lease in some]
            outbox.post_many(drafts, now=NOW)
            leaving = [(lease, kinds[lease.pk]) for lease in some if lease.pk in kinds]
            late = [one for one in leaving if one[1] != "moved out" and dice.random() < 0.5]
            for lease, kind in leaving:
                if (lease, kind) not in late:
                    _withdraw(lease, kind)
            waiting.extend(late)
            heard_on += len(late)
            with mail.off("tenants.outbox.claiming.still_ours", at_the_last_moment):
                mail.drained()
        arrived = set(service.counts.arrived)
    after = [lease for lease in leases[:times] if f"offer:{lease.pk}" in arrived]
    stayed = sum(f"offer:{lease.pk}" in arrived for lease in leases[times:])
    counts = {
        "withdrawals": times,
        "of them while claimed": heard_on,
        "sent after the commit": len(after),
        "others sent": f"{stayed} of {len(leases) - times}",
    }
    return {"held": not after and stayed == len(leases) - times, "counts": counts}


def _draft(lease: Lease) -> outbox.Draft:
    tenant = lease.tenants.get()
    return outbox.Draft(
        key=f"offer:{lease.pk}", klass="marketing", text=mail.TEXT, deadline=mail.DEADLINE, tenant_id=tenant.pk,
        lease_id=lease.pk, stops_on_answer=True,
    )  # fmt: skip


def _withdraw(lease: Lease, kind: str) -> None:
    match kind:
        case "refused":
            consents.refuse_marketing(lease.tenants.get(), now=NOW, proof="R")
        case "signed":
            first = lease.last_day + timedelta(days=1)
            make_lease(
                lease.tenants.get(), lease.unit, renews=lease, first_day=first, last_day=first + timedelta(days=364)
            )
            outbox.cancel_for_lease(lease, reason="signed", now=NOW)
        case "gave notice":
            outbox.cancel_for_lease(lease, reason="notice given", now=NOW)
        case _:
            LeaseTenant.objects.filter(lease=lease).delete()
