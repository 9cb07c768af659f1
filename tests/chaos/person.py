"""The person in the loop: approves what is asked, and settles unknown calls by looking at the world outside."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

from chaos.errands import OUTSIDE
from chaos.world import World

from interlock.audit import ApprovalRow
from interlock.errors import Conflict, InterlockError
from interlock.types.approval import ApprovalVerdict

NAME = "user:carol"
LOOK_EVERY_S = 0.5


@dataclass
class Person:
    """Looks at the inbox again and again. Of the unknown calls they leave every third to somebody else."""

    world: World
    told: dict[str, str] = field(default_factory=dict)
    """Request → what they said of it, once that was taken."""
    left: set[str] = field(default_factory=set)
    """Requests that they leave open."""
    unknown: int = 0

    async def work(self) -> None:
        """Until cancelled."""
        while True:
            # While something is down nothing can be read or said: they try again later.
            with contextlib.suppress(InterlockError):
                for row in await asyncio.to_thread(self.world.runtime.ledger.approvals):
                    await self._decide(row)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _decide(self, row: ApprovalRow) -> None:
        if row.request_id in self.told or row.request_id in self.left:
            return
        verdict: ApprovalVerdict = "approve"
        message = ""
        if row.kind == "unknown":
            self.unknown += 1
            if self.unknown % 3 == 0:
                self.left.add(row.request_id)
                return
            happened = self.world.outside.effects[f"{row.tool}/{row.run}"] if row.tool in OUTSIDE else 0
            verdict, message = ("respond", "it is in their books") if happened else ("approve", "")
        client = self.world.runtime.client
        with contextlib.suppress(Conflict):  # it was taken, and the answer was lost
            await client.decide(row, verdict, approver=NAME, message=message)
        self.told[row.request_id] = verdict
