"""One question to a chat model, and its answer by reference."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.messages import AIMessage, BaseMessage
from pydantic import ValidationError

from interlock.digest import canonical
from interlock.errors import InterlockError
from interlock.graph.binding import Binding
from interlock.graph.gate import ModelReply
from interlock.graph.proposals import proposals, with_call_ids
from interlock.graph.transcript import append


class UnreadableReply(InterlockError):
    """The model's reply is no message; `reason` says why, in words for the model."""


async def ask_model(binding: Binding, messages: Sequence[BaseMessage]) -> AIMessage:
    """The model's reply, the agent's tools bound.

    Raises:
        UnreadableReply: the reply is not what a message may be.
    """
    tools = binding.tools
    model = binding.model()
    bound = model.bind_tools(tools) if tools else model
    try:
        reply = await bound.ainvoke(list(messages))
    except ValidationError as error:
        if error.title != AIMessage.__name__:
            raise
        # Some models write arguments that are JSON and no object; langchain's message class refuses them.
        raise UnreadableReply(
            "Your last reply could not be read and none of its calls was made: "
            f"{'.'.join(str(part) for part in error.errors()[0]['loc'])}: {error.errors()[0]['msg']}. "
            "Write the arguments of each call as one JSON object."
        ) from error
    if not isinstance(reply, AIMessage):
        raise UnreadableReply(f"the model answered a {type(reply).__name__}, not a message")
    return reply


def keep_reply(binding: Binding, before: str, reply: AIMessage, new: Sequence[BaseMessage] = ()) -> ModelReply:
    """Store the reply, its arguments and, if it has no calls, its text.

    Args:
        binding: the agent.
        before: head of the transcript before it.
        reply: what it answered.
        new: what the model saw beyond that; it is stored with the reply.
    """
    blobs = binding.services.blobs
    reply = with_call_ids(reply, f"call_{before[-8:]}")
    calls = proposals(reply, binding.schemas, lambda arguments: blobs.put(canonical(arguments)))
    usage = reply.usage_metadata
    return ModelReply(
        head=append(blobs, before, [*new, reply]),
        calls=calls,
        final="" if calls else blobs.put(str(reply.text).encode("utf-8", "replace")),
        input_tokens=usage["input_tokens"] if usage else 0,
        output_tokens=usage["output_tokens"] if usage else 0,
        model=binding.model_name,
    )
