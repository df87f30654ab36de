"""触达: how far the pushes of a period have come, by playbook and by channel, and the list behind each figure.

A push belongs to the moment at which it was decided (`Push.created_at`). It stands at exactly one of `STAGES`, so that
they add up to all of them, however many channels tried it; `MORE` are parts of what was sent, or follow it. Figures and
lists ask with the same conditions. A signature counts once: for the last push that a channel had accepted before it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Case, Count, F, Func, Q, QuerySet, TextField, Value, When
from django.db.models.expressions import RawSQL
from django.db.models.functions import MD5, Cast, Left, Substr

from campaigns.models import Playbook, Push
from renewal.quarantine import OWN_WORDS
from tenants import access, clock
from tenants.access import SEES_PEOPLE, Somebody
from tenants.models import Attempt, Building, Click, Message

S = Message.State
CARRIER = "message:"

# The carriers of proven clicks, without the word before the message's key.
_CLICKED = Click.objects.filter(proven_at__isnull=False, link__carrier__startswith=CARRIER).values(
    key=Substr("link__carrier", len(CARRIER) + 1)
)
# Of each lease that is followed by a signed one, the last push accepted before the signature; a contract that was
# signed elsewhere counts from the end of its day.
_SIGNED_SQL = """
    SELECT DISTINCT ON (push.lease_id) push.id
    FROM tenants_lease next
    JOIN campaigns_push push ON push.lease_id = next.renews_id
    JOIN tenants_message message ON message.id = push.message_id
    WHERE next.state = 'signed' AND message.sent_at < coalesce(
        (SELECT min(signed_at) FROM renewal_signature WHERE lease_id = next.id),
        (next.signed_on + 1)::timestamp AT TIME ZONE 'Asia/Shanghai'
    )
    ORDER BY push.lease_id, message.sent_at DESC, push.id DESC
"""
STAGES = {
    "waiting": Q(state__in=[Push.State.HELD, Push.State.PLANNED])
    | Q(message__state__in=[S.PLANNED, S.QUEUED, S.SENDING]),
    "suppressed": Q(state=Push.State.SUPPRESSED) | Q(message__state__in=[S.SUPPRESSED, S.CANCELLED, S.EXPIRED]),
    "sent": Q(message__state__in=[S.ACCEPTED, S.DELIVERED, S.UNDELIVERED]),
    "unknown": Q(message__state__in=[S.UNKNOWN, S.PARKED]),
    "failed": Q(message__state__in=[S.FAILED, S.DEAD]),
}
MORE = {
    "delivered": Q(message__state=S.DELIVERED),
    "undelivered": Q(message__state=S.UNDELIVERED),
    "parked": Q(message__state=S.PARKED),
    "clicked": Q(message__key__in=_CLICKED),
    "signed": Q(pk__in=RawSQL(_SIGNED_SQL, [])),  # noqa: S611 - no value is in it
}
COUNTED = STAGES | MORE
# Only where a channel is named: tried there, and tried there before another channel took it over.
AT_CHANNEL = ("came", "passed")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for; every field stands in the address. Days are Shanghai's, both inclusive."""

    first: date
    last: date
    playbook: str = ""  # its code
    channel: str = ""
    building: str = ""  # its code
    stage: str = ""  # of COUNTED or AT_CHANNEL
    reason: str = ""  # a group, as `reasons` names it
    words: str = ""


def buildings(user: Somebody, *, today: date) -> QuerySet[Building]:
    """The buildings whose pushes somebody sees."""
    return access.buildings_for(user, today=today, roles=SEES_PEOPLE)


def visible(user: Somebody, *, today: date) -> QuerySet[Push]:
    """The pushes somebody may see: those to the leases of their buildings."""
    if access.sees_everything(user, today=today):
        return Push.objects.all()
    return Push.objects.filter(lease__unit__building__in=buildings(user, today=today))


def listed(user: Somebody, wanted: Wanted, *, today: date) -> QuerySet[Any]:
    """The pushes that are asked for, the latest decision first."""
    rows = _of_period(user, wanted, today=today)
    if wanted.channel:
        rows = rows.filter(_at(wanted.channel, wanted.stage))
    if wanted.stage in COUNTED:
        rows = rows.filter(COUNTED[wanted.stage])
    if wanted.reason:
        rows = _with_reasons(rows.filter(STAGES["suppressed"])).filter(group=wanted.reason)
    for word in wanted.words.split():
        rows = rows.filter(
            Q(tenant__name__icontains=word)
            | Q(tenant__phone__contains=word)
            | Q(lease__unit__code__icontains=word)
            | Q(lease__contract_no__icontains=word)
            | Q(message__text__icontains=word)
            | Q(message__key=word)
        )
    return rows.order_by("-created_at", "-pk")


def by_playbook(user: Somebody, wanted: Wanted, *, today: date) -> list[dict[str, Any]]:
    """A row for each playbook that decided anything in the period, by rank: `n`, and how many of COUNTED."""
    pushes: QuerySet[Any] = _of_period(user, wanted, today=today).order_by()
    rows: Any = pushes.values("step__playbook").annotate(**_counts())
    found = {row.pop("step__playbook"): row for row in rows}
    return [{"playbook": each, **found[each.pk]} for each in Playbook.objects.filter(pk__in=found).order_by("rank")]


def by_channel(user: Somebody, wanted: Wanted, *, today: date) -> list[dict[str, Any]]:
    """A row for each channel, in the order of preference: `came`, of these `passed` on to another, and COUNTED.

    A push is counted where its message is now, and as passed on at each channel that tried it before.
    """
    pushes: QuerySet[Any] = _of_period(user, wanted, today=today).filter(message__isnull=False).order_by()
    counted: Any = pushes.values("message__channel").annotate(**_counts())
    rows = {row.pop("message__channel"): row for row in counted}
    left = Attempt.objects.filter(message__in=pushes.values("message")).exclude(channel=F("message__channel"))
    passed = dict(left.values_list("channel").annotate(n=Count("message", distinct=True)))
    names = [name for name in settings.CHANNELS if name in rows or name in passed]
    names += sorted((rows.keys() | passed.keys()) - set(names))
    nothing = dict.fromkeys(["n", *COUNTED], 0)
    found = []
    for name in names:
        row = rows.get(name, nothing)
        gone = passed.get(name, 0)
        found.append({**row, "channel": name, "came": row["n"] + gone, "passed": gone})
    return found


def totals(rows: Collection[dict[str, Any]]) -> dict[str, int]:
    """The rows of `by_playbook` added up."""
    return {name: sum(row[name] for row in rows) for name in ("n", *COUNTED)}


def reasons(user: Somebody, wanted: Wanted, *, today: date, most: int = 12) -> list[dict[str, Any]]:
    """Why what is suppressed was, the most frequent first: `shape`, `group`, `n`.

    Reasons that differ only in the values they quote count as one.
    """
    rows = _of_period(user, wanted, today=today)
    if wanted.channel:
        rows = rows.filter(_at(wanted.channel, ""))
    counted = _with_reasons(rows.filter(STAGES["suppressed"])).order_by().values("shape", "group")
    return list(counted.annotate(n=Count("pk")).order_by("-n", "shape")[:most])


def waiting_for_decision(user: Somebody, *, today: date) -> QuerySet[Push]:
    """The parked pushes of any day, the oldest first: a person has to say what becomes of them."""
    parked = visible(user, today=today).filter(MORE["parked"])
    return parked.select_related("tenant", "lease__unit", "message", "step__playbook").order_by(
        "message__changed_at", "pk"
    )


def moment_bounds(wanted: Wanted) -> tuple[datetime, datetime]:
    """From the first moment of the period to the one after its last."""
    return clock.at(wanted.first), clock.at(wanted.last + timedelta(days=1))


def _of_period(user: Somebody, wanted: Wanted, *, today: date) -> QuerySet[Push]:
    start, end = moment_bounds(wanted)
    rows = visible(user, today=today).filter(created_at__gte=start, created_at__lt=end)
    if wanted.playbook:
        rows = rows.filter(step__playbook__code=wanted.playbook)
    if wanted.building:
        rows = rows.filter(lease__unit__building__code=wanted.building)
    return rows


def _counts() -> dict[str, Count]:
    return {"n": Count("pk"), **{name: Count("pk", filter=where) for name, where in COUNTED.items()}}


def _at(channel: str, stage: str) -> Q:
    here = Q(message__channel=channel)
    tried = Q(message__in=Attempt.objects.filter(channel=channel).values("message"))
    return {"came": here | tried, "passed": tried & ~here}.get(stage, here)


def _with_reasons(rows: QuerySet[Push]) -> QuerySet[Any]:
    why = Case(When(state=Push.State.SUPPRESSED, then=F("reason")), default=F("message__reason"))
    shape = Func(why, Value(OWN_WORDS), Value("…"), Value("g"), function="regexp_replace")
    return rows.annotate(
        shape=Cast(shape, TextField()), group=Left(MD5(Cast(shape, TextField())), 8, output_field=TextField())
    )
