"""The last activity of a graph of one's own: its result and its messages become blobs."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

from langchain_core.messages import AIMessage, BaseMessage
from temporalio import activity, workflow

from interlock.graph.beating import beating
from interlock.graph.failures import explained
from interlock.graph.messages import revive
from interlock.graph.prepare import ACTIVITY
from interlock.graph.services import Services, services
from interlock.graph.transcript import append_each
from interlock.types.closed import Closed
from interlock.types.names import Digest, OptionalDigest

NAME: Final = "interlock.conclude"
OPTIONS: Final = {key: value for key, value in ACTIVITY.items() if key != "execute_in"}


class Ending(Closed):
    """The end of a graph's run."""

    agent: str
    messages: Any
    """The final state's messages, dumped."""
    result: Any
    """What the graph gave as its result, dumped; None: the text of its last message."""


class Concluded(Closed):
    """Where the end is stored."""

    result: Digest
    transcript: OptionalDigest
    """Head of the transcript; empty for no messages."""


@activity.defn(name=NAME)
async def conclude(ending: Ending) -> Concluded:
    """Store what a graph ended with."""
    try:
        async with beating():
            return await asyncio.to_thread(store, services(), ending)
    except Exception as error:
        raise explained(error, f"{ending.agent}: end") from error


async def by_activity(ending: Ending) -> Concluded:
    """`conclude` from workflow code."""
    return await workflow.execute_activity(conclude, ending, **OPTIONS)


def store(found: Services, ending: Ending) -> Concluded:
    """Put the messages and the result into the blob store."""
    messages = [m for m in revive(ending.messages) or [] if isinstance(m, BaseMessage)]
    result = ending.result if ending.result is not None else _last_text(messages)
    text = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False, sort_keys=True)
    transcript = append_each(found.blobs, "", messages)
    return Concluded(result=found.blobs.put(text.encode("utf-8", "replace")), transcript=transcript)


def _last_text(messages: list[BaseMessage]) -> str:
    replies = (message for message in reversed(messages) if isinstance(message, AIMessage))
    return next((str(reply.text) for reply in replies), "")
