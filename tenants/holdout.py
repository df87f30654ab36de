"""对照组: households that hear no marketing, so that what marketing does can be measured against them.

Which households is drawn once and for all: by a hash of the household and of a salt that is kept. Another percentage
keeps the salt, so that a larger share holds everybody a smaller one held. Lines of `tenants_holdout` are only ever
added: who was held out is known of any day. Flat-mates are one household: they talk.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import date, datetime

from django.conf import settings
from django.db import connection, transaction
from django.utils.translation import gettext as _

from tenants.models import Holdout, Tenant

# Expects `u`, the unit.
HOUSEHOLD = "coalesce('flat ' || u.flat_id, 'unit ' || u.id)"
# Whether it was drawn. Expects `u` and `draw`, the line that holds; percent signs are doubled for parameters.
DRAWN = f"('x' || left(md5(draw.salt || ' ' || {HOUSEHOLD}), 8))::bit(32)::bigint %% 10000 < draw.percent * 100"
# Whether a person hears no marketing about a lease: its household was drawn, or that of another lease they hold today.
# To be formatted with the SQL that names both; with the parameter %(today)s.
HELD_OUT_SQL = f"""EXISTS (
    SELECT FROM tenants_holdout draw, (
        SELECT {{lease}} AS id
        UNION SELECT own.id FROM tenants_leasetenant lt JOIN tenants_lease own ON own.id = lt.lease_id
        WHERE lt.tenant_id IN (SELECT id FROM tenants_tenant WHERE id = {{person}} OR merged_into_id = {{person}})
          AND own.state = 'signed' AND %(today)s BETWEEN own.first_day AND own.last_day
    ) theirs
    JOIN tenants_lease held ON held.id = theirs.id JOIN tenants_unit u ON u.id = held.unit_id
    WHERE draw.id = (SELECT id FROM tenants_holdout ORDER BY at DESC, id DESC LIMIT 1)
      AND draw.percent > 0 AND {DRAWN}
)"""  # noqa: S608

Pair = tuple[int | None, int]  # lease, person


def words() -> str:
    """Why a household that was drawn hears nothing."""
    return _("held out: the household hears no offers, so that their effect can be measured")


@transaction.atomic
def keep(*, now: datetime) -> Holdout:
    """The line that holds from now on: the percentage is that of the settings; the salt never changes."""
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE tenants_holdout IN SHARE ROW EXCLUSIVE MODE")
    latest = Holdout.objects.order_by("-at", "-pk").first()
    if latest and latest.percent == settings.HOLDOUT_PERCENT:
        return latest
    salt = latest.salt if latest else secrets.token_hex(16)
    return Holdout.objects.create(
        salt=salt, percent=settings.HOLDOUT_PERCENT, at=max(now, latest.at) if latest else now
    )


def held_out(pairs: Iterable[Pair], *, today: date) -> set[Pair]:
    """Those of the (lease, person) pairs that hear no marketing."""
    asked = list(pairs)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT pair.lease, pair.person
            FROM unnest(%(leases)s::bigint[], %(persons)s::bigint[]) AS pair(lease, person)
            WHERE {HELD_OUT_SQL.format(lease="pair.lease", person="pair.person")}""",  # noqa: S608
            {"leases": [lease for lease, _p in asked], "persons": [person for _l, person in asked], "today": today},
        )
        return set(cursor.fetchall())


def is_held_out(tenant: Tenant, *, today: date) -> bool:
    """Whether the person hears no marketing, by the leases they hold today."""
    return bool(held_out([(None, tenant.merged_into_id or tenant.pk)], today=today))
