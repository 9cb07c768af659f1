"""The ledger (the only writer of events), the blob store, checkpoints, and the verification of both."""

from interlock.audit.blobs import SqlBlobs
from interlock.audit.checkpoint import verify_checkpoint
from interlock.audit.ledger import Ledger
from interlock.audit.rows import (
    Alarm,
    ApprovalRow,
    CallRow,
    Checkpoint,
    Finding,
    Head,
    Reservation,
    ReserveOutcome,
    RunRow,
    RunStatus,
    VoteRow,
)
from interlock.audit.verify import verify_run

__all__ = [
    "Alarm",
    "ApprovalRow",
    "CallRow",
    "Checkpoint",
    "Finding",
    "Head",
    "Ledger",
    "Reservation",
    "ReserveOutcome",
    "RunRow",
    "RunStatus",
    "SqlBlobs",
    "VoteRow",
    "verify_checkpoint",
    "verify_run",
]
