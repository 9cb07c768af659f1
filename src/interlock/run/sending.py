"""Sending a signal to a run, in the name of an authenticated person."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import JsonValue
from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError
from temporalio.service import RPCError, RPCStatusCode

from interlock.approval import SIGNAL_LIFE, SignalClaims, lifetime
from interlock.run.contracts import SignalInput, SignalOutput
from interlock.run.signal_values import check_fits
from interlock.signing import Signer

TRIES: Final = 40
PAUSE_S: Final = 0.25
"""A run that is just starting, or going on in a new execution, takes signals in a moment."""


def statement(api: Signer, *, tenant: str, by: str, run: str, name: str, value: JsonValue) -> SignalInput:
    """The signed signal.

    Raises:
        InvalidInput: the value has no canonical form, or is too large.
    """
    claims = SignalClaims(
        tenant=tenant,
        sub=by,
        run=run,
        name=name,
        value=check_fits(name, {}, value),
        **lifetime(datetime.now(UTC), SIGNAL_LIFE),
    )
    return SignalInput(token=claims.signed(api), value=value)


async def send(handle: WorkflowHandle[Any, Any], signal: SignalInput) -> SignalOutput:
    """Send it, and again for a while where the run cannot take it yet.

    Raises:
        WorkflowUpdateFailedError, RPCError: it was refused; the run is not open, or Temporal does not answer.
    """
    for left in reversed(range(TRIES)):
        try:
            became: SignalOutput = await handle.execute_update("signal", signal, result_type=SignalOutput)
            return became
        except (WorkflowUpdateFailedError, RPCError) as error:
            if not left or not _passes(error):
                raise
            await asyncio.sleep(PAUSE_S)
    raise AssertionError("unreachable")


def _passes(error: WorkflowUpdateFailedError | RPCError) -> bool:
    """Whether the same signal may be taken in a moment: nothing of it was written."""
    if isinstance(error, RPCError):  # a worker that has much to do failed the task before; it is tried again
        return error.status == RPCStatusCode.FAILED_PRECONDITION
    return getattr(error.cause, "type", None) == "Unreachable"
