"""The linked transcript: what an agent's model saw and said, each link a blob that names the one before.

A link is canonical JSON `{v, prev, messages}`. Steps pass the head, never the list, so that what a step
writes into Temporal's history does not grow with the conversation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from langchain_core.messages import BaseMessage, message_to_dict, messages_from_dict

from interlock.digest import canonical, parse
from interlock.errors import IntegrityError
from interlock.graph.plain import from_plain, to_plain
from interlock.graph.results import by_reference, filled
from interlock.types.blobs import Blobs
from interlock.types.names import Digest

VERSION: Final = 1
Link = tuple[str, tuple[BaseMessage, ...]]
"""Head of the link before (empty for the first), and this link's messages."""


def append(blobs: Blobs, head: str, messages: Sequence[BaseMessage]) -> Digest:
    """Add one link with `messages` after `head`; returns the new head.

    Raises:
        InvalidInput: the messages are larger than one blob may be.
        LedgerUnavailable: the store cannot be written.
    """
    written = [to_plain(message_to_dict(by_reference(message))) for message in messages]
    return blobs.put(canonical({"v": VERSION, "prev": head, "messages": written}))


def append_each(blobs: Blobs, head: str, messages: Sequence[BaseMessage]) -> str:
    """Add one link for each message, so that equal beginnings are stored once."""
    for message in messages:
        head = append(blobs, head, [message])
    return head


def read_link(data: bytes) -> Link:
    """One link from its blob.

    Raises:
        IntegrityError: the blob is not a link.
    """
    value = parse(data)
    if not isinstance(value, dict) or value.get("v") != VERSION or not isinstance(value.get("prev"), str):
        raise IntegrityError("a transcript link is not one that this version wrote")
    messages: list[dict[str, Any]] = [from_plain(item) for item in value["messages"]]
    return value["prev"], tuple(messages_from_dict(messages))


def load(
    head: str,
    link: Callable[[Digest], Link],
    read: Callable[[Digest], bytes],
    more: Sequence[BaseMessage] = (),
    known: tuple[str, Sequence[BaseMessage]] = ("", ()),
) -> list[BaseMessage]:
    """All messages up to `head`, oldest first, then `more`; outputs filled in.

    Args:
        head: empty for no messages.
        link: reads one link; a cached one makes a step read only what is new.
        read: reads a blob.
        more: messages that are in no link yet.
        known: an earlier head, and what this gave for it.
    """
    links: list[Sequence[BaseMessage]] = [more]
    while head not in ("", known[0]):
        head, messages = link(head)
        links.append(messages)
    begun = known[1] if head else ()
    return [*begun, *(filled(message, read) for messages in reversed(links) for message in messages)]
