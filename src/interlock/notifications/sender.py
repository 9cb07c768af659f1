"""Sends what is due: each channel in a loop of its own, so that a slow one holds nobody up."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from interlock.errors import InterlockError
from interlock.notifications.carrier import Carrier
from interlock.notifications.channels import EMAIL
from interlock.notifications.delivery import DeliveryFailed
from interlock.notifications.outbox import Outbox, Told
from interlock.notifications.targets import names

AT_ONCE: Final = 8
"""Most deliveries of one channel at a time."""
IDLE_S: Final = 0.5
REST: Final = timedelta(minutes=5)
"""How long one waits that would be too many for its person."""
_log = logging.getLogger(__name__)


@dataclass
class Sender:
    """Delivers the rows of an outbox."""

    outbox: Outbox
    carrier: Carrier

    async def serve(self) -> None:
        """Send until cancelled."""
        await asyncio.to_thread(self.outbox.give_up, names(self.carrier.channels), datetime.now(UTC))
        async with asyncio.TaskGroup() as group:
            for name in names(self.carrier.channels):
                group.create_task(self._serve(name))

    async def _serve(self, channel: str) -> None:
        while True:
            try:
                busy = await self.send_due(channel)
            except InterlockError as error:
                _log.warning("notifications of channel %r wait: %s", channel, error)
                busy = 0
            if not busy:
                await asyncio.sleep(IDLE_S)

    async def send_due(self, channel: str) -> int:
        """Deliver what is due on one channel once; returns how many were tried."""
        due = await asyncio.to_thread(self.outbox.claim, channel, datetime.now(UTC), AT_ONCE)
        await asyncio.gather(*(self._deliver(told) for told in due))
        return len(due)

    def _too_many(self, told: Told) -> bool:
        email = self.carrier.channels.email
        if told.channel != EMAIL or email is None:
            return False
        since = datetime.now(UTC) - timedelta(hours=1)
        return self.outbox.sent_since(EMAIL, told.person, since) >= email.hourly

    async def _deliver(self, told: Told) -> None:
        try:
            if told.notification.stale(datetime.now(UTC)):
                raise DeliveryFailed("its deadline passed before it could be delivered", final=True)
            if await asyncio.to_thread(self._too_many, told):
                await asyncio.to_thread(self.outbox.postpone, told, datetime.now(UTC) + REST)
                return
            await self.carrier.send(told.channel, told.person, told.notification)
        except DeliveryFailed as failure:
            state = await asyncio.to_thread(self.outbox.failed, told, failure, datetime.now(UTC))
            _log.warning("%s to %s: %s; %s", told.notification.kind, told.channel, failure.reason, state)
        else:
            await asyncio.to_thread(self.outbox.sent, told, datetime.now(UTC))
