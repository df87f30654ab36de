"""One push from the first look to the signature: what was decided, every try, what came back, and what persons did."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from campaigns.models import Enrolment, Push
from connectors import channels
from renewal.funnel import CARRIER
from renewal.models import Signature
from tenants import clock
from tenants.models import Attempt, Click, Decision, Lease, Link, Message, Receipt
from tenants.outbox import keeping

S = Message.State
# States whose reason says why they are final, or why it still waits.
CLOSED = {S.SUPPRESSED, S.CANCELLED, S.EXPIRED, S.FAILED, S.DEAD}


def story(push: Push) -> dict[str, Any]:
    """The push's `attempts`, `enrolment`, `next` lease, and its `moments`: `at`, `what`, `more`, `hue`, in order."""
    message = push.message
    attempts = keeping.tries_of([message])[message.pk] if message else []
    successor = Lease.objects.filter(renews=push.lease_id).exclude(state=Lease.State.VOID).first()
    moments = [*_decided(push), *(_messages(message, attempts) if message else []), *_signed(successor)]
    # Of one moment they stay as they are listed: what was decided before what came of it.
    moments.sort(key=lambda moment: moment["at"])
    enrolments = Enrolment.objects.filter(lease=push.lease_id, playbook=push.step.playbook_id, cycle=push.cycle)
    return {
        "attempts": attempts,
        "enrolment": enrolments.select_related("version").first(),
        "successor": successor,
        "moments": moments,
    }


def _moment(at: datetime, what: str, more: str = "", hue: str = "quiet") -> dict[str, Any]:
    return {"at": at, "what": what, "more": more, "hue": hue}


def _decided(push: Push) -> list[dict[str, Any]]:
    found = []
    if push.first_at and push.first_at < push.created_at:
        found.append(_moment(push.first_at, _("came due and was looked at first")))
    match push.state:
        case Push.State.HELD:
            found.append(_moment(push.created_at, _("held back"), push.reason, "waiting"))
        case Push.State.SUPPRESSED:
            found.append(_moment(push.created_at, _("decided against"), push.reason))
        case _:
            found.append(_moment(push.created_at, _("decided to send"), push.reason, "signed"))
    return found


def _messages(message: Message, attempts: list[Attempt]) -> list[dict[str, Any]]:
    found = [_moment(message.created_at, _("put into the outbox"), message.key)]
    for each in attempts:
        found.append(_moment(each.started_at, _("handed to %(channel)s") % {"channel": channels.title(each.channel)}))
        if each.finished_at:
            answer = " · ".join(filter(None, [channels.outcome_name(each.outcome), each.provider_ref, each.detail]))
            title = _("%(channel)s answered") % {"channel": channels.title(each.channel)}
            found.append(_moment(each.finished_at, title, answer, HUES.get(each.outcome, "waiting")))
    for receipt in Receipt.objects.filter(message=message):
        said = S(receipt.outcome).label if receipt.outcome in S.values else receipt.outcome
        hue = "signed" if receipt.outcome == S.DELIVERED else "alarm"
        title = _("receipt from %(channel)s: %(said)s") % {"channel": channels.title(receipt.channel), "said": said}
        found.append(_moment(receipt.said_at or receipt.received_at, title, receipt.detail, hue))
    for decision in Decision.objects.filter(message=message).select_related("by"):
        name = (decision.by.get_full_name() or decision.by.username) if decision.by else _("somebody")
        title = _("%(name)s decided: %(verdict)s") % {"name": name, "verdict": decision.get_verdict_display()}
        found.append(_moment(decision.at, title, decision.why, "waiting"))
    link = Link.objects.filter(carrier=f"{CARRIER}{message.key}").first()
    if link and (click := Click.objects.filter(link=link).first()):
        found.append(_moment(click.opened_at, _("the letter was opened")))
        if click.proven_at:
            by_code = click.proof == "code"
            proof = _("confirmed by a code") if by_code else _("by a person's gesture")
            found.append(_moment(click.proven_at, _("the opening is proven"), proof, "signed"))
    if message.state in CLOSED:
        found.append(_moment(message.changed_at, str(message.get_state_display()), message.reason, "leaving"))
    elif message.state == S.QUEUED:
        title = _("waits in the outbox until %(at)s") % {"at": _at(message.not_before)}
        found.append(_moment(message.changed_at, title, message.reason, "waiting"))
    elif message.state in {S.UNKNOWN, S.PARKED}:
        found.append(_moment(message.changed_at, str(message.get_state_display()), message.reason, "alarm"))
    return found


def _signed(successor: Lease | None) -> list[dict[str, Any]]:
    if successor is None:
        return []
    signatures = Signature.objects.filter(lease=successor).select_related("signer").order_by("signed_at")
    return [
        _moment(each.signed_at, _("%(name)s signed the next lease") % {"name": each.signer.name}, "", "signed")
        for each in signatures
    ]


HUES = {"accepted": "signed", "unknown": "alarm", "failed": "alarm", "no_recipient": "alarm", "stop": "alarm"}


def _at(moment: datetime) -> str:
    return f"{moment.astimezone(clock.SHANGHAI):%m-%d %H:%M}"
