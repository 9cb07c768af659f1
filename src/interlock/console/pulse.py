"""One look at the ledger a second for everybody who has the inbox open, however many they are."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from interlock.api.services import Services
from interlock.audit import ApprovalRow
from interlock.digest import digest_of
from interlock.errors import InterlockError

EVERY_S: Final = 1.0


def version(rows: Sequence[ApprovalRow]) -> str:
    """Changes whenever the waiting requests, or the votes on one, do."""
    return digest_of(
        [[row.request_id, row.call_digest, row.stage, *row.approvers, len(row.votes)] for row in rows]
    ).removeprefix("sha256:")[:16]


class Pulse:
    """Looks while somebody listens."""

    def __init__(self, held: Services) -> None:
        self._held = held
        self._changed = asyncio.Condition()
        self._listeners = 0
        self._looking: asyncio.Task[None] | None = None
        self.rows: Sequence[ApprovalRow] = ()
        self.version = ""

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
                rows = await asyncio.to_thread(self._held.ledger.approvals)
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
