"""The shared tenant model, split by noun."""

from tenants.models.decided import ContractDecision
from tenants.models.felt import Asking, BillAsk, Survey
from tenants.models.happened import DirtyTenant, DoorMonth, Event, Feature, TenantTag, WaitingEvent
from tenants.models.leased import Lease, LeaseRevision, LeaseTenant, Promotion, WaitingContract
from tenants.models.owed import Grant, Perk, PerkChange
from tenants.models.ran import Clock, JobRun
from tenants.models.sending import Decision, Epoch, Holdout, Pause, Receipt, Switching, Throttle
from tenants.models.told import Attempt, Click, Link, Message
from tenants.models.where import Announcement, Building, Device, Flat, Unit
from tenants.models.who import (
    Alias,
    Consent,
    ConsentText,
    GeneralChoice,
    Membership,
    Merge,
    Preference,
    Staff,
    Tenant,
    User,
)
from tenants.models.worded import Template, TemplateVersion

__all__ = [
    "Alias",
    "Announcement",
    "Asking",
    "Attempt",
    "BillAsk",
    "Building",
    "Click",
    "Clock",
    "Consent",
    "ConsentText",
    "ContractDecision",
    "Decision",
    "Device",
    "DirtyTenant",
    "DoorMonth",
    "Epoch",
    "Event",
    "Feature",
    "Flat",
    "GeneralChoice",
    "Grant",
    "Holdout",
    "JobRun",
    "Lease",
    "LeaseRevision",
    "LeaseTenant",
    "Link",
    "Membership",
    "Merge",
    "Message",
    "Pause",
    "Perk",
    "PerkChange",
    "Preference",
    "Promotion",
    "Receipt",
    "Staff",
    "Survey",
    "Switching",
    "Template",
    "TemplateVersion",
    "Tenant",
    "TenantTag",
    "Throttle",
    "Unit",
    "User",
    "WaitingContract",
    "WaitingEvent",
]
