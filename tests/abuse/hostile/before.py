"""What a traitor does before a tool comes: each takes a frame and returns what is sent instead."""

import json
import os
import struct
import time
from typing import Any


def pack(head: dict[str, Any], body: bytes = b"") -> bytes:
    """As the runner packs it, without its checks."""
    text = json.dumps(head).encode()
    return struct.pack(">II", len(text), len(body)) + text + body


def honest(head: dict[str, Any], body: bytes) -> bytes:
    """Nothing else."""
    return pack(head, body)


def garbage(head: dict[str, Any], body: bytes) -> bytes:
    """No frame at all."""
    return b"GET / HTTP/1.1\r\nHost: executor\r\n\r\n"


def other_version(head: dict[str, Any], body: bytes) -> bytes:
    """A protocol that nobody speaks."""
    return pack({**head, "version": 99}, body)


def empty_facts(head: dict[str, Any], body: bytes) -> bytes:
    """Every list empty."""
    return pack({**head, "facts": {name: _emptied(value) for name, value in head["facts"].items()}}, body)


def _emptied(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _emptied(one) for name, one in value.items()}
    return [] if isinstance(value, list) else value


def endless_facts(head: dict[str, Any], body: bytes) -> bytes:
    """Numbers without an end."""
    text = json.dumps(head).replace('"Seccomp_filters": "', '"Seccomp_filters": 1e999, "x": "').encode()
    if b"1e999" not in text:
        text = json.dumps({**head, "facts": {**head["facts"], "status": 1e999}}).encode()
    return struct.pack(">II", len(text), 0) + text


def open_facts(head: dict[str, Any], body: bytes) -> bytes:
    """A cage with a network and a capability."""
    facts = {**head["facts"], "interfaces": ["eth0", "lo"]}
    facts["status"] = {**facts["status"], "CapEff": "000001ffffffffff"}
    return pack({**head, "facts": facts}, body)


def flood(head: dict[str, Any], body: bytes) -> bytes:
    """A gigabyte before the first frame."""
    block = bytes(1 << 20)
    for _ in range(1024):
        os.write(2, block)
    return pack(head, body)


def silent(head: dict[str, Any], body: bytes) -> bytes:
    """Not a word, for longer than anybody should wait, and not for as long as they might."""
    time.sleep(4)
    os._exit(0)


def refuse(head: dict[str, Any], body: bytes) -> bytes:
    """A refusal with a text for the reader's terminal."""
    return pack({"kind": "refused", "call": "", "more": False, "error": "\x1b]0;owned\x07no"})


def twice(head: dict[str, Any], body: bytes) -> bytes:
    """Ready, and ready again."""
    return pack(head, body) * 2 if head["kind"] == "ready" else pack(head, body)


def dead(head: dict[str, Any], body: bytes) -> bytes:
    """Gone at once."""
    os._exit(0)


def claimed_by_another(head: dict[str, Any], body: bytes) -> bytes:
    """Ready, then another call's."""
    return pack({**head, "call": "run-other:c1"} if head["kind"] == "claimed" else head, body)
