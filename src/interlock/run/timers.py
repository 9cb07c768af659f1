"""Waiting in workflow code: until something holds, for a time, or until a moment; it survives a new execution.

A deadline is fixed when a wait begins and is kept under the key of the workflow's step, so that a run which goes on
in a new execution waits for the rest of the time, not for all of it again.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from temporalio import workflow

from interlock.errors import InvalidInput
from interlock.graph import Drained
from interlock.run.context import RunContext

LONGEST_S: Final = 10 * 366 * 24 * 3600
"""Seconds that a wait may take at most: beyond ten years it is a mistake."""


async def sleep(run: RunContext, key: str, until: int | timedelta | datetime) -> None:
    """Wait some seconds, or until a moment.

    Raises:
        InvalidInput: a negative or absurd time, or one without a zone.
        CancelledError: the run is being cancelled.
        Drained: the run goes on in a new execution before that.
    """
    await wait(run, lambda: False, moment(run, key, until))


async def wait(run: RunContext, held: Callable[[], bool], deadline: datetime | None) -> bool:
    """Wait until `held` holds; False where the deadline passes first.

    Raises:
        CancelledError: the run is being cancelled.
        Drained: the run goes on in a new execution before that.
    """
    while not held():  # of several who wait for the same, all are woken, and the first may leave nothing
        left = None if deadline is None else max(deadline - workflow.now(), timedelta(0))
        try:
            await workflow.wait_condition(lambda: run.stopping or held() or run.draining, timeout=left)
        except TimeoutError:
            return held()
        if run.stopping:
            raise asyncio.CancelledError("the run is being cancelled")
        if run.draining and not held():
            raise Drained
    return True


def moment(run: RunContext, key: str, until: int | timedelta | datetime | None) -> datetime | None:
    """The deadline of the step `key`: as it was fixed first. None: there is none.

    Raises:
        InvalidInput: a negative or absurd time, or one without a zone.
    """
    if until is None:
        return None
    found = run.journal.states.setdefault(key, _fixed(until).isoformat())
    return datetime.fromisoformat(str(found))


def _fixed(until: int | timedelta | datetime) -> datetime:
    now = workflow.now()
    if isinstance(until, datetime):
        if until.tzinfo is None:
            raise InvalidInput(f"until: {until.isoformat()} has no time zone", next_step="give an aware datetime")
        if (until - now).total_seconds() > LONGEST_S:
            raise InvalidInput(f"until: {until.isoformat()} is more than ten years away")
        return until.astimezone(UTC)
    if isinstance(until, timedelta):
        until = math.ceil(until.total_seconds())
    if isinstance(until, bool) or not isinstance(until, int) or not 0 <= until <= LONGEST_S:
        raise InvalidInput(f"seconds: {until!r} is no whole number from 0 to {LONGEST_S}")
    return now + timedelta(seconds=until)
