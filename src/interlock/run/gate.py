"""The gate of one run, in workflow code: what a graph reaches when it wants another turn, a tool or a person."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from pydantic import JsonValue

from interlock.errors import Refused
from interlock.events import ModelResponded
from interlock.graph import Asking, CallResult, Drained, ModelReply, ProposedCall
from interlock.run.context import RunContext
from interlock.run.packing import short
from interlock.run.question import put
from interlock.run.spent import Spent
from interlock.run.steps import commit
from interlock.run.tool_call import govern

COMMIT_EVERY: Final = 64
"""Events that may wait for the next effect before they are committed on their own."""


class RunGate:
    """Implements `interlock.graph.Gate` over a run's context."""

    def __init__(self, run: RunContext, key: str) -> None:
        """`key` names the agent's turn in the run: one agent may have several."""
        self._run, self._key = run, key

    @property
    def draining(self) -> bool:
        """Whether the run is about to go on in a new execution of its workflow."""
        return self._run.drains()

    def asking(self) -> Asking:
        """What to know for a decision where the model proposes a call."""
        run, trail = self._run.input, self._run.chain.trail
        return Asking(
            tenant=run.tenant,
            workflow=run.workflow,
            requester=run.requester,
            delegators=self._run.delegators,
            events=trail.seq,
            bundle=short(trail.bundle)[:8],
            tools=tuple(trail.tools),
        )

    async def responded(self, agent: str, before: str, reply: ModelReply) -> None:
        """Record a model's answer and hold the agent to its limits.

        Raises:
            Refused: max_steps or max_tokens is spent.
        """
        run = self._run
        run.chain.record(
            ModelResponded,
            agent=f"agent:{agent}",
            model=reply.model,
            before=before,
            after=reply.head,
            calls=len(reply.calls),
            input_tokens=reply.input_tokens,
            output_tokens=reply.output_tokens,
        )
        limits, spent = run.facts.agents[agent], run.spent.setdefault(agent, Spent())
        spent.steps += 1
        spent.tokens += reply.input_tokens + reply.output_tokens
        if limits.max_tokens and spent.tokens > limits.max_tokens:
            raise Refused(f"agent {agent!r} spent {spent.tokens} tokens of {limits.max_tokens} (max_tokens)")
        if spent.steps >= limits.max_steps and reply.calls:
            raise Refused(f"agent {agent!r} used its {limits.max_steps} model replies (max_steps)")
        if len(run.chain.pending) >= COMMIT_EVERY:
            await commit(run.chain)
        await run.ready()

    async def call(self, agent: str, calls: Sequence[ProposedCall], *, place: str) -> list[CallResult]:
        """Govern each proposed call. Calls run side by side unless one of them changes the workspace, since
        each later one would then start from other files than it was decided on.

        Raises:
            Drained: the run goes on in a new execution before all results are there; what is there is kept.
        """
        run = self._run
        places = [f"{self._key}/{place}/{number}" for number in range(len(calls))]
        if any(call.tool in run.facts.writers for call in calls):
            results = [await govern(run, agent, c, place=at) for c, at in zip(calls, places, strict=True)]
        else:
            every = await asyncio.gather(*(self._governed(agent, *one) for one in zip(calls, places, strict=True)))
            results = [result for result in every if result is not None]
        if len(results) < len(calls):
            raise Drained
        for at in places:
            run.results.pop(at, None)
        return results

    async def _governed(self, agent: str, call: ProposedCall, place: str) -> CallResult | None:
        """Its result; None where the run drained before: the others have to stop first, too."""
        try:
            return await govern(self._run, agent, call, place=place)
        except Drained:
            return None

    async def ask(self, agent: str, question: JsonValue, *, place: str) -> JsonValue:
        """Put a question to a person, as policy routes it.

        Raises:
            Refused: no rule routes the agent's questions, nobody answered in time, or a person rejected it.
            Drained: the run goes on in a new execution before anybody answered.
        """
        return await put(self._run, agent, question, place=f"{self._key}/{place}")
