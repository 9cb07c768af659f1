"""Results of calls as messages that a model reads, with long outputs by reference.

A tool's output is a blob. In a workflow the message that carries it holds the digest only; where a model or
a node reads it, which is in an activity, the text is filled in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from langchain_core.messages import BaseMessage, ToolMessage

from interlock.digest import digest_bytes
from interlock.graph.gate import CallResult, ProposedCall
from interlock.types.names import Digest

OUTPUT: Final = "interlock_output"
NOTE: Final = "interlock_note"
STATUS: Final = "interlock_status"
FILLED: Final = "interlock_filled"
"""Digest of the text that was filled in, by which an edited message is told from an untouched one."""
MAX_TEXT: Final = 60_000
"""Characters of one output that a model is shown: the head and the tail of a longer one, and a note between."""

M = TypeVar("M", bound=BaseMessage)


def message_of(result: CallResult) -> ToolMessage:
    """The message for `result`; its output, if it has one, still by reference."""
    metadata: dict[str, str] = {STATUS: result.status}
    if result.output:
        metadata |= {OUTPUT: result.output} | ({NOTE: result.text} if result.text else {})
    return ToolMessage(
        content=_stand_in(result.output) if result.output else result.text,
        name=result.tool,
        tool_call_id=result.model_call_id,
        status="success" if result.status == "ok" else "error",
        response_metadata=metadata,
    )


def filled(message: M, read: Callable[[Digest], bytes]) -> M:
    """`message` with the text of the output that it refers to; any other message as it is."""
    digest = message.response_metadata.get(OUTPUT)
    if not isinstance(message, ToolMessage) or not isinstance(digest, str) or message.content != _stand_in(digest):
        return message
    text = shortened(read(digest).decode("utf-8", "replace"), digest)
    if note := message.response_metadata.get(NOTE):
        text = f"{note}\n{text}"
    metadata = {**message.response_metadata, FILLED: digest_bytes(text.encode())}
    return message.model_copy(update={"content": text, "response_metadata": metadata})


def by_reference(message: M) -> M:
    """The opposite of `filled`, for messages that leave an activity. An edited text travels as it is."""
    if FILLED not in message.response_metadata or not isinstance(message, ToolMessage):
        return message
    metadata = dict(message.response_metadata)
    expected, digest = metadata.pop(FILLED), metadata.get(OUTPUT, "")
    if isinstance(message.content, str) and digest_bytes(message.content.encode()) == expected:
        return message.model_copy(update={"content": _stand_in(digest), "response_metadata": metadata})
    metadata.pop(OUTPUT, None)
    return message.model_copy(update={"response_metadata": metadata})


def _stand_in(digest: Digest) -> str:
    return f"[output {digest}]"


def shortened(text: str, digest: Digest) -> str:
    """`text`, or its head and tail with a note of what was left out."""
    if len(text) <= MAX_TEXT:
        return text
    half = MAX_TEXT // 2
    note = f"\n[… {len(text) - 2 * half} characters left out; whole output: {digest} …]\n"
    return text[:half] + note + text[-half:]


def answered(calls: tuple[ProposedCall, ...], results: Sequence[CallResult]) -> list[CallResult]:
    """One result for each call, in the order of the calls, matched by id.

    A call without a result gets an error: a model must get an answer to each of its calls, or its provider
    refuses the conversation. A result that answers no call is dropped.
    """
    by_id = {result.model_call_id: result for result in results}
    return [by_id.get(call.model_call_id) or _missing(call) for call in calls]


def _missing(call: ProposedCall) -> CallResult:
    text = "There is no result for this call."
    return CallResult(model_call_id=call.model_call_id, tool=call.tool, status="error", text=text)
