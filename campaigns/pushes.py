"""触达: deciding, once and for good, whether a tenant hears a step; sending is the outbox's.

`plan` looks at every step that has come due and has no decision yet, writes one row for each, and says why:

1. A step with a rule is for those whom the rule selects and who agree to personal wording.
2. A step that claims an announcement needs one of that topic, of this building, shown today and not withdrawn.
3. A step that grants a perk does so when its rule holds, whatever becomes of the message: a perk is open to all
   who meet its published condition. The line stands in the ledger before anything speaks of it.
4. Nothing is said without consent to marketing.
5. What came due more than CATCH_UP_DAYS ago is not made up for.
6. Of what is left, one step is sent: the latest, and of one day the one with the narrower rule. So who enters late
   gets one message and never the backlog, and a day that was missed is made up for once.

A decision is a row, one per lease, tenant, step and cycle: planning again, or after a rule was edited, changes
nothing. `hand_over` looks once more at what may have changed since and gives the message to the outbox.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _
from django.utils.translation import override

from campaigns import playbooks, segments
from campaigns.conditions import JOINS_SQL
from campaigns.grammar import Bound, Rule
from campaigns.models import Push, Step
from tenants import clock, consents, features, perks, tags
from tenants.models import Announcement, Membership, Message, Perk, TenantTag
from tenants.outbox import Draft, post_many

CATCH_UP_DAYS = 7  # what came due longer ago is not made up for
KEEPS_DAYS = 3  # a message not sent within so many days is not sent
# What a perk may follow from: published facts of service and tenure, never habits or a segment.
PUBLISHED_FACTS = {
    ("tag", "repair_was_late"),
    ("feature", "late_accepts_365"),
    ("feature", "worst_accept_hours"),
    ("lease", "days_to_end"),
    ("lease", "tenure_days"),
}


@dataclass(slots=True)
class Due:
    """A step that has come due for one enrolment, with what decides about it."""

    lease: int
    tenant: int  # as enrolled: part of the row's key
    person: int  # who that turned out to be: who hears it
    cycle: str
    step: int
    building: int
    due_on: date
    last_day: date
    enrolled_on: date
    fits: bool
    is_personal: bool  # agrees to personal wording
    agrees: bool  # to marketing
    heard_lately: bool
    announcement: str | None
    refusal: str = ""  # why not


_DUE_SQL = f"""
WITH {features.PERSON_SQL},
personal AS ({playbooks.PERSONAL_SQL}),
agreed AS (
    SELECT consent.tenant_id FROM ({consents.CURRENT_SQL}) consent
    WHERE consent.purpose = 'marketing' AND consent.granted
),
subject AS MATERIALIZED (
    SELECT e.id AS enrolment_id, e.playbook_id, e.lease_id, e.tenant_id AS enrolled_id, e.cycle, e.enrolled_on,
        person.root AS tenant_id,
        person.root IN (SELECT tenant_id FROM personal) AS is_personal,
        person.root IN (SELECT tenant_id FROM agreed) AS agrees,
        EXISTS (
            SELECT FROM campaigns_push heard
            WHERE heard.lease_id = e.lease_id AND heard.tenant_id = e.tenant_id
              AND heard.state <> 'suppressed' AND heard.created_at >= %(lately)s) AS heard_lately
    FROM campaigns_enrolment e JOIN person ON person.id = e.tenant_id
    WHERE e.left_on IS NULL
)
{{steps}}
ORDER BY lease, tenant, due_on, step
"""  # noqa: S608

_DUE_STEP_SQL = """
SELECT subject.lease_id AS lease, subject.enrolled_id AS tenant, subject.tenant_id AS person, subject.cycle,
    {step} AS step, u.building_id AS building, l.last_day - {days} AS due_on, l.last_day, subject.enrolled_on,
    {condition} AS fits, subject.is_personal, subject.agrees, subject.heard_lately, (
        SELECT live.text FROM tenants_announcement live
        WHERE live.building_id = u.building_id AND live.topic = {topic}
          AND live.until >= %(today)s AND live.withdrawn_at IS NULL
        ORDER BY live.on, live.id LIMIT 1) AS announcement
FROM subject {joins}
WHERE subject.playbook_id = {playbook} AND l.last_day >= %(today)s AND l.last_day - {days} <= %(today)s
  AND NOT EXISTS (
    SELECT FROM campaigns_push done
    WHERE done.lease_id = subject.lease_id AND done.tenant_id = subject.enrolled_id
      AND done.step_id = {step} AND done.cycle = subject.cycle)"""


def plan(*, today: date, now: datetime) -> dict[str, int]:
    """Every step due by `today` is decided; counts those planned, suppressed, and perks granted on the way."""
    steps = {
        step.pk: step for step in Step.objects.filter(is_active=True).select_related("playbook__segment", "grants")
    }
    with transaction.atomic(), override(settings.LANGUAGE_CODE):
        with connection.cursor() as cursor:
            # Two planners at once might each choose a different step for one tenant. Readers are not held up.
            cursor.execute("LOCK TABLE campaigns_push IN SHARE ROW EXCLUSIVE MODE")
        due = _due(steps, today=today)
        granted = _grant(due, steps, today=today, now=now)
        chosen = _choose(due, steps, today=today)
        reasons = _reasons(chosen, steps, today=today)
        Push.objects.bulk_create(
            [
                Push(
                    lease_id=each.lease,
                    tenant_id=each.tenant,
                    step_id=each.step,
                    cycle=each.cycle,
                    due_on=each.due_on,
                    state=Push.State.SUPPRESSED if each.refusal else Push.State.PLANNED,
                    reason=(each.refusal or reasons[each.lease, each.tenant])[:300],
                    created_at=now,
                )
                for each in due
            ],
            ignore_conflicts=True,
        )
    return {"planned": len(chosen), "suppressed": len(due) - len(chosen), "granted": granted}


def _due(steps: dict[int, Step], *, today: date) -> list[Due]:
    """Every step that has come due for a live enrolment and is not decided yet."""
    if not steps:
        return []
    bound = Bound(today)
    parts = [
        _DUE_STEP_SQL.format(
            step=bound.add(step.pk),
            playbook=bound.add(step.playbook_id),
            days=bound.add(step.days_before_end),
            topic=bound.add(step.claims_topic),
            condition=segments.condition(step.rule, bound),
            joins=JOINS_SQL,
        )
        for step in steps.values()
    ]
    params = {**bound.values, "lately": clock.at(today - timedelta(days=CATCH_UP_DAYS - 1))}
    with connection.cursor() as cursor:
        cursor.execute(_DUE_SQL.format(steps=" UNION ALL ".join(parts)), params)
        return [Due(*row) for row in cursor.fetchall()]


def _grant(due: list[Due], steps: dict[int, Step], *, today: date, now: datetime) -> int:
    """Perks owed by steps whose rule holds stand in the ledger, each with an owner and an expiry; how many are new.

    Where one cannot be given, the step is refused, since it would speak of something that is not there.
    """
    owed: dict[Perk, list[Due]] = defaultdict(list)
    for each in due:
        if each.fits and (perk := steps[each.step].grants):
            owed[perk].append(each)
    everyone = [each for those in owed.values() for each in those]
    owners = _owners({each.building for each in everyone}, today=today)
    evidence = _evidence({each.person for each in everyone})
    new = 0
    for perk, those in sorted(owed.items(), key=lambda item: item[0].pk):
        claims: dict[int, perks.Claim] = {}
        for n, each in enumerate(those):
            step, owner = steps[each.step], owners.get(each.building)
            if not _is_published(step.rule):
                each.refusal = _("a perk may follow only from published facts of service or tenure")
            elif owner is None:
                each.refusal = _("nobody in the building could answer for the perk")
            else:
                claims[n] = perks.Claim(
                    # Whatever step or playbook it came by, a lease is given a perk once.
                    key=f"perk:{each.lease}:{each.person}:{perk.code}",
                    tenant_id=each.person,
                    lease_id=each.lease,
                    owner_id=owner,
                    reason=_because([step.rule], evidence.get(each.person, {}))[:200],
                    expires_at=clock.at(each.last_day + timedelta(days=1)),
                )
        given = perks.grant_many(perk, list(claims.values()), now=now)
        new += sum(grant.granted_at == now for grant in given.values())
        for n, claim in claims.items():
            if claim.key not in given:
                those[n].refusal = str(perks.OutOfStock(perk))
    return new


def _is_published(rule: Rule | None) -> bool:
    conditions = list(segments.leaves(rule))
    return bool(conditions) and all((kind, leaf[kind]) in PUBLISHED_FACTS for kind, leaf in conditions)


def _owners(buildings: set[int], *, today: date) -> dict[int, int]:
    """Who answers for tenants of a building: its tenant care, else its manager, else headquarters."""
    ranks = {Membership.Role.CARE: 0, Membership.Role.MANAGER: 1, Membership.Role.HQ: 2}
    rows = Membership.objects.filter(
        Q(building__in=buildings) | Q(building=None),
        Q(last_day=None) | Q(last_day__gte=today),
        role__in=ranks,
        first_day__lte=today,
        user__is_active=True,
    ).values_list("role", "building", "user")
    # Within a role somebody of this building goes before somebody of all buildings.
    ordered = sorted(rows, key=lambda row: (ranks[Membership.Role(row[0])], row[1] is None, row[2]))
    owners: dict[int, int] = {}
    for _role, where, user in ordered:
        for building in [where] if where else buildings:
            owners.setdefault(building, user)
    return owners


def _choose(due: list[Due], steps: dict[int, Step], *, today: date) -> list[Due]:
    """At most one step per enrolment goes out; every other one is refused with its reason."""
    by_enrolment: dict[tuple[int, int], list[Due]] = defaultdict(list)
    for each in due:
        each.refusal = _refusal(each, steps[each.step], today=today) or each.refusal
        if not each.refusal:
            by_enrolment[each.lease, each.tenant].append(each)
    chosen = []
    for candidates in by_enrolment.values():
        best = max(candidates, key=lambda each: (each.due_on, _narrowness(steps[each.step]), -each.step))
        chosen.append(best)
        for each in candidates:
            if each is not best and each.due_on == best.due_on:
                each.refusal = _("a narrower step of the same day goes instead")
            elif each is not best:
                each.refusal = _("only the latest step is made up for")
    return chosen


def _refusal(each: Due, step: Step, *, today: date) -> str:
    """Why this step is not for this tenant, or nothing."""
    if (today - each.due_on).days > CATCH_UP_DAYS:
        return _("came due more than %(days)d days ago: not made up for") % {"days": CATCH_UP_DAYS}
    if not each.agrees:
        return _("no consent to renewal offers")
    if step.rule is not None and not each.is_personal:
        return _("general version: no personal wording")
    if not each.fits:
        return _("not met: %(rule)s") % {"rule": segments.sentence(step.rule)}
    if step.claims_topic and not each.announcement:
        return _("the building announces nothing about “%(topic)s” now") % {"topic": step.claims_topic}
    if each.due_on < each.enrolled_on and each.heard_lately:
        return _("entered late and has heard from us within %(days)d days") % {"days": CATCH_UP_DAYS}
    return ""


def _narrowness(step: Step) -> tuple[int, bool]:
    return len(list(segments.leaves(step.rule))), bool(step.claims_topic)


# --- Why ---------------------------------------------------------------------------------------------------


def _reasons(chosen: list[Due], steps: dict[int, Step], *, today: date) -> dict[tuple[int, int], str]:
    """Why each chosen step goes out, in words for staff."""
    evidence = _evidence({each.person for each in chosen})
    reasons = {}
    for each in chosen:
        step = steps[each.step]
        parts = [_("%(days)d days before the end") % {"days": step.days_before_end}]
        if late := (today - each.due_on).days:
            parts.append(_("made up for, days late: %(days)d") % {"days": late})
        parts.append(_("playbook “%(name)s”") % {"name": step.playbook.name})
        segment = step.playbook.segment
        if because := _because([step.rule, segment.rule if segment else None], evidence.get(each.person, {})):
            parts.append(because)
        if step.claims_topic:
            parts.append(_("the building announces: %(text)s") % {"text": each.announcement})
        reasons[each.lease, each.tenant] = _("; ").join(parts)
    return reasons


def _because(rules: list[Rule | None], evidence: dict[str, Any]) -> str:
    """The facts behind the tags that these rules ask for."""
    codes = dict.fromkeys(leaf["tag"] for rule in rules for kind, leaf in segments.leaves(rule) if kind == "tag")
    return _("; ").join(tags.TAGS[code].sentence(evidence[code]).rstrip("。.") for code in codes if code in evidence)


def _evidence(people: set[int]) -> dict[int, dict[str, Any]]:
    evidence: dict[int, dict[str, Any]] = defaultdict(dict)
    for tenant, tag, facts in TenantTag.objects.filter(tenant__in=people).values_list("tenant", "tag", "evidence"):
        evidence[tenant][tag] = facts
    return evidence


# --- Handing over ------------------------------------------------------------------------------------------


def hand_over(*, today: date, now: datetime) -> dict[str, int]:
    """Every planned push is in the outbox, or suppressed because its time or its announcement has gone."""
    with transaction.atomic(), override(settings.LANGUAGE_CODE):
        planned = list(
            Push.objects.filter(state=Push.State.PLANNED)
            .select_for_update(of=("self",))
            .select_related("step", "lease__unit")
            .annotate(person=Coalesce(F("tenant__merged_into_id"), F("tenant_id")))
            .order_by("pk")
        )
        live = _live_announcements(today)
        drafts: dict[str, Draft] = {}
        for push in planned:
            claimed = live.get((push.lease.unit.building_id, push.step.claims_topic))
            if today > clock.day_of(push.created_at) + timedelta(days=KEEPS_DAYS):
                push.reason = _("planned %(days)d days ago: too late to send") % {
                    "days": (today - clock.day_of(push.created_at)).days
                }
            elif push.step.claims_topic and not claimed:
                push.reason = _("the announcement was withdrawn")
            else:
                drafts[key(push)] = _draft(push, claimed, today=today, now=now)
                continue
            push.state = Push.State.SUPPRESSED
        post_many(list(drafts.values()), now=now)
        message_of = dict(Message.objects.filter(key__in=drafts).values_list("key", "pk"))
        for push in planned:
            if push.state == Push.State.PLANNED:
                push.message_id = message_of[key(push)]
                push.state = Push.State.HANDED_OVER
        Push.objects.bulk_update(planned, ["state", "reason", "message"], batch_size=1000)
    return {"handed_over": len(drafts), "suppressed": len(planned) - len(drafts)}


def key(push: Push) -> str:
    """The message's key: neither run, rule nor wording is part of it, so none of them can send it twice."""
    return f"push:{push.lease_id}:{push.tenant_id}:{push.step_id}:{push.cycle}"


def wording(text: str, *, last_day: date, announcement: str = "") -> str:
    """A step's text with the few names it may contain filled in; anything else in braces stays as it is."""
    said = announcement.rstrip("。.！! ")
    return text.replace("{last_day}", f"{last_day.month} 月 {last_day.day} 日").replace("{announcement}", said)


def _draft(push: Push, claimed: Announcement | None, *, today: date, now: datetime) -> Draft:
    first_day = max(push.due_on, today)
    return Draft(
        key=key(push),
        klass=Message.Class.MARKETING,
        tenant_id=push.person,  # type: ignore[attr-defined]
        lease_id=push.lease_id,
        text=wording(push.step.text, last_day=push.lease.last_day, announcement=claimed.text if claimed else ""),
        link_purpose="proposal",
        claims_id=claimed.pk if claimed and push.step.claims_topic else None,
        stops_on_answer=True,
        not_before=max(now, clock.at(first_day, settings.QUIET_BEFORE_HOUR)),
        deadline=clock.at(min(first_day + timedelta(days=KEEPS_DAYS), push.lease.last_day), settings.QUIET_FROM_HOUR),
    )


def _live_announcements(today: date) -> dict[tuple[int, str], Announcement]:
    """The announcement that may be claimed, by building and topic: of several, the one that comes first."""
    rows = Announcement.objects.filter(until__gte=today, withdrawn_at=None).order_by("-on", "-pk")
    return {(row.building_id, row.topic): row for row in rows}
