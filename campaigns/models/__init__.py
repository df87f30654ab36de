"""Who hears what, when, and whether it worked, split by noun."""

from campaigns.models.tested import Arm, Assigned, Experiment, Look, Verdict
from campaigns.models.told import Enrolment, Playbook, PlaybookVersion, Push, Quiet, Release, Step, StepVersion
from campaigns.models.touched import Placement, Ticket, Touchpoint, TouchpointChange, TouchpointDay
from campaigns.models.who import ListChange, Listed, NameList, Segment, SegmentVersion

__all__ = [
    "Arm",
    "Assigned",
    "Enrolment",
    "Experiment",
    "ListChange",
    "Listed",
    "Look",
    "NameList",
    "Placement",
    "Playbook",
    "PlaybookVersion",
    "Push",
    "Quiet",
    "Release",
    "Segment",
    "SegmentVersion",
    "Step",
    "StepVersion",
    "Ticket",
    "Touchpoint",
    "TouchpointChange",
    "TouchpointDay",
    "Verdict",
]
