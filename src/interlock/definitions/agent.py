"""The authoring API of an agent: who acts, with which model, prompt and tools."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import JsonValue

from interlock.digest import canonical
from interlock.errors import InvalidInput

DEFAULT_MODEL: Final = "default"
"""Means: the model that the settings name (`INTERLOCK_MODEL`), the scripted one unless set."""
HAND_OFF_TO: Final = "hand_off_to_"
"""A model sees one function for each agent that it may hand work on to, named so."""


@dataclass(frozen=True, slots=True)
class AgentDefinition:
    """What agents/NAME.py defines. Content names other content by string."""

    name: str
    prompt: str
    """The system prompt: text, or `NAME.md` for a file beside the agent."""
    tools: tuple[str, ...]
    model: str = DEFAULT_MODEL
    """`default`, `scripted`, `openai:NAME` or `anthropic:NAME`."""
    max_steps: int = 50
    """Most model replies in one run of the agent; then it fails."""
    max_tokens: int = 0
    """Most tokens, in and out, in one run of the agent; 0 means no limit."""
    graph: Callable[[], Any] | None = None
    """Returns an uncompiled StateGraph; None means the standard loop."""
    hand_off: tuple[str, ...] = ()
    """The agents that it may hand work on to, if the policy lets it."""
    context: Mapping[str, JsonValue] | None = field(default=None, hash=False)
    """What the nodes of a graph of its own read as `runtime.context`; it fits the graph's `context_schema`."""


def agent(
    name: str,
    *,
    prompt: str,
    tools: list[str] | tuple[str, ...] = (),
    model: str = DEFAULT_MODEL,
    max_steps: int = 50,
    max_tokens: int = 0,
    graph: Callable[[], Any] | None = None,
    hand_off: list[str] | tuple[str, ...] = (),
    context: Mapping[str, JsonValue] | None = None,
) -> AgentDefinition:
    """Define an agent.

    Raises:
        InvalidInput: a limit is not positive, a tool or an agent is named twice, or a tool has the name under which
            the model hands work on; a context without a graph, or one that is not canonical JSON (no floats).
    """
    if max_steps < 1 or max_tokens < 0:
        raise InvalidInput(f"agent {name!r}: max_steps must be at least 1 and max_tokens at least 0")
    if len(set(tools)) != len(tools):
        raise InvalidInput(f"agent {name!r}: a tool is named twice in {list(tools)}")
    if len(set(hand_off)) != len(hand_off):
        raise InvalidInput(f"agent {name!r}: an agent is named twice in hand_off {list(hand_off)}")
    if taken := sorted({handing_to(one) for one in hand_off} & set(tools)):
        raise InvalidInput(f"agent {name!r}: {taken[0]!r} is a tool and the name under which it hands work on")
    _check_context(name, graph, context)
    return AgentDefinition(
        name, prompt, tuple(tools), model, max_steps, max_tokens, graph, tuple(hand_off), context
    )


def _check_context(name: str, graph: Any, context: Any) -> None:
    if context is None:
        return
    if graph is None:
        raise InvalidInput(f"agent {name!r}: context is for the nodes of a graph; give it graph=, or leave it out")
    try:
        canonical(context)
    except InvalidInput as error:
        raise InvalidInput(f"agent {name!r}: context: {error}") from error


def handing_to(agent: str) -> str:
    """The name under which a model hands work on to an agent."""
    return f"{HAND_OFF_TO}{agent}"
