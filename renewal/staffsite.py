"""Navigation and colours of the staff site, as django-unfold wants them. Read by settings."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

PEOPLE = "tenants.desk.may_see_people"  # who sees tenants; technicians do not
HQ = "tenants.desk.may_run_the_house"
DECIDES = "tenants.desk.may_decide_contracts"

# Paper and ink of static/tokens.css; the tokens themselves colour what is ours.
BASE = {
    "50": "#fbfaf6",
    "100": "#f4f2eb",
    "200": "#e3e0d8",
    "300": "#cdc9be",
    "400": "#8b9197",
    "500": "#6a737c",
    "600": "#59636e",
    "700": "#3a424a",
    "800": "#2a3036",
    "900": "#14181c",
    "950": "#0e1114",
}
RAMP = {
    "50": "5%, white",
    "100": "11%, white",
    "200": "24%, white",
    "300": "44%, white",
    "400": "62%, white",
    "500": "72%, white",
    "600": "100%, white",
    "700": "84%, black",
    "800": "70%, black",
    "900": "56%, black",
    "950": "38%, black",
}


def unfold(operator: str, brand: str) -> dict[str, Any]:
    """The staff site of an operator, in the order of the day."""
    return {
        "SITE_TITLE": operator,
        "SITE_HEADER": operator,
        "SITE_SUBHEADER": _("Renewal care"),
        "SITE_SYMBOL": "other_houses",
        "SITE_URL": None,
        "SHOW_HISTORY": False,
        "SHOW_VIEW_ON_SITE": False,
        "SHOW_LANGUAGES": True,
        "BORDER_RADIUS": "8px",
        "SITE_FAVICONS": [
            {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("staff/mark.svg")},
        ],
        "STYLES": [lambda request: static("tokens.css"), lambda request: static("staff/staff.css")],
        "SCRIPTS": [lambda request: static("staff/staff.js")],
        "GLOBAL_CALLBACK": "renewal.views.dashboard.everywhere",
        "DASHBOARD_CALLBACK": "renewal.views.dashboard.fill",
        "COLORS": {
            "base": BASE,
            "primary": {step: f"color-mix(in oklab, {brand} {share})" for step, share in RAMP.items()},
        },
        "SIDEBAR": {"show_search": False, "navigation": [{"items": _entries()}]},
        "TABS": [
            _tabs(
                ("staff-cases", _("Cases"), PEOPLE),
                ("staff-batches", _("Batches"), PEOPLE),
                ("renewal.signature", _("Signatures"), PEOPLE),
                ("renewal.round", _("Signing together"), PEOPLE),
                ("renewal.filingtask", _("Filing"), PEOPLE),
                ("tenants.waitingcontract", _("Waiting contracts"), DECIDES),
                ("tenants.contractdecision", _("Decisions"), DECIDES),
                of="renewal.case",
            ),
            _tabs(
                ("staff-segments", _("Segments"), PEOPLE),
                ("staff-lists", _("Lists of names"), PEOPLE),
                ("staff-playbooks", _("Playbooks"), PEOPLE),
                ("staff-templates", _("Templates"), PEOPLE),
                ("staff-rehearsals", _("What if"), HQ),
                of="campaigns.playbook",
            ),
            _tabs(
                ("staff-moods", _("Moods"), PEOPLE),
                ("staff-surveys", _("Survey"), PEOPLE),
                of="tenants.survey",
            ),
            _tabs(
                ("staff-pushes", _("Pushes"), PEOPLE),
                ("tenants.message", _("Everything sent"), PEOPLE),
                ("staff-touchpoints", _("Touchpoints"), PEOPLE),
                of="campaigns.push",
            ),
            _tabs(
                ("staff-sources", _("Overview"), HQ),
                ("connectors.run", _("Runs"), HQ),
                ("staff-quarantine", _("Refused records"), HQ),
                ("connectors.landed", _("Not taken in yet"), HQ),
                ("connectors.inboundkey", _("Senders' keys"), HQ),
                ("tenants.waitingevent", _("Waiting events"), HQ),
            ),
            _tabs(
                ("tenants.building", _("Buildings"), PEOPLE),
                ("tenants.announcement", _("Announcements"), PEOPLE),
                ("staff-perks", _("Perks"), PEOPLE),
                ("staff-voucher", _("Vouchers"), PEOPLE),
                ("staff-rates", _("Rate card"), PEOPLE),
                ("renewal.rate", _("Published rents"), PEOPLE),
                ("tenants.user", _("Staff"), HQ),
                ("tenants.staff", _("Shifts and accounts"), HQ),
                ("tenants.membership", _("Memberships"), HQ),
                ("renewal.kpiday", _("Figures by day"), HQ),
                ("tenants.jobrun", _("Job runs"), HQ),
            ),
        ],
    }


def _entries() -> list[dict[str, Any]]:
    return [
        _entry(_("Today"), "today", "admin:index"),
        _entry(_("Renewal cases"), "assignment", "staff-cases", permission=PEOPLE),
        _entry(_("Tenants"), "group", "staff-tenants", permission=PEOPLE),
        _entry(_("Moods and survey"), "mood", "staff-moods", permission=PEOPLE),
        _entry(_("Segments and playbooks"), "account_tree", "staff-segments", permission=PEOPLE),
        _entry(_("Messages"), "sms", "staff-pushes", permission=PEOPLE),
        _entry(_("Experiments"), "science", "staff-experiments", permission=PEOPLE),
        _entry(_("Work orders"), "build", "admin:workorders_workorder_changelist"),
        _entry(_("Sources"), "database", "staff-sources", permission=HQ),
        _entry(_("Settings"), "tune", "admin:tenants_building_changelist", permission=PEOPLE),
    ]


def _entry(title: str | Promise, icon: str, url: str, **more: Any) -> dict[str, Any]:
    return {"title": title, "icon": icon, "link": reverse_lazy(url), **more}


def _tabs(*entries: tuple[str, str | Promise, str], of: str = "") -> dict[str, Any]:
    """Lists that answer one question, beside each other; each named as `app.model`, or a page by its address's name.

    Where all are pages, `of` names the model by which they ask for their tabs.
    """
    return {
        "models": [name for name, *_rest in entries if "." in name] + ([of] if of else []),
        "items": [
            {
                "title": title,
                "link": reverse_lazy(f"admin:{name.replace('.', '_')}_changelist" if "." in name else name),
                "permission": permission,
                # Not by address: one page would be below all of its own.
                **({} if "." in name else {"active": partial(_is_open, name)}),
            }
            for name, title, permission in entries
        ],
    }


def _is_open(name: str, request: HttpRequest) -> bool:
    """Whether the page is the one named so (staff-segments), below it, or about one of its rows (staff-segment-…)."""
    here = (request.resolver_match and request.resolver_match.url_name) or ""
    return f"{here}-".startswith((f"{name}-", f"{name.removesuffix('s')}-"))
