"""The shared tenant model, split by noun."""

from tenants.models.decided import ContractDecision
from tenants.models.happened import DirtyTenant, DoorMonth, Event, Feature, TenantTag, WaitingEvent
from tenants.models.leased import Lease, LeaseRevision, LeaseTenant, WaitingContract
from tenants.models.owed import Grant, Perk
from tenants.models.ran import Clock, JobRun
from tenants.models.told import Attempt, Click, Link, Message, Pause
from tenants.models.where import Announcement, Building, Device, Flat, Unit
from tenants.models.who import Alias, Consent, Membership, Merge, Staff, Tenant, User

__all__ = [
    "Alias",
    "Announcement",
    "Attempt",
    "Building",
    "Click",
    "Clock",
    "Consent",
    "ContractDecision",
    "Device",
    "DirtyTenant",
    "DoorMonth",
    "Event",
    "Feature",
    "Flat",
    "Grant",
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
    "Staff",
    "Tenant",
    "TenantTag",
    "Unit",
    "User",
    "WaitingContract",
    "WaitingEvent",
]
