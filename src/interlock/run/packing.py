"""How a run's events travel to an executor: without what follows from the events before, and without what the
executor itself has on record. Pure.

A packed event may state any of its own fields; what it leaves out is derived. Run, place and hashes always are, and
the sender says which hash it came to: where that differs, nothing of it is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, get_args

from pydantic import Field, JsonValue, ValidationError
from pydantic_core import to_jsonable_python

from interlock.errors import EventForged, InterlockError, Unreachable
from interlock.events import EVENT, Event, EventBase, sealed
from interlock.run.trail import Trail
from interlock.types.closed import Closed

Row = dict[str, JsonValue]
"""A packed event."""
Ended = Callable[[str, str], Mapping[str, JsonValue] | None]
"""How a call ended by the executor's own record, by its id and digest: the fields of `ExecuteOutput`."""

ENVELOPE: Final = frozenset({"v", "run", "seq", "prev", "hash"})
_NOT_OWN: Final = ENVELOPE | {"kind", "time"}
BY_THE_EXECUTOR: Final = ("status", "output", "workspace", "artifacts", "start", "usage", "child", "receipt")
"""Fields of `call.finished` that the executor has on record."""
IDS: Final = ("call_id", "request_id", "edited_from")
"""Fields that begin with the run's id."""
HEAD_DIGITS: Final = 16
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_KINDS: Final[dict[str, type[EventBase]]] = {
    cls.model_fields["kind"].default: cls for cls in get_args(get_args(Event)[0])
}


class Batch(Closed):
    """Events on their way to the ledger."""

    first: int = Field(default=0, ge=0)
    """The first one's place in the chain; where there are none, the next one's."""
    head: str = Field(default="", pattern=rf"^[0-9a-f]{{0,{HEAD_DIGITS}}}$")
    """The first digits of the hash that the chain comes to with them. It finds sender and receiver at odds, by a
    mistake or by another version of this module; a sender who lies about it gains nothing, since each event is
    verified for itself."""
    rows: tuple[Row, ...] = ()

    @property
    def last(self) -> int:
        """The last one's place; where there are none, that of the last event before."""
        return self.first + len(self.rows) - 1


def short(digest: str) -> str:
    """A hash as a batch states it."""
    return digest.removeprefix("sha256:")[:HEAD_DIGITS]


def pack(event: Event, trail: Trail, payload: Mapping[str, Any] | None = None) -> Row:
    """An event as it travels.

    Args:
        event: the next one of the chain.
        trail: the chain before it.
        payload: what the event's hash covers, where it is at hand.
    """
    payload = event.payload() if payload is None else payload
    stated = {name: value for name, value in payload.items() if name not in _NOT_OWN}
    derived = {**_defaults(event.kind), **trail.derived(event.kind, stated)}
    if event.kind == "call.finished":
        for name in BY_THE_EXECUTOR:
            del stated[name]
    if event.kind == "egress.requested":
        stated["request"] = {"attempt": event.request.attempt, "number": event.request.number}
    row: Row = {"kind": event.kind}
    if moved := (event.time - (trail.time or _EPOCH)) // _MICROSECOND:
        row["t"] = moved
    for name, value in stated.items():
        if name not in derived or derived[name] != value:
            row[name] = shortened(trail.run, value) if name in IDS else value
    return row


def unpack(row: Row, trail: Trail, ended: Ended) -> Event:
    """The event that a packed one stands for, its hash filled in.

    Args:
        row: from a channel that anybody may write to.
        trail: the chain before it.
        ended: how calls ended.

    Raises:
        EventForged: it stands for none.
        Unreachable: how a call ended cannot be looked up now.
    """
    try:
        event: Event = EVENT.validate_python(_whole(dict(row), trail, ended))
        return sealed(event)
    except ValidationError as error:
        problem = error.errors()[0]
        raise EventForged(f"not an event: {problem['loc']}: {problem['msg']}"[:2000]) from error
    except Unreachable:
        raise
    except (InterlockError, ValueError, TypeError, OverflowError) as error:
        raise EventForged(f"not an event: {error}"[:2000]) from error


def _whole(row: Row, trail: Trail, ended: Ended) -> dict[str, Any]:
    if found := ENVELOPE & row.keys():
        raise ValueError(f"a packed event does not state {', '.join(sorted(found))}")
    kind = str(row.pop("kind", ""))
    moved = row.pop("t", 0)
    if not isinstance(moved, int):
        raise TypeError("t: not a number of microseconds")
    stated = {name: restored(trail.run, value) if name in IDS else value for name, value in row.items()}
    derived = {**_defaults(kind), **trail.derived(kind, stated)}
    whole: dict[str, Any] = {"time": (trail.time or _EPOCH) + moved * _MICROSECOND, **derived, **stated}
    if kind == "call.finished" and "receipt" not in stated:
        whole = {**_finish(_result(ended, whole)), **whole}
    if kind == "egress.requested" and _meant(whole.get("request")):
        whole["request"] = _request(_result(ended, whole), whole.get("request"))
    return {**whole, "kind": kind, "run": trail.run, "seq": trail.seq, "prev": trail.head}


def _result(ended: Ended, whole: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is on record of the end of the call that an event is about."""
    call_id, digest = whole.get("call_id"), whole.get("call_digest")
    found = ended(call_id, digest) if isinstance(call_id, str) and isinstance(digest, str) else None
    if found is None:
        raise ValueError(f"call {call_id!r} has no result on record here")
    return found


def _finish(result: Mapping[str, Any]) -> dict[str, Any]:
    return {name: result[name] for name in BY_THE_EXECUTOR if name in result}


def _meant(request: Any) -> bool:
    """Whether a request only says which one it is."""
    return isinstance(request, dict) and request.keys() == {"attempt", "number"}


def _request(result: Mapping[str, Any], stated: Any) -> Any:
    """The request to the outside that is meant by its attempt and number."""
    for one in result.get("egress", ()):
        if {"attempt": one["attempt"], "number": one["number"]} == stated:
            return one
    raise ValueError(f"the call has no request {stated} on record here")


def _defaults(kind: str) -> dict[str, JsonValue]:
    """The defaults of an event's own fields. What the executor has on record is never left out for being one."""
    if kind not in _KINDS:
        raise ValueError(f"kind: no event is a {kind!r}")
    return _OWN_DEFAULTS[kind]


def _own_defaults(cls: type[EventBase]) -> dict[str, JsonValue]:
    left_to_the_executor = BY_THE_EXECUTOR if "receipt" in cls.model_fields else ()
    skipped = _NOT_OWN.union(left_to_the_executor)
    fields = {name: field for name, field in cls.model_fields.items() if name not in skipped}
    defaults = {name: field.default for name, field in fields.items() if not field.is_required()}
    return {name: to_jsonable_python(value) for name, value in defaults.items()}


_OWN_DEFAULTS: Final = {kind: _own_defaults(cls) for kind, cls in _KINDS.items()}


def shortened(run: str, value: Any) -> Any:
    """An id of the run without the run's; `:` tells it from any other."""
    rest = value.removeprefix(run) if isinstance(value, str) else ""
    if rest != value and rest.startswith(":") and not rest.startswith("::"):
        return rest
    return f":{value}" if isinstance(value, str) and value.startswith(":") else value


def restored(run: str, value: Any) -> Any:
    """The opposite of `shortened`."""
    if not isinstance(value, str) or not value.startswith(":"):
        return value
    return value[1:] if value.startswith("::") else run + value
