"""Governed workflows: the base class, the decorator that content uses, and the built-in `agent_run`.

A team's workflow composes agent runs and questions; the base class governs every call in it, keeps the chain,
and takes decisions and controls from people as Temporal updates whose validators check signed statements.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, JsonValue
from temporalio import workflow as temporal
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception
from temporalio.langgraph import graph

from interlock.approval import ApprovalClaims, ControlClaims, PendingApproval
from interlock.digest import digest_of
from interlock.errors import Conflict, InterlockError, InvalidInput, Refused
from interlock.events import (
    AgentFinished,
    AgentStarted,
    ApprovalDecided,
    RunCancelled,
    RunEnded,
    RunPaused,
    RunResumed,
    RunStarted,
)
from interlock.graph import AgentOutcome, AgentTask, drive
from interlock.run.authority import api_verifier
from interlock.run.chain import Chain
from interlock.run.context import RunContext
from interlock.run.contracts import (
    AGENT_RUN,
    ControlInput,
    OpenRun,
    RunInput,
    RunOutcome,
    RunState,
    VoteInput,
    VoteOutput,
)
from interlock.run.gate import RunGate
from interlock.run.question import put
from interlock.run.steps import commit, keep, open_run

Status = Literal["completed", "failed", "cancelled"]


@dataclass(frozen=True)
class WorkflowMark:
    """What the `workflow` decorator leaves on a class; the manifest is compiled from it."""

    name: str
    agents: tuple[str, ...]
    """The only agents that a run of it may act as; for `agent_run`, the one its input names."""
    description: str
    input_schema: dict[str, Any]


class Workflow:
    """Base of every governed workflow. Override `steps`; decorate the class with `workflow`."""

    __interlock_workflow__: ClassVar[WorkflowMark]
    input_model: ClassVar[type[BaseModel] | None] = None
    run: ClassVar[Callable[..., Any]]

    def __init__(self) -> None:
        self._context: RunContext | None = None
        self._body: asyncio.Task[AgentOutcome | None] | None = None

    async def steps(self, task: Any) -> AgentOutcome | None:
        """What the workflow does. `task` is the run's input, as the decorator's `input` model if it has one."""
        raise NotImplementedError

    async def agent(self, name: str, task: JsonValue) -> AgentOutcome:
        """Run an agent to its end; its tools, prompt and limits are those that the run pins.

        Raises:
            Refused: the workflow did not name this agent.
        """
        run = self._running()
        if name not in run.facts.agents:
            known = ", ".join(sorted(run.facts.agents))
            raise Refused(f"workflow {run.input.workflow!r} names no agent {name!r}; it names {known or 'none'}")
        subject = f"agent:{name}"
        run.chain.record(AgentStarted, agent=subject, task=await keep(task), model=run.facts.agents[name].model)
        request = AgentTask(agent=name, run=run.input.run, manifest=run.input.manifest, task=task)
        try:
            outcome = await drive(_graph(name), request, RunGate(run))
        except BaseException as error:
            if self._evicted(error):
                raise
            status = "cancelled" if is_cancelled_exception(error) else "failed"
            self._agent_finished(subject, status, AgentOutcome(status="failed", detail=_text(error)))
            raise
        self._agent_finished(subject, outcome.status, outcome)
        return outcome

    async def ask(self, agent: str, question: JsonValue) -> JsonValue:
        """Ask a person, in the name of an agent; returns the answer's text."""
        return await put(self._running(), agent, question)

    # -- what the engine runs ------------------------------------------------------------------------------

    async def govern(self, request: RunInput) -> RunOutcome:
        """The body of every governed run: open, steps, end; nothing ends it without a last event."""
        run = self._context = RunContext(request, Chain(request.run), workspace=request.workspace)
        self._record_start(request)
        self._body = asyncio.create_task(self._opened(request))
        outcome, status, detail, cancelled = None, "completed", "", False
        try:
            outcome = await self._body
            if outcome is not None and outcome.status == "failed":
                status, detail = "failed", outcome.detail
        except BaseException as error:
            if self._evicted(error):
                raise
            cancelled = is_cancelled_exception(error) and not run.controls.cancelled
            status = "cancelled" if is_cancelled_exception(error) or run.stopping else "failed"
            detail = "" if status == "cancelled" else _text(error)
        # Whatever was begun or accepted is recorded before the last event, never after it.
        await run.settled()
        await asyncio.shield(temporal.wait_condition(temporal.all_handlers_finished))
        if run.controls.cancelled:  # whatever else came of it: of a killed executor's call it is a failure
            status, detail = "cancelled", ""
        if status == "cancelled" and not run.controls.cancelled:
            run.chain.record(RunCancelled, by="temporal", reason="cancelled through Temporal, which proves nobody")
        ended = await self._end(status, outcome, detail)  # type: ignore[arg-type]
        if cancelled:
            raise asyncio.CancelledError
        if status == "failed":
            raise ApplicationError(detail, ended.model_dump(mode="json"), type="RunFailed", non_retryable=True)
        return ended

    @temporal.update(name="vote")
    async def vote(self, decision: VoteInput) -> VoteOutput:
        """Take a person's decision; the validator has checked it."""
        claims = ApprovalClaims.peek(decision.token)
        run, pending = self._pending(claims)
        if not pending.open:  # somebody's decision was accepted in the same breath
            raise ApplicationError(f"{pending.request.request_id} was decided", type="Conflict", non_retryable=True)
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
        )
        return VoteOutput(request_id=claims.request, state=pending.state, closes=closes)

    @vote.validator
    def _check_vote(self, decision: VoteInput) -> None:
        claims = ApprovalClaims.read(api_verifier(), decision.token, now=temporal.now())
        self._pending(claims)[1].check(claims, temporal.now())

    @temporal.update(name="control")
    async def control(self, control: ControlInput) -> RunState:
        """Pause, resume or cancel; the validator has checked who asks."""
        run, claims = self._running(), ControlClaims.peek(control.token)
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
        run = self._running()
        if run.stopping:
            raise Conflict("the run is being cancelled")
        run.controls.check(claims, run=run.input.run, tenant=run.input.tenant)

    @temporal.query(name="state")
    def state(self) -> RunState:
        """Where the run stands, uncommitted events included."""
        run = self._running()
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

    def _running(self) -> RunContext:
        if self._context is None:
            raise Conflict("the run is only just starting", next_step="try again in a second")
        return self._context

    def _pending(self, claims: ApprovalClaims) -> tuple[RunContext, PendingApproval]:
        run = self._running()
        pending = run.approvals.get(claims.request)
        if pending is None:
            raise InvalidInput(f"run {run.input.run!r} has no request {claims.request!r}")
        return run, pending

    def _evicted(self, error: BaseException) -> bool:
        """Whether this instance only leaves the worker's cache: then the run goes on elsewhere, and records
        nothing here."""
        if is_cancelled_exception(error):
            return not self._running().stopping and temporal.cancellation_reason() is None
        return not isinstance(error, Exception)

    def _record_start(self, request: RunInput) -> None:
        self._running().chain.record(
            RunStarted,
            tenant=request.tenant,
            workflow=request.workflow,
            requester=request.requester,
            requester_token=request.requester_token,
            manifest=request.manifest,
            input=digest_of(request.input),
            workspace=request.workspace,
        )

    async def _opened(self, request: RunInput) -> AgentOutcome | None:
        run = self._running()
        run.facts = await open_run(
            OpenRun(manifest=request.manifest, workflow=request.workflow, input=request.input)
        )
        model = type(self).input_model
        outcome = await self.steps(model.model_validate(request.input) if model else request.input)
        if outcome is not None and not isinstance(outcome, AgentOutcome):
            kind = type(outcome).__name__
            raise InvalidInput(f"steps of workflow {request.workflow!r} returned {kind}, not AgentOutcome or None")
        return outcome

    def _agent_finished(self, subject: str, status: str, outcome: AgentOutcome) -> None:
        self._running().chain.record(
            AgentFinished,
            agent=subject,
            status=status,
            transcript=outcome.transcript,
            result=outcome.result,
            detail=outcome.detail[:2000],
        )

    async def _end(self, status: Status, outcome: AgentOutcome | None, detail: str) -> RunOutcome:
        run = self._running()
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
        return RunOutcome(
            run=run.input.run,
            status=status,
            result=result,
            workspace=run.workspace,
            detail=detail,
            events=run.chain.seq,
            head=run.chain.head,
        )


W = TypeVar("W", bound=type[Workflow])


def workflow(
    name: str,
    *,
    agents: list[str] | tuple[str, ...] = (),
    input: type[BaseModel] | None = None,
    sandboxed: bool = True,
) -> Callable[[W], W]:
    """Make a class in workflows/NAME.py a governed workflow.

    Args:
        name: how people start it; the file's name.
        agents: the agents that its runs may act as.
        input: model of its input; `steps` then gets an instance.
        sandboxed: import the module anew for each run, in Temporal's sandbox, which finds what would not
            replay. For code that is known to be deterministic, False saves a seventh of a run's time.
    """

    def mark(cls: W) -> W:
        # Temporal leaves out only a `self` without annotation when it reads which type the input has.
        async def run(self, request: RunInput) -> RunOutcome:  # type: ignore[no-untyped-def]
            outcome: RunOutcome = await self.govern(request)
            return outcome

        run.__qualname__, run.__module__ = f"{cls.__qualname__}.run", cls.__module__
        cls.run = temporal.run(run)
        cls.input_model = input
        cls.__interlock_workflow__ = WorkflowMark(
            name, tuple(agents), (cls.__doc__ or "").strip(), input.model_json_schema() if input else {}
        )
        return temporal.defn(cls, name=name, sandboxed=sandboxed)  # type: ignore[call-overload, no-any-return]

    return mark


class AgentRunInput(BaseModel, extra="forbid"):
    """Input of `agent_run`."""

    agent: str
    """Name of the agent."""
    task: JsonValue
    """Its task: text, or an object."""


@workflow(AGENT_RUN, input=AgentRunInput, sandboxed=False)
class AgentRun(Workflow):
    """Run one agent on one task."""

    async def steps(self, task: AgentRunInput) -> AgentOutcome:
        """The whole workflow."""
        return await self.agent(task.agent, task.task)


def _graph(name: str) -> Any:
    try:
        return graph(name)
    except KeyError as error:
        raise Refused(
            f"this graph worker does not have agent {name!r}, which the run pins",
            next_step="restart the graph worker: it loads agents/ when it starts",
        ) from error


def _text(error: BaseException) -> str:
    """What went wrong, in words, without the wrapping that activities add."""
    while isinstance(error, FailureError) and error.cause is not None:
        error = error.cause
    text = str(error) if isinstance(error, (InterlockError, FailureError)) else f"{type(error).__name__}: {error}"
    return re.sub(r"\s+\n", "\n", text).strip() or type(error).__name__
