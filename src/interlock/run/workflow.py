"""The base class of a team's workflow: what `steps` may do. Each step is governed, on record, and done once."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar, overload

from pydantic import BaseModel, JsonValue
from temporalio.exceptions import is_cancelled_exception
from temporalio.langgraph import graph

from interlock.errors import Refused
from interlock.events import (
    AgentFinished,
    AgentStarted,
)
from interlock.graph import AgentOutcome, AgentTask, Drained, Stopped
from interlock.graph.drive import drive
from interlock.run.answering import Expected, fitted
from interlock.run.gate import RunGate
from interlock.run.governed import GovernedRun, words_of
from interlock.run.hand_off_step import hand_on
from interlock.run.joining import join
from interlock.run.question import put
from interlock.run.signals import receive
from interlock.run.steps import keep
from interlock.run.timers import sleep

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


class Workflow(GovernedRun):
    """Base of every governed workflow. Override `steps`; decorate the class with `workflow`."""

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

    @overload
    async def ask(self, agent: str, question: JsonValue, *, choices: Sequence[str] | None = None) -> JsonValue: ...

    @overload
    async def ask(self, agent: str, question: JsonValue, *, answer: type[M]) -> M: ...

    async def ask(
        self,
        agent: str,
        question: JsonValue,
        *,
        choices: Sequence[str] | None = None,
        answer: type[BaseModel] | None = None,
    ) -> Any:
        """Ask a person, in the name of an agent. An answer that does not fit is refused when it is given.

        Args:
            agent: in whose name.
            question: text, or an object.
            choices: the only texts that are an answer.
            answer: model of the answer, which is then a JSON object.

        Returns:
            The answer's text, or an instance of the model.

        Raises:
            Refused: no rule routes it, nobody answered in time, or it was rejected.
            InvalidInput: the answer does not fit after all: the model was changed since it was given.
        """
        run, expected = self._context, Expected.of(choices, answer)

        async def asked(key: str) -> JsonValue:
            return await put(run, agent, question, place=key, expected=expected, model=answer)

        what = [agent, question, *([expected.arguments()] if expected.arguments() else [])]
        value = await run.journal.step("ask", what, asked)
        return fitted(answer, value) if answer else value

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

    # -- parts ---------------------------------------------------------------------------------------------

    def _check_named(self, agent: str) -> None:
        run = self._context
        if agent not in run.facts.agents:
            known = ", ".join(sorted(run.facts.agents))
            raise Refused(f"workflow {run.input.workflow!r} names no agent {agent!r}; it names {known or 'none'}")

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
            self._agent_finished(subject, status, AgentOutcome(status="failed", detail=words_of(error)))
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


def _graph(name: str) -> Any:
    try:
        return graph(name)
    except KeyError as error:
        raise Refused(
            f"this graph worker does not have agent {name!r}, which the run pins",
            next_step="restart the graph worker: it loads agents/ when it starts",
        ) from error
