"""Governed workflows: the base class, the decorator that content uses, and the built-in `agent_run`.

A team's workflow composes agent runs and questions; the base class governs every call in it, keeps the chain,
and takes decisions and controls from people as Temporal updates whose validators check signed statements.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
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
from interlock.graph import AgentOutcome, AgentTask, Drained, Stopped, drive
from interlock.run.authority import api_verifier
from interlock.run.carried import Carried
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
from interlock.run.delegation import start_fields, within
from interlock.run.gate import RunGate
from interlock.run.hand_off import CHILD_ENDED, wake_parent
from interlock.run.hand_off_step import hand_on
from interlock.run.joining import join, stopped
from interlock.run.proposal import set_aside
from interlock.run.question import put
from interlock.run.signals import SignalInput, SignalOutput, check, receive, take
from interlock.run.steps import commit, keep, open_run
from interlock.run.timers import sleep
from interlock.types.names import NAME_PATTERN

Status = Literal["completed", "failed", "cancelled"]
T = TypeVar("T")


@dataclass(frozen=True)
class WorkflowMark:
    """What the `workflow` decorator leaves on a class; the manifest is compiled from it."""

    name: str
    agents: tuple[str, ...]
    """The only agents that a run of it may act as; for `agent_run`, the one its input names."""
    description: str
    input_schema: dict[str, Any]
    signals: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What it listens to: name → JSON Schema of the value."""


class Workflow:
    """Base of every governed workflow. Override `steps`; decorate the class with `workflow`."""

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

    async def agent(self, name: str, task: JsonValue) -> AgentOutcome:
        """Run an agent to its end; its tools, prompt and limits are those that the run pins.

        Raises:
            Refused: the workflow did not name this agent.
        """
        run = self._context
        self._check_named(name)

        async def turn(key: str) -> JsonValue:
            return (await self._turn(name, task, key)).model_dump(mode="json")

        return AgentOutcome.model_validate(await run.journal.step("agent", [name, task], turn))

    async def ask(self, agent: str, question: JsonValue) -> JsonValue:
        """Ask a person, in the name of an agent; returns the answer's text."""
        run = self._context

        async def asked(key: str) -> JsonValue:
            return await put(run, agent, question, place=key)

        return await run.journal.step("ask", [agent, question], asked)

    async def hand_off(self, agent: str, to: str, task: JsonValue) -> AgentOutcome:
        """Hand work of an agent on to another, which does it in a run of its own: with no more permissions than the
        first, and with its own limits as far as the first one's reach. A rule must allow it.

        Args:
            agent: who hands it on.
            to: who is to do it; the agent's `hand_off` must name it.
            task: text, or an object.

        Returns:
            How it ended; `result` is the blob of its answer, `detail` why it was refused.

        Raises:
            Refused: the workflow does not name the agent that hands on.
        """
        run = self._context
        self._check_named(agent)

        async def handed_on(key: str) -> JsonValue:
            return (await hand_on(run, agent, to, task, place=key)).model_dump(mode="json")

        return AgentOutcome.model_validate(await run.journal.step("hand_off", [agent, to, task], handed_on))

    async def signal(self, name: str, *, timeout_s: int | None = None) -> Any:
        """Wait for the next signal of a name: its value, or an instance of the model that the decorator has for it.
        Signals are kept until they are asked for, and each is given once, the oldest first.

        Raises:
            TimedOut: none came within `timeout_s` seconds.
            InvalidInput: the decorator does not name it.
        """
        run = self._context

        async def received(key: str) -> JsonValue:
            return await receive(run, key, name, timeout_s)

        value = await run.journal.step("signal", [name, timeout_s], received)
        model = type(self).signal_models.get(name)
        return model.model_validate(value) if model else value

    async def sleep(self, until: int | timedelta | datetime) -> None:
        """Wait for some seconds, or until a moment (aware); over restarts of workers, too.

        Raises:
            InvalidInput: a negative or absurd time, or a moment without a zone.
        """
        run = self._context

        async def slept(key: str) -> JsonValue:
            await sleep(run, key, until)
            return None

        # A moment may be computed from the clock, which is another in a new execution: it does not name the step.
        await run.journal.step("sleep", None if isinstance(until, datetime) else str(until), slept)

    async def all(self, *steps: Awaitable[T]) -> list[T]:
        """Do steps side by side; what they give, in the order in which they are written here. The first that fails
        cancels the others, and is raised when all of them have ended."""
        return await join(*steps)

    # -- what the engine runs ------------------------------------------------------------------------------

    async def govern(self, request: RunInput) -> RunOutcome:
        """The body of every governed run: open, steps, end; nothing ends it without a last event."""
        run = self._context
        self._body = asyncio.create_task(self._opened(request))
        outcome, status, detail, cancelled = None, "completed", "", False
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
            raise Conflict("the run is being cancelled")
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

    def _check_named(self, agent: str) -> None:
        run = self._context
        if agent not in run.facts.agents:
            known = ", ".join(sorted(run.facts.agents))
            raise Refused(f"workflow {run.input.workflow!r} names no agent {agent!r}; it names {known or 'none'}")

    def _pending(self, claims: ApprovalClaims) -> tuple[RunContext, PendingApproval]:
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

    async def _turn(self, name: str, task: JsonValue, key: str) -> AgentOutcome:
        """An agent's turn, from its beginning or from where it stopped."""
        run, subject = self._context, f"agent:{name}"
        state = run.journal.states.get(key)
        if state is None:
            digest = await keep(task)
            run.chain.record(AgentStarted, agent=subject, task=digest, model=run.facts.agents[name].model)
        request = AgentTask(
            agent=name,
            run=run.input.run,
            manifest=run.input.manifest,
            task=task,
            context=run.facts.agents[name].context,
        )
        try:
            outcome = await drive(_graph(name), request, RunGate(run, key), state=state)
        except Stopped as stopped:
            run.journal.states[key] = stopped.state
            raise Drained from stopped
        except BaseException as error:
            if self._evicted(error):
                raise
            status = "cancelled" if is_cancelled_exception(error) else "failed"
            self._agent_finished(subject, status, AgentOutcome(status="failed", detail=_text(error)))
            raise
        run.forget(key)
        self._agent_finished(subject, outcome.status, outcome)
        return outcome

    def _agent_finished(self, subject: str, status: str, outcome: AgentOutcome) -> None:
        self._context.chain.record(
            AgentFinished,
            agent=subject,
            status=status,
            transcript=outcome.transcript,
            result=outcome.result,
            detail=outcome.detail[:2000],
        )

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


W = TypeVar("W", bound=type[Workflow])


def workflow(
    name: str,
    *,
    agents: list[str] | tuple[str, ...] = (),
    input: type[BaseModel] | None = None,
    signals: Mapping[str, type[BaseModel] | None] | None = None,
    sandboxed: bool = True,
) -> Callable[[W], W]:
    """Make a class in workflows/NAME.py a governed workflow.

    Args:
        name: how people start it; the file's name.
        agents: the agents that its runs may act as.
        input: model of its input; `steps` then gets an instance.
        signals: what its runs listen to, name → model of the value; None takes any value.
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
        cls.input_model, cls.signal_models = input, dict(signals or {})
        cls.__interlock_workflow__ = WorkflowMark(
            name, tuple(agents), (cls.__doc__ or "").strip(), _schema(input), _schemas(cls.signal_models)
        )
        return temporal.defn(cls, name=name, sandboxed=sandboxed)  # type: ignore[call-overload, no-any-return]

    return mark


def _schema(model: type[BaseModel] | None) -> dict[str, Any]:
    return model.model_json_schema() if model else {}


def _schemas(models: Mapping[str, type[BaseModel] | None]) -> dict[str, dict[str, Any]]:
    """Raises InvalidInput where a signal's name is none."""
    for name in models:
        if not re.match(NAME_PATTERN, name):
            raise InvalidInput(f"signal {name!r}: a name is lower-case letters, digits and _, at most 64 of them")
    return {name: _schema(model) for name, model in models.items()}


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
