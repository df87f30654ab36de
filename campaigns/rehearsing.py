"""What a past or a coming day would have done: the day's own verbs, run in a world of `tenants.past`.

There is no second reading of the rules: what is shown is what the engine does. What is done in that world, and when, is
told by whoever asks (`Deed`); between two deeds messages go out by the outbox's own rules, through a channel that takes
everything, so that what is sent at night, put off or dropped is seen too. Nothing real is written, and nothing leaves.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.db.models import Min, Q
from django.utils.translation import override

from campaigns import segments
from campaigns.grammar import Rule
from campaigns.models import Enrolment, Playbook, Push
from tenants import clock, current, past
from tenants.models import Message
from tenants.outbox import rules

# How rules, playbooks and steps were laid down at %(defined_at)s. What has no history is as it is now. With `as_now`
# what is released now has always been, and of the playbook that is asked about the newest version is, if none is.
DEFINED = {
    "campaigns_segment": """
        SELECT segment.id, segment.code, segment.name, coalesce(
            (SELECT rule FROM {campaigns_segmentversion} version
             WHERE version.segment_id = segment.id AND version.at <= %(defined_at)s ORDER BY number DESC LIMIT 1),
            -- What a segment was before it was first changed became its first version.
            (SELECT rule FROM {campaigns_segmentversion} version
             WHERE version.segment_id = segment.id ORDER BY number LIMIT 1),
            segment.rule) AS rule
        FROM {campaigns_segment} segment
        UNION ALL SELECT 0, 'asked', 'asked', %(rule)s::jsonb WHERE %(rule)s IS NOT NULL""",
    "campaigns_segmentversion": "SELECT * FROM {campaigns_segmentversion} WHERE at <= %(defined_at)s",
    # A rule that is asked about stands in for that of its playbook, which runs whether or not it does today.
    "campaigns_playbook": """
        SELECT id, code, name, rank, is_active OR coalesce(id = %(asked)s, false) AS is_active,
            CASE WHEN id = %(asked)s AND %(rule)s IS NOT NULL THEN 0 ELSE segment_id END AS segment_id
        FROM {campaigns_playbook}""",
    # A draft is closed when its release is asked for.
    "campaigns_playbookversion": """
        SELECT id, playbook_id, number, lead_days, starts_on, leaves_with_segment, fix_first, unfixed_percent,
            under_way, note, by_id, at, CASE
                WHEN %(as_now)s AND playbook_id = %(asked)s THEN false
                WHEN is_draft THEN true
                ELSE coalesce((
                    SELECT min(asked_at) > %(defined_at)s FROM {campaigns_release} release
                    WHERE release.version_id = version.id), false) END AS is_draft
        FROM {campaigns_playbookversion} version""",
    # Who was drawn for which wording is for good, so that what was said can be said again; no lot is drawn here.
    "campaigns_experiment": "SELECT * FROM {campaigns_experiment}",
    "campaigns_arm": "SELECT * FROM {campaigns_arm}",
    "campaigns_assigned": "SELECT * FROM {campaigns_assigned} WHERE at <= %(defined_at)s",
    "campaigns_verdict": "SELECT * FROM {campaigns_verdict} WHERE at <= %(defined_at)s",
    # Who is on a list is a fact like others, known by the moment the world has come to.
    "campaigns_namelist": "SELECT * FROM {campaigns_namelist}",
    "campaigns_listchange": "SELECT * FROM {campaigns_listchange} WHERE at <= %(at)s",
    "campaigns_listed": """
        SELECT listed.id, list_id, tenant_id, added_id,
            CASE WHEN EXISTS (SELECT FROM {campaigns_listchange} WHERE id = taken_id AND at <= %(at)s)
                THEN taken_id END AS taken_id
        FROM {campaigns_listed} listed
        WHERE EXISTS (SELECT FROM {campaigns_listchange} WHERE id = added_id AND at <= %(at)s)""",
    "campaigns_quiet": "SELECT * FROM {campaigns_quiet} WHERE at <= %(at)s",
    "campaigns_stepversion": "SELECT * FROM {campaigns_stepversion}",
    "campaigns_step": "SELECT * FROM {campaigns_step}",
    "campaigns_release": """
        SELECT id, version_id, percent, rule, reach, why, asked_by_id,
            CASE WHEN %(as_now)s THEN '2000-01-01' ELSE asked_at END AS asked_at,
            CASE WHEN decided_at <= %(defined_at)s THEN state ELSE 'waiting' END AS state,
            CASE WHEN decided_at <= %(defined_at)s THEN decided_by_id END AS decided_by_id,
            CASE WHEN decided_at > %(defined_at)s THEN NULL WHEN %(as_now)s THEN '2000-01-01' ELSE decided_at END
                AS decided_at
        FROM {campaigns_release} WHERE asked_at <= %(defined_at)s
        UNION ALL (
            SELECT 0, newest.id, 100, NULL, 0, '', NULL, '2000-01-01', 'standing', NULL, '2000-01-01'
            FROM {campaigns_playbookversion} newest
            WHERE %(as_now)s AND newest.playbook_id = %(asked)s AND NOT EXISTS (
                SELECT FROM {campaigns_release} release JOIN {campaigns_playbookversion} one ON one.id = version_id
                WHERE one.playbook_id = newest.playbook_id AND state = 'standing' AND percent > 0)
            ORDER BY newest.number DESC LIMIT 1)""",
}
KEPT = (
    past.Kept(
        "campaigns_enrolment",
        "enrolled_on < %(day)s",
        (
            "UPDATE campaigns_enrolment SET left_on = NULL, left_because = '' WHERE left_on >= %(day)s",
            "UPDATE campaigns_enrolment SET is_final = false WHERE lease_id = ANY(%(unanswered)s::bigint[])",
            # The version followed before the first move that came later.
            """UPDATE campaigns_enrolment e SET version_id = (moved.move ->> 'from')::bigint
                FROM (
                    SELECT DISTINCT ON (each.id) each.id, move.it AS move
                    FROM campaigns_enrolment each, jsonb_array_elements(each.moves) WITH ORDINALITY AS move(it, nth)
                    WHERE (move.it ->> 'on')::date >= %(day)s ORDER BY each.id, nth DESC
                ) moved
                WHERE moved.id = e.id""",
        ),
    ),
    past.Kept(
        "campaigns_push",
        "coalesce(first_at, created_at) < %(at)s",
        (
            # What was decided later had been held back until then.
            """UPDATE campaigns_push SET state = 'held', message_id = NULL, held_on = %(day)s::date - 1,
                created_at = first_at WHERE created_at >= %(at)s""",
            # Planned by then, and handed over later.
            """UPDATE campaigns_push SET state = 'planned', message_id = NULL
                WHERE message_id IS NOT NULL AND message_id NOT IN (SELECT id FROM tenants_message)""",
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Deed:
    """Something done in the world at a moment: a day's run, a tenant's answer."""

    at: datetime
    do: Callable[[], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Which world. `day` is the first one that is run in it; enrolments of earlier days are there."""

    at: datetime
    day: date
    basis: str = past.RECORDED
    # Rules and playbooks as they were at each moment; or, if a moment is given, as they were at that one throughout.
    defined_at: datetime | None = None
    playbook: Playbook | None = None  # asked about
    rule: Rule | None = None  # instead of its segment's
    goes_on: bool = True  # more is learnt as time passes; else nothing else happens
    unanswered: tuple[int, ...] = ()  # leases whose tenant had given no answer by `at`, but has since


@dataclass(frozen=True, slots=True)
class Decision:
    """A step decided for a tenant of a lease, and what became of its message."""

    lease: int
    tenant: int
    playbook: str
    step: str
    said: int  # the step in the version it was decided by
    cycle: str
    due_on: date
    decided_at: datetime
    state: str  # of the push, or of its message once there is one
    reason: str  # why it goes out or does not
    fate: str  # why its message did not go out, or not at once
    text: str
    sent_at: datetime | None

    @property
    def key(self) -> tuple[int, int, str, str]:
        return self.lease, self.tenant, self.step, self.cycle

    @property
    def is_open(self) -> bool:
        """What becomes of it is still to be seen: it is held back, or its message waits."""
        return self.state in (Push.State.HELD, Push.State.PLANNED, Message.State.QUEUED)


@dataclass(frozen=True, slots=True)
class Following:
    """A lease in a playbook, from when to when and why no longer."""

    lease: int
    tenant: int
    playbook: str
    cycle: str
    enrolled_on: date
    left_on: date | None
    left_because: str


class Rehearsal:
    """A world in which days are run. Made by `rehearsal`."""

    def __init__(self, world: past.World, setting: Setting) -> None:
        self.world = world
        self.setting = setting
        self.clock = setting.at
        self._lay_down()
        world.keep(KEPT, day=setting.day, unanswered=list(setting.unanswered))

    def do(self, deed: Deed) -> None:
        """The deed is done, knowing what was known at its moment, after what was to be sent before it."""
        self.send_until(deed.at)
        self._move_to(deed.at)
        with self.world.closed(), override(settings.LANGUAGE_CODE):
            deed.do()

    def send_until(self, moment: datetime) -> None:
        """Whatever could be sent before `moment` has been, or was put off or dropped for the outbox's own reasons."""
        while True:
            queued = Message.objects.filter(state=Message.State.QUEUED)
            first = queued.filter(not_before__lt=moment).aggregate(first=Min("not_before"))["first"]
            if first is None:
                return
            at = max(first, self.clock)
            due = list(queued.filter(not_before__lte=at).order_by("not_before", "pk"))
            if at > self.clock:
                self._move_to(at)
                if self.setting.goes_on:
                    # What is known of them is never more than seconds old when something is sent.
                    people = sorted({message.tenant_id for message in due if message.tenant_id})
                    with self.world.closed():
                        current.compute(today=clock.day_of(at), now=at, tenants=people)
            with self.world.closed():
                self._send(due, at)

    def members(self, rule: Rule | None, *, today: date) -> list[int]:
        """Whom the rule selects, by the features and tags of the last run."""
        with self.world.closed():
            return segments.members(rule, today=today)

    def rule_of(self, playbook: Playbook) -> Rule | None:
        """The rule by which the playbook takes tenants at this moment, in this world."""
        segment = Playbook.objects.select_related("segment").get(pk=playbook.pk).segment
        return segment.rule if segment else None

    def followings(self, *, since: date) -> list[Following]:
        """Who has entered a playbook in this world since that day, or left one."""
        rows = Enrolment.objects.order_by("enrolled_on", "pk").values_list(
            "lease_id", "tenant_id", "playbook__code", "cycle", "enrolled_on", "left_on", "left_because"
        )
        return [
            each
            for row in rows
            if (each := Following(*row)).enrolled_on >= since or (each.left_on or date.min) >= since
        ]

    def _lay_down(self) -> None:
        setting = self.setting
        rule = None if setting.rule is None else json.dumps(setting.rule)
        for table, sql in DEFINED.items():
            self.world.show(
                table,
                sql,
                defined_at=setting.defined_at or self.clock,
                rule=rule,
                asked=setting.playbook.pk if setting.playbook else None,
                as_now=setting.defined_at is not None,
            )

    def _move_to(self, moment: datetime) -> None:
        self.clock = max(self.clock, moment)
        if self.setting.goes_on:
            self.world.know(self.clock)
            self._lay_down()

    def _send(self, due: list[Message], at: datetime) -> None:
        # One channel after the other, as claims are: what went by the first counts against the tenant's budget.
        going_on = []
        for channel in sorted({message.channel for message in due}):
            those = [message for message in due if message.channel == channel]
            verdicts = rules.judge([message.pk for message in those], channel=channel, now=at)
            for message in those:
                state, reason, until = verdicts.get(message.pk, (Message.State.ACCEPTED, "", None))
                row = Message.objects.filter(pk=message.pk)
                if state == "next":
                    message.channel, *message.route = message.route
                    row.update(channel=message.channel, route=message.route, reason=reason, changed_at=at)
                    going_on.append(message)
                elif state == "later":
                    row.update(not_before=until, reason=reason, changed_at=at)
                else:
                    sent_at = at if state == Message.State.ACCEPTED else None
                    row.update(state=state, reason=reason, changed_at=at, sent_at=sent_at)
        if going_on:
            self._send(going_on, at)


@contextmanager
def rehearsal(setting: Setting) -> Iterator[Rehearsal]:
    """A world in which days are run as `setting` says; at the end all of it is undone."""
    with past.world(setting.at, basis=setting.basis) as world:
        yield Rehearsal(world, setting)


def decisions(*, since: datetime, until: datetime | None = None) -> list[Decision]:
    """What was decided or held back from `since` on, and before `until`: really, or in the world one is in."""
    rows = Push.objects.filter(created_at__gte=since).select_related("step__playbook", "message")
    if until:
        rows = rows.filter(Q(created_at__lt=until) | Q(first_at__lt=until))
    return [_decision(push, until) for push in rows.order_by("created_at", "lease", "step__code", "cycle")]


def _decision(push: Push, until: datetime | None) -> Decision:
    # What was decided after `until` was held back then.
    is_held = until is not None and push.created_at >= until
    message = None if is_held else push.message
    return Decision(
        lease=push.lease_id,
        tenant=push.tenant_id,
        playbook=push.step.playbook.code,
        step=push.step.code,
        said=push.said_id,
        cycle=push.cycle,
        due_on=push.due_on,
        decided_at=push.created_at,
        state=Push.State.HELD if is_held else message.state if message else push.state,
        reason=push.reason,
        fate=message.reason if message else "",
        text=message.text if message else "",
        sent_at=message.sent_at if message else None,
    )
