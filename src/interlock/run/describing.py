"""What a channel that says `details: true` learns besides: looked up as it is sent, verified, and made visible."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from interlock.approval.visible import shortened, visible
from interlock.audit import Ledger
from interlock.errors import InterlockError
from interlock.notifications import Details, Notification
from interlock.run.inbox import request_card
from interlock.settings import Settings
from interlock.types.blobs import BlobStore

LONGEST: Final = 4_000
"""Characters of one text; how many are missing is said, and the page has them all."""


@dataclass
class Describer:
    """Describes notifications: the card of a request, or why a run failed."""

    settings: Settings
    ledger: Ledger
    blobs: BlobStore

    def __call__(self, notification: Notification) -> Details:
        """Find the details; where they must not be shown they say why."""
        try:
            lines = tuple(self._of_request(notification) if notification.request else self._of_run(notification))
        except InterlockError as error:
            lines = (("Not shown", shortened(visible(error.reason), LONGEST)),)
        return Details(lines=lines)

    def _of_request(self, notification: Notification) -> Iterator[tuple[str, str]]:
        row = self.ledger.approval(notification.request)
        card = request_card(row, self.settings, self.ledger, self.blobs, now=datetime.now(UTC))
        # A card's texts are made visible already.
        yield "What", shortened(card.sentence, LONGEST)
        yield "Why it waits", shortened(card.reason, LONGEST)
        for argument in card.arguments:
            yield f"Argument {shortened(argument.name, 100)}", shortened(argument.text, LONGEST)
        for warning in card.warnings:
            yield "Warning", shortened(warning, LONGEST)
        if notification.verdict and row.votes:
            message = row.votes[-1].message
            if message:
                yield "Message", shortened(visible(message), LONGEST)

    def _of_run(self, notification: Notification) -> Iterator[tuple[str, str]]:
        if notification.run and (detail := self.ledger.run(notification.run).detail):
            yield "Detail", shortened(visible(detail), LONGEST)
