"""On which day a lease enters a playbook, and why on that one: set-based, the reason stored with the enrolment.

A playbook starts so many days before the lease's end. Of this a lease may differ for facts of its own, in this order:

1. In its building CROWD leases or more end within CROWD_DAYS of it: it starts EARLIER days before, so that a winter's
   endings are spoken of over more weeks than they fall in.
2. Nothing is said before half of the lease has passed, so that a short one is not talked about on moving in.
3. Nothing starts on a public holiday: it starts on the last day before.

No fact is personal: two tenants whose leases are alike start alike.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache

import chinese_calendar
from django.utils.translation import gettext as _

from campaigns.grammar import Bound

CROWD, CROWD_DAYS, EARLIER = 8, 7, 15
# A holiday may move a start by so many days.
MOST_HOLIDAYS = 15

# How many leases of the building end within CROWD_DAYS of each. Expects %(today)s and %(most)s.
CROWD_SQL = f"""
crowd AS MATERIALIZED (
    SELECT lease.id AS lease_id, count(*) OVER (
        PARTITION BY unit.building_id ORDER BY lease.last_day
        RANGE BETWEEN interval '{CROWD_DAYS} days' PRECEDING AND interval '{CROWD_DAYS} days' FOLLOWING) AS n
    FROM tenants_lease lease JOIN tenants_unit unit ON unit.id = lease.unit_id
    WHERE lease.state = 'signed' AND lease.ended_by = ''
      AND lease.last_day BETWEEN %(today)s - {CROWD_DAYS} AND %(today)s + %(most)s + {CROWD_DAYS}
)"""  # noqa: S608


def most_days(lead_days: int) -> int:
    """No lease that ends later than in so many days starts today."""
    return lead_days + EARLIER + MOST_HOLIDAYS


def sql(lead_days: int, bound: Bound) -> str:
    """A row (on_day, why): expects `l`, the lease, and `crowd` beside it."""
    lead = bound.add(lead_days)
    holidays = bound.add(_holidays(bound.today - timedelta(days=200), bound.today + timedelta(days=30)))
    said = {
        "lead": bound.add(_("%(days)d days before the end") % {"days": lead_days}),
        "crowd": bound.add(
            _("%(days)d days before the end: {n} leases of the building end in the same fortnight")
            % {"days": lead_days + EARLIER}
        ),
        "short": bound.add(_("half of the lease has passed: it is a short one")),
        "holiday": bound.add(_("{why}; {day} is a holiday, so the day before it")),
    }
    return f"""(
        SELECT CASE WHEN is_holiday THEN (
                SELECT max(before.day)::date
                FROM generate_series(wanted - {MOST_HOLIDAYS}, wanted - 1, interval '1 day') AS before(day)
                WHERE before.day::date <> ALL({holidays}::date[]))
            ELSE wanted END AS on_day,
            CASE WHEN is_holiday THEN
                replace(replace({said["holiday"]}, '{{why}}', why), '{{day}}', to_char(wanted, 'YYYY-MM-DD'))
            ELSE why END AS why
        FROM (
            SELECT greatest(early, half) AS wanted, greatest(early, half) = ANY({holidays}::date[]) AS is_holiday,
                CASE WHEN half > early THEN {said["short"]}
                    WHEN crowd.n >= {CROWD} THEN replace({said["crowd"]}, '{{n}}', crowd.n::text)
                    ELSE {said["lead"]} END AS why
            FROM (
                SELECT l.last_day - {lead}::int - CASE WHEN crowd.n >= {CROWD} THEN {EARLIER} ELSE 0 END AS early,
                    l.first_day + (l.last_day - l.first_day + 1) / 2 AS half
            ) reckoned
        ) reasoned
    )"""  # noqa: S608


@cache
def _holidays(first: date, last: date) -> list[date]:
    """The public holidays between these days, as far as the calendar knows them; make-up workdays are none."""
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return [day for day in days if _is_holiday(day)]


def _is_holiday(day: date) -> bool:
    try:
        is_off, name = chinese_calendar.get_holiday_detail(day)
    except NotImplementedError:  # a year that has not been announced
        return False
    return is_off and name is not None
