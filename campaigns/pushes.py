"""触达: deciding, once and for good, whether a tenant hears a step; sending is the outbox's.

`plan` looks at every step that has come due and has no decision yet, writes one row for each, and says why:

1. A step with a rule is for those whom the rule selects and who agree to personal wording. Who does not agree hears its
   general wording, if it has one, and is not looked at by the rule (`campaigns.general`).
2. A step that claims an announcement needs one of that topic, of this building, shown today and not withdrawn.
3. A step that grants a perk does so when its rule holds, whatever becomes of the message: a perk is open to all
   who meet its published condition. The line stands in the ledger before anything speaks of it.
4. Nothing about renewing is said without consent to marketing, to a household that is held out, or after the tenant has
   answered.
5. Fix before asking: while something has to be put right (`tenants.troubles`) and for 48 hours after an apology, an
   ask is held back. It is no decision yet: once that is over it goes out, however long it took.
   So is an ask to whom a person is to speak first (`campaigns.quiet`), until its day has come.
6. What came due more than CATCH_UP_DAYS ago, and was not held back since, is not made up for.
7. Of what is left, one ask is sent: the latest, and of one day that of the playbook with the smaller rank, then the one
   with the narrower rule. So who enters late
   gets one message and never the backlog, and a day that was missed is made up for once.

A decision is a row, one per lease, tenant, step and cycle: planning again, or after a rule was edited or a version
released, changes nothing. `hand_over` looks once more at what may have changed since and gives the message to the
outbox.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _
from django.utils.translation import override

from campaigns import due as coming
from campaigns import eligible, general, granting, playbooks, saying, segments
from campaigns.due import CATCH_UP_DAYS, Due
from campaigns.grammar import Rule
from campaigns.models import Enrolment, Push, StepVersion
from campaigns.reasons import Reasons
from tenants import clock, holdout, templating, troubles
from tenants.models import Announcement, Lease, Link, Message
from tenants.outbox import Draft, post_many

ROADMAP = "{roadmap}"  # in the wording of a message about a service: it has a link to the roadmap of the stay
KEEPS_DAYS = 3  # a message not sent within so many days is not sent
_FOLLOWED = Enrolment.objects.filter(
    playbook=OuterRef("step__playbook"), lease=OuterRef("lease"), tenant=OuterRef("tenant"), cycle=OuterRef("cycle")
)
# What handing over looks at once more: who hears it, whether they still follow the playbook, and whether they answered.
_ONCE_MORE = {
    "person": Coalesce(F("tenant__merged_into_id"), F("tenant_id")),
    "fix_first": Subquery(_FOLLOWED.values("fix_first")[:1]),
    "left_because": Subquery(_FOLLOWED.exclude(left_on=None).values("left_because")[:1]),
    "has_answered": Exists(Enrolment.objects.filter(lease=OuterRef("lease"), is_final=True)),
}
ASK, CARE = StepVersion.Kind.ASK, StepVersion.Kind.CARE


def plan(*, today: date, now: datetime) -> dict[str, int]:
    """Every step due by `today` is decided or held back; counts of each, and of perks granted on the way."""
    steps = {said.pk: said for said in playbooks.steps()}
    with transaction.atomic(), override(settings.LANGUAGE_CODE):
        with connection.cursor() as cursor:
            # Two planners at once might each choose a different step for one tenant. Readers are not held up.
            cursor.execute("LOCK TABLE campaigns_push IN SHARE ROW EXCLUSIVE MODE")
        due = coming.find(steps.values(), today=today, now=now)
        granted = granting.grant(due, steps, today=today, now=now)
        out = holdout.held_out({(each.lease, each.person) for each in due}, today=today)
        for each in due:
            each.held_out = (each.lease, each.person) in out
        chosen = _choose(due, steps, today=today)
        reasons = _reasons(chosen, steps, today=today)
        for each in due:
            each.refusal = each.refusal or each.hold or reasons[each.lease, each.tenant, each.said, each.cycle]
        _write(due, steps, {id(each) for each in chosen}, today=today, now=now)
    held = sum(bool(each.hold) for each in due)
    suppressed = len(due) - len(chosen) - held
    return {"planned": len(chosen), "suppressed": suppressed, "held": held, "granted": granted}


def _write(due: list[Due], steps: dict[int, StepVersion], chosen: set[int], *, today: date, now: datetime) -> None:
    """A row for each. What was held back is decided in place; what still is says for how long."""
    rows = []
    for each in due:
        if each.hold and (each.held_on, each.held_why) == (today, each.hold[:300]):
            continue
        state = Push.State.HELD if each.hold else Push.State.PLANNED if id(each) in chosen else Push.State.SUPPRESSED
        rows.append(
            Push(
                lease_id=each.lease,
                tenant_id=each.tenant,
                step_id=steps[each.said].step_id,
                said_id=each.said,
                cycle=each.cycle,
                general=each.general,
                due_on=each.due_on,
                held_on=today if each.hold else each.held_on,
                state=state,
                reason=each.refusal[:300],
                created_at=now,
                first_at=now,
            )
        )
    Push.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["lease", "tenant", "step", "cycle"],
        update_fields=["said", "general", "due_on", "held_on", "state", "reason", "created_at"],
        batch_size=1000,
    )


# --- Choosing ----------------------------------------------------------------------------------------------


def _choose(due: list[Due], steps: dict[int, StepVersion], *, today: date) -> list[Due]:
    """At most one ask and one service message a lease goes out; every other one is refused or held, with its reason."""
    for each in due:
        each.general = general.replaces(steps[each.said], is_personal=each.is_personal)
        each.refusal = _refusal(each, steps[each.said], today=today) or each.refusal
    care = _best([each for each in due if steps[each.said].kind == CARE], steps)
    apologised = {each.person for each in care}
    asks = [each for each in due if steps[each.said].kind == ASK]
    for each in asks:
        trouble = each.trouble or ("apology" if each.person in apologised else "")
        if trouble and each.fix_first and not each.refusal:
            each.hold = troubles.words(trouble)
        if each.quiet and not each.refusal:
            each.hold = each.hold or each.quiet
    return care + _best([each for each in asks if not each.hold], steps)


def _best(those: Iterable[Due], steps: dict[int, StepVersion]) -> list[Due]:
    """Of what is not refused the one that goes out, for each lease and tenant; the others are refused for it."""
    candidates: dict[tuple[int, int], list[Due]] = defaultdict(list)
    for each in those:
        if not each.refusal:
            candidates[each.lease, each.tenant].append(each)
    chosen = []
    for group in candidates.values():
        best = max(group, key=lambda each: (each.due_on, *_precedence(each, steps[each.said])))
        chosen.append(best)
        for each in group:
            if each is not best and each.due_on == best.due_on and _rank(steps[each.said]) > _rank(steps[best.said]):
                each.refusal = _("a playbook of higher rank goes instead")
            elif each is not best and each.due_on == best.due_on:
                each.refusal = _("a narrower step of the same day goes instead")
            elif each is not best:
                each.refusal = _("only the latest step is made up for")
    return chosen


def _refusal(each: Due, said: StepVersion, *, today: date) -> str:
    """Why this step is not for this tenant, or nothing."""
    waited_until = max(each.due_on, each.held_on or each.due_on)
    if (today - waited_until).days > CATCH_UP_DAYS:
        return _("came due more than %(days)d days ago: not made up for") % {"days": CATCH_UP_DAYS}
    if said.kind == ASK and not each.may_ask:
        return _("the tenant has answered, or the lease does not go on")
    if said.kind == ASK and not each.agrees:
        return _("no consent to renewal offers")
    if said.kind == ASK and each.held_out:
        return holdout.words()
    if each.general and not said.general_text:
        return _("general version: no personal wording")
    if not each.general and not each.fits:
        return _("not met: %(rule)s") % {"rule": segments.sentence(said.rule)}
    if general.claims(said, general=each.general) and not each.announcement:
        return _("the building announces nothing about “%(topic)s” now") % {"topic": said.claims_topic}
    if each.due_on < each.enrolled_on and each.heard_lately and each.held_on is None and said.kind == ASK:
        return _("entered late and has heard from us within %(days)d days") % {"days": CATCH_UP_DAYS}
    return ""


def _precedence(each: Due, said: StepVersion) -> tuple[int, tuple[int, bool], int]:
    """What decides between two steps of one day: the playbook's rank, then how narrow the step is."""
    return -_rank(said), _narrowness(each, said), -said.step_id


def _rank(said: StepVersion) -> int:
    return said.version.playbook.rank


def _narrowness(each: Due, said: StepVersion) -> tuple[int, bool]:
    claims = bool(general.claims(said, general=each.general))
    return 0 if each.general else len(list(segments.leaves(said.rule))), claims


# --- Why ---------------------------------------------------------------------------------------------------


def _reasons(chosen: list[Due], steps: dict[int, StepVersion], *, today: date) -> dict[tuple[int, int, int, str], str]:
    """Why each chosen step goes out, in words for staff."""
    found = Reasons(
        (rule for each in chosen for rule in _rules(steps[each.said])), {each.person for each in chosen}, today=today
    )
    reasons = {}
    for each in chosen:
        said = steps[each.said]
        parts = [_moment(each, said)]
        if each.held_on:
            parts.append(_("held back until %(on)s: %(why)s") % {"on": each.held_on, "why": each.held_why})
        elif late := (today - each.due_on).days:
            parts.append(_("made up for, days late: %(days)d") % {"days": late})
        parts.append(_("playbook “%(name)s”") % {"name": said.version.playbook.name})
        if each.general:
            parts.append(_("general wording"))
        elif because := found.why(_rules(said), each.person):
            parts.append(because)
        if general.claims(said, general=each.general):
            parts.append(_("the building announces: %(text)s") % {"text": each.announcement})
        reasons[each.lease, each.tenant, each.said, each.cycle] = _("; ").join(parts)
    return reasons


def _rules(said: StepVersion) -> list[Rule | None]:
    segment = said.version.playbook.segment
    return [said.rule, segment.rule if segment else None]


def _moment(each: Due, said: StepVersion) -> str:
    """When the step is due, in words."""
    match said.anchor:
        case StepVersion.Anchor.END:
            return _("%(days)d days before the end") % {"days": said.days}
        case StepVersion.Anchor.WAVE:
            return _("wave of %(on)s: leases that end %(first)d to %(last)d days later") % {
                "on": said.on,
                "first": said.ends_from,
                "last": said.ends_to,
            }
        case StepVersion.Anchor.EVENT:
            on = clock.day_of(each.started_at) if each.started_at else each.enrolled_on
            return _("%(what)s on %(on)s, days after it: %(days)d") % {
                "what": each.start_why,
                "on": on,
                "days": said.days,
            }
    started = _("the start: %(why)s") % {"why": each.start_why}
    return _("%(start)s, days after it: %(days)d") % {"start": started, "days": said.days} if said.days else started


# --- Handing over ------------------------------------------------------------------------------------------


def hand_over(*, today: date, now: datetime) -> dict[str, int]:
    """Every planned push is in the outbox, or suppressed because something changed since it was planned."""
    with transaction.atomic(), override(settings.LANGUAGE_CODE):
        planned: list[Any] = list(
            Push.objects.filter(state=Push.State.PLANNED)
            .select_for_update(of=("self",))
            .select_related("said__version__playbook", "lease__unit__building", "step__playbook")
            .annotate(**_ONCE_MORE)
            .order_by("pk")
        )
        live = _live_announcements(today)
        standing = templating.shelf() if planned else {}
        personal = eligible.personal({push.person for push in planned})
        for push in planned:
            # Who has refused personal wording since it was planned hears the general one, if there is one.
            if not push.general and general.replaces(push.said, is_personal=push.person in personal):
                push.general, push.reason = True, _("; ").join([push.reason, _("general wording")])[:300]
        words_of = saying.said(planned)
        drafts: dict[str, Draft] = {}
        for push in planned:
            claimed = live.get((push.lease.unit.building_id, general.claims(push.said, general=push.general)))
            if gone := _gone(push, claimed, is_personal=push.person in personal, today=today):
                push.state, push.reason = Push.State.SUPPRESSED, gone
            else:
                words = values(push.lease, announcement=claimed.text if claimed else "")
                klass = class_of(push.said.kind)
                filled = templating.fill(words_of[push.pk].templates, words, klass=klass, standing=standing)
                drafts[key(push)] = _draft(push, words_of[push.pk].text, claimed, filled.forms, today=today, now=now)
                # Its message goes by the channels that are left; why the others are not among them stands here.
                push.reason = _("; ").join([push.reason, *filled.lacking])[:300]
        post_many(list(drafts.values()), now=now)
        message_of = dict(Message.objects.filter(key__in=drafts).values_list("key", "pk"))
        for push in planned:
            if push.state == Push.State.PLANNED:
                push.message_id = message_of[key(push)]
                push.state = Push.State.HANDED_OVER
        Push.objects.bulk_update(planned, ["state", "reason", "general", "message"], batch_size=1000)
    return {"handed_over": len(drafts), "suppressed": len(planned) - len(drafts)}


def _gone(push: Any, claimed: Announcement | None, *, is_personal: bool, today: date) -> str:
    """Why the push is not sent after all, or nothing."""
    if today > clock.day_of(push.created_at) + timedelta(days=KEEPS_DAYS):
        return _("planned %(days)d days ago: too late to send") % {"days": (today - clock.day_of(push.created_at)).days}
    if push.left_because:
        return str(push.left_because)
    if push.said.kind == ASK and push.has_answered:
        return _("the tenant has answered, or the lease does not go on")
    is_chosen = general.is_chosen(push.said, general=push.general)
    if (is_chosen and not is_personal) or not general.text(push.said, general=push.general):
        return _("no longer agrees to personal wording")
    if general.claims(push.said, general=push.general) and not claimed:
        return _("the announcement was withdrawn")
    return ""


def key(push: Push) -> str:
    """The message's key: neither run, rule nor wording is part of it, so none of them can send it twice."""
    return f"push:{push.lease_id}:{push.tenant_id}:{push.step_id}:{push.cycle}"


def read(push: Push) -> str:
    """What a push said, or would have said."""
    if push.message:
        return push.message.text
    text = general.text(push.said, general=push.general) or push.said.text
    return wording(text, last_day=push.lease.last_day, announcement="…")


def wording(text: str, *, last_day: date, announcement: str = "") -> str:
    """A step's text with the few names it may contain filled in; anything else in braces stays as it is."""
    said = announcement.rstrip("。.！! ")
    filled = text.replace("{last_day}", day_in_words(last_day)).replace("{announcement}", said)
    return filled.replace(ROADMAP, "").strip()


def day_in_words(on: date) -> str:
    return f"{on.month} 月 {on.day} 日"


def values(lease: Lease, *, announcement: str = "") -> dict[str, str]:
    """What templates may say of a lease, by the names of `tenants.templatechecks.VALUES`."""
    return {
        "last_day": day_in_words(lease.last_day),
        "building": lease.unit.building.name,
        "room": lease.unit.code,
        "announcement": announcement,
    }


def class_of(kind: str) -> str:
    """The class of message of a kind of step."""
    return Message.Class.MARKETING.value if kind == ASK else Message.Class.SERVICE.value


def _draft(
    push: Any, text: str, claimed: Announcement | None, forms: Mapping[str, Any], *, today: date, now: datetime
) -> Draft:
    first_day = max(push.due_on, today)
    is_ask = push.said.kind == ASK
    return Draft(
        key=key(push),
        klass=class_of(push.said.kind),
        tenant_id=push.person,
        lease_id=push.lease_id,
        # Asks come after everything that nobody ranked, and among each other by their playbooks.
        priority=-push.step.playbook.rank if is_ask else 0,
        text=wording(text, last_day=push.lease.last_day, announcement=claimed.text if claimed else ""),
        forms=forms,
        link_purpose=Link.Purpose.PROPOSAL if is_ask else Link.Purpose.ROADMAP if ROADMAP in text else "",
        claims_id=claimed.pk if claimed and push.said.claims_topic else None,
        stops_on_answer=is_ask,
        after_repairs=is_ask and push.fix_first,
        is_personal=general.is_chosen(push.said, general=push.general),
        not_before=max(now, clock.at(first_day, settings.QUIET_BEFORE_HOUR)),
        deadline=clock.at(min(first_day + timedelta(days=KEEPS_DAYS), push.lease.last_day), settings.QUIET_FROM_HOUR),
    )


def _live_announcements(today: date) -> dict[tuple[int, str], Announcement]:
    """The announcement that may be claimed, by building and topic: of several, the one that comes first."""
    rows = Announcement.objects.filter(until__gte=today, withdrawn_at=None).order_by("-on", "-pk")
    return {(row.building_id, row.topic): row for row in rows}
