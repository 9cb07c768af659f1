"""One look at the ledger a second for everybody who has the inbox open, however many they are."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from typing import Final

from fastapi import FastAPI

from interlock.api.services import Services
from interlock.audit import ApprovalRow
from interlock.digest import digest_bytes
from interlock.errors import InterlockError

EVERY_S: Final = 1.0


def version(rows: Sequence[ApprovalRow]) -> str:
    """Changes whenever the waiting requests, or the votes on one, do."""
    told = [f"{row.request_id} {row.call_digest} {row.stage} {row.approvers} {len(row.votes)}" for row in rows]
    return digest_bytes("\n".join(told).encode()).removeprefix("sha256:")[:16]


class Pulse:
    """Looks while somebody listens, and whenever somebody opens the inbox."""

    def __init__(self, held: Services) -> None:
        self._held = held
        self._lock = threading.Lock()
        self._read: Sequence[ApprovalRow] = ()
        self._read_at = -EVERY_S
        self._changed = asyncio.Condition()
        self._listeners = 0
        self._looking: asyncio.Task[None] | None = None
        self.rows: Sequence[ApprovalRow] = ()
        self.version = ""

    def waiting(self) -> Sequence[ApprovalRow]:
        """Every request that waits, as of at most a second ago. Raises LedgerUnavailable."""
        with self._lock:
            if time.monotonic() - self._read_at >= EVERY_S:
                self._read = self._held.ledger.approvals()
                self._read_at = time.monotonic()
            return self._read

    async def changed(self, seen: str, *, within_s: float) -> bool:
        """Wait until the requests differ from those of version `seen`; False if they did not in time."""
        self._listeners += 1
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            async with asyncio.timeout(within_s), self._changed:
                await self._changed.wait_for(lambda: self.version not in ("", seen))
        except TimeoutError:
            return False
        finally:
            self._listeners -= 1
        return True

    async def _look(self) -> None:
        idle = 0
        while idle < 3:
            idle = 0 if self._listeners else idle + 1
            try:
                rows = await asyncio.to_thread(self.waiting)
            except InterlockError:  # the next look may find it again
                await asyncio.sleep(EVERY_S)
                continue
            found = version(rows)
            if found != self.version:
                async with self._changed:
                    self.rows, self.version = rows, found
                    self._changed.notify_all()
            await asyncio.sleep(EVERY_S)
        self.version = ""


_making = threading.Lock()


def pulse_of(app: FastAPI, held: Services) -> Pulse:
    """The application's one."""
    with _making:
        found: Pulse | None = getattr(app.state, "inbox_pulse", None)
        if found is None:
            found = app.state.inbox_pulse = Pulse(held)
        return found
