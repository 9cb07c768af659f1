"""A container that has become the tool's speaks to the host: whatever it says, it is no success."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time

import pytest

from interlock.sandbox.guest import frames
from interlock.sandbox.outcome import Outcome
from interlock.sandbox.stream import Stream


def said(kind, call="run:c1", body=b"", more=False, **fields):
    return frames.pack({"kind": kind, "call": call, "more": more, **fields}, body)


def ended(status="ok", call="run:c1", **given):
    fields = {"error": "", "limit": "", "notes": [], "dropped": {}, **given}
    return said("end", call, status=status, **fields)


STARTED, FINISHED = said("started"), said("finished")
VALUE = said("value", body=b"1")


def relayed(payload, number=1):
    """As the engine relays what a container writes."""
    return struct.pack(">BxxxI", number, len(payload)) + payload


def outcome_of(make_call, blobs, payload, *, raw=False, cap=0, stay=False, **given):
    """What the host makes of a container that says `payload` and then ends."""
    ours, theirs = socket.socketpair()
    call = make_call("return None", call_id="run:c1", **given)

    def container():
        try:
            theirs.recv(1 << 20)
            theirs.sendall(payload if raw else relayed(payload))
            if stay:
                time.sleep(10)
        except OSError:
            pass
        theirs.close()

    thread = threading.Thread(target=container, daemon=True)
    thread.start()
    outcome = Outcome(call, blobs)
    stream = Stream(ours)
    stream.cap, stream.deadline = cap or outcome.total_cap, time.monotonic() + 20
    outcome.follow(stream, b"{}")
    stream.close()
    return outcome


def test_honest_runner_is_believed(make_call, blobs):
    outcome = outcome_of(make_call, blobs, STARTED + FINISHED + VALUE + ended())
    assert outcome.status == "ok"


FORGED = {
    "reply for another call": STARTED + FINISHED + VALUE + ended(call="run:c2"),
    "end before it started": VALUE + ended(),
    "success before it started": ended(),
    "success before it finished": STARTED + ended(),
    "value before it finished": STARTED + VALUE,
    "started twice": STARTED + STARTED,
    "ready again": STARTED + said("ready", version=1, facts={}),
    "unknown kind": STARTED + said("sudo"),
    "unknown status": STARTED + FINISHED + ended("great"),
    "field too many": STARTED + FINISHED + ended(extra=1),
    "field of wrong type": STARTED + FINISHED + said("file", path=1, executable=False),
    "absolute path": STARTED + FINISHED + said("file", path="/etc/passwd", executable=False),
    "path upwards": STARTED + FINISHED + said("file", path="a/../../b", executable=False),
    "file that was not asked for": STARTED + FINISHED + said("file", path="a", executable=False),
    "artifact with a path": STARTED + FINISHED + said("artifact", path="a/b"),
    "same artifact twice": STARTED + FINISHED + said("artifact", path="a") * 2,
    "head that is a list": struct.pack(">II", 2, 0) + b"[]",
    "head that is no JSON": struct.pack(">II", 2, 0) + b"{]",
    "endless head": struct.pack(">II", 2**31, 0),
    "endless body": struct.pack(">II", 2, 2**31) + b"{}",
    "deep head": struct.pack(">II", 60_000, 0) + b"[" * 60_000,
    "megabyte of error": STARTED + FINISHED + ended("error", error="x" * 60_000),
}


@pytest.mark.parametrize("name", FORGED)
def test_forged_reply_is_protocol(make_call, blobs, name):
    outcome = outcome_of(make_call, blobs, FORGED[name], stay=True)
    assert outcome.status == "protocol"
    assert "protocol" in outcome.error


def test_value_without_end_is_no_success(make_call, blobs):
    outcome = outcome_of(make_call, blobs, STARTED + FINISHED + VALUE)
    assert outcome.status == "killed"


def test_ended_container_is_killed(make_call, blobs):
    assert outcome_of(make_call, blobs, b"").status == "killed"
    assert outcome_of(make_call, blobs, STARTED[:10]).status == "killed"


def test_silent_container_times_out(make_call, blobs):
    outcome = outcome_of(make_call, blobs, STARTED, stay=True, limits={"time_s": 1})
    assert (outcome.status, outcome.limit) == ("timeout", "time")


def test_flood_of_frames_is_stopped(make_call, blobs):
    chunk = said("output", body=b"x" * 200_000, stream="stdout", part="head")
    outcome = outcome_of(make_call, blobs, STARTED + chunk * 50, cap=1 << 20)
    assert outcome.status == "protocol"
    assert "more than 1048576 bytes" in outcome.error


def test_flood_of_engine_frames_is_stopped(make_call, blobs):
    payload = relayed(b"x" * 1000, number=2) * 5000
    assert outcome_of(make_call, blobs, payload, raw=True, cap=1 << 20).status == "protocol"


def test_unfinished_engine_frame_is_stopped(make_call, blobs):
    payload = struct.pack(">BxxxI", 1, 2**32 - 1) + b"x" * (2 << 20)
    assert outcome_of(make_call, blobs, payload, raw=True, cap=1 << 20).status == "protocol"


def test_replies_in_small_parts_are_read(make_call, blobs):
    payload = STARTED + FINISHED + VALUE + ended()
    small = b"".join(relayed(payload[at : at + 1]) for at in range(len(payload)))
    assert outcome_of(make_call, blobs, small, raw=True).status == "ok"


@pytest.mark.parametrize("value", [b"1.5", b"NaN", b"{", b"\xff", b'{"a":1,"a":2}', b"[" * 5000, b""])
def test_value_without_canonical_form_is_error(make_call, blobs, value):
    payload = STARTED + FINISHED + said("value", body=value) + ended()
    outcome = outcome_of(make_call, blobs, payload)
    assert outcome.status == "error"


def test_file_in_place_of_folder_is_protocol(make_call, blobs):
    files = said("file", path="a", executable=False) + said("file", path="a/b", executable=False)
    payload = STARTED + FINISHED + files + VALUE + ended()
    outcome = outcome_of(make_call, blobs, payload, workspace_use="write")
    assert outcome.status == "protocol"


def test_same_file_twice_is_protocol(make_call, blobs):
    payload = STARTED + FINISHED + said("file", path="a", executable=False) * 2
    assert outcome_of(make_call, blobs, payload, workspace_use="write").status == "protocol"


def test_frame_heads_are_json_objects():
    packed = frames.pack({"kind": "x", "path": "文"}, b"body")
    parts = memoryview(packed)
    position = 0

    def receive(count):
        nonlocal position
        position += count
        return bytes(parts[position - count : position])

    frame = frames.read(receive)
    assert (frame.head, frame.body) == ({"kind": "x", "path": "文"}, b"body")
    assert json.dumps(frame.head)
