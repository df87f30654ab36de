"""Messages as they leave: their address, their digits and their link come into being here, and are kept nowhere."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection

from connectors.channels import Channel, Envelope, Reach
from tenants import codes, links

# How a channel reaches somebody. What a person is called there last is taken for true.
ADDRESSES = {
    Reach.PHONE: "coalesce(person.phone, staff.phone, '')",
    Reach.WECHAT: """coalesce((
        SELECT alias.ref FROM tenants_alias alias JOIN tenants_tenant known ON known.id = alias.tenant_id
        WHERE alias.source = 'wechat' AND coalesce(known.merged_into_id, known.id) = person.id
        ORDER BY alias.recorded_at DESC, alias.id DESC LIMIT 1), '')""",
    Reach.APP: """coalesce((
        SELECT alias.ref FROM tenants_alias alias JOIN tenants_tenant known ON known.id = alias.tenant_id
        WHERE alias.source = 'app' AND coalesce(known.merged_into_id, known.id) = person.id
        ORDER BY alias.recorded_at DESC, alias.id DESC LIMIT 1), '')""",
    Reach.WECOM: "coalesce(staff.wecom_id, '')",
    Reach.GROUP: "''",
    Reach.SYSTEM: "''",
}
WITHOUT_ADDRESS = {Reach.GROUP, Reach.SYSTEM}
FACTS = """
    SELECT m.id, m.key, m.klass, m.text, m.forms, m.link_purpose, m.route, m.failures, m.doubtful, m.not_before,
        m.tenant_id, m.lease_id, l.last_day, {address} AS address,
        least(tries.first_at, this.began_at) AS first_at, greatest(tries.last_at, this.began_at) AS last_at,
        tries.ref, m.changed_at
    FROM tenants_message m
    LEFT JOIN tenants_lease l ON l.id = m.lease_id
    LEFT JOIN tenants_tenant t ON t.id = m.tenant_id
    LEFT JOIN tenants_tenant person ON person.id = coalesce(t.merged_into_id, t.id)
    LEFT JOIN tenants_staff staff ON staff.user_id = m.user_id
    LEFT JOIN LATERAL (
        SELECT min(a.started_at) AS first_at, max(a.started_at) AS last_at, max(a.provider_ref) AS ref
        FROM tenants_attempt a
        WHERE a.message_id = m.id AND a.channel = m.channel
    ) AS tries ON true
    -- A try that is on its way has no line of its own yet.
    LEFT JOIN LATERAL (SELECT m.changed_at AS began_at WHERE m.state = 'sending') AS this ON true
    WHERE m.id = ANY(%(ids)s)
"""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A message ready to leave, with what has to be known of it when the answer comes."""

    envelope: Envelope
    can_arrive: bool  # there is an address
    route: list[str]  # channels that are left
    failures: int
    doubtful: bool
    since: datetime  # it is in its state: claimed, or unknown


def seal(ids: Collection[int], way: type[Channel], *, now: datetime) -> dict[int, Sealed]:
    """The messages of these ids by id, as this channel is to have them."""
    sql = FACTS.format(address=ADDRESSES[way.reaches])
    with connection.cursor() as cursor:
        cursor.execute(sql, {"ids": list(ids)})
        names = [column.name for column in cursor.description or []]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    urls = _links(rows, now=now)
    return {row["id"]: _sealed(row, urls.get(row["id"], ""), way, now=now) for row in rows}


def _links(rows: list[dict[str, Any]], *, now: datetime) -> dict[int, str]:
    """The address of each message that has a link; the links are in the database before a provider hears of them."""
    with_link = [row for row in rows if row["link_purpose"] and row["lease_id"] and row["tenant_id"]]
    wanted = [
        links.Wanted(
            carrier=f"message:{row['key']}",
            tenant=row["tenant_id"],
            lease=row["lease_id"],
            purpose=row["link_purpose"],
            expires_at=links.expiry_of(row["last_day"], now=now),
        )
        for row in with_link
    ]
    tokens = links.mint_many(wanted, now=now) if wanted else []
    return {row["id"]: links.url(token, row["link_purpose"]) for row, token in zip(with_link, tokens, strict=True)}


def _sealed(row: dict[str, Any], url: str, way: type[Channel], *, now: datetime) -> Sealed:
    form = _read(row["forms"]).get(way.name, {})
    envelope = Envelope(
        key=row["key"],
        address=row["address"],
        text=_with_digits(form.get("text") or row["text"], row["key"]),
        url=url,
        sent_at=now,
        klass=row["klass"],
        template=form.get("template", ""),
        values={name: _with_digits(value, row["key"]) for name, value in form.get("values", {}).items()},
        first_sent_at=row["first_at"] or row["not_before"],
        last_sent_at=row["last_at"] or row["not_before"],
        ref=row["ref"] or "",
    )
    return Sealed(
        envelope,
        can_arrive=bool(row["address"]) or way.reaches in WITHOUT_ADDRESS,
        route=[name for name in row["route"] if name in settings.CHANNELS],
        failures=row["failures"],
        doubtful=row["doubtful"],
        since=row["changed_at"],
    )


def _read(forms: Any) -> dict[str, Any]:
    if forms == "{}":  # almost all
        return {}
    return json.loads(forms) if isinstance(forms, str) else forms


def _with_digits(text: str, key: str) -> str:
    return text.replace("{code}", codes.digits(key)) if "{code}" in text else text
