"""Where a graph stopped, as a value that the next execution of its workflow gets, and back."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import JsonValue
from temporalio.exceptions import ApplicationError

from interlock.errors import InvalidInput
from interlock.graph.gate import CallResult, Gate, ProposedCall
from interlock.graph.messages import Types, dump, revive
from interlock.graph.plain import from_plain, to_plain
from interlock.graph.prepare import Graph, nodes_in, types_in
from interlock.graph.progress import Answered, Progress
from interlock.graph.questions import Question
from interlock.graph.saver import StateSaver, StateSerde
from interlock.graph.task import AgentTask
from interlock.graph.words import words_of
from interlock.types.closed import Closed

VERSION: Final = 1


class CarriedQuestion(Closed):
    """A question as it was left."""

    interrupt: Any
    before: list[Any]
    rounds: int
    problem: str
    settled: bool
    answer: JsonValue
    failure: str | None


class CarriedAnswers(Closed):
    """Calls of an unfinished node, and what came of them."""

    calls: tuple[ProposedCall, ...]
    results: tuple[CallResult, ...]


class Carried(Closed):
    """Everything; see `Progress` and `StateSaver`."""

    version: Literal[1] = VERSION
    head: str
    steps: int
    failures: list[tuple[str, str]]
    questions: dict[str, CarriedQuestion]
    answered: dict[str, CarriedAnswers]
    stopped: list[str]
    given: dict[str, Any]
    nodes: list[str]
    """Of the graph, and of those in it."""
    graph: dict[str, Any]
    """What LangGraph kept, by namespace."""


def pack(progress: Progress, saver: StateSaver, builder: Graph, thread: str) -> JsonValue:
    """Where the graph stopped, as canonical JSON."""
    carried = Carried(
        nodes=nodes_in(builder),
        head=progress.head,
        steps=progress.steps,
        failures=[(place, words_of(error)) for place, error in progress.failures],
        questions={place: _packed(question) for place, question in progress.questions.items()},
        answered={
            place: CarriedAnswers(calls=known.calls, results=known.results)
            for place, known in progress.answered.items()
        },
        stopped=sorted(progress.stopped),
        given=dump(progress.given),
        graph=saver.exported(thread),
    )
    packed: JsonValue = to_plain(carried.model_dump(mode="json"))
    return packed


def unpack(state: JsonValue, builder: Graph, task: AgentTask, gate: Gate) -> tuple[Progress, StateSaver]:
    """What `pack` was given, for another execution.

    Raises:
        InvalidInput: the graph lacks nodes that it had; LangGraph would pass over them, and end early.
    """
    carried, types = Carried.model_validate(from_plain(state)), types_in(builder)
    if gone := sorted(set(carried.nodes) - set(nodes_in(builder))):
        raise InvalidInput(
            f"the graph of agent {task.agent!r} has lost nodes since it began: {', '.join(gone)}",
            next_step="let runs that began with them end on workers that have them",
        )
    progress = Progress(
        task.agent,
        gate,
        head=carried.head,
        steps=carried.steps,
        failures=[(place, _failure(words)) for place, words in carried.failures],
        questions={place: _question(found, place, types) for place, found in carried.questions.items()},
        answered={place: Answered(known.calls, known.results) for place, known in carried.answered.items()},
        resumed=frozenset(carried.stopped),
        given=revive(carried.given, types),
    )
    saver = StateSaver(serde=StateSerde(types))
    saver.restore(task.run, carried.graph)
    return progress, saver


def _packed(question: Question) -> CarriedQuestion:
    return CarriedQuestion(
        interrupt=dump(question.interrupt),
        before=dump(question.before),
        rounds=question.rounds,
        problem=question.problem,
        settled=question.settled,
        answer=dump(question.answer),
        failure=words_of(question.failure) if question.failure else None,
    )


def _question(found: CarriedQuestion, place: str, types: Types) -> Question:
    return Question(
        revive(found.interrupt, types),
        place,
        revive(found.before, types),
        found.rounds,
        found.problem,
        found.settled,
        revive(found.answer),
        _failure(found.failure) if found.failure is not None else None,
    )


def _failure(words: str) -> Exception:
    return ApplicationError(words, non_retryable=True)
