"""The tools node for graphs of one's own: tool calls go to the gate, never to a function."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage
from langgraph.config import get_config

from interlock.errors import InvalidInput
from interlock.graph.place import place_of
from interlock.graph.prepare import PLACE
from interlock.graph.progress import PROGRESS
from interlock.graph.proposals import proposals, with_call_ids
from interlock.graph.results import answered, message_of


def governed_tools(messages: str = "messages") -> Callable[[Any], Awaitable[dict[str, Any]]]:
    """A node that takes the last reply's tool calls to the gate and adds one `ToolMessage` for each.

    It runs in the workflow, whatever the node's metadata. Outputs stay by reference there: an edge sees
    each message's `status`, a node that runs as an activity sees the text.

    Args:
        messages: the state's key with the messages; its reducer must be `add_messages`.
    """

    async def tools(state: Any) -> dict[str, Any]:
        reply = _last_reply(state[messages] if isinstance(state, dict) else getattr(state, messages))
        named = with_call_ids(reply, f"call_{(reply.id or 'reply')[-8:]}")
        calls = proposals(named, {}, lambda arguments: arguments)
        place = place_of(get_config())
        results = answered(calls, await PROGRESS.get().call(calls, place)) if calls else []
        answers: list[BaseMessage] = [message_of(result) for result in results]
        return {messages: answers if named is reply else [named, *answers]}

    setattr(tools, PLACE, "workflow")
    return tools


def _last_reply(messages: list[BaseMessage]) -> AIMessage:
    last = messages[-1] if messages else None
    if not isinstance(last, AIMessage):
        raise InvalidInput("the last message is not a model's reply, so there are no tool calls to make")
    return last
