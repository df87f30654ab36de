"""Which bills are somebody's to give a mood on: those addressed to them, and those of their lease.

A bill is of whatever leases its recipient stands on that day. Whoever else stands there may give a mood of their own
about it, and once they have given one on such a bill, those bills count for them like their own: for each month of
which they have no bill themselves one, that on which they gave a mood if there is one.
"""

from __future__ import annotations

# What is addressed to others on the leases of these people: expects {people}, SQL of `root`, and the two moments.
_BESIDE_SQL = """
    SELECT DISTINCT ON (mine.root, bill.data ->> 'month') mine.root, bill.data ->> 'bill' AS bill,
        bill.data ->> 'month' AS month, bill.at, bill.source, bill.source_id
    FROM ({people}) mine
    JOIN tenants_tenant own ON own.id = mine.root OR own.merged_into_id = mine.root
    JOIN tenants_leasetenant seat ON seat.tenant_id = own.id
    JOIN tenants_lease lease ON lease.id = seat.lease_id AND lease.state = 'signed'
    JOIN tenants_leasetenant other ON other.lease_id = lease.id
    JOIN tenants_tenant named ON named.id = other.tenant_id
    JOIN LATERAL (SELECT coalesce(named.merged_into_id, named.id) AS root) payer ON payer.root <> mine.root
    JOIN tenants_tenant sent_to ON sent_to.id = payer.root OR sent_to.merged_into_id = payer.root
    JOIN tenants_event bill ON bill.tenant_id = sent_to.id AND bill.kind = 'bill.issued'
        AND bill.at >= {since} AND bill.at < {until}
        AND (bill.at AT TIME ZONE 'Asia/Shanghai')::date BETWEEN lease.first_day AND lease.last_day
    LEFT JOIN said ON said.root = mine.root AND said.bill = bill.data ->> 'bill'
    WHERE NOT EXISTS (
        SELECT FROM tenants_tenant self
        JOIN tenants_event theirs ON theirs.tenant_id = self.id AND theirs.kind = 'bill.issued'
            AND theirs.at >= {since} AND theirs.at < {until}
            AND theirs.data ->> 'month' = bill.data ->> 'month'
        WHERE self.id = mine.root OR self.merged_into_id = mine.root)
    ORDER BY mine.root, bill.data ->> 'month', said.bill IS NULL, bill.at DESC, bill.source DESC, bill.source_id DESC"""

# Few vote on what is addressed to somebody else: for those alone leases are looked up.
_GUESTS = "SELECT DISTINCT said.root FROM said LEFT JOIN issued USING (root, bill) WHERE issued.bill IS NULL{lately}"


def of_lease(*, since: str, until: str, lately: str = "") -> str:
    """SQL of WITH parts: `bill`, the bills of everybody in `issued` and `said`, their own and those of their lease.

    Expects before it `issued` (root, bill, month, at, source, source_id), the bills addressed to each, and `said`
    (root, bill, …), the mood that each gave last on a bill. `lately`: SQL that is true of what to look at in `said`.
    """
    guests = _GUESTS.format(lately=f" AND {lately}" if lately else "")
    beside = _BESIDE_SQL.format(people=guests, since=since, until=until)
    return f"""
        beside AS MATERIALIZED ({beside}),
        bill AS (
            SELECT root, bill, month, at, source, source_id FROM issued
            UNION ALL
            SELECT * FROM beside WHERE root IN (SELECT beside.root FROM beside JOIN said USING (root, bill))
        )"""  # noqa: S608 - put together from constants
