"""The ledger (the only writer of events), the blob store, checkpoints, and the verification of both."""

from interlock.audit.blobs import SqlBlobs
from interlock.audit.checkpoint import verify_checkpoint
from interlock.audit.ledger import Ledger
from interlock.audit.opening import make_data_keys, open_blobs
from interlock.audit.rewrapping import Rotation, rotate
from interlock.audit.rows import (
    Alarm,
    ApprovalRow,
    CallRow,
    Checkpoint,
    Finding,
    GrantRow,
    GrantUse,
    HandOffRow,
    Head,
    Reservation,
    ReserveOutcome,
    RunRow,
    RunStatus,
    VoteRow,
)
from interlock.audit.run_blobs import RunBlobs
from interlock.audit.run_keys import RunKeys
from interlock.audit.verify import verify_run

__all__ = [
    "Alarm",
    "ApprovalRow",
    "CallRow",
    "Checkpoint",
    "Finding",
    "GrantRow",
    "GrantUse",
    "HandOffRow",
    "Head",
    "Ledger",
    "Reservation",
    "ReserveOutcome",
    "Rotation",
    "RunBlobs",
    "RunKeys",
    "RunRow",
    "RunStatus",
    "SqlBlobs",
    "VoteRow",
    "make_data_keys",
    "open_blobs",
    "rotate",
    "verify_checkpoint",
    "verify_run",
]
