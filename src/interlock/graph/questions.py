"""Questions of a graph to people: LangGraph's interrupts on their way to the gate and back."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from langchain_core.messages import BaseMessage
from langgraph.types import Interrupt
from pydantic import JsonValue
from referencing import Registry
from temporalio.exceptions import is_cancelled_exception

from interlock.digest import parse
from interlock.errors import InvalidInput
from interlock.graph.gate import Drained, Gate
from interlock.graph.messages import dump


@dataclass
class Question:
    """An interrupt that waits for its answer."""

    interrupt: Interrupt[Any]
    place: str
    """Of its node."""
    before: list[Any] = field(default_factory=list)
    """Answers to the node's earlier questions."""
    rounds: int = 0
    """How many answers did not fit."""
    problem: str = ""
    """Why the last of them did not."""
    settled: bool = False
    answer: JsonValue = None
    failure: Exception | None = None
    """Why there will be no answer."""

    async def put(self, agent: str, gate: Gate) -> None:
        """Ask until the answer fits what the graph expects, or there will be none.

        Raises:
            Drained: the run goes on in a new execution; put it again there.
            CancelledError: the run is being cancelled.
        """
        if self.settled:
            return
        try:
            self.answer = await self._answer(agent, gate)
        except Exception as error:
            if isinstance(error, Drained) or is_cancelled_exception(error):
                raise
            self.failure = error
        self.settled = True

    async def _answer(self, agent: str, gate: Gate) -> JsonValue:
        schema = self.interrupt.response_schema
        if not isinstance(schema, dict):
            return await gate.ask(agent, question_of(self.interrupt), place=self._place)
        asked: dict[str, JsonValue] = {"question": question_of(self.interrupt), "answer_schema": _shown(schema)}
        while True:
            said = {"problem": f"The answer {self.problem}"} if self.problem else {}
            answer = _read(await gate.ask(agent, {**asked, **said}, place=self._place), schema)
            self.problem = _problem(answer, schema)
            if not self.problem:
                return answer
            self.rounds += 1

    @property
    def _place(self) -> str:
        return f"{self.place}|ask{len(self.before)}.{self.rounds}"


def question_of(interrupt: Interrupt[Any]) -> JsonValue:
    """What is shown to a person: the interrupt's value as JSON, messages as their text, floats as decimals."""
    return _shown(interrupt.value)


def _shown(value: Any) -> JsonValue:
    if isinstance(value, BaseMessage):
        return f"{value.type}: {value.text}"
    if isinstance(value, float):
        return format(Decimal(repr(value)), "f")
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_shown(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _shown(item) for key, item in value.items()}
    if value is None or isinstance(value, (str, bool, int)):
        return value
    return _shown(dump(value, path="interrupt"))


def _read(answer: JsonValue, schema: dict[str, Any]) -> JsonValue:
    """People answer in text. Where the graph expects something else, JSON in the text is what they mean."""
    if not isinstance(answer, str) or not _problem(answer, schema):
        return answer
    try:
        value: JsonValue = parse(answer)
    except InvalidInput:
        return answer
    return value


def _problem(answer: JsonValue, schema: dict[str, Any]) -> str:
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise InvalidInput(f"interrupt(): response_schema is no JSON Schema: {error.message}") from error
    # An empty registry: a schema may not make the workflow fetch another.
    errors = list(Draft202012Validator(schema, registry=Registry()).iter_errors(answer))
    return "; ".join(sorted(f"{error.json_path}: {error.message}" for error in errors))
