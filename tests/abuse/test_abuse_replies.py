"""Replies that a mutator made of honest ones: the host never fails, and believes nothing that does not fit."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interlock.digest import canonical, parse
from interlock.sandbox.door import from_inside
from interlock.sandbox.guest import frames
from interlock.sandbox.outcome import Outcome
from interlock.sandbox.stream import Stream

CALL = "run:c1"
ENDS = {"ok", "error", "timeout", "killed", "protocol", "cancelled", "out_of_memory", "output_limit"}


def said(kind, body=b"", **fields):
    return {"kind": kind, "call": CALL, "more": False, **fields}, body


HONEST = [
    said("started"),
    said("output", b"hello\n", stream="stdout", part="head"),
    said("finished"),
    said("output", b"tail", stream="stderr", part="tail"),
    said("artifact", b"\x00\x01", path="report.bin"),
    said("file", b"text", path="folder/a.txt", executable=False),
    said("gone", path="b.txt"),
    said("value", b'{"n":1}'),
    said("end", status="ok", error="", limit="", notes=[], dropped={}),
]
ODD = [
    None,
    True,
    -1,
    2**70,
    1e999,
    "",
    "x" * 2000,
    "../up",
    "/abs",
    "a\x00",
    "\ud800",
    [],
    [[]],
    {},
    {"a": {}},
    "ok",
    "end",
]


def pack(head, body):
    text = json.dumps(head).encode()
    return struct.pack(">II", len(text), len(body)) + text + body


@pytest.fixture(scope="module")
def outcome_of(attacker):
    """What the host makes of bytes that a container says before it ends."""

    def follow(payload: bytes):
        blobs = type(attacker.blobs)()
        tree = blobs.tree({"b.txt": b"b"})
        limits = {"time_s": 5, "output_kib": 64, "workspace_files": 16, "workspace_mib": 1}
        call = attacker.call("hostile", "honest", workspace=tree, workspace_use="write", limits=limits)
        outcome = Outcome(call.model_copy(update={"call_id": CALL}), blobs)
        ours, theirs = socket.socketpair()

        def container() -> None:
            try:
                theirs.sendall(struct.pack(">BxxxI", 1, len(payload)) + payload)
                theirs.shutdown(socket.SHUT_WR)
                while theirs.recv(1 << 16):
                    pass
            except OSError:
                pass
            finally:
                theirs.close()

        thread = threading.Thread(target=container, daemon=True)
        thread.start()
        stream = Stream(ours)
        stream.cap, stream.deadline = outcome.total_cap, time.monotonic() + 10
        outcome.follow(stream, b"{}")
        stream.close()
        thread.join(5)
        now = datetime.now(UTC)
        return outcome.result(image="", started_at=now, ended_at=now)

    return follow


def test_honest_replies_are_believed(outcome_of):
    result = outcome_of(b"".join(pack(*frame) for frame in HONEST))
    assert (result.status, result.value, set(result.workspace.files)) == ("ok", b'{"n":1}', {"folder/a.txt"})


def sound(result):
    """What holds of any result, whoever made it."""
    assert result.status in ENDS
    assert result.call_id == CALL
    assert (result.value is not None) == (result.status == "ok")
    if result.value is not None:
        assert canonical(parse(result.value)) == result.value
    if result.status != "ok":
        assert set(result.workspace.files) == {"b.txt"}
    names = [*result.workspace.files, *(one.name for one in result.artifacts)]
    assert not any(name.startswith("/") or ".." in name.split("/") or "\x00" in name for name in names)
    assert len(result.stdout) + len(result.stderr) <= 64 * 1024 + 6000
    result.model_dump_json()


MORE = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@MORE
@given(data=st.data())
def test_mutated_frames_are_sound(outcome_of, data):
    said_now = list(HONEST)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(said_now) - 1))
        head, body = said_now[at]
        match data.draw(st.sampled_from(["drop", "double", "swap", "field", "remove field", "body", "kind"])):
            case "drop" if len(said_now) > 1:
                del said_now[at]
            case "double":
                said_now.insert(data.draw(st.integers(0, len(said_now))), (head, body))
            case "swap":
                other = data.draw(st.integers(0, len(said_now) - 1))
                said_now[at], said_now[other] = said_now[other], said_now[at]
            case "field":
                name = data.draw(st.sampled_from(sorted(head)))
                said_now[at] = ({**head, name: data.draw(st.sampled_from(ODD))}, body)
            case "remove field":
                name = data.draw(st.sampled_from(sorted(head)))
                said_now[at] = ({key: value for key, value in head.items() if key != name}, body)
            case "body":
                said_now[at] = (head, data.draw(st.binary(max_size=64)))
            case "kind":
                said_now[at] = (
                    {**head, "kind": data.draw(st.sampled_from([one[0]["kind"] for one in HONEST]))},
                    body,
                )
    sound(outcome_of(b"".join(pack(*frame) for frame in said_now)))


@MORE
@given(data=st.data())
def test_mutated_bytes_are_sound(outcome_of, data):
    payload = bytearray(b"".join(pack(*frame) for frame in HONEST))
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(payload) - 1))
        payload[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(1, len(payload)))
    sound(outcome_of(bytes(payload[:cut])))


@MORE
@given(payload=st.binary(max_size=4096))
def test_random_bytes_are_no_success(outcome_of, payload):
    result = outcome_of(payload)
    sound(result)
    assert result.status in ("protocol", "killed")


PATHS = [
    "/etc/passwd",
    "../up",
    "a/../../up",
    ".",
    "..",
    "",
    "a//b",
    "a/",
    "/",
    "a\\b",
    "a\x00b",
    "a\nb",
    "x" * 1025,
    "\ud800",
]


@pytest.mark.parametrize("kind", ["file", "gone", "artifact"])
def test_every_path_that_leads_out_is_protocol(outcome_of, kind):
    for path in PATHS:
        fields = {"path": path, **({"executable": False} if kind == "file" else {})}
        payload = b"".join(pack(*frame) for frame in [*HONEST[:3], said(kind, b"", **fields), *HONEST[7:]])
        assert outcome_of(payload).status == "protocol", path


VALUES = [b"NaN", b"-Infinity", b"1.5", b"9" * 5000, b'{"\xc3\xa9":1}', b"{", b"", b"\xff", b"[" * 100_000, b"1 2"]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value[:8]))
def test_value_without_canonical_form_is_an_error(outcome_of, value):
    payload = b"".join(pack(*frame) for frame in [*HONEST[:3], said("value", value), HONEST[-1]])
    result = outcome_of(payload)
    assert (result.status, result.value) == ("error", None)


def deep(levels):
    nested: list = []
    for _ in range(levels):
        nested = [nested]
    return nested


FACTS = {
    "none": {},
    "deep": deep(900),
    "numbers": 1e999,
    "text": "no",
    "lists": [],
    "mixed": [1.5, None, {}],
    "true": True,
}
NAMES = ("pid", "ids", "status", "mounts", "interfaces", "environment", "machine", "python")


@pytest.mark.parametrize("name", FACTS)
def test_facts_of_any_shape_are_a_closed_door(name):
    for facts in (
        dict.fromkeys(NAMES, FACTS[name]),
        {"status": FACTS[name]},
        {"pid": 1, "mounts": {"/": FACTS[name]}},
    ):
        assert any(not check.ok for check in from_inside(facts))


def test_frames_refuse_lengths_before_reading():
    asked = []

    def receive(count: int) -> bytes:
        asked.append(count)
        return struct.pack(">II", 2**32 - 1, 2**32 - 1)

    with pytest.raises(frames.FrameError):
        frames.read(receive, max_body=frames.PIECE)
    assert asked == [8]
