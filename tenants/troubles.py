"""Fix before asking: what has to be put right before a tenant is asked to renew.

A repair is open, or the tenant rated one badly or gave 😞 on a bill less than HOURS ago. Read from feature rows,
which are a few seconds old.
"""

from __future__ import annotations

from django.utils.translation import gettext as _

HOURS = 48

# The trouble a tenant is in at %(now)s, or null. Expects `f`, the feature row.
SQL = f"""CASE
    WHEN f.repairs_open > 0 THEN 'repair'
    WHEN f.last_bad_rating_at > %(now)s::timestamptz - interval '{HOURS} hours' THEN 'rating'
    WHEN f.last_bad_mood_at > %(now)s::timestamptz - interval '{HOURS} hours' THEN 'mood' END"""


def words(trouble: str) -> str:
    """Why an ask waits, in words of the current language."""
    match trouble:
        case "repair":
            return _("a repair is open: it is put right first")
        case "rating":
            return _("a repair was rated badly less than %(hours)d hours ago") % {"hours": HOURS}
        case "mood":
            return _("😞 was given less than %(hours)d hours ago") % {"hours": HOURS}
        case "promised":
            return _("something was put right: that is spoken of first")
    return _("an apology went out less than %(hours)d hours ago") % {"hours": HOURS}
