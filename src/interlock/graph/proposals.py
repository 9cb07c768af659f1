"""From a model's reply to proposed calls. Whatever a model writes, this gives calls or errors, never a crash."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from langchain_core.messages import AIMessage, InvalidToolCall, ToolCall
from pydantic import JsonValue

from interlock.errors import InvalidInput
from interlock.graph.arguments import read_arguments
from interlock.graph.gate import ProposedCall
from interlock.types.names import Digest

Schemas = Mapping[str, Mapping[str, Any]]
"""Tool name → JSON Schema of its arguments."""
MAX_NAME: Final = 128
_SHOWN: Final = 400


def to_wire(tool: str) -> str:
    """A tool's name as providers take it: they have no dots."""
    return tool.replace(".", "-")


def from_wire(name: str) -> str:
    """The opposite of `to_wire`: a tool's name has no hyphens."""
    return name.replace("-", ".")


def with_call_ids(reply: AIMessage, prefix: str) -> AIMessage:
    """`reply` with an id of its own for each call: models leave ids out, or give one twice.

    Args:
        reply: the model's message.
        prefix: beginning of new ids, unique in the conversation.
    """
    seen: set[str] = set()
    calls = [_identified(call, seen, prefix) for call in reply.tool_calls]
    broken = [_identified(call, seen, prefix) for call in reply.invalid_tool_calls]
    if calls == reply.tool_calls and broken == reply.invalid_tool_calls:
        return reply
    update: dict[str, Any] = {"tool_calls": calls, "invalid_tool_calls": broken}
    if isinstance(reply.content, list):
        # Providers that repeat calls as content blocks would send the old ids back.
        blocks = [b for b in reply.content if not (isinstance(b, dict) and b.get("type") == "tool_use")]
        update["content"] = blocks
    return reply.model_copy(update=update)


def _identified(call: Any, seen: set[str], prefix: str) -> Any:
    call_id = call.get("id")
    if not call_id or call_id in seen:
        call_id = f"{prefix}_{len(seen) + 1}"
    seen.add(call_id)
    return {**call, "id": call_id}


def proposals(
    reply: AIMessage, schemas: Schemas, keep: Callable[[dict[str, JsonValue]], Digest | dict[str, JsonValue]]
) -> tuple[ProposedCall, ...]:
    """Every call of `reply`, the unreadable ones with their error.

    Args:
        reply: a message whose calls have ids of their own.
        schemas: of the agent's tools.
        keep: how arguments travel: stored, giving a digest, or as they are.
    """
    readable = [_proposal(call, schemas, keep) for call in reply.tool_calls]
    return (*readable, *(_unreadable(call) for call in reply.invalid_tool_calls))


def _proposal(
    call: ToolCall, schemas: Schemas, keep: Callable[[dict[str, JsonValue]], Digest | dict[str, JsonValue]]
) -> ProposedCall:
    tool, call_id = _tool(call["name"]), str(call["id"])
    try:
        arguments = keep(read_arguments(call["args"], schemas.get(tool, {})))
    except InvalidInput as error:
        return ProposedCall(model_call_id=call_id, tool=tool, error=f"{error}. Correct it and call again.")
    return ProposedCall(model_call_id=call_id, tool=tool, arguments=arguments)


def _unreadable(call: InvalidToolCall) -> ProposedCall:
    written = str(call.get("args") or "")
    shown = written if len(written) <= _SHOWN else written[:_SHOWN] + "…"
    text = f"The arguments are not a JSON object: {shown!r}. Write them as one JSON object and call again."
    return ProposedCall(model_call_id=str(call["id"]), tool=_tool(call.get("name") or ""), error=text)


def _tool(name: str) -> str:
    clean = "".join(c for c in from_wire(name) if c.isprintable()).encode("utf-8", "replace").decode()
    return clean[:MAX_NAME] or "(no name)"
