"""The condition on what happened: events of one kind, in a window, put to one test. One kind in `campaigns.conditions`.

    {"events": "ticket.reported", "where": [{"field": "category", "op": "in", "value": ["water", "power"]}],
     "window": {"days": 90}, "count": {"op": ">=", "value": 3}}

`where` binds to the event itself: an event counts when all of its comparisons hold of that one event. Its fields are
those of the kind in `campaigns.kinds`, and `hour` (0–23) and `weekday` (1 is Monday) in Shanghai. An hour may be
compared by {"field": "hour", "op": "between", "value": [22, 6]}: from 22:00 up to, not including, 06:00.

`window`, by Shanghai days with both ends included; without one, the last 365 days:

    {"days": 90}                          ends with today; with "working": true so many working days
    {"from": "2025-11-01", "to": "2025-11-30"}
    {"from_end": -60, "to_end": -25}      days after the lease's last day; "working": true as above
    {"from_start": 0, "to_start": 30}     after its first day; so "signed" and "previous", the end of the lease before
    {"day": "2025-10-01", "from_day": -2, "to_day": 1}    after that day

The tests, one a condition. Of no event only `count` can say anything:

    "count": {"op": "=", "value": 0}                        so many; absence is a count of nought
    "last": {"events": 3, "satisfy": […], "at_least": 2}    of the last three at least two satisfy; without
                                                            "at_least" there are three and all do
    "share": {"satisfy": […], "op": ">=", "value": 0.5}     those that satisfy ÷ all
    "trend": {"op": "<=", "value": 0.5}                     those in the window ÷ those in as long a window before it
    "first": true                                           the first ever lies in the window
    "stopped": {"days": 30}                                 some in the window, none in the last 30 days
    "restarted": {"days": 30}                               one in the window, 30 × 24 hours or more after the last
    "regular": {"every": "week", "periods": 8, "times": 1, "at_least": 6}
                                                            in six of the last eight whole weeks (or months) at least
                                                            one each; no window
    "then": {"events": "ticket.rated", "where": […], "hours": 48}
                                                            followed by one of the other kind within 48 hours
"""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from campaigns import windows
from campaigns.grammar import BadRule, Bound, Field, Leaf, Rule, events_sql
from campaigns.kinds import KINDS, TIME, check_kind, check_where, say_where, where_sql
from campaigns.questions import QUESTIONS, Question, Regular
from campaigns.windows import Window, moment

YEAR = {"days": 365}
SHOWN = 5  # events, as evidence


def _question(leaf: Rule) -> tuple[str, Question]:
    return next((name, question) for name, question in QUESTIONS.items() if name in leaf)


def _check(leaf: Rule, place: str) -> None:
    kind = leaf["events"]
    check_kind(kind, place)
    asked = [name for name in QUESTIONS if name in leaf]
    if len(asked) != 1:
        raise BadRule(place, _("exactly one of these is expected: %(names)s.") % {"names": ", ".join(QUESTIONS)})
    name, it = asked[0], leaf[asked[0]]
    fields = KINDS[kind].fields | TIME
    if "where" in leaf:
        check_where(leaf["where"], f"{place}.where".lstrip("."), fields)
    at = f"{place}.{name}".lstrip(".")
    QUESTIONS[name].check(it, at)
    if name == "then":
        check_kind(it["events"], at)
        if "where" in it:
            check_where(it["where"], f"{at}.where", KINDS[it["events"]].fields | TIME)
    elif isinstance(it, dict) and "satisfy" in it:
        check_where(it["satisfy"], f"{at}.satisfy", fields)
    if "window" in leaf:
        if not QUESTIONS[name].has_window:
            raise BadRule(place, _("“%(key)s” does not belong here.") % {"key": "window"})
        windows.check(leaf["window"], f"{place}.window".lstrip("."))


def _ok(name: str, it: Any, fields: dict[str, Field], bound: Bound) -> str:
    """SQL over the event `e`, of the person `who.root`: whether it satisfies what the question asks of it."""
    if name in ("last", "share"):
        return where_sql(it["satisfy"], fields, bound)
    if name != "then":
        return "TRUE"
    after = where_sql(it.get("where", []), KINDS[it["events"]].fields | TIME, bound)
    return f"""EXISTS (
        SELECT FROM tenants_event e
        WHERE e.tenant_id = ANY(ARRAY(
                SELECT who.root UNION ALL SELECT id FROM tenants_tenant WHERE merged_into_id = who.root))
          AND e.kind = {bound.add(it["events"])}
          AND e.at > span.at AND e.at <= span.at + {bound.add(it["hours"])} * interval '1 hour'
          AND e.at < {moment(bound.today, bound, after=1)} AND {after})"""  # noqa: S608


def _span(leaf: Rule, bound: Bound) -> Window:
    name, question = _question(leaf)
    if question.has_window:
        return windows.sql(leaf.get("window", YEAR), bound)
    first, end = Regular.days(leaf[name], bound.today)
    return Window(moment(first, bound), moment(end, bound))


def _rows(leaf: Rule, span: Window, bound: Bound, *, one: bool) -> str:
    """SQL of the events the question reads; with `one` those of the subject of the query around it."""
    name, question = _question(leaf)
    it, fields = leaf[name], KINDS[leaf["events"]].fields | TIME
    # A window that hangs on the lease is one of each tenant and lease.
    who, events, whose = "who.root", events_sql(bound), "AND who.root = subject.tenant_id" if one else ""
    if span.anchored:
        who = "who.root, anchored.lease_id"
        events = f"{span.anchored} anchored JOIN person who ON who.root = anchored.tenant_id "
        events += "JOIN tenants_event e ON e.tenant_id = who.id"
        whose += " AND anchored.lease_id = subject.lease_id" if one else ""
    every = it["every"] if name == "regular" else "month"
    since = "" if question.looks_back else "AND e.at >= span.from_at"
    period = f"date_trunc('{every}', e.at AT TIME ZONE 'Asia/Shanghai')"
    compared = {
        "nth": f"row_number() OVER (PARTITION BY {who} ORDER BY e.at DESC, e.source DESC, e.source_id DESC)",
        "gap": f"e.at - lag(e.at) OVER (PARTITION BY {who} ORDER BY e.at, e.source, e.source_id)",
        "in_period": f"count(*) OVER (PARTITION BY {who}, {period})",
    }
    # What is not asked for is not read: then the index has all there is to read.
    wanted = [f"{sql} AS {column}" for column, sql in compared.items() if one or column in question.compares]
    wanted += ["e.source", "e.source_id"] if one else []
    return f"""
        SELECT {", ".join([who, *wanted])}, e.at, {_ok(name, it, fields, bound)} AS ok, span.from_at, span.to_at,
            {period} AS period
        FROM {events}
        CROSS JOIN LATERAL (SELECT {span.from_at} AS from_at, {span.to_at} AS to_at, e.at) span
        WHERE e.kind = {bound.add(leaf["events"])} AND e.at < span.to_at {since}
          AND e.at < {moment(bound.today, bound, after=1)} AND {where_sql(leaf.get("where", []), fields, bound)} {whose}
    """  # noqa: S608


def _holds(leaf: Rule, bound: Bound) -> str:
    # IN a query that hangs on nobody: the planner runs it once and hashes it.
    name, question = _question(leaf)
    span = _span(leaf, bound)
    rows = _rows(leaf, span, bound, one=False)
    holds = question.holds(leaf[name], bound)
    who, keys = "subject.tenant_id", "root"
    if span.anchored:
        who, keys = "(subject.tenant_id, subject.lease_id)", "root, lease_id"
    if not question.holds_of_none(leaf[name]):
        return f"{who} IN (SELECT {keys} FROM ({rows}) happened GROUP BY {keys} HAVING {holds})"  # noqa: S608
    others = f"{who} NOT IN (SELECT {keys} FROM ({rows}) happened GROUP BY {keys} HAVING NOT ({holds}))"  # noqa: S608
    return f"({_is_known(span)} AND {others})"


def _names_them(leaf: Rule) -> bool:
    """Neither a window about the lease nor a question that holds of whom nothing is known."""
    name, question = _question(leaf)
    anchor = windows.anchor_of(leaf.get("window", YEAR)) if question.has_window else None
    return anchor not in windows.ANCHORS and not question.holds_of_none(leaf[name])


def _those(leaf: Rule, bound: Bound) -> str:
    name, question = _question(leaf)
    rows, holds = _rows(leaf, _span(leaf, bound), bound, one=False), question.holds(leaf[name], bound)
    return f"SELECT root FROM ({rows}) happened GROUP BY root HAVING {holds}"  # noqa: S608


def _wider(leaf: Rule, bound: Bound) -> str:
    """Who has so many at all, whatever the events say: an index knows it, and of those alone the events are read."""
    where = [*leaf.get("where", []), *leaf.get("last", {}).get("satisfy", [])]
    if "last" in leaf:
        enough = {"op": ">=", "value": leaf["last"].get("at_least", leaf["last"]["events"])}
    elif "count" in leaf and leaf["count"]["op"] in ("=", ">", ">="):
        if all(each["field"] in TIME for each in where):
            return ""  # the index knows it all
        enough = {**leaf["count"], "op": ">" if leaf["count"]["op"] == ">" else ">="}
    else:
        return ""
    if enough["value"] <= 1:  # nearly anybody has one, or two
        return ""
    asked = {name: leaf[name] for name in ("events", "window") if name in leaf} | {"count": enough}
    if known := [each for each in where if each["field"] in TIME]:
        asked["where"] = known
    return _those(asked, bound)


def _is_known(span: Window) -> str:
    """SQL that is true of a subject whose window is known: nothing happened in no window at all."""
    if not span.anchored:
        return "TRUE"
    return f"(subject.tenant_id, subject.lease_id) IN (SELECT tenant_id, lease_id FROM {span.anchored} known)"  # noqa: S608


def _value(leaf: Rule, bound: Bound) -> str:
    """The number it looks at, and the latest events behind it."""
    name, question = _question(leaf)
    span = _span(leaf, bound)
    rows = _rows(leaf, span, bound, one=True)
    value = f"CASE WHEN {_is_known(span)} THEN {question.value(leaf[name], bound)} END"
    return f"""(
        SELECT jsonb_build_object('value', {value}, 'events', coalesce(
            jsonb_agg(jsonb_build_array(source, source_id, at) ORDER BY nth)
                FILTER (WHERE nth <= {SHOWN} AND at >= from_at), '[]'))
        FROM ({rows}) happened)"""  # noqa: S608


def _sentence(leaf: Rule) -> str:
    name, question = _question(leaf)
    fields = KINDS[leaf["events"]].fields | TIME
    it, what = leaf[name], str(KINDS[leaf["events"]].name)
    if "where" in leaf:
        what = _("%(events)s (%(where)s)") % {"events": what, "where": say_where(leaf["where"], fields)}
    satisfying = ""
    if name == "then":
        satisfying = str(KINDS[it["events"]].name)
        if "where" in it:
            said = say_where(it["where"], KINDS[it["events"]].fields | TIME)
            satisfying = _("%(events)s (%(where)s)") % {"events": satisfying, "where": said}
    elif name in ("last", "share"):
        satisfying = say_where(it["satisfy"], fields)
    words = question.words(it, what, satisfying)
    if not question.has_window:
        return words
    return _("%(when)s %(what)s") % {"when": windows.words(leaf.get("window", YEAR)), "what": words}


def _miss(leaf: Rule, value: Any) -> str:
    name, question = _question(leaf)
    return question.miss(leaf[name], str(KINDS[leaf["events"]].name), (value or {}).get("value"))


LEAF = Leaf(
    keys=frozenset({"events", "where", "window", *QUESTIONS}),
    check=_check,
    holds=_holds,
    value=_value,
    sentence=_sentence,
    miss=_miss,
    names_them=_names_them,
    those=_those,
    wider=_wider,
)
