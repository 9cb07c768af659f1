"""Where one agent's run stands, inside the workflow."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from langgraph.errors import GraphInterrupt

from interlock.errors import InvalidInput
from interlock.graph.gate import CallResult, Drained, Gate, ProposedCall
from interlock.graph.questions import Question
from interlock.graph.record import Recorded


@dataclass(frozen=True)
class Answered:
    """Calls of a node that has not finished, and what came of them."""

    calls: tuple[ProposedCall, ...]
    results: tuple[CallResult, ...]


@dataclass
class Progress:
    """Kept beside the graph's state, for the driver. Nodes are named by their places."""

    agent: str
    gate: Gate
    head: str = ""
    """Transcript head after the newest reply."""
    steps: int = 0
    """How many times a model answered."""
    failures: list[tuple[str, Exception]] = field(default_factory=list)
    """Place of the node, and what it raised."""
    questions: dict[str, Question] = field(default_factory=dict)
    """What nodes asked and nobody answered yet."""
    answered: dict[str, Answered] = field(default_factory=dict)
    """By place of the calls."""
    stopped: set[str] = field(default_factory=set)
    """Nodes that stopped because the run drains."""
    resumed: frozenset[str] = frozenset()
    """Nodes that stopped so in an earlier execution: they go on even where something has failed since."""
    given: dict[str, list[Any]] = field(default_factory=dict)
    """Answers to the questions of nodes that are to run again."""
    _counts: dict[str, int] = field(default_factory=dict)
    """How often each node that runs has gone to the gate."""

    def enter(self, place: str, answers: list[Any]) -> None:
        """Begin a node, whose `answers` so far are completed.

        Raises:
            GraphInterrupt: it is not to begin now.
        """
        if place in self.given:
            answers[:] = self.given.pop(place)
        if place in self.questions:
            # It waits for an answer. Running it again would repeat whatever it did before it asked.
            raise GraphInterrupt((self.questions[place].interrupt,))
        if self.failures and place not in self.resumed:
            raise GraphInterrupt(())
        if self.gate.draining:
            self.stop(place, answers)
        self._counts[place] = 0

    def stop(self, place: str, answers: list[Any]) -> NoReturn:
        """Stop a node, which goes on in a new execution of the run.

        Raises:
            GraphInterrupt: always.
        """
        self.stopped.add(place)
        if answers:
            self.given[place] = list(answers)
        raise GraphInterrupt(())

    def answer(self) -> None:
        """Give the answers to all questions to their nodes.

        Raises:
            Exception: there will be no answer to one of them.
        """
        for _, question in sorted(self.questions.items()):
            if question.failure is not None:
                raise question.failure
        self.given |= {place: [*found.before, found.answer] for place, found in self.questions.items()}
        self.questions.clear()

    def halts(self, place: str) -> bool:
        """Whether the node at `place`, or one in its graph, has stopped because the run drains."""
        return any(one == place or one.startswith(f"{place}|") for one in self.stopped)

    def leave(self, place: str) -> None:
        """End a node."""
        del self._counts[place]
        for key in [key for key in self.answered if key.startswith(f"{place}|")]:
            del self.answered[key]

    async def call(self, calls: Sequence[ProposedCall], place: str) -> Sequence[CallResult]:
        """Take the calls of the node at `place` to the gate. A node that runs again, because it asked a question
        after them or because the run drained, gets what it got before.

        Raises:
            Drained: the run goes on in a new execution.
            InvalidInput: the node, run again, makes other calls than before.
        """
        self._counts[place] += 1
        key, calls = f"{place}|{self._counts[place]}", tuple(calls)
        known = self.answered.get(key)
        if known is None:
            try:
                results = await self.gate.call(self.agent, calls, place=key)
            except Drained:
                self.stopped.add(place)
                raise
            known = self.answered[key] = Answered(calls, tuple(results))
        if known.calls != calls:
            raise InvalidInput("a node that was run again after a question makes other calls than the first time")
        return known.results

    async def report(self, replies: Sequence[Recorded]) -> None:
        """Tell the gate what models answered.

        Raises:
            Refused: a budget is spent.
        """
        for recorded in replies:
            self.head, self.steps = recorded.reply.head, self.steps + 1
            await self.gate.responded(self.agent, recorded.before, recorded.reply)

    @property
    def failure(self) -> Exception | None:
        """The first failure, in the order of places, which is the same at every replay."""
        return min(self.failures, key=lambda item: item[0])[1] if self.failures else None


PROGRESS: Final[ContextVar[Progress]] = ContextVar("interlock_progress")
