"""模板: what is said on each channel, in versions that are only ever added to, and the forms a message goes out in.

The only writer of templates. A channel that sends approved templates alone gets {"template", "values"}; one that
takes our own words gets {"text"}, where a template was chosen for it at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from connectors.channels import kind
from tenants import filling, templatechecks
from tenants.filling import Field
from tenants.models import Message, Staff, Template, TemplateVersion, User
from tenants.outbox import Draft, post
from tenants.outbox.posting import STAFF, TENANTS
from tenants.shippedtemplates import TEMPLATES
from tenants.templatechecks import BadTemplate

__all__ = ["BadTemplate", "Filled", "Shelf", "fill", "forms_of_codes", "read", "save", "send_test", "shelf", "ship"]

MAX_NAME, MAX_NOTE = 80, 200
OF_CODES = "code"  # the template that one-time codes go by
Shelf = Mapping[tuple[str, str], TemplateVersion]  # (channel, code) → the version that is sent
TEST_LASTS = timedelta(hours=1)


@dataclass(slots=True)
class Filled:
    """The forms of a message, by channel, and why a channel that needs one has none."""

    forms: dict[str, dict[str, Any]] = field(default_factory=dict)
    lacking: list[str] = field(default_factory=list)


def needing() -> list[str]:
    """The channels in use that send nothing but approved templates."""
    return [name for name in settings.CHANNELS if kind(name).needs_template]


def shelf() -> dict[tuple[str, str], TemplateVersion]:
    """Of every template the version that is sent; one that no version may be sent of is not there."""
    needs = [name for name in templatechecks.channels() if kind(name).needs_template]
    rows = (
        TemplateVersion.objects.filter(~Q(template__channel__in=needs) | ~Q(provider_id=""))
        .select_related("template")
        .order_by("template", "-number")
        .distinct("template")
    )
    return {(row.template.channel, row.template.code): row for row in rows}


def fields_of(version: TemplateVersion) -> list[Field]:
    return [Field(**each) for each in version.fields]


def read(version: TemplateVersion, values: Mapping[str, str]) -> str:
    """The text as somebody reads it."""
    said = filling.said(fields_of(version), values)
    return filling.compose(version.text, templatechecks.fixed() | said)


def form(version: TemplateVersion, values: Mapping[str, str]) -> dict[str, Any]:
    """What the outbox needs to send by this template."""
    if kind(version.template.channel).needs_template:
        return {"template": version.provider_id, "values": filling.said(fields_of(version), values)}
    return {"text": read(version, values)}


def fill(chosen: Mapping[str, str], values: Mapping[str, str], *, klass: str, standing: Shelf) -> Filled:
    """The forms of a message to a tenant. `chosen`: channel → code of a template; `values` as in `VALUES`."""
    found = Filled()
    for channel in settings.CHANNELS:
        way = kind(channel)
        if klass not in way.carries or way.reaches not in TENANTS:
            continue
        code = chosen.get(channel, "")
        version = standing.get((channel, code)) if code else None
        if version and version.template.klass == klass:
            found.forms[channel] = form(version, values)
        elif code and version:
            found.lacking.append(_("%(channel)s: the template is for another class") % {"channel": channel})
        elif code and way.needs_template:
            found.lacking.append(_("%(channel)s: the template is not approved") % {"channel": channel})
        elif way.needs_template:
            found.lacking.append(_("%(channel)s: no template is chosen") % {"channel": channel})
    return found


def forms_by(code: str, values: Mapping[str, str], *, klass: str, standing: Shelf) -> dict[str, dict[str, Any]]:
    """The forms of a message that goes by the template of one code wherever a channel needs one."""
    return fill(dict.fromkeys(needing(), code), values, klass=klass, standing=standing).forms


def forms_of_codes() -> dict[str, dict[str, Any]]:
    """The forms of a one-time code: the templates called "code". Its digits come into being as it leaves."""
    if not needing():
        return {}
    return forms_by(OF_CODES, {"code": filling.CODE}, klass=templatechecks.CODE, standing=shelf())


def unchoosable(channel: str, code: str, klass: str) -> str:
    """Why a message of this class cannot take this template, in one sentence; or nothing."""
    template = Template.objects.filter(channel=channel, code=code).first()
    if template is None:
        return _("There is no such template on the channel %(channel)s.") % {"channel": channel}
    if template.klass != klass:
        return _("The template “%(name)s” is for another class of message.") % {"name": template.name}
    if template.retired_at:
        return _("The template “%(name)s” is retired: choose another, or bring it back.") % {"name": template.name}
    return ""


# --- Writing -----------------------------------------------------------------------------------------------


def create(channel: str, code: str, *, klass: str, name: str, by: User | None, **given: Any) -> TemplateVersion:
    """A new template with its first version (`save` has the rest). Raises `BadTemplate`."""
    name, code = _named(name), code.strip()
    if not templatechecks.is_code(code):
        raise BadTemplate(_("A code is of small letters, digits and -, at most 40."), "code")
    facts = {"provider_id": given["provider_id"], "text": given["text"], "fields": given["fields"]}
    templatechecks.check(channel, klass, **facts)
    with transaction.atomic():
        template, is_new = Template.objects.get_or_create(
            channel=channel, code=code, defaults={"klass": klass, "name": name, "owner": by}
        )
        if not is_new:
            raise BadTemplate(_("There is a template of this code on this channel."), "code")
        return save(template.pk, by=by, seen=0, **given)


def save(
    template: int,
    *,
    provider_id: str,
    text: str,
    fields: list[dict[str, Any]],
    seen: int,
    by: User | None,
    now: datetime,
    note: str = "",
) -> TemplateVersion:
    """One more version. `seen`: the number of the newest one, as whoever saves has seen it. Raises `BadTemplate`."""
    with transaction.atomic():
        row = Template.objects.select_for_update().get(pk=template)
        if row.retired_at:
            raise BadTemplate(_("This template is retired: bring it back before it is changed."))
        newest = TemplateVersion.objects.filter(template=row).order_by("-number").first()
        if (newest.number if newest else 0) != seen:
            raise BadTemplate(_("Somebody has saved this template in the meantime. What you typed is kept here."))
        provider_id, text, found = templatechecks.check(
            row.channel, row.klass, provider_id=provider_id, text=text, fields=fields
        )
        if len(note) > MAX_NOTE:
            raise BadTemplate(_("A note has at most %(n)d characters.") % {"n": MAX_NOTE}, "note")
        return TemplateVersion.objects.create(
            template=row,
            number=seen + 1,
            provider_id=provider_id,
            text=text,
            fields=[asdict(each) for each in found],
            by=by,
            at=now,
            note=note,
        )


def rename(template: int, name: str) -> None:
    """The template is called so; its code, by which steps name it, stays. Raises `BadTemplate`."""
    Template.objects.filter(pk=template).update(name=_named(name))


def give(template: int, owner: int) -> None:
    """That member of staff looks after it from now on. Raises `BadTemplate`."""
    user = owners().filter(pk=owner).first()
    if user is None:
        raise BadTemplate(_("Only somebody of the staff who can sign in looks after a template."), "owner")
    Template.objects.filter(pk=template).update(owner=user)


def owners() -> QuerySet[User]:
    """Who may look after a template."""
    return User.objects.filter(is_staff=True, is_active=True).order_by("username")


@transaction.atomic
def retire(template: int, *, now: datetime) -> None:
    """No new step is offered it. Whether a playbook still needs it: `campaigns.retiring`. Raises `BadTemplate`."""
    row = Template.objects.select_for_update().get(pk=template)
    if row.klass == templatechecks.CODE and row.code == OF_CODES and row.channel in needing():
        raise BadTemplate(_("Codes go by this template on the channel %(channel)s.") % {"channel": row.channel})
    Template.objects.filter(pk=row.pk, retired_at=None).update(retired_at=now)


def bring_back(template: int) -> None:
    """Steps are offered it again."""
    Template.objects.filter(pk=template).update(retired_at=None)


def _named(name: str) -> str:
    name = " ".join(name.replace("\0", "").split())
    if not name or len(name) > MAX_NAME:
        raise BadTemplate(_("A name has from 1 to %(n)d characters.") % {"n": MAX_NAME}, "name")
    return name


def ship(*, now: datetime) -> None:
    """Every template that comes with the product exists; those that did stay as staff left them."""
    have = set(Template.objects.values_list("channel", "code"))
    for facts in TEMPLATES:
        if (facts["channel"], facts["code"]) not in have:
            create(**facts, provider_id="", by=None, now=now)


# --- A test ------------------------------------------------------------------------------------------------


def send_test(version: TemplateVersion, values: Mapping[str, str], *, to: User, nonce: str, now: datetime) -> Message:
    """The template goes to a member of staff, through the outbox, once per nonce. Raises `BadTemplate`."""
    channel = version.template.channel
    way = kind(channel)
    if channel not in settings.CHANNELS:
        raise BadTemplate(_("This installation does not use the channel %(channel)s.") % {"channel": channel})
    if way.reaches not in STAFF or Message.Class.STAFF not in way.carries:
        raise BadTemplate(_("The channel %(channel)s reaches tenants only.") % {"channel": channel})
    if way.needs_template and not version.provider_id:
        raise BadTemplate(_("The provider has not approved this version yet."))
    if not Staff.objects.filter(user=to).exists():
        raise BadTemplate(_("You have no number here: have one put into your staff record first."))
    draft = Draft(
        key=f"test:{version.pk}:{to.pk}:{nonce}"[:120],
        klass=Message.Class.STAFF,
        user_id=to.pk,
        text=_("(Test) %(text)s") % {"text": read(version, values)},
        route=[channel],
        forms={channel: form(version, values)} if way.needs_template else {},
        deadline=now + TEST_LASTS,
    )
    return post(draft, now=now)
