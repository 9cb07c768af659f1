"""One turn of the standard loop: an activity asks the model once, and stores what it answered.

What goes in and comes out is written into Temporal's history at each step, so it is what cannot be known otherwise.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from pydantic import JsonValue
from temporalio import activity, workflow

from interlock.digest import canonical
from interlock.errors import InvalidInput
from interlock.graph.beating import beating
from interlock.graph.binding import Binding, bind
from interlock.graph.failures import explained
from interlock.graph.gate import Asking, CallResult, ModelReply
from interlock.graph.prepare import ACTIVITY
from interlock.graph.record import recording
from interlock.graph.reply import UnreadableReply, ask_model, keep_reply
from interlock.graph.results import message_of
from interlock.graph.services import services
from interlock.types.closed import Slim
from interlock.types.names import Digest, OptionalDigest

NAME: Final = "interlock.turn"
OPTIONS: Final = {key: value for key, value in ACTIVITY.items() if key != "execute_in"}
TRIES: Final = 3
"""How often a model may answer what cannot be read before its agent fails."""


class Turn(Slim):
    """What an agent's model is to answer."""

    agent: str
    manifest: Digest
    head: OptionalDigest = ""
    """Head of the transcript; empty before the first reply."""
    task: JsonValue = None
    """The agent's input, before the first reply."""
    results: tuple[CallResult, ...] = ()
    """Results of the calls of the last reply."""
    asking: Asking | None = None


@activity.defn(name=NAME)
async def take_turn(turn: Turn) -> ModelReply:
    """Ask the model, as often as it takes to read its reply; store what it saw and said."""
    # A binding knows the model's calls only where they are recorded, which the workflow does of what this returns.
    with recording():
        try:
            async with beating():
                return await _taken(bind(services(), turn.agent, turn.manifest), turn)
        except Exception as error:
            shown = explained(error, f"{turn.agent}.model")
            # What is tried again goes without its causes: with them Temporal cuts it, message and all.
            raise shown from (error if getattr(shown, "non_retryable", True) else None)


async def put(turn: Turn) -> ModelReply:
    """`take_turn` from workflow code; or right here, in the trial run that stands for it."""
    if not workflow.in_workflow():
        return await take_turn(turn)
    reply: ModelReply = await workflow.execute_activity(take_turn, turn, **OPTIONS)
    return reply


async def _taken(binding: Binding, turn: Turn) -> ModelReply:
    new = _new_messages(turn)
    seen = await asyncio.to_thread(binding.services.reader.conversation, turn.head, new)
    reply, noted = await _readable(binding, seen)
    return await asyncio.to_thread(_kept, binding, turn, reply, [*new, *noted])


def _kept(binding: Binding, turn: Turn, reply: AIMessage, new: list[BaseMessage]) -> ModelReply:
    with binding.services.blobs.together():
        return _decided(binding, turn, keep_reply(binding, turn.head, reply, new))


def _decided(binding: Binding, turn: Turn, reply: ModelReply) -> ModelReply:
    """With the policy's decision on the first call: it saves the run a way there and back. Later ones must count
    those before them, so they are decided one after the other."""
    if turn.asking is None or binding.services.decide is None or not reply.calls or reply.calls[0].error:
        return reply
    first, *others = reply.calls
    told = binding.services.decide(turn.agent, turn.manifest, first, turn.asking)
    calls = (first.model_copy(update={"told": told}), *others)
    return reply.model_copy(update={"calls": calls})


async def _readable(binding: Binding, seen: list[BaseMessage]) -> tuple[AIMessage, list[BaseMessage]]:
    """Ask until the reply can be read; the reply, and what the model was told on the way to it."""
    prompt, noted, problem = SystemMessage(binding.prompt), list[BaseMessage](), ""
    for _ in range(TRIES):
        try:
            return await ask_model(binding, [prompt, *seen, *noted]), noted
        except UnreadableReply as error:
            problem = error.reason
            noted += [AIMessage("[a reply that could not be read]"), HumanMessage(problem)]
    raise InvalidInput(f"{TRIES} replies in a row could not be read: {problem}")


def _new_messages(turn: Turn) -> list[BaseMessage]:
    """What the model has not read yet."""
    if not turn.head:
        return [HumanMessage(task_text(turn.task))]
    return [message_of(result) for result in turn.results]


def task_text(task: Any) -> str:
    """The task as the model reads it: text as it is, an object as JSON."""
    return task if isinstance(task, str) else canonical(task).decode()
