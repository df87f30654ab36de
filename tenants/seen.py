"""What features ask of events: one narrow row each, `root` being the person it belongs to.

    what    the number of what it is (NUMBERED): rows are told apart by it in a quarter of the time that their words
            would take
    said    of its data, what features ask of it beyond that: the reading, the mood, the number of the ticket …
    also    the second thing they ask of it: when a payment was due, what a repair is about

What is of one width stands before what is not, so that a row that is not asked for is passed over without being taken
apart. An event counts from the first moment of its kind's window (WINDOWS) up to the midnight after `today`.
"""

from __future__ import annotations

from collections.abc import Collection

BAD_SCORES = ("1", "2")
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
# What an event is, by kind: the field that tells, what each of its values is, and what any other of the kind is; "" is
# what no feature asks about. What is counted stands first, and what there is little of next to each other.
NUMBERED: dict[str, tuple[str, dict[str, str], str]] = {
    "facility.used": ("facility", {"gym": "gym", "shared_kitchen": "kitchen", "laundry": "laundry"}, ""),
    "app.viewed": (
        "name", {"rent_prices": "price view", "coupons": "coupon view", "repairs": "repair view"}, "other view",
    ),
    "community.joined": ("", {}, "joined"),
    "community.posted": ("", {}, "posted"),
    "ticket.rated": ("score", dict.fromkeys(BAD_SCORES, "bad rating"), ""),
    "mood.given": ("mood", {"bad": "bad mood"}, "other mood"),
    "ticket.reported": ("", {}, "reported"),
    "ticket.accepted": ("", {}, "accepted"),
    "ticket.finished": ("", {}, "finished"),
    "profile.stated": ("", {}, "stated"),
    "power.read": ("", {}, "power"),
    "payment.made": ("", {}, "payment"),
}  # fmt: skip
TICKETS = ("ticket.reported", "ticket.accepted", "ticket.finished")
# Half of all events, and none of them asked for: named first, they are out after one or two comparisons.
_NEVER = ("water.read", "door.opened")

_NAMES = dict.fromkeys(name for _, named, other in NUMBERED.values() for name in [*named.values(), other] if name)
_NUMBERS = {"": 0} | {name: number for number, name in enumerate(_NAMES, 1)}


def what(*names: str) -> str:
    """SQL that asks of a row whether it is one of these of NUMBERED."""
    numbers = [str(_NUMBERS[name]) for name in names]
    return f"what = {numbers[0]}" if len(numbers) == 1 else f"what IN ({', '.join(numbers)})"


def up_to(last: str) -> str:
    """SQL that asks of a row whether it is one of those up to `last` in the order of NUMBERED, or none of them."""
    return f"what <= {_NUMBERS[last]}"


def between(first: str, last: str) -> str:
    """SQL that asks of a row whether it is one of those from `first` to `last` in the order of NUMBERED."""
    return f"what BETWEEN {_NUMBERS[first]} AND {_NUMBERS[last]}"


def _number_sql() -> str:
    """SQL of a row's number."""
    of_kinds = ""
    for kind, (field, named, other) in NUMBERED.items():
        values = " ".join(f"WHEN '{value}' THEN {_NUMBERS[name]}" for value, name in named.items())
        number = f"CASE data->>'{field}' {values} ELSE {_NUMBERS[other]} END" if named else _NUMBERS[other]
        of_kinds += f" WHEN '{kind}' THEN {number}"
    return f"(CASE kind{of_kinds} ELSE 0 END)::smallint"


_ROWS_SQL = f"""
    SELECT coalesce(tenant.merged_into_id, tenant.id) AS root, at, {_number_sql()} AS what,
        unit_id, source, source_id,
        CASE kind
            WHEN 'power.read' THEN data->>'value'
            WHEN 'payment.made' THEN data->>'item'
            WHEN 'mood.given' THEN data->>'mood'
            WHEN 'ticket.reported' THEN data->>'ticket'
            WHEN 'ticket.accepted' THEN data->>'ticket'
            WHEN 'ticket.finished' THEN data->>'ticket'
            WHEN 'profile.stated' THEN (data->'workplace')::text
        END AS said,
        CASE kind
            WHEN 'payment.made' THEN data->>'due_on'
            WHEN 'ticket.reported' THEN data->>'category'
            WHEN 'mood.given' THEN data->>'bill'
        END AS also
    FROM tenants_event JOIN tenants_tenant tenant ON tenant.id = tenant_id
    WHERE at < %(until)s AND """  # noqa: S608


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
