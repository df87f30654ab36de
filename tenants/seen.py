"""What features ask of events: one narrow row each, `root` being the person it belongs to.

    said    of its data, what features ask of its kind: the facility, the page, the score, the number of the ticket …
    also    the second thing they ask of it: when a payment was due, what a repair is about

An event counts from the first moment of its kind's window (WINDOWS) up to the midnight after `today`.
"""

from __future__ import annotations

from collections.abc import Collection

# By the name of the parameter with the window's first moment; of a window without one all that ever happened counts.
WINDOWS: dict[str, tuple[str, ...]] = {
    "since_30": ("power.read",),
    "since_90": ("app.viewed", "community.posted"),
    "since_365": (
        "facility.used", "payment.made", "mood.given", "community.joined",
        "ticket.reported", "ticket.accepted", "ticket.finished", "ticket.rated",
    ),
    "": ("profile.stated",),
}  # fmt: skip
TICKETS = ("ticket.reported", "ticket.accepted", "ticket.finished")
# Half of all events, and none of them asked for: named first, they are out after one or two comparisons.
_NEVER = ("water.read", "door.opened")

_ROWS_SQL = """
    SELECT coalesce(tenant.merged_into_id, tenant.id) AS root, kind, at, unit_id, source, source_id,
        CASE kind
            WHEN 'power.read' THEN data->>'value'
            WHEN 'app.viewed' THEN data->>'name'
            WHEN 'facility.used' THEN data->>'facility'
            WHEN 'payment.made' THEN data->>'item'
            WHEN 'mood.given' THEN data->>'mood'
            WHEN 'ticket.rated' THEN data->>'score'
            WHEN 'profile.stated' THEN (data->'workplace')::text
            ELSE data->>'ticket'
        END AS said,
        CASE kind WHEN 'payment.made' THEN data->>'due_on' WHEN 'ticket.reported' THEN data->>'category' END AS also
    FROM tenants_event JOIN tenants_tenant tenant ON tenant.id = tenant_id
    WHERE at < %(until)s AND """


def _first(window: str) -> str:
    return f"%({window})s::timestamptz" if window else "'-infinity'"


def of_everybody() -> str:
    """SQL that reads every event once."""
    cases = [f"WHEN '{kind}' THEN NULL" for kind in _NEVER]
    cases += [f"WHEN '{kind}' THEN {_first(window)}" for window, kinds in WINDOWS.items() for kind in kinds]
    return f"{_ROWS_SQL} at >= CASE kind {' '.join(cases)} END"


def of_these() -> str:
    """SQL that looks up the events of the tenants %(ids)s, each window by the index of events."""
    return " UNION ALL ".join(
        f"{_ROWS_SQL} tenant_id = ANY(%(ids)s::bigint[]) AND kind IN ({_quoted(kinds)}) AND at >= {_first(window)}"
        for window, kinds in WINDOWS.items()
    )


def tickets(narrow: str) -> str:
    """SQL of the year's tickets, `narrow` saying whose where it is not everybody."""
    return f"{_ROWS_SQL} kind IN ({_quoted(TICKETS)}) AND at >= {_first('since_365')} {narrow}"


def _quoted(kinds: Collection[str]) -> str:
    return ", ".join(f"'{kind}'" for kind in kinds)
