"""What governs every run, whatever its workflow does: it opens and ends the run, keeps its chain and takes people's
word as Temporal updates, whose validators check signed statements. When the history is long, it goes on in a new
execution.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any, ClassVar, Literal

from pydantic import BaseModel
from temporalio import workflow as temporal
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception

from interlock.approval import AmendClaims, ApprovalClaims, ControlClaims, PendingApproval
from interlock.approval.grants import GrantClaims, check_grant
from interlock.digest import digest_of
from interlock.errors import Conflict, InterlockError, InvalidInput, Refused
from interlock.events import (
    ApprovalDecided,
    ApprovalReassigned,
    ApprovalWithdrawn,
    GrantMade,
    RunCancelled,
    RunEnded,
    RunPaused,
    RunResumed,
    RunStarted,
)
from interlock.graph import AgentOutcome
from interlock.run.asking import record_advance, reviewed
from interlock.run.authority import api_verifier
from interlock.run.carried import Carried
from interlock.run.chain import Chain
from interlock.run.context import RunContext
from interlock.run.contracts import (
    AmendInput,
    ControlInput,
    GrantInput,
    GrantOutput,
    OpenRun,
    RunInput,
    RunOutcome,
    RunState,
    SignalInput,
    SignalOutput,
    VoteInput,
    VoteOutput,
)
from interlock.run.delegation import start_fields, within
from interlock.run.hand_off import CHILD_ENDED, wake_parent
from interlock.run.joining import stopped
from interlock.run.marking import WorkflowMark
from interlock.run.proposal import set_aside
from interlock.run.question import check_answer
from interlock.run.signals import check, take
from interlock.run.steps import commit, open_run

Status = Literal["completed", "failed", "cancelled"]


class GovernedRun:
    """One run, in the workflow that Temporal executes."""

    __interlock_workflow__: ClassVar[WorkflowMark]
    input_model: ClassVar[type[BaseModel] | None] = None
    signal_models: ClassVar[dict[str, type[BaseModel] | None]] = {}
    run: ClassVar[Callable[..., Any]]

    @temporal.init
    def __init__(self, request: RunInput) -> None:
        if request.carried is None:
            self._context = RunContext(request, Chain(request.run), workspace=request.workspace)
            self._record_start(request)
        else:
            self._context = Carried.model_validate(request.carried).restored(request)
        self._body: asyncio.Task[AgentOutcome | None] | None = None

    async def steps(self, task: Any) -> AgentOutcome | None:
        """What the workflow does. `task` is the run's input, as the decorator's `input` model if it has one.

        A run goes on in new executions of the workflow while it is long: this method then runs from its beginning,
        and whatever it did through `self` and ended gives what it gave. So let it depend on nothing else.
        """
        raise NotImplementedError

    async def govern(self, request: RunInput) -> RunOutcome:
        """The body of every governed run: open, steps, end; nothing ends it without a last event."""
        run = self._context
        self._body = asyncio.create_task(self._opened(request))
        outcome, detail, cancelled = None, "", False
        status: Status = "completed"
        try:
            while await self._drained(self._body):
                await self._go_on(request, self._body)
            outcome = await self._body
            if outcome is not None and outcome.status == "failed":
                status, detail = "failed", outcome.detail
        except temporal.ContinueAsNewError:
            raise
        except BaseException as error:
            if self._evicted(error):
                raise
            cancelled = is_cancelled_exception(error) and not run.controls.cancelled
            status = "cancelled" if is_cancelled_exception(error) or run.stopping else "failed"
            detail = "" if status == "cancelled" else words_of(error)
        # In a task of its own: whoever cancels through Temporal now neither cuts the record nor evades a review.
        ended = await self._whatever_comes(asyncio.create_task(self._close(status, outcome, detail)))
        if cancelled:
            raise asyncio.CancelledError
        if ended.status == "failed":
            raise ApplicationError(
                ended.detail, ended.model_dump(mode="json"), type="RunFailed", non_retryable=True
            )
        return ended

    async def _close(self, status: Status, outcome: AgentOutcome | None, detail: str) -> RunOutcome:
        """Settle what is under way, wait for reviews, and record the end."""
        run = self._context
        # Whatever was begun or accepted is recorded before the last event, never after it.
        await run.settled()
        await reviewed(run)
        await temporal.wait_condition(temporal.all_handlers_finished)
        if run.controls.cancelled:  # whatever else came of it: of a killed executor's call it is a failure
            status, detail = "cancelled", ""
        if status == "cancelled" and not run.controls.cancelled:
            run.chain.record(RunCancelled, by="temporal", reason="cancelled through Temporal, which proves nobody")
        return await self._end(status, outcome, detail)

    async def _whatever_comes(self, closing: asyncio.Task[RunOutcome]) -> RunOutcome:
        """Wait for the end through a cancellation."""
        while not closing.done():
            try:
                await asyncio.shield(closing)
            except asyncio.CancelledError:
                if temporal.cancellation_reason() is None:  # it only leaves the worker's cache
                    raise
        return closing.result()

    async def _drained(self, body: asyncio.Task[Any]) -> bool:
        """Wait for the end of the steps, or until the run goes on in a new execution: then everything that was
        under way has stopped, and nobody's word is being taken."""
        run = self._context

        def stopped() -> bool:
            return run.draining and run.journal.drained and not run.in_flight and temporal.all_handlers_finished()

        try:
            await temporal.wait_condition(lambda: body.done() or (stopped() and not run.stopping))
        except asyncio.CancelledError:
            body.cancel()
            await body
        return not body.done()

    async def _go_on(self, request: RunInput, body: asyncio.Task[Any]) -> None:
        """Go on in a new execution; returns where somebody cancelled the run in this moment.

        Raises:
            ContinueAsNewError: ends this execution.
        """
        run = self._context
        await set_aside(run, 1)  # what is carried is in the history twice
        while run.chain.pending:  # words that are taken meanwhile are recorded, too
            await commit(run.chain)
            await temporal.wait_condition(temporal.all_handlers_finished)
        if not body.done():
            carried = Carried.of(run).model_dump(mode="json")
            temporal.continue_as_new(
                request.model_copy(update={"carried": carried}),
                # Where builds are told apart, it goes on with the current one.
                initial_versioning_behavior=temporal.ContinueAsNewVersioningBehavior.AUTO_UPGRADE,
            )

    @temporal.update(name="vote")
    async def vote(self, decision: VoteInput) -> VoteOutput:
        """Take a person's decision; the validator has checked it."""
        claims = ApprovalClaims.peek(decision.token)
        run, pending = self._pending(claims)
        if not pending.open:  # somebody's decision was accepted in the same breath
            raise ApplicationError(f"{pending.request.request_id} was decided", type="Conflict", non_retryable=True)
        place = pending.place
        closes = pending.take(claims, decision.token, temporal.now())
        run.chain.record(
            ApprovalDecided,
            request_id=claims.request,
            verdict=claims.verdict,
            approver=claims.sub,
            token=decision.token,
            message=claims.message,
            edited=claims.edited,
            closes=closes,
            stage=claims.stage,
            seat=claims.seat,
            emergency=claims.emergency,
        )
        if pending.place != place:
            record_advance(run, pending, "approved")
        if not closes:  # the next person sees it, although nothing runs on it yet
            await commit(run.chain)
        return VoteOutput(request_id=claims.request, state=pending.state, closes=closes)

    @vote.validator
    def _check_vote(self, decision: VoteInput) -> None:
        claims = ApprovalClaims.read(api_verifier(), decision.token, now=temporal.now())
        self._pending(claims)[1].check(claims, temporal.now())
        check_answer(self._context, claims)

    @temporal.update(name="amend")
    async def amend(self, amendment: AmendInput) -> VoteOutput:
        """Withdraw a request, or hand a decision on; the validator has checked who asks."""
        claims = AmendClaims.peek(amendment.token)
        run, pending = self._pending(claims)
        try:
            pending.check_amendment(claims, temporal.now())
        except InterlockError as error:  # another statement was accepted in the same breath
            raise ApplicationError(str(error), type=type(error).__name__, non_retryable=True) from error
        pending.amend(claims)
        said = {"request_id": claims.request, "by": claims.sub, "token": amendment.token, "reason": claims.reason}
        if claims.verb == "withdraw":
            run.chain.record(ApprovalWithdrawn, **said)
        else:
            run.chain.record(ApprovalReassigned, to=claims.to, **said)
        await commit(run.chain)
        return VoteOutput(request_id=claims.request, state=pending.state, closes=not pending.open)

    @amend.validator
    def _check_amend(self, amendment: AmendInput) -> None:
        claims = AmendClaims.read(api_verifier(), amendment.token, now=temporal.now())
        self._pending(claims)[1].check_amendment(claims, temporal.now())

    @temporal.update(name="grant")
    async def grant(self, grant: GrantInput) -> GrantOutput:
        """Take a standing grant; the validator has checked who gives it, and that the route lets them."""
        claims = GrantClaims.peek(grant.token)
        run, _ = self._pending(claims)
        run.chain.record(
            GrantMade,
            grant=claims.jti,
            request_id=claims.request,
            by=claims.sub,
            agent=claims.agent,
            tool=claims.tool,
            token=grant.token,
        )
        await commit(run.chain)
        return GrantOutput(grant=claims.jti)

    @grant.validator
    def _check_grant(self, grant: GrantInput) -> None:
        claims = GrantClaims.read(api_verifier(), grant.token, now=temporal.now())
        run, pending = self._pending(claims)
        check_grant(claims, pending)
        if not run.asks_about(claims.call, agent=claims.agent, tool=claims.tool):
            raise Refused("the grant names another agent or tool than the call that waits")

    @temporal.update(name="control")
    async def control(self, control: ControlInput) -> RunState:
        """Pause, resume or cancel; the validator has checked who asks."""
        run, claims = self._context, ControlClaims.peek(control.token)
        try:
            self._controllable(claims)
        except InterlockError as error:  # another statement was accepted in the same breath
            raise ApplicationError(str(error), type=type(error).__name__, non_retryable=True) from error
        run.controls.take(claims)
        if claims.verb == "cancel":
            run.stopping = True
            run.chain.record(RunCancelled, by=claims.sub, token=control.token, reason=claims.reason)
            if self._body is not None:
                self._body.cancel()
        else:
            run.chain.record(RunPaused if run.paused else RunResumed, by=claims.sub, token=control.token)
            await commit(run.chain)
        return self.state()

    @control.validator
    def _check_control(self, control: ControlInput) -> None:
        self._controllable(ControlClaims.read(api_verifier(), control.token, now=temporal.now()))

    def _controllable(self, claims: ControlClaims) -> None:
        run = self._context
        if run.stopping:
            over = "the run is being cancelled" if run.controls.cancelled else "the run has come to its end"
            raise Conflict(over)
        run.controls.check(claims, run=run.input.run, tenant=run.input.tenant)

    @temporal.signal(name=CHILD_ENDED)
    def _child_ended(self, child: str) -> None:
        """Somebody says that a run to which work was handed on has ended: reason to look, and no more."""
        self._context.hand_offs.woke(child)

    @temporal.update(name="signal")
    async def _signal(self, signal: SignalInput) -> SignalOutput:
        """Take what a person sends; the validator has checked it."""
        return await take(self._context, signal)

    @_signal.validator
    def _check_signal(self, signal: SignalInput) -> None:
        check(self._context, signal)

    @temporal.query(name="state")
    def state(self) -> RunState:
        """Where the run stands, uncommitted events included."""
        run = self._context
        waiting = run.open_requests()
        status: Literal["running", "paused", "waiting", "ended"] = "waiting" if waiting else "running"
        if run.paused:
            status = "paused"
        if self._body is not None and self._body.done():
            status = "ended"
        return RunState(
            status=status, waiting_for=waiting, events=run.chain.seq, uncommitted=len(run.chain.pending)
        )

    # -- parts ---------------------------------------------------------------------------------------------

    def _pending(self, claims: ApprovalClaims | AmendClaims | GrantClaims) -> tuple[RunContext, PendingApproval]:
        run = self._context
        pending = run.approvals.get(claims.request)
        if pending is None and run.was_opened(claims.request):
            raise Conflict(f"{claims.request} was decided, or has expired")
        if pending is None:
            raise InvalidInput(f"run {run.input.run!r} has no request {claims.request!r}")
        return run, pending

    def _evicted(self, error: BaseException) -> bool:
        """Whether this instance only leaves the worker's cache: then the run goes on elsewhere, and records
        nothing here."""
        if is_cancelled_exception(error):
            return not (self._context.stopping or stopped() or temporal.cancellation_reason() is not None)
        return not isinstance(error, Exception)

    def _record_start(self, request: RunInput) -> None:
        self._context.chain.record(
            RunStarted,
            tenant=request.tenant,
            workflow=request.workflow,
            requester=request.requester,
            requester_token=request.requester_token,
            manifest=request.manifest,
            input=digest_of(request.input),
            workspace=request.workspace,
            **start_fields(request.requester_token),
        )

    async def _opened(self, request: RunInput) -> AgentOutcome | None:
        run = self._context
        if request.carried is None:
            facts = await open_run(
                OpenRun(manifest=request.manifest, workflow=request.workflow, input=request.input)
            )
            run.facts = within(facts, request.requester_token)
        run.opened = True
        model = type(self).input_model
        outcome = await self.steps(model.model_validate(request.input) if model else request.input)
        if outcome is not None and not isinstance(outcome, AgentOutcome):
            kind = type(outcome).__name__
            raise InvalidInput(f"steps of workflow {request.workflow!r} returned {kind}, not AgentOutcome or None")
        return outcome

    async def _end(self, status: Status, outcome: AgentOutcome | None, detail: str) -> RunOutcome:
        run = self._context
        result = outcome.result if outcome is not None else ""
        run.chain.record(
            RunEnded,
            status=status,
            result=result,
            workspace=run.workspace,
            detail=detail[:2000],
            count=run.chain.seq + 1,
        )
        await asyncio.shield(commit(run.chain, final=True))
        await wake_parent(run)
        return RunOutcome(
            run=run.input.run,
            status=status,
            result=result,
            workspace=run.workspace,
            detail=detail,
            events=run.chain.seq,
            head=run.chain.head,
        )


def words_of(error: BaseException) -> str:
    """What went wrong, in words, without the wrapping that activities add."""
    while isinstance(error, FailureError) and error.cause is not None:
        error = error.cause
    text = str(error) if isinstance(error, (InterlockError, FailureError)) else f"{type(error).__name__}: {error}"
    return re.sub(r"\s+\n", "\n", text).strip() or type(error).__name__
