"""A call's idempotency key: what the outside world is told so that it takes a repeat for the same request."""

from __future__ import annotations

from interlock.digest import digest_of
from interlock.types.call import ToolCall

_LENGTH = 32
"""Hexadecimal digits: 128 bits. Some services take no more than 45 characters."""


def idempotency_key(call: ToolCall) -> str:
    """The same for every attempt at the call, another for every other call; anyone can derive it from the record.

    It is no secret. What it is made of (the call digest, which names run and call) is the executor's own, so that
    neither an agent nor a tool can have one call take another's key.
    """
    made_of = {"v": 1, "what": "idempotency key", "call": digest_of(call.as_hashed()), "call_id": call.call_id}
    return digest_of(made_of).removeprefix("sha256:")[:_LENGTH]
