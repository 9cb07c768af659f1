"""Key rotation: every data key wrapped anew by the provider's current key. Content is not touched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select, update

from interlock.audit.run_keys import RunKeys, context_of
from interlock.audit.tables import run_keys
from interlock.encryption import Wrapped
from interlock.errors import IntegrityError, Unreachable

_AT_ONCE: Final = 200
_PASSES: Final = 5


@dataclass(frozen=True)
class Rotation:
    """What a rotation did."""

    key_id: str
    """The wrapping key in force."""
    wrapped: int
    """How many data keys were wrapped anew."""
    failed: dict[str, str]
    """Run to reason: these are still wrapped as they were."""


def rotate(keys: RunKeys) -> Rotation:
    """Wrap every data key by the current key. It may run while runs are made, read and erased.

    Raises:
        Unreachable: the provider does not answer.
        LedgerUnavailable: the store cannot be written.
    """
    current, count = keys.provider.current(), 0
    failed: dict[str, str] = {}
    for _ in range(_PASSES):  # while it works, a process may still wrap by the key that it knew
        done = _pass(keys, current, failed)
        count += done
        if not done:
            break
    return Rotation(current, count, failed)


def _pass(keys: RunKeys, current: str, failed: dict[str, str]) -> int:
    after, done = "", 0
    while rows := _others(keys, current, after):
        done += sum(_rewrapped(keys, row, failed) for row in rows if row.run not in failed)
        after = rows[-1].run
    return done


def _others(keys: RunKeys, current: str, after: str) -> list[Any]:
    query = select(run_keys).where(
        run_keys.c.wrapped_by != current, run_keys.c.erased_at.is_(None), run_keys.c.run > after
    )
    with keys.store.read() as connection:
        return list(connection.execute(query.order_by(run_keys.c.run).limit(_AT_ONCE)))


def _rewrapped(keys: RunKeys, row: Any, failed: dict[str, str]) -> bool:
    before, context = Wrapped(row.wrapped_by, bytes(row.wrapped)), context_of(row.run, bytes(row.id))
    try:
        after = keys.provider.wrap(keys.provider.unwrap(before, context), context)
    except (IntegrityError, Unreachable) as error:
        failed[row.run] = str(error)
        return False
    # Only where it is still what was read: a run that was erased meanwhile stays erased.
    unchanged = (run_keys.c.run == row.run) & (run_keys.c.wrapped == before.data)
    with keys.store.write() as connection:
        values = {"wrapped": after.data, "wrapped_by": after.key_id}
        return connection.execute(update(run_keys).where(unchanged), values).rowcount > 0
