"""Reserving a call before it acts: once, ever. What a retry finds, who may try again, and what it gave."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import BindParameter, Connection, bindparam, insert, select

from interlock.audit.alarms import Alarming
from interlock.audit.codec import iso, now
from interlock.audit.rows import Reservation, ReserveOutcome
from interlock.audit.tables import attempts, calls, consumed_approvals, results, runs
from interlock.audit.workspace import move
from interlock.errors import Conflict, IntegrityError, InvalidInput

MAX_RESULT: Final = 4 * 1024 * 1024
_wanted: Final[BindParameter[str]] = bindparam("wanted")
_CALL: Final = select(calls.c.run, calls.c.call_digest).where(calls.c.call_id == _wanted)
_ATTEMPT: Final = (
    select(attempts.c.attempt, attempts.c.executor, attempts.c.attempted_at)
    .where(attempts.c.call_id == _wanted)
    .order_by(attempts.c.attempt.desc())
    .limit(1)
)
_RESULT: Final = select(results).where(results.c.call_id == _wanted)
_CONSUMED: Final = select(consumed_approvals.c.call_id).where(consumed_approvals.c.jti == _wanted)
# Held against `run.ended`, which updates this row: a run does not end between this look and the reservation.
_RUN: Final = select(runs.c.status, runs.c.ended_at).where(runs.c.run == _wanted).with_for_update(read=True)


class Finish(NamedTuple):
    """What a finished call leaves."""

    result: bytes
    receipt: str
    workspace_before: str
    workspace_after: str


def locks(call_id: str, approvals: Sequence[str]) -> list[str]:
    """The names that a transaction on this call holds."""
    return [f"call {call_id}", *(f"jti {jti}" for jti in approvals)]


def reserve(connection: Connection, wish: Reservation) -> ReserveOutcome:
    """Reserve a call, or say what became of the earlier reservation. The caller holds `locks`.

    Raises:
        Alarming: the call id is reserved for another digest, or an approval was consumed before.
        Conflict: the run has ended.
        InvalidInput: the call id is of another run, or the ledger does not know the run.
    """
    if not wish.call_id.startswith(f"{wish.run}:"):
        raise InvalidInput(f"call_id {wish.call_id!r} does not belong to run {wish.run!r}")
    earlier = connection.execute(_CALL, {"wanted": wish.call_id}).first()
    if earlier:
        if (earlier.run, earlier.call_digest) != (wish.run, wish.call_digest):
            raise Alarming("call.altered", _other_digest(wish, earlier.call_digest))
        return outcome(connection, wish.call_id)
    _check_open(connection, wish.run)
    time = now()
    row = {
        name: getattr(wish, name)
        for name in ("call_id", "run", "call_digest", "verdict", "rule", "bundle", "request")
    }
    connection.execute(insert(calls), row | {"reserved_at": iso(time)})
    _attempt(connection, wish.call_id, 1, wish.executor, wish.approvals, time)
    return ReserveOutcome("reserved", 1, wish.executor, time)


def outcome(connection: Connection, call_id: str) -> ReserveOutcome:
    """What is known of a reserved call.

    Raises:
        Conflict: it was never reserved.
    """
    attempt = connection.execute(_ATTEMPT, {"wanted": call_id}).first()
    if attempt is None:
        raise Conflict(f"call {call_id!r} was never reserved")
    at = datetime.fromisoformat(attempt.attempted_at)
    done = connection.execute(_RESULT, {"wanted": call_id}).first()
    if done is None:
        return ReserveOutcome("in_doubt", attempt.attempt, attempt.executor, at)
    return ReserveOutcome("finished", done.attempt, attempt.executor, at, bytes(done.result), done.receipt)


def finished(connection: Connection, call_id: str, call_digest: str) -> bytes | None:
    """The result of a call that ran before under this digest."""
    known = connection.execute(_CALL, {"wanted": call_id}).first()
    if known is None or known.call_digest != call_digest:
        return None
    done = connection.execute(_RESULT, {"wanted": call_id}).first()
    return bytes(done.result) if done is not None else None


def retake(connection: Connection, call_id: str, executor: str, attempt: int, approvals: Sequence[str]) -> int:
    """Take over a call in doubt; of several takers one wins. The caller holds `locks`.

    Raises:
        Alarming: an approval was consumed before.
        Conflict: never reserved, finished, taken over by another executor, or the run has ended.
    """
    known = outcome(connection, call_id)
    if known.state == "finished":
        raise Conflict(f"call {call_id!r} finished; its result is stored")
    if known.attempt != attempt:
        raise Conflict(
            f"call {call_id!r} is at attempt {known.attempt}, taken by {known.executor} at {iso(known.at)}, "
            f"not at {attempt}"
        )
    _check_open(connection, connection.execute(_CALL, {"wanted": call_id}).one().run)
    _attempt(connection, call_id, attempt + 1, executor, approvals, now())
    return attempt + 1


def complete(connection: Connection, call_id: str, attempt: int, finish: Finish) -> None:
    """Store a call's result and move the run's workspace. The caller holds `locks` and the workspace's.

    Raises:
        Alarming: another result is stored.
        Conflict: never reserved, another attempt is in force, or the workspace moved meanwhile.
        InvalidInput: the result is longer than `MAX_RESULT`.
    """
    if len(finish.result) > MAX_RESULT:
        raise InvalidInput(f"result: {len(finish.result)} bytes, the limit is {MAX_RESULT}; store it as a blob")
    known = outcome(connection, call_id)
    if known.state == "finished":
        _check_same(connection, call_id, finish)
        return
    if known.attempt != attempt:
        raise Conflict(
            f"call {call_id!r}: attempt {known.attempt} of {known.executor} is in force, the result of attempt "
            f"{attempt} comes too late"
        )
    connection.execute(
        insert(results),
        {"call_id": call_id, "attempt": attempt, **finish._asdict(), "finished_at": iso(now())},
    )
    if finish.workspace_after != finish.workspace_before:
        run = connection.execute(_CALL, {"wanted": call_id}).one().run
        move(connection, run, call_id, finish.workspace_before, finish.workspace_after)


def run_of(call_id: str) -> str:
    """The run that a call id names."""
    return call_id.rpartition(":")[0]


def _attempt(
    connection: Connection, call_id: str, attempt: int, executor: str, approvals: Sequence[str], time: datetime
) -> None:
    row = {"call_id": call_id, "attempt": attempt, "executor": executor, "attempted_at": iso(time)}
    connection.execute(insert(attempts), row)
    for jti in approvals:
        if used := connection.execute(_CONSUMED, {"wanted": jti}).first():
            reason = f"approval {jti!r} was consumed by call {used.call_id!r}; {call_id!r} needs one of its own"
            raise Alarming("approval.reused", Conflict(reason))
        row = {"jti": jti, "call_id": call_id, "attempt": attempt, "consumed_at": iso(time)}
        connection.execute(insert(consumed_approvals), row)


def _check_open(connection: Connection, run: str) -> None:
    row = connection.execute(_RUN, {"wanted": run}).first()
    if row is None:
        raise InvalidInput(f"run {run!r} is not in the ledger", next_step="append its events first")
    if row.ended_at:
        raise Conflict(f"run {run!r} ended ({row.status}); no call of it runs again")


def _check_same(connection: Connection, call_id: str, finish: Finish) -> None:
    stored: Any = connection.execute(_RESULT, {"wanted": call_id}).one()
    for name, value in finish._asdict().items():
        if getattr(stored, name) != value:
            raise Alarming(
                "result.altered",
                IntegrityError(f"call {call_id!r} finished with another {name}; the first one stands"),
            )


def _other_digest(wish: Reservation, stored: str) -> IntegrityError:
    return IntegrityError(
        f"call {wish.call_id!r} was reserved as {stored} and is now given as {wish.call_digest}: it was altered"
    )
