"""The authoring API of an agent: who acts, with which model, prompt and tools."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from interlock.errors import InvalidInput

DEFAULT_MODEL: Final = "default"
"""Means: the model that the settings name (`INTERLOCK_MODEL`), the scripted one unless set."""


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


def agent(
    name: str,
    *,
    prompt: str,
    tools: list[str] | tuple[str, ...] = (),
    model: str = DEFAULT_MODEL,
    max_steps: int = 50,
    max_tokens: int = 0,
    graph: Callable[[], Any] | None = None,
) -> AgentDefinition:
    """Define an agent.

    Raises:
        InvalidInput: a limit is not positive, or a tool is named twice.
    """
    if max_steps < 1 or max_tokens < 0:
        raise InvalidInput(f"agent {name!r}: max_steps must be at least 1 and max_tokens at least 0")
    if len(set(tools)) != len(tools):
        raise InvalidInput(f"agent {name!r}: a tool is named twice in {list(tools)}")
    return AgentDefinition(name, prompt, tuple(tools), model, max_steps, max_tokens, graph)
