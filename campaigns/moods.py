"""The condition on moods, bill by bill: one kind in `campaigns.conditions`.

    {"moods": ["soso", "bad"], "bills": 3}                    all of the last three bills in a row: a streak
    {"moods": ["soso", "bad"], "bills": 3, "at_least": 2}     two of them; with 1, any

A bill has the mood given on it last, and one on which none was given has none of them, so it breaks a streak. Bills
newer than the latest one with a mood are still to be answered and do not count yet. Bills of the last 365 days: those
addressed to somebody, and those of their lease as `tenants.bills` has them. (What moods were given, whatever the bills,
is asked of the events `mood.given`.)
"""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from campaigns import windows
from campaigns.grammar import BadRule, Bound, Leaf, Rule, check_whole, events_sql, say_short
from connectors.records import Kind
from tenants import bills
from tenants.vocabulary import MOODS

MOST_BILLS = 24
YEAR = {"days": 365}


def _check(leaf: Rule, place: str) -> None:
    moods = leaf["moods"]
    known = isinstance(moods, list) and all(isinstance(mood, str) and mood in MOODS for mood in moods)
    if not known or not moods or len(set(moods)) < len(moods):
        names = ", ".join(f"“{mood}”" for mood in MOODS)
        raise BadRule(place, _("“moods” is a list of some of these, each once: %(names)s.") % {"names": names})
    check_whole(leaf.get("bills"), place, "bills", 1, MOST_BILLS)
    check_whole(leaf.get("at_least", 1), place, "at_least", 1, leaf["bills"])


def _rows(leaf: Rule, bound: Bound, *, one: bool) -> str:
    """SQL of the last so many bills of everybody (or with `one` of the subject around it), newest first by `nth`."""
    span = windows.sql(YEAR, bound)
    whose = "AND who.root = subject.tenant_id" if one else ""

    def events(kind: Kind, more: str) -> str:
        return f"""
            SELECT DISTINCT ON (who.root, e.data ->> 'bill') who.root, e.data ->> 'bill' AS bill, {more}
            FROM {events_sql(bound)}
            WHERE e.kind = {bound.add(kind)} AND e.at >= {span.from_at} AND e.at < {span.to_at} {whose}
            ORDER BY who.root, e.data ->> 'bill', e.at DESC, e.source DESC, e.source_id DESC"""  # noqa: S608

    answered = events(Kind.MOOD_GIVEN, "e.data ->> 'mood' AS mood, e.at, e.source, e.source_id")
    return f"""
        SELECT root, at, source, source_id, coalesce(mood = ANY({bound.add(leaf["moods"])}), FALSE) AS ok,
            nth - first_answered + 1 AS nth
        FROM (
            SELECT *, min(nth) FILTER (WHERE mood IS NOT NULL) OVER (PARTITION BY root) AS first_answered
            FROM (
                WITH said AS ({answered}),
                issued AS ({events(Kind.BILL_ISSUED, "e.data ->> 'month' AS month, e.at, e.source, e.source_id")}),
                {bills.of_lease(since=span.from_at, until=span.to_at)}
                SELECT root, said.mood, coalesce(said.at, bill.at) AS at,
                    coalesce(said.source, bill.source) AS source,
                    coalesce(said.source_id, bill.source_id) AS source_id,
                    row_number() OVER (
                        PARTITION BY root ORDER BY bill.month DESC, bill.at DESC, bill.bill DESC) AS nth
                FROM bill LEFT JOIN said USING (root, bill)
            ) ordered
        ) answered
        WHERE nth >= first_answered AND nth < first_answered + {bound.add(leaf["bills"])}"""  # noqa: S608


def _those(leaf: Rule, bound: Bound) -> str:
    rows = _rows(leaf, bound, one=False)
    enough = f"count(*) FILTER (WHERE ok) >= {bound.add(leaf.get('at_least', leaf['bills']))}"
    return f"SELECT root FROM ({rows}) bills GROUP BY root HAVING {enough}"  # noqa: S608


def _wider(leaf: Rule, bound: Bound) -> str:
    """Who gave so many moods at all: which ones, and on which bills, is asked of those alone."""
    span = windows.sql(YEAR, bound)
    return f"""
        SELECT who.root FROM {events_sql(bound)}
        WHERE e.kind = {bound.add(Kind.MOOD_GIVEN)} AND e.at >= {span.from_at} AND e.at < {span.to_at}
        GROUP BY who.root HAVING count(*) >= {bound.add(leaf.get("at_least", leaf["bills"]))}"""  # noqa: S608


def _holds(leaf: Rule, bound: Bound) -> str:
    return f"subject.tenant_id IN ({_those(leaf, bound)})"


def _value(leaf: Rule, bound: Bound) -> str:
    """How many of the bills have such a mood; the moods, or the bills without one, stand behind it."""
    return f"""(
        SELECT jsonb_build_object('value', count(*) FILTER (WHERE ok), 'events',
            coalesce(jsonb_agg(jsonb_build_array(source, source_id, at) ORDER BY nth), '[]'))
        FROM ({_rows(leaf, bound, one=True)}) bills)"""  # noqa: S608


def _sentence(leaf: Rule) -> str:
    facts = {
        "n": leaf["bills"],
        "k": leaf.get("at_least"),
        "moods": " / ".join(str(MOODS[mood]) for mood in leaf["moods"]),
    }
    if leaf.get("at_least", leaf["bills"]) == leaf["bills"]:
        one, all_of_them = _("mood on the last bill: %(moods)s"), _("mood on each of the last %(n)d bills: %(moods)s")
        return (one if leaf["bills"] == 1 else all_of_them) % facts
    return _("mood on at least %(k)d of the last %(n)d bills: %(moods)s") % facts


def _miss(leaf: Rule, value: Any) -> str:
    found = int((value or {}).get("value", 0))
    wanted = int(leaf.get("at_least") or leaf["bills"])
    return say_short(_("bills with such a mood"), max(0, wanted - found))


LEAF = Leaf(
    keys=frozenset({"moods", "bills", "at_least"}),
    check=_check,
    holds=_holds,
    value=_value,
    sentence=_sentence,
    miss=_miss,
    names_them=lambda leaf: True,
    those=_those,
    wider=_wider,
)
