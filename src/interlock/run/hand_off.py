"""A hand-off in workflow code: the other run is started, waited for and, where nobody wants its work any more,
stopped.

Whatever wakes the wait is believed for nothing: how the other run ended, the executor takes from the ledger. The
other run goes on while this one goes on in a new execution of its workflow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import FailureError, WorkflowAlreadyStartedError

from interlock.graph import Drained
from interlock.run.context import RunContext
from interlock.run.contracts import AGENT_RUN, ExecuteOutput, HandedOn, RunInput, RunOutcome
from interlock.run.delegation import DelegationClaims, delegation_of
from interlock.run.handed_on import HandOffUnderWay
from interlock.run.joining import stopped

FIRST_LOOK: Final = timedelta(seconds=20)
LONGEST_PAUSE: Final = timedelta(minutes=10)
"""Between two looks at a run that says nothing; its end wakes the wait at once."""
STOPPING: Final = timedelta(seconds=60)
"""How long a run that is to stop may take before the hand-off ends without it."""
CHILD_ENDED: Final = "child_ended"

Ask = Callable[[bool], Awaitable[ExecuteOutput]]
"""Asks the executor what became of the hand-off; True: end it, whatever the other run does."""


async def handed_on(run: RunContext, ask: Ask) -> ExecuteOutput:
    """Have another run do a call's work; returns how the executor ended the call, or why it did not begin.

    Raises:
        Drained: this run goes on in a new execution, where the same call goes on to be waited for.
    """
    done = await _answer(run, ask)
    if done.handed_on is None:
        return done
    state = HandOffUnderWay(done.handed_on.run)
    run.hand_offs.under_way[state.child] = state
    waiting = asyncio.create_task(_waited(run, state, done.handed_on, ask))
    try:
        return await asyncio.shield(waiting)
    except asyncio.CancelledError:
        # The call's receipt is waited for, as that of any call that is stopped.
        state.unwanted = True
        return await waiting
    finally:
        run.hand_offs.under_way.pop(state.child, None)


async def _waited(run: RunContext, state: HandOffUnderWay, start: HandedOn, ask: Ask) -> ExecuteOutput:
    if start.input is not None and not _unwanted(run, state):
        state.handle = await _started(start)
    while not _unwanted(run, state):
        await _woken(run, state)
        gone, state.woken = state.gone, False
        done = await _answer(run, ask)
        if done.handed_on is None:
            return done
        if gone or await _vanished(state):
            return await _answer(run, ask, give_up=True)
    await _stop(state)
    return await _answer(run, ask, give_up=True)


async def _answer(run: RunContext, ask: Ask, *, give_up: bool = False) -> ExecuteOutput:
    async with run.hand_offs.asking:
        return await ask(give_up)


def _unwanted(run: RunContext, state: HandOffUnderWay) -> bool:
    return state.unwanted or run.stopping or stopped()


async def _started(start: HandedOn) -> asyncio.Future[Any] | None:
    claims = DelegationClaims.peek(start.delegation)
    request = RunInput(
        run=start.run,
        tenant=claims.tenant,
        workflow=claims.workflow,
        requester=claims.sub,
        requester_token=start.delegation,
        manifest=claims.manifest,
        input=start.input,
        workspace=claims.workspace,
    )
    try:
        return await workflow.start_child_workflow(
            AGENT_RUN,
            request,
            id=start.run,
            result_type=RunOutcome,
            # It outlives an execution of this workflow; whoever ends this run stops it.
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            static_summary=f"agent:{claims.agent}, for {claims.delegators[-1]}",
        )
    except WorkflowAlreadyStartedError:
        return None  # an execution before this one started it


async def _woken(run: RunContext, state: HandOffUnderWay) -> None:
    """Wait until it is worth asking the executor. Raises Drained."""

    def worth_it() -> bool:
        return state.woken or state.gone or _unwanted(run, state) or run.drains()

    pause = min(FIRST_LOOK * 2 ** min(state.looks, 10), LONGEST_PAUSE)
    state.looks += 1
    try:
        await workflow.wait_condition(worth_it, timeout=pause)
    except TimeoutError:
        return
    if run.draining and not (state.woken or state.gone or _unwanted(run, state)):
        raise Drained


async def _vanished(state: HandOffUnderWay) -> bool:
    """Whether Temporal knows no open workflow of the other run, though it has no end on record."""
    if state.handle is not None:
        return False
    try:
        await workflow.get_external_workflow_handle(state.child).signal(CHILD_ENDED, "")
    except FailureError:
        return True
    return False


async def _stop(state: HandOffUnderWay) -> None:
    """Have the other run stop, and give it the time to say so."""
    with suppress(FailureError, TimeoutError):  # the hand-off ends without it
        await workflow.get_external_workflow_handle(state.child).cancel()
        await workflow.wait_condition(lambda: state.gone or state.woken, timeout=STOPPING)


async def wake_parent(run: RunContext) -> None:
    """Say to the run that handed its work on that this one has ended. Nothing rests on it."""
    claims = delegation_of(run.input.requester_token)
    if claims is None:
        return
    with suppress(FailureError):  # it is over
        await workflow.get_external_workflow_handle(claims.parent).signal(CHILD_ENDED, run.input.run)
