"""Brings one notification to one channel."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from interlock.notifications.channels import EMAIL, Channels
from interlock.notifications.delivery import DeliveryFailed
from interlock.notifications.mail import MailSender
from interlock.notifications.notification import Details, Message, Notification
from interlock.notifications.webhook import WebhookSender

Describe = Callable[[Notification], Details]
"""Finds the details of a notification. Looked up as it is sent, and kept nowhere: an erased run has none."""

_log = logging.getLogger(__name__)


@dataclass
class Carrier:
    """The ways to every channel of one file."""

    channels: Channels
    webhooks: WebhookSender
    mail: MailSender
    link: Callable[[Notification], str]
    describe: Describe

    async def send(self, channel: str, person: str, notification: Notification) -> None:
        """Deliver one notification now.

        Raises:
            DeliveryFailed: it was not taken, or could not be made.
        """
        try:
            await self._sent(channel, person, notification)
        except DeliveryFailed:
            raise
        except Exception as error:
            # A mistake in one must not end the loop that sends the others.
            _log.exception("a notification could not be made")
            raise DeliveryFailed(f"it could not be made: {type(error).__name__}") from error

    async def _sent(self, channel: str, person: str, notification: Notification) -> None:
        email, hook = self.channels.email, self.channels.webhook(channel)
        if channel == EMAIL and email is not None:
            message = await self._message(notification, details=email.details)
            await self.mail.send(email, person, message, now=datetime.now(UTC))
        elif hook is not None:
            message = await self._message(notification, details=hook.details)
            await self.webhooks.send(hook, message, now=datetime.now(UTC))
        else:
            raise DeliveryFailed("the file no longer has this channel", final=True)

    async def _message(self, notification: Notification, *, details: bool) -> Message:
        found = await asyncio.to_thread(self.describe, notification) if details else None
        return Message(notification=notification, link=self.link(notification), details=found)
