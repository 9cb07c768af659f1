"""Asking people, in workflow code: a request is recorded, committed to the ledger, decided or expired."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Literal

from temporalio import workflow

from interlock.approval import PendingApproval
from interlock.events import (
    ApprovalAdvanced,
    ApprovalExpired,
    ApprovalReminded,
    ApprovalRequested,
    CallRefused,
)
from interlock.graph import Drained
from interlock.run.context import RunContext
from interlock.run.joining import stopped
from interlock.run.proposal import call_digest
from interlock.run.steps import commit
from interlock.run.under_way import UnderWay
from interlock.types.access import Decision
from interlock.types.approval import ApprovalRequest, RequestKind
from interlock.types.call import ToolCall
from interlock.types.route import Route


async def ask_people(
    run: RunContext, asked: UnderWay, call: ToolCall, decision: Decision, *, kind: RequestKind
) -> PendingApproval:
    """Open a request on `call`, wait for its decision or its deadline, and return it closed. A request of this kind
    that `asked` names already is waited for instead.

    The request is committed before anybody can decide on it, so that the inbox is the ledger's.

    Raises:
        Drained: the run goes on in a new execution before anybody decided.
    """
    if kind not in asked.requests:
        asked.requests[kind] = await _opened(run, call, decision, kind)
    pending = run.approvals[asked.requests[kind]]
    if pending.open:
        try:
            await _closed(run, pending)
        except asyncio.CancelledError:
            if stopped():  # the run goes on without this branch: nobody's decision would have an effect
                await _withdraw(run, call, pending)
            raise
    return pending


async def _opened(run: RunContext, call: ToolCall, decision: Decision, kind: RequestKind) -> str:
    assert decision.route is not None, "the policy gives every ask its route"
    return await open_request(run, call, decision, kind, decision.route)


async def open_request(run: RunContext, call: ToolCall, decision: Decision, kind: RequestKind, route: Route) -> str:
    """Record and commit a request of `kind` on `call`; returns its id."""
    now = workflow.now()
    request = ApprovalRequest(
        request_id=run.next_request_id(),
        run=run.input.run,
        kind=kind,
        call_id=call.call_id,
        call_digest=call_digest(call),
        subject=call.arguments,
        rule=decision.rule,
        reason=decision.reason,
        route=route,
        requester=run.input.requester,
        requested_at=now,
        expires_at=route.stages[0].deadline(now),
    )
    run.approvals[request.request_id] = PendingApproval(request, run.input.tenant)
    _record(run, call, request)
    await commit(run.chain)
    return request.request_id


def _record(run: RunContext, call: ToolCall, request: ApprovalRequest) -> None:
    first = request.route.stages[0]
    run.chain.record(
        ApprovalRequested,
        request_id=request.request_id,
        about=request.kind,
        call_id=call.call_id,
        agent=call.agent,
        tool=call.tool,
        call_digest=request.call_digest,
        subject=request.subject,
        rule=request.rule,
        reason=request.reason,
        route=request.route.name,
        stage=first.name,
        approvers=first.approvers,
        quorum=first.quorum,
        expires_at=request.expires_at,
        ends_at=request.ends_at,
    )


def record_advance(run: RunContext, pending: PendingApproval, why: Literal["approved", "escalated"]) -> None:
    """Record that another stage decides now."""
    run.chain.record(
        ApprovalAdvanced,
        request_id=pending.request.request_id,
        why=why,
        stage=pending.stage.name,
        approvers=pending.deciders,
        quorum=pending.stage.quorum,
        expires_at=pending.deadline,
    )


async def _withdraw(run: RunContext, call: ToolCall, pending: PendingApproval) -> None:
    pending.withdraw()
    detail = "another step beside it failed"
    run.chain.record(
        CallRefused, call_id=call.call_id, agent=call.agent, tool=call.tool, by="cancelled", detail=detail
    )
    await commit(run.chain)


async def _closed(run: RunContext, pending: PendingApproval) -> None:
    """Wait until it is decided or expires, through its stages."""
    while pending.open and not (run.stopping or run.draining):
        place = pending.place

        def moved(place: int = place) -> bool:
            return run.stopping or run.draining or not pending.open or pending.place != place

        left = pending.next_moment - workflow.now()
        try:
            await workflow.wait_condition(moved, timeout=max(left, timedelta(0)))
        except TimeoutError:
            await lapsed(run, pending)
    if run.stopping:
        raise asyncio.CancelledError("the run is being cancelled")
    if pending.open:
        raise Drained
    if pending.state != "approved":
        # An approval is committed with the call that it lets run; every other end has no effect to ride on.
        await commit(run.chain)


async def reviewed(run: RunContext) -> None:
    """Wait until every emergency approval of the run is reviewed, or its reviewers' time has passed: nobody gets
    around a review by ending the run."""
    under_review = [one for one in run.approvals.values() if one.request.kind == "review" and one.open]
    if under_review:
        await commit(run.chain)  # reviewers see what the run did
    for pending in under_review:
        while pending.open:
            left = pending.next_moment - workflow.now()
            try:
                await workflow.wait_condition(lambda: not pending.open, timeout=max(left, timedelta(0)))  # noqa: B023
            except TimeoutError:
                await lapsed(run, pending)


async def lapsed(run: RunContext, pending: PendingApproval) -> None:
    """Record what the passing of time did to an open request."""
    request_id = pending.request.request_id
    match pending.lapse(workflow.now()):
        case "reminded":
            run.chain.record(ApprovalReminded, request_id=request_id, number=pending.reminded)
        case "escalated":
            record_advance(run, pending, "escalated")
        case "expired":
            run.chain.record(ApprovalExpired, request_id=request_id)
            return
        case None:
            return
    await commit(run.chain)  # people are told of it from the ledger
