"""Approvals: signed decisions of people, the rules that judge them, the state machine, the card."""

from interlock.approval.amending import AmendClaims
from interlock.approval.controls import Controls
from interlock.approval.judge import Seats, check_quorum
from interlock.approval.schedules import LONGEST_LIFE, SCHEDULE_LIFE, SCHEDULE_PATTERN, ScheduleClaims, ScheduleName
from interlock.approval.signals import Signals
from interlock.approval.state import PendingApproval, Vote
from interlock.approval.tokens import (
    CONTROL_LIFE,
    REQUESTER_LIFE,
    SIGNAL_LIFE,
    ApprovalClaims,
    ControlClaims,
    DeputyClaims,
    ErasureClaims,
    RequesterClaims,
    SignalClaims,
    Statement,
    lifetime,
    lifetime_until,
)

__all__ = [
    "CONTROL_LIFE",
    "LONGEST_LIFE",
    "REQUESTER_LIFE",
    "SCHEDULE_LIFE",
    "SCHEDULE_PATTERN",
    "SIGNAL_LIFE",
    "AmendClaims",
    "ApprovalClaims",
    "ControlClaims",
    "Controls",
    "DeputyClaims",
    "ErasureClaims",
    "PendingApproval",
    "RequesterClaims",
    "ScheduleClaims",
    "ScheduleName",
    "Seats",
    "SignalClaims",
    "Signals",
    "Statement",
    "Vote",
    "check_quorum",
    "lifetime",
    "lifetime_until",
]
