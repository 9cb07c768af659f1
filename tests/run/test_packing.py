"""Events travel packed: what the receiver derives is what was left out, and a packed event that nobody packed is
none."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python
from support.events import EVENT_KINDS, EVENT_TYPES, START, SampleRun

from interlock.errors import EventForged, Unreachable
from interlock.events import GENESIS, CallFinished, EgressRequested, Event, EventBase, sealed
from interlock.run.packing import BY_THE_EXECUTOR, Row, pack, unpack
from interlock.run.trail import Trail
from interlock.scratch import ScratchBlobs
from interlock.types import Artifact, EgressRecord, NearestRule, Usage

RUN = "run-1"
DIGESTS = st.sampled_from([f"sha256:{digit * 64}" for digit in "abc"])
OPTIONAL = st.one_of(st.just(""), DIGESTS)
TEXTS = st.one_of(
    st.just(""), st.sampled_from([RUN, f"{RUN}:c1", ":c1", "::c1", f"{RUN}::c1", "#"]), st.text(max_size=6)
)
SUBJECTS = st.sampled_from(["agent:a", "agent:b", "user:alice"])
CALLS = st.sampled_from([f"{RUN}:c1", f"{RUN}:c2", f"{RUN}:c12", f"{RUN}::c1", "other:c1", ":c1", "::", ""])
REQUESTS = st.builds(
    EgressRecord,
    attempt=st.integers(1, 2),
    number=st.integers(1, 2),
    verdict=st.just("sent"),
    scheme=st.just("https"),
    host=st.just("example.org"),
    port=st.just(443),
    method=st.just("GET"),
    path=st.just("/"),
    at=st.just(START),
)
TIMES = st.integers(0, 2**40).map(lambda second: datetime.fromtimestamp(second / 8, UTC))
BY_NAME: dict[str, st.SearchStrategy[Any]] = {
    "call_id": CALLS,
    "edited_from": CALLS,
    "request_id": st.sampled_from([f"{RUN}:a1", "other:a1"]),
    "tool": st.sampled_from(["note", "code.run", "not a tool"]),
    "name": st.just("paid"),
    "time": TIMES,
    "expires_at": TIMES,
    "ends_at": TIMES,
    "usage": st.builds(Usage, cpu_ms=st.integers(0, 9)),
    "artifacts": st.sampled_from([(), (Artifact(name="a", digest=GENESIS, size=1),)]),
    "nearest": st.sampled_from([None, NearestRule(rule="r", clause="c", source="s:1")]),
    "child": st.none(),
}


def field_values(kind: type[EventBase], name: str, schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    if kind is EgressRequested and name == "request":
        return REQUESTS
    if name in BY_NAME:
        return BY_NAME[name]
    patterns = [one.get("pattern", "") for one in (schema, *schema.get("anyOf", ()))]
    if any(pattern.startswith("^sha256") for pattern in patterns):
        return OPTIONAL if "anyOf" in schema else DIGESTS
    if patterns[0].startswith("^(agent"):
        return SUBJECTS
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    of_type = {"integer": st.integers(0, 9), "boolean": st.booleans(), "array": st.just(()), "string": TEXTS}
    return of_type[schema["type"]]


def own_fields(kind: type[EventBase]) -> st.SearchStrategy[dict[str, Any]]:
    schemas = TypeAdapter(kind).json_schema(mode="serialization")["properties"]
    names = set(kind.model_fields) - {"v", "run", "seq", "prev", "hash", "kind"}
    return st.fixed_dictionaries({name: field_values(kind, name, schemas[name]) for name in sorted(names)})


FIELDS = {kind: own_fields(kind) for kind in EVENT_TYPES}
CHAINS = st.lists(st.sampled_from(EVENT_TYPES).flatmap(lambda k: st.tuples(st.just(k), FIELDS[k])), max_size=12)


class Executor:
    """What an executor has on record: how each call ended."""

    def __init__(self, event: Event | None = None) -> None:
        self.told: dict[str, Any] = {}
        if isinstance(event, CallFinished):
            self.told = {name: to_jsonable_python(getattr(event, name)) for name in BY_THE_EXECUTOR}
        if isinstance(event, EgressRequested):
            self.told = {"egress": [event.request.model_dump(mode="json")]}

    def __call__(self, call_id: str, call_digest: str) -> Mapping[str, Any] | None:
        return self.told or None


def through(events: list[Event], sender: Trail, receiver: Trail) -> list[Event]:
    arrived = []
    for event in events:
        row = pack(event, sender)
        sender.feed(event)
        arrived.append(unpack(row, receiver, Executor(event)))
        receiver.feed(arrived[-1])
    return arrived


def linked(parts: list[tuple[type[EventBase], dict[str, Any]]]) -> list[Event]:
    events: list[Any] = []
    for kind, fields in parts:
        prev = events[-1].hash if events else GENESIS
        events.append(sealed(kind(run=RUN, seq=len(events), prev=prev, **fields)))  # type: ignore[arg-type]
    return events


def sample() -> list[Event]:
    return SampleRun(ScratchBlobs(), RUN).events


@given(CHAINS)
@settings(max_examples=150, deadline=None)
def test_unpacked_is_what_was_packed(parts: list[tuple[type[EventBase], dict[str, Any]]]) -> None:
    events = linked(parts)
    assert through(events, Trail(run=RUN), Trail(run=RUN)) == events


def test_every_kind_travels() -> None:
    events = sample()
    assert {event.kind for event in events} == set(EVENT_KINDS)
    assert through(events, Trail(run=RUN), Trail(run=RUN)) == events


def test_trail_goes_on_from_its_json() -> None:
    """As one execution of a workflow hands it to the next."""
    events = sample()
    for cut in range(len(events)):
        sender, receiver = Trail(run=RUN), Trail(run=RUN)
        through(events[:cut], sender, receiver)
        sender = Trail.model_validate_json(sender.model_dump_json())
        assert through(events[cut:], sender, receiver) == events[cut:]


def test_what_follows_does_not_travel() -> None:
    events, trail = sample(), Trail(run=RUN)
    rows = {}
    for event in events:
        rows.setdefault(event.kind, pack(event, trail))
        trail.feed(event)
    assert set(rows["call.finished"]) == {"kind", "t"}
    assert "call_digest" not in rows["call.proposed"]
    assert {"call_id", "call_digest"}.isdisjoint(rows["call.decided"])
    assert not any(RUN in str(row.get("call_id", "")) for row in rows.values())
    assert not any(key in row for row in rows.values() for key in ("run", "seq", "prev", "hash"))


HOSTILE: dict[str, Row] = {
    "no kind": {},
    "unknown kind": {"kind": "call.blessed"},
    "own hash": {"kind": "approval.expired", "request_id": "x", "hash": GENESIS},
    "own place": {"kind": "approval.expired", "request_id": "x", "seq": 3},
    "another run": {"kind": "approval.expired", "request_id": "x", "run": "other"},
    "a field more": {"kind": "approval.expired", "request_id": "x", "sudo": True},
    "a field less": {"kind": "approval.expired"},
    "beyond time": {"kind": "approval.expired", "request_id": "x", "t": 10**30},
    "a time of text": {"kind": "approval.expired", "request_id": "x", "t": "soon"},
    "no zone": {"kind": "approval.expired", "request_id": "x", "time": "2026-01-01T00:00:00"},
    "an id that is a list": {"kind": "approval.expired", "request_id": ["x"]},
    "an agent that is a list": {"kind": "model.responded", "agent": ["a"], "after": GENESIS},
    "a tool that is an object": {"kind": "call.proposed", "tool": {}, "arguments": GENESIS},
    "a call that never ended": {"kind": "call.finished", "call_id": ":c1", "call_digest": GENESIS},
    "a request nobody made": {
        "kind": "egress.requested",
        "call_id": ":c1",
        "call_digest": GENESIS,
        "request": {"attempt": 1, "number": 1},
    },
    "a number of many digits": {"kind": "run.ended", "status": "completed", "result": "", "count": 10**400},
}


@pytest.mark.parametrize("row", HOSTILE.values(), ids=HOSTILE.keys())
def test_packed_event_that_is_none(row: Row) -> None:
    with pytest.raises(EventForged, match="not an event"):
        unpack(row, Trail(run=RUN), Executor())


def test_record_out_of_reach_forges_nothing() -> None:
    """What cannot be looked up now is tried again, and raises no alarm."""

    def ended(call_id: str, call_digest: str) -> Mapping[str, Any] | None:
        raise Unreachable("the ledger is busy")

    with pytest.raises(Unreachable):
        unpack({"kind": "call.finished", "call_id": ":c1", "call_digest": GENESIS}, Trail(run=RUN), ended)


def test_trail_does_not_grow_with_the_run() -> None:
    events, trail = sample(), Trail(run=RUN)
    proposal = next(event for event in events if event.kind == "call.proposed")
    sizes = []
    for number in range(500):
        trail.feed(proposal.model_copy(update={"call_id": f"{RUN}:c{1000 + number}"}))
        sizes.append(len(trail.model_dump_json()))
    assert max(sizes[300:]) == max(sizes[64:300])
