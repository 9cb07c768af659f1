"""The decorator that makes a class in workflows/NAME.py a governed workflow, and what it leaves on the class."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel
from temporalio import workflow as temporal

from interlock.errors import InvalidInput
from interlock.run.contracts import RunInput, RunOutcome
from interlock.types.names import NAME_PATTERN

W = TypeVar("W", bound=type[Any])


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
