"""Asking people, in workflow code: a request is recorded, committed to the ledger, decided or expired."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import workflow

from interlock.approval import PendingApproval
from interlock.events import ApprovalExpired, ApprovalRequested, CallRefused
from interlock.graph import Drained
from interlock.run.context import RunContext
from interlock.run.joining import stopped
from interlock.run.proposal import call_digest
from interlock.run.steps import commit
from interlock.run.under_way import UnderWay
from interlock.types.access import Decision
from interlock.types.approval import ApprovalRequest, RequestKind
from interlock.types.call import ToolCall


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
        route=decision.route,
        requester=run.input.requester,
        requested_at=now,
        expires_at=now + timedelta(seconds=decision.route.expires_after_s),
    )
    run.approvals[request.request_id] = PendingApproval(request, run.input.tenant)
    _record(run, call, request)
    await commit(run.chain)
    return request.request_id


def _record(run: RunContext, call: ToolCall, request: ApprovalRequest) -> None:
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
        approvers=request.route.approvers,
        quorum=request.route.quorum,
        expires_at=request.expires_at,
    )


async def _withdraw(run: RunContext, call: ToolCall, pending: PendingApproval) -> None:
    pending.withdraw()
    detail = "another step beside it failed"
    run.chain.record(
        CallRefused, call_id=call.call_id, agent=call.agent, tool=call.tool, by="cancelled", detail=detail
    )
    await commit(run.chain)


async def _closed(run: RunContext, pending: PendingApproval) -> None:
    left = pending.request.expires_at - workflow.now()
    try:
        await workflow.wait_condition(
            lambda: run.stopping or run.draining or not pending.open, timeout=max(left, timedelta(0))
        )
    except TimeoutError:
        pending.expire()
        run.chain.record(ApprovalExpired, request_id=pending.request.request_id)
    if run.stopping:
        raise asyncio.CancelledError("the run is being cancelled")
    if pending.open:
        raise Drained
    if pending.state != "approved":
        # An approval is committed with the call that it lets run; every other end has no effect to ride on.
        await commit(run.chain)
