"""Which channels and persons a notification goes to."""

from __future__ import annotations

from collections.abc import Iterator

from interlock.notifications.channels import EMAIL, Channels
from interlock.notifications.notification import Notification


def targets(channels: Channels, notification: Notification) -> list[tuple[str, str]]:
    """Channel and person of each row that the outbox is to have; a webhook's person is empty."""
    return list(_targets(channels, notification))


def _targets(channels: Channels, notification: Notification) -> Iterator[tuple[str, str]]:
    for hook in channels.webhooks:
        if notification.kind in hook.events:
            yield hook.name, ""
    if channels.email is not None and notification.kind in channels.email.events:
        for person in dict.fromkeys(notification.people):
            if person in channels.email.to:
                yield EMAIL, person


def names(channels: Channels) -> list[str]:
    """Every channel's name."""
    return [hook.name for hook in channels.webhooks] + ([EMAIL] if channels.email else [])
