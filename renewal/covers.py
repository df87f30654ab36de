"""The cover of a letter or of a roadmap: the little it says, in one statement, since scanners ask for it as well."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from renewal import proposals
from renewal.models import Case
from tenants import links
from tenants.models import Link
from tenants.plans import Planned

# One row leads to one row: said so, the database has no order of joins to weigh, which takes longer than the reading.
FOUND = Planned("""
    select link.id, link.purpose, link.revoked_at, link.expires_at, (
        select (
            select (select b.name from tenants_building b where b.id = u.building_id)
            from tenants_unit u where u.id = l.unit_id
        ) from tenants_lease l where l.id = link.lease_id
    ), (select c.state from renewal_case c where c.lease_id = link.lease_id)
    from tenants_link link
    where link.token_hash = %(hash)s and link.purpose = any(%(purposes)s)
""")


@dataclass(frozen=True, slots=True)
class Cover:
    """What a live link's cover says: nothing of whoever it was sent to."""

    link: int
    is_road: bool
    building: str
    over: str  # why there is no letter to open any more, as in `proposals.Closed`: signed, moved_out, over; or nothing


def find(token: str, *, now: datetime) -> Cover:
    """The cover of the live link of this token. Raises as `links.find`; changes nothing."""
    if not links.TOKEN.fullmatch(token):
        raise links.Unknown
    row = FOUND.row({"hash": links.hash_of(token), "purposes": links.beside(Link.Purpose.PROPOSAL)})
    if row is None:
        raise links.Unknown
    link, purpose, revoked_at, expires_at, building, state = row
    links.refuse_if_dead(revoked_at, expires_at, now=now)
    is_road = purpose == Link.Purpose.ROADMAP
    kind = proposals.CLOSED.get(Case.State(state), "") if state and not is_road else ""
    # Whoever gave notice may see it, and take it back.
    return Cover(link, is_road, building, "" if kind == "notice" else kind)
