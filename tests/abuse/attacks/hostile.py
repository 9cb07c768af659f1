"""A runner that has been turned: each function takes a frame of the honest runner, returns what is sent instead."""

import json
import os
import struct
import time
from typing import Any

from interlock import artifact, tool

GIVEN = ""
"""The call's argument, set by whoever loads this."""
MIB = 1 << 20


@tool(action="execute")
def honest(given: str = "") -> int:
    """What the tool does: a line, a file, an artifact, a value."""
    print("honest")
    with open("honest.txt", "w", encoding="ascii") as file:
        file.write("honest")
    artifact("honest.bin", b"honest")
    return 1


def pack(head: dict[str, Any], body: bytes = b"") -> bytes:
    """As the runner packs it, without its checks."""
    text = json.dumps(head).encode()
    return struct.pack(">II", len(text), len(body)) + text + body


def raw(text: bytes, body: bytes = b"") -> bytes:
    """A head that no JSON writer would write."""
    return struct.pack(">II", len(text), len(body)) + text + body


def after(kind: str, head: dict[str, Any], body: bytes, *more: bytes) -> bytes:
    """The honest frame, and after the one of that kind some more."""
    return pack(head, body) + (b"".join(more) if head["kind"] == kind else b"")


def said(head: dict[str, Any], kind: str, body: bytes = b"", **fields: Any) -> bytes:
    """A frame for the same call."""
    return pack({"kind": kind, "call": head["call"], "more": False, **fields}, body)


def honestly(head: dict[str, Any], body: bytes) -> bytes:
    """No attack: what the others are compared with."""
    return pack(head, body)


def other_call(head: dict[str, Any], body: bytes) -> bytes:
    """Replies for another call."""
    return pack({**head, "call": GIVEN}, body)


def path_of_file(head: dict[str, Any], body: bytes) -> bytes:
    """A file of the workspace with a path of the attacker's choice."""
    return after("finished", head, body, said(head, "file", b"x", path=GIVEN, executable=False))


def path_of_gone(head: dict[str, Any], body: bytes) -> bytes:
    """The same for a deleted file."""
    return after("finished", head, body, said(head, "gone", path=GIVEN))


def path_of_artifact(head: dict[str, Any], body: bytes) -> bytes:
    """The same for an artifact."""
    return after("finished", head, body, said(head, "artifact", b"x", path=GIVEN))


def half_character(head: dict[str, Any], body: bytes) -> bytes:
    """A path that no encoding takes."""
    fields = b'"call":%s,"more":false,"executable":false' % json.dumps(head["call"]).encode()
    return after("finished", head, body, raw(b'{"kind":"file","path":"a\\ud800b",%s}' % fields, b"x"))


def file_twice(head: dict[str, Any], body: bytes) -> bytes:
    """One path, two contents."""
    one = said(head, "file", b"x", path="a", executable=False)
    return after("finished", head, body, one, one)


def file_and_folder(head: dict[str, Any], body: bytes) -> bytes:
    """A file where a folder is."""
    files = (said(head, "file", b"x", path=path, executable=False) for path in ("a", "a/b"))
    return after("finished", head, body, *files)


def many_files(head: dict[str, Any], body: bytes) -> bytes:
    """More files than the profile takes."""
    files = (said(head, "file", b"x", path=f"f{at}", executable=False) for at in range(40))
    return after("finished", head, body, *files)


def many_artifacts(head: dict[str, Any], body: bytes) -> bytes:
    """More artifacts than there may be."""
    return after("finished", head, body, *(said(head, "artifact", b"x", path=f"a{at}") for at in range(80)))


def much_in_files(head: dict[str, Any], body: bytes) -> bytes:
    """More bytes in the workspace than the profile takes."""
    block = bytes(256 * 1024)
    piece = {"kind": "file", "call": head["call"], "path": "big", "executable": False}
    pieces = (pack({**piece, "more": at < 31}, block) for at in range(32))
    return after("finished", head, body, *pieces)


def much_output(head: dict[str, Any], body: bytes) -> bytes:
    """Printed bytes far over the cap, each frame a lawful one."""
    block = said(head, "output", bytes(256 * 1024), stream="stdout", part="head")
    return after("started", head, body, *(block for _ in range(64)))


def much_dropped(head: dict[str, Any], body: bytes) -> bytes:
    """A count of dropped bytes that is longer than the text."""
    if head["kind"] == "end":
        head = {**head, "dropped": {"stdout": int("9" * 4000)}}
    return pack(head, body)


def unasked_file(head: dict[str, Any], body: bytes) -> bytes:
    """A file from a tool that may not write."""
    return after("finished", head, body, said(head, "file", b"x", path="planted", executable=True))


def early_success(head: dict[str, Any], body: bytes) -> bytes:
    """A good end while the tool still runs."""
    end = {"status": "ok", "error": "", "limit": "", "notes": [], "dropped": {}}
    return after("started", head, body, said(head, "end", **end))


def unstarted_success(head: dict[str, Any], body: bytes) -> bytes:
    """A good end of a tool that never started."""
    end = {"status": "ok", "error": "", "limit": "", "notes": [], "dropped": {}}
    return said(head, "end", **end) if head["kind"] == "started" else b""


def unknown_status(head: dict[str, Any], body: bytes) -> bytes:
    """An end of a kind that there is not."""
    return pack({**head, "status": "approved"} if head["kind"] == "end" else head, body)


def unknown_field(head: dict[str, Any], body: bytes) -> bytes:
    """A field that nobody reads yet."""
    return pack({**head, "approved": True} if head["kind"] == "end" else head, body)


def forged_usage(head: dict[str, Any], body: bytes) -> bytes:
    """Less than nothing used."""
    return pack({**head, "usage": {"cpu_ms": -1, "memory_kib": 1 << 60}} if head["kind"] == "end" else head, body)


def second_end(head: dict[str, Any], body: bytes) -> bytes:
    """Another end after the end."""
    end = {"status": "error", "error": "", "limit": "", "notes": [], "dropped": {}}
    return after("end", head, body, said(head, "value", b"2"), said(head, "end", **end))


def ahead(head: dict[str, Any], body: bytes) -> bytes:
    """The whole answer to a call that has not been asked yet."""
    end = {"status": "ok", "error": "", "limit": "", "notes": [], "dropped": {}}
    other = {"call": GIVEN}
    kinds = (said(other, kind) for kind in ("claimed", "started", "finished"))
    return after("end", head, body, *kinds, said(other, "value", b"666"), said(other, "end", **end))


def value(head: dict[str, Any], body: bytes) -> bytes:
    """A value that is a bomb."""
    bombs = {
        "deep": b"[" * 100_000 + b"]" * 100_000,
        "same key": b'{"a":1,"a":2}',
        "bytes": b"\xff\xfe",
        "long": b'"' + b"x" * (2 * MIB) + b'"',
    }
    if head["kind"] != "value":
        return pack(head, body)
    bomb = bombs[GIVEN]
    cuts = range(0, max(len(bomb), 1), 256 * 1024)
    return b"".join(pack({**head, "more": at + 256 * 1024 < len(bomb)}, bomb[at : at + 256 * 1024]) for at in cuts)


def frame(head: dict[str, Any], body: bytes) -> bytes:
    """A frame that is a bomb, after the start."""
    call = json.dumps(head["call"]).encode()
    bombs = {
        "head of 16 megabytes": struct.pack(">II", 16 * MIB, 0) + bytes(16 * MIB),
        "head of 4 gigabytes": struct.pack(">II", 2**32 - 1, 0),
        "body of 4 gigabytes": struct.pack(">II", 2, 2**32 - 1) + b"{}",
        "deep head": raw(b"[" * 60_000),
        "deep object": raw(b'{"kind":"end","a":' + b'{"a":' * 5_000),
        "endless number": raw(b'{"kind":"started","call":%s,"more":1e999}' % call),
        "not a number": raw(b'{"kind":"finished","call":%s,"more":NaN}' % call),
        "no UTF-8": raw(b'{"kind":"\xff\xfe"}'),
    }
    return after("started", head, body, bombs[GIVEN])


def mute(head: dict[str, Any], body: bytes) -> bytes:
    """Not a word after the start."""
    return pack(head, body) if head["kind"] == "started" else b""


def drip(head: dict[str, Any], body: bytes) -> bytes:
    """A byte now and then, never a frame."""
    if head["kind"] == "started":
        return pack(head, body)
    while True:
        os.write(_output(), b"\0")
        time.sleep(0.05)


def flood_output(head: dict[str, Any], body: bytes) -> bytes:
    """A gigabyte past the protocol."""
    return _flood(_output(), head, body)


def flood_errors(head: dict[str, Any], body: bytes) -> bytes:
    """A gigabyte on the runner's own stderr."""
    return _flood(2, head, body)


def _flood(number: int, head: dict[str, Any], body: bytes) -> bytes:
    if head["kind"] == "started":
        block = bytes(MIB)
        for _ in range(1024):
            os.write(number, block)
    return pack(head, body)


def _output() -> int:
    """The descriptor that leads to the host."""
    for number in range(10, 64):
        try:
            if "pipe" in os.readlink(f"/proc/self/fd/{number}") and not os.access(
                f"/proc/self/fd/{number}", os.R_OK
            ):
                return number
        except OSError:
            continue
    return 11


def leave(head: dict[str, Any], body: bytes) -> bytes:
    """Gone after the value, before the end."""
    if head["kind"] == "end":
        os._exit(0)
    return pack(head, body)
