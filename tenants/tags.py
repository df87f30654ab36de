"""Tags: computed properties of a tenant, each one named set-based query with the facts behind it.

A query gives (tenant_id, evidence); evidence is {"facts": {…}, "events": [[source, source_id], …]} with up to
five events, newest first. `sentence` says in words why. Two kinds:

* Facts of service and tenure (repairs, payments, moods, the flat) come from performing the contract and are
  kept for everybody.
* Facts of a person's habits and character need consent to profiling (PIPL 13, 24): they are computed only for
  those who gave it and did not choose the general version, and go when it is withdrawn.

No query reads door logs: what is sensitive is told to nobody and chooses no words (PIPL 28).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import connection, transaction
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from tenants import bills, consents, features, seen
from tenants.models import TenantTag

KITCHEN_OFTEN = 8  # bookings in 90 days

Facts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Tag:
    """What a tag is called, who has it, and how its facts are said."""

    code: str
    name: str | Promise
    query: str
    say: Callable[[Facts], str]
    needs_profiling: bool = False

    def sentence(self, evidence: dict[str, Any]) -> str:
        """Why a tenant has this tag, from the evidence stored with it; evidence of before a change may lack facts."""
        try:
            return self.say(evidence["facts"])
        except KeyError:
            return _("The facts behind it will be there after the next computation.")


# What every query may read, of `whose` rows alone where it is not about everybody: `who` (id → root) and `repair` as in
# tenants.features, and `agreed`: those who consent to profiling and did not choose the general version.
_COMMON_SQL = f"""
person(id, root) AS (SELECT id, coalesce(merged_into_id, id) FROM tenants_tenant {{whose}}),
who AS (SELECT person.id, person.root FROM person JOIN tenants_feature f ON f.tenant_id = person.root),
agreed AS (SELECT root AS tenant_id FROM ({consents.AGREED_SQL.format(purpose="'profiling'")}) consent),
few AS (SELECT ticket.* FROM ({seen.tickets("{narrow}")}) ticket JOIN tenants_feature f ON f.tenant_id = ticket.root),
{features.REPAIR_SQL}"""  # noqa: S608


def _latest(condition: str, limit: int = 5) -> str:
    """SQL of the latest events of f.tenant_id that meet `condition`, as evidence names them."""
    return f"""(
        SELECT coalesce(jsonb_agg(jsonb_build_array(source, source_id) ORDER BY at DESC, source_id DESC), '[]')
        FROM (
            SELECT source, source_id, at FROM tenants_event
            WHERE tenant_id = ANY(ARRAY(
                    SELECT f.tenant_id UNION ALL SELECT id FROM tenants_tenant WHERE merged_into_id = f.tenant_id))
              AND ({condition}) AND at < %(until)s
            ORDER BY at DESC, source_id DESC LIMIT {limit}
        ) latest
    )"""  # noqa: S608


NIGHT_SENSITIVE = """
SELECT root AS tenant_id, jsonb_build_object(
    'facts', jsonb_build_object('repairs', count(*), 'on', jsonb_agg(
        to_char(began_at AT TIME ZONE 'Asia/Shanghai', 'YYYY-MM-DD HH24:MI') ORDER BY began_at DESC)),
    'events', jsonb_agg(first_report ORDER BY began_at DESC)) AS evidence
FROM (
    SELECT *, row_number() OVER (PARTITION BY root ORDER BY began_at DESC, category) AS latest FROM repair
) ranked
JOIN tenants_feature f ON f.tenant_id = root AND f.last3_night
WHERE latest <= 3
GROUP BY root
"""

KITCHEN_REGULAR = f"""
SELECT f.tenant_id, jsonb_build_object(
    'facts', jsonb_build_object('count', f.kitchen_90, 'days', 90),
    'events', {_latest("kind = 'facility.used' AND data->>'facility' = 'shared_kitchen'", 3)}) AS evidence
FROM tenants_feature f JOIN agreed USING (tenant_id)
WHERE f.kitchen_90 >= {KITCHEN_OFTEN}
"""  # noqa: S608

REPAIR_WAS_LATE = """
SELECT DISTINCT ON (root) root AS tenant_id, jsonb_build_object(
    'facts', jsonb_build_object(
        'hours', round(extract(epoch FROM accepted_at - began_at) / 3600, 1),
        'category', category,
        'on', to_char(began_at AT TIME ZONE 'Asia/Shanghai', 'YYYY-MM-DD'),
        'times', count(*) OVER (PARTITION BY root)),
    'events', jsonb_build_array(first_report)) AS evidence
FROM repair
WHERE accepted_at - began_at > %(late)s
ORDER BY root, accepted_at - began_at DESC, began_at DESC
"""

# A parcel put into the wrong locker is reported to the desk as any other trouble, under a category of its own.
PARCEL_MISPLACED = """
SELECT root AS tenant_id, jsonb_build_object(
    'facts', jsonb_build_object('times', count(*), 'on', jsonb_agg(
        to_char(began_at AT TIME ZONE 'Asia/Shanghai', 'YYYY-MM-DD') ORDER BY began_at DESC) FILTER (WHERE nth <= 5)),
    'events', jsonb_agg(first_report ORDER BY began_at DESC) FILTER (WHERE nth <= 5)) AS evidence
FROM (
    SELECT *, row_number() OVER (PARTITION BY root ORDER BY began_at DESC) AS nth FROM repair WHERE category = 'parcel'
) misplaced
GROUP BY root
"""

MOOD_FLAT = f"""
WITH said AS (
    -- Whoever changed their mind has the mood given last.
    SELECT DISTINCT ON (giver.root, given.data->>'bill') giver.root, given.data->>'bill' AS bill,
        given.data->>'mood' AS mood, given.at, given.source, given.source_id
    FROM tenants_event given JOIN who giver ON giver.id = given.tenant_id
    WHERE given.kind = 'mood.given' AND given.at < %(until)s
    ORDER BY giver.root, given.data->>'bill', given.at DESC, given.source DESC, given.source_id DESC
),
issued AS (
    SELECT who.root, bill.data->>'bill' AS bill, bill.data->>'month' AS month, bill.at, bill.source, bill.source_id
    FROM tenants_event bill
    -- Of those only who ever gave one; which is read from an index.
    JOIN (SELECT * FROM who WHERE root IN (SELECT root FROM said)) who ON who.id = bill.tenant_id
    WHERE bill.kind = 'bill.issued' AND bill.at >= %(since_365)s AND bill.at < %(until)s
),
{bills.of_lease(since="%(since_365)s", until="%(until)s", lately="said.at >= %(since_365)s")}
SELECT root AS tenant_id, jsonb_build_object(
    'facts', jsonb_build_object('months', jsonb_agg(month ORDER BY nth)),
    'events', jsonb_agg(jsonb_build_array(source, source_id) ORDER BY nth)) AS evidence
FROM (
    -- Bills in order, each with the mood given on it; bills newer than the last mood are still to be answered.
    SELECT *, row_number() OVER (PARTITION BY root ORDER BY month DESC, bill_at DESC) AS nth
    FROM (
        SELECT root, bill.at AS bill_at, bill.month, said.mood, said.source, said.source_id,
            max(bill.month) FILTER (WHERE said.source IS NOT NULL) OVER (PARTITION BY root) AS last_answered
        FROM bill LEFT JOIN said USING (root, bill)
    ) answered
    WHERE month <= last_answered
) ordered
WHERE nth <= 3
GROUP BY root
HAVING count(*) = 3 AND bool_and(mood IS NOT DISTINCT FROM 'soso')
"""  # noqa: S608

FLATMATE_MISSING = """
SELECT f.tenant_id, jsonb_build_object(
    'facts', jsonb_build_object('flat', min(flat.code), 'units', jsonb_agg(DISTINCT other.code)),
    'events', jsonb_build_array()) AS evidence
FROM tenants_feature f
JOIN who ON who.root = f.tenant_id
JOIN tenants_leasetenant lt ON lt.tenant_id = who.id
JOIN tenants_lease lease ON lease.id = lt.lease_id AND lease.state = 'signed'
    AND %(today)s BETWEEN lease.first_day AND lease.last_day
JOIN tenants_unit own ON own.id = lease.unit_id
JOIN tenants_flat flat ON flat.id = own.flat_id
JOIN tenants_unit other ON other.flat_id = own.flat_id AND other.id <> own.id
WHERE NOT EXISTS (
    SELECT FROM tenants_lease let
    WHERE let.unit_id = other.id AND let.state = 'signed' AND %(today)s BETWEEN let.first_day AND let.last_day)
GROUP BY f.tenant_id
"""

STEADY_PAYER = f"""
SELECT f.tenant_id, jsonb_build_object(
    'facts', jsonb_build_object('payments', f.payments_365, 'spread', round(f.pay_day_sd::numeric, 1)),
    'events', {_latest("kind = 'payment.made'", 3)}) AS evidence
FROM tenants_feature f
WHERE f.payments_365 >= 6 AND f.late_payments_365 = 0 AND f.pay_day_sd <= 3 AND coalesce(f.paid_share, 1) >= 0.9
"""  # noqa: S608

# The three types, each by plain limits; the first that fits decides, so that a tenant hears one voice. They are those
# of the segments that ship (campaigns.shipped), and were set on the sample portfolio, where the types are known:
# docs/rules.md has what they find there. They are the sample's measure; an operator sets their own in the editor.
SOCIAL_ACTIVITIES = 4  # joined in 365 days
SOCIAL_POSTS = 3  # in 90 days
PRICE_VIEWS = 4  # of rent prices, or of coupons, in 90 days
SERVICE_REPAIRS = 3  # in 365 days
SERVICE_VIEWS = 3  # of the repair pages in 90 days

_IS_SOCIAL = f"(community_365 >= {SOCIAL_ACTIVITIES} OR posts_90 >= {SOCIAL_POSTS} OR kitchen_90 >= {KITCHEN_OFTEN})"
_IS_PRICE = f"(price_views_90 >= {PRICE_VIEWS} OR coupon_views_90 >= {PRICE_VIEWS})"
_IS_SERVICE = f"(repairs_365 >= {SERVICE_REPAIRS} OR repair_views_90 >= {SERVICE_VIEWS})"


def _type(holds: str, facts: str, condition: str) -> str:
    return f"""
SELECT f.tenant_id, jsonb_build_object(
    'facts', jsonb_build_object({facts}),
    'events', {_latest(condition)}) AS evidence
FROM tenants_feature f JOIN agreed USING (tenant_id)
WHERE {holds}
"""  # noqa: S608


SOCIAL = _type(
    _IS_SOCIAL,
    "'activities', community_365, 'posts', posts_90, 'kitchen', kitchen_90",
    "kind IN ('community.joined', 'community.posted')"
    " OR kind = 'facility.used' AND data->>'facility' = 'shared_kitchen'",
)
PRICE_SENSITIVE = _type(
    f"{_IS_PRICE} AND NOT {_IS_SOCIAL}",
    "'price_views', price_views_90, 'coupon_views', coupon_views_90",
    "kind = 'app.viewed' AND data->>'name' IN ('rent_prices', 'coupons')",
)
SERVICE_DEPENDENT = _type(
    f"{_IS_SERVICE} AND NOT {_IS_PRICE} AND NOT {_IS_SOCIAL}",
    "'repairs', repairs_365, 'views', repair_views_90",
    "kind = 'ticket.reported' OR kind = 'app.viewed' AND data->>'name' = 'repairs'",
)


def _say_night(facts: Facts) -> str:
    return _("The last three repairs were all reported between 22:00 and 06:00 (%(on)s).") % {
        "on": " / ".join(facts["on"])
    }


def _say_kitchen(facts: Facts) -> str:
    return _("Shared kitchen bookings in %(days)d days: %(count)d.") % facts


def _say_late(facts: Facts) -> str:
    return _("The repair reported on %(on)s waited %(hours)s hours before a technician accepted it.") % facts


def _say_parcel(facts: Facts) -> str:
    said = ngettext(
        "A parcel was put into the wrong locker %(times)d time in 365 days (%(on)s).",
        "A parcel was put into the wrong locker %(times)d times in 365 days (%(on)s).",
        facts["times"],
    )
    return said % {"times": facts["times"], "on": " / ".join(facts["on"])}


def _say_flat(facts: Facts) -> str:
    return _("The mood on three bills in a row was 😐 (%(months)s).") % {"months": " / ".join(facts["months"])}


def _say_flatmate(facts: Facts) -> str:
    return _("In flat %(flat)s these rooms are vacant: %(units)s.") % {
        "flat": facts["flat"],
        "units": " / ".join(facts["units"]),
    }


def _say_steady(facts: Facts) -> str:
    return _("Payments in 365 days: %(payments)d, all in time; their day varied by %(spread)s days.") % facts


def _say_social(facts: Facts) -> str:
    said = _(
        "Activities joined in 365 days: %(activities)d; in 90 days posts: %(posts)d, shared kitchen bookings: "
        "%(kitchen)d."
    )
    return said % facts


def _say_price(facts: Facts) -> str:
    return _("Views in 90 days: rent prices %(price_views)d, coupons %(coupon_views)d.") % facts


def _say_service(facts: Facts) -> str:
    return _("Repairs in 365 days: %(repairs)d; repair pages seen in 90 days: %(views)d.") % facts


TAGS: dict[str, Tag] = {
    tag.code: tag
    for tag in [
        Tag("social", gettext_lazy("socially active"), SOCIAL, _say_social, needs_profiling=True),
        Tag("price_sensitive", gettext_lazy("price-sensitive"), PRICE_SENSITIVE, _say_price, needs_profiling=True),
        Tag(
            "service_dependent",
            gettext_lazy("service-dependent"),
            SERVICE_DEPENDENT,
            _say_service,
            needs_profiling=True,
        ),
        Tag("kitchen_regular", gettext_lazy("regular in the shared kitchen"), KITCHEN_REGULAR, _say_kitchen, True),
        Tag("night_sensitive", gettext_lazy("sensitive at night"), NIGHT_SENSITIVE, _say_night),
        Tag("repair_was_late", gettext_lazy("a repair was late"), REPAIR_WAS_LATE, _say_late),
        Tag("parcel_misplaced", gettext_lazy("a parcel in the wrong locker"), PARCEL_MISPLACED, _say_parcel),
        Tag("mood_flat", gettext_lazy("three 😐 in a row"), MOOD_FLAT, _say_flat),
        Tag("flatmate_missing", gettext_lazy("flatmate missing"), FLATMATE_MISSING, _say_flatmate),
        Tag("steady_payer", gettext_lazy("pays steadily"), STEADY_PAYER, _say_steady),
    ]
}

# `whose` and `narrow` say of whose rows and events, `of_these` of whom, where it is not about everybody.
_RECOMPUTE_SQL = f"""
WITH {_COMMON_SQL},
held AS MATERIALIZED (SELECT tenant_id, evidence FROM ({{query}}) given WHERE {{of_these}}),
gone AS (
    DELETE FROM tenants_tenanttag old
    WHERE {{of_these}} AND old.tag = %(tag)s AND NOT EXISTS (SELECT FROM held WHERE held.tenant_id = old.tenant_id)
)
INSERT INTO tenants_tenanttag (tenant_id, tag, since, evidence, computed_at)
SELECT tenant_id, %(tag)s, %(today)s, evidence, %(now)s FROM held ORDER BY tenant_id
ON CONFLICT (tenant_id, tag) DO UPDATE SET evidence = excluded.evidence, computed_at = excluded.computed_at
"""  # noqa: S608


_ALL = {"whose": "", "narrow": "", "of_these": "TRUE"}
_THESE = {
    "whose": "WHERE id = ANY(%(ids)s)",
    "narrow": "AND tenant_id = ANY(%(ids)s)",
    "of_these": "tenant_id = ANY(%(ids)s)",
}


def recompute(*, today: date, now: datetime, tenants: Collection[int] | None = None) -> dict[str, int]:
    """Every tag is held by exactly those its query gives, since the day they first did; how many, by tag.

    With `tenants` only theirs are looked at. Reads feature rows: those of `today` are to be there.
    """
    counts: dict[str, int] = {}
    params = {**features.windows(today), "now": now, "channel": consents.ANY}
    narrowed = _ALL
    if tenants is not None:
        params["ids"], narrowed = features.rows_of(tenants), _THESE
    with transaction.atomic(), connection.cursor() as cursor:
        # Compiling these statements takes longer than running them.
        cursor.execute("SET LOCAL jit = off")
        TenantTag.objects.exclude(tag__in=TAGS).delete()
        for tag in TAGS.values():
            statement = _RECOMPUTE_SQL.format(query=tag.query, **narrowed)
            cursor.execute(statement, {**params, "tag": tag.code})
            counts[tag.code] = cursor.rowcount
    return counts
