"""What people may do, as the policy sees it: calls that the API makes for the person who asks.

So one policy says what agents may do and what people may do; `interlock policy can`, the cases and the lint know
both. The agent has a name that no project can give to one of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Final, Literal, get_args

from interlock.definitions import ToolSchema
from interlock.errors import InvalidInput

API_AGENT: Final = "interlock.api"
Noun = Literal["runs", "approvals", "policies", "audit", "agents", "tools", "accounts", "health"]
Action = Literal["read", "start", "control", "decide", "write", "verify", "export", "erase"]
ACTIONS: Final[Mapping[Noun, tuple[Action, ...]]] = {
    "runs": ("read", "start", "control", "export", "erase"),
    "approvals": ("read", "decide"),
    "policies": ("read",),
    "audit": ("read", "verify", "export"),
    "agents": ("read",),
    "tools": ("read",),
    "accounts": ("read", "write"),
    "health": ("read",),
}
"""What can be done with each noun."""
NOUNS: Final[tuple[str, ...]] = get_args(Noun)


def tool_of(noun: Noun, action: Action) -> str:
    """The name under which the policy decides it: `interlock.runs.read`."""
    return f"interlock.{noun}.{action}"


@cache
def people_tools() -> Mapping[str, ToolSchema]:
    """Every one of these calls as a tool, for whatever compares rules with tools."""
    return {tool_of(noun, action): _schema(noun, action) for noun, actions in ACTIONS.items() for action in actions}


def _schema(noun: Noun, action: Action) -> ToolSchema:
    return ToolSchema(
        name=tool_of(noun, action),
        description=f"Of people: {action} {noun}.",
        parameters={"type": "object", "properties": {}, "additionalProperties": True},
        result={},
        action=action,
        resource=f"interlock:{noun}",
        workspace="none",
        effects="contained",
        idempotent=True,
        profile="default",
        preview="arguments",
        sentence="",
    )


def scopes_of(texts: Collection[str]) -> frozenset[str]:
    """What tokens may be for: `noun:action`.

    Raises:
        InvalidInput: one is no such thing.
    """
    known = {f"{noun}:{action}" for noun, actions in ACTIONS.items() for action in actions}
    for text in texts:
        if text not in known:
            close = get_close_matches(text, known, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(known))}"
            raise InvalidInput(f"scopes: {text[:100]!r} is no noun:action", next_step=hint)
    return frozenset(texts)
