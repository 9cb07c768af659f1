"""The gate of one run, in workflow code: what a graph reaches when it wants another turn, a tool or a person."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from pydantic import JsonValue

from interlock.errors import Refused
from interlock.events import ModelResponded
from interlock.graph import CallResult, ModelReply, ProposedCall
from interlock.run.context import RunContext, Spent
from interlock.run.question import put
from interlock.run.steps import commit
from interlock.run.tool_call import govern

COMMIT_EVERY: Final = 64
"""Events that may wait for the next effect before they are committed on their own."""


class RunGate:
    """Implements `interlock.graph.Gate` over a run's context."""

    def __init__(self, run: RunContext) -> None:
        self._run = run

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

    async def call(self, agent: str, calls: Sequence[ProposedCall]) -> list[CallResult]:
        """Govern each proposed call. Calls run side by side unless one of them changes the workspace, since
        each later one would then start from other files than it was decided on."""
        if any(call.tool in self._run.facts.writers for call in calls):
            return [await govern(self._run, agent, call) for call in calls]
        return list(await asyncio.gather(*(govern(self._run, agent, call) for call in calls)))

    async def ask(self, agent: str, question: JsonValue) -> JsonValue:
        """Put a question to a person, as policy routes it.

        Raises:
            Refused: no rule routes the agent's questions, nobody answered in time, or a person rejected it.
        """
        return await put(self._run, agent, question)
