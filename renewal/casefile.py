"""One case with all that is known of it: who, where, until when; what was said, sent, opened and decided, and by whom.

What is shown here is what staff may know of the leases they may see; what they may do is in renewal/answers.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _

from campaigns.models import Push
from renewal import casebook, facts, leading, notices, offers, people, proposals, spoken
from renewal.cases import LAWFUL
from renewal.models import Case, CaseChange, Errand, Fact, Notice, Proposal
from tenants import holdout
from tenants.access import Somebody
from tenants.models import Click, LeaseTenant, Link, Message

OTHER_MESSAGES = 20
S = Case.State


@dataclass(frozen=True, slots=True)
class Moment:
    """A line of the case's history."""

    at: datetime
    kind: str  # a change, or the kind of a fact
    what: Any
    by: str


def read(user: Somebody, pk: int, *, today: date, now: datetime) -> dict[str, Any]:
    """All there is to know of a case. Raises `Case.DoesNotExist` for one behind no door of theirs."""
    case = casebook.lease_of(user, pk, today=today)
    lease = case.lease
    standing = notices.standing(case)
    row = casebook.row_of(case, today=today, now=now)
    return {
        "case": case,
        "lease": lease,
        "row": row,
        "people": _people(case),
        "is_held_out": any(holdout.is_held_out(person, today=today) for person in row.people),
        "moments": history(case),
        "intent": row.intent,
        "wish": facts.latest(case, Fact.Kind.WISH),
        "spoken": (yes := spoken.standing(case, today=today)),
        "spoken_last": facts.latest(case, Fact.Kind.WORD),
        "clashes": spoken.clashes(case, now=now) if yes else [],
        "may_speak": case.state in spoken.OPEN,
        "vias": spoken.VIAS,
        "verbal_days": settings.VERBAL_YES_DAYS,
        "reminder": facts.latest(case, Fact.Kind.REMINDER),
        "notices": standing,
        "past_notices": list(Notice.objects.filter(case=case).exclude(withdrawn_at=None).select_related("tenant")),
        "errands": list(Errand.objects.filter(case=case, done_at=None).order_by("pk")),
        "errands_done": list(Errand.objects.filter(case=case).exclude(done_at=None).order_by("-done_at")[:10]),
        "declined_because": _declined(case),
        **people.pushes_of([person.pk for person in _rows(case)], [lease]),
        "messages_sent": _messages(case),
        "proposals": _proposals(case),
        "may_leave": S.NOTICE in LAWFUL[S(case.state)],
        "reasons": Notice.Reason.choices,
        "successor": _successor(case),
    }


def history(case: Case) -> list[Moment]:
    """Every change and every word of the case, the latest first."""
    changes = CaseChange.objects.filter(case=case).order_by("-at", "-pk")
    said = Fact.objects.filter(case=case).order_by("-at", "-pk")
    moments = [Moment(each.at, "change", each, each.by) for each in changes]
    moments += [Moment(each.at, each.kind, each, each.by) for each in said]
    return sorted(moments, key=lambda moment: moment.at, reverse=True)


def _rows(case: Case) -> list[Any]:
    """The tenants of the lease as their rows name them, whoever they were merged into included."""
    found = []
    for row in LeaseTenant.objects.filter(lease=case.lease_id).select_related("tenant__merged_into"):
        found += [row.tenant, *([row.tenant.merged_into] if row.tenant.merged_into else [])]
    return found


def _people(case: Case) -> list[dict[str, Any]]:
    """Who lives there: each person once, whether they stand first, and whether they leave."""
    rows = LeaseTenant.objects.filter(lease=case.lease_id).select_related("tenant__merged_into")
    leaving = {notice.tenant_id for notice in notices.standing(case) if notice.only_them}
    found: dict[int, dict[str, Any]] = {}
    for row in rows.order_by("-is_primary", "pk"):
        person = row.tenant.merged_into or row.tenant
        found.setdefault(
            person.pk, {"person": person, "is_primary": row.is_primary, "is_leaving": person.pk in leaving}
        )
    return list(found.values())


def _declined(case: Case) -> str:
    """Why it was declined last, as it was said; empty where it stands in no such state."""
    if case.state != S.DECLINED:
        return ""
    change = CaseChange.objects.filter(case=case, now=S.DECLINED).order_by("-at", "-pk").first()
    return change.cause if change else ""


def _messages(case: Case) -> list[dict[str, Any]]:
    """What was sent about the lease beside the pushes, codes left out, and whether it was opened."""
    rows = list(
        Message.objects.filter(lease=case.lease_id, tenant__isnull=False)
        .exclude(klass=Message.Class.CODE)
        .exclude(Exists(Push.objects.filter(message=OuterRef("pk"))))
        .select_related("tenant")
        .order_by("-created_at", "-pk")[:OTHER_MESSAGES]
    )
    carriers = [f"message:{message.key}" for message in rows]
    opened = Click.objects.filter(link__carrier__in=carriers).select_related("link")
    clicks = {click.link.carrier: click for click in opened}
    return [{"message": message, "click": clicks.get(carrier)} for message, carrier in zip(rows, carriers, strict=True)]


def _proposals(case: Case) -> list[dict[str, Any]]:
    """Each proposal of the lease with the card as its reader was shown it last, and by which ways it was opened."""
    found = []
    for proposal in Proposal.objects.filter(lease=case.lease_id).select_related("tenant").order_by("pk"):
        card = proposals.card_of(proposal)
        links = Link.objects.filter(lease=case.lease_id, tenant=proposal.tenant_id)
        opened = Click.objects.filter(link__in=links)
        found.append(
            {
                "proposal": proposal,
                "card": card,
                "terms": _terms(card, leading.choice(proposal.lead)),
                "links": links.count(),
                "opened": opened.count(),
                "proven": opened.exclude(proven_at=None).count(),
            }
        )
    return found


def _terms(card: offers.Card, lead: offers.Choice | None) -> list[dict[str, Any]]:
    """The published lines of each room on the card, one a row, and which of them the letter begins with."""
    return [
        {
            "room": room,
            "is_own": room is card.own,
            "is_lead": room is card.own and offers.Choice(rate.term_months, rate.free_months) == lead,
            "rate": rate,
        }
        for room in card.rooms
        for rate in sorted(room.rates, key=lambda rate: (rate.term_months, rate.free_months))
    ]


def _successor(case: Case) -> Any:
    lease = type(case.lease)
    return lease.objects.filter(renews=case.lease_id).exclude(state="void").select_related("unit").first()


def headline(found: dict[str, Any]) -> str:
    """The answer in the title: how long it runs, and who has to do the next thing."""
    row = found["row"]
    if row.needs:
        waits = _("we have to: %(what)s") % {"what": _(", ").join(row.needs)}
    else:
        waits = str(casebook.WAITS[row.waits])
    days = row.days_left
    if days < 0:
        runs = _("its lease ended %(n)d days ago") % {"n": -days}
    elif days == 0:
        runs = _("its lease ends today")
    else:
        runs = _("its lease ends in %(n)d days") % {"n": days}
    return _("%(runs)s, %(waits)s") % {"runs": runs, "waits": waits}
