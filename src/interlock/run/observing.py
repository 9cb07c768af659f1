"""What an executor does with what it sees of a running call: requests go on record before they leave, and the
newest output can be looked at while the call runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, Literal

from interlock.audit import Ledger
from interlock.types.access import Obligations
from interlock.types.egress import EgressRecord

LIVE_BYTES: Final = 8 * 1024
"""Of the newest output; the whole is in the result."""


class CallObserver:
    """Sees one attempt at a call. See `Observer`."""

    def __init__(
        self, ledger: Ledger, call_id: str, attempt: int, obligations: Obligations, taking: Callable[[], None]
    ) -> None:
        self._ledger = ledger
        self._call_id, self._attempt, self._taking = call_id, attempt, taking
        # A pattern may match across what is printed now and what comes next, so nothing is shown before the end.
        self._withheld = bool(obligations.redact)
        self._lock = threading.Lock()
        self._tail = bytearray()
        self._printed = 0

    def output(self, stream: Literal["stdout", "stderr"], data: bytes) -> None:
        """Keep the newest of what the tool printed."""
        with self._lock:
            self._printed += len(data)
            if not self._withheld:
                self._tail += data
                del self._tail[:-LIVE_BYTES]

    def leaving(self, record: EgressRecord) -> None:
        """Put a request on record.

        Raises:
            LedgerUnavailable: it is not on record, so it does not leave.
        """
        self._ledger.leaving(self._call_id, record.model_copy(update={"attempt": self._attempt}))

    def taking(self) -> None:
        """What an earlier attempt left is about to be taken over."""
        self._taking()

    def live(self) -> dict[str, str | int | bool]:
        """What a heartbeat tells: bytes printed so far, and the newest of them."""
        with self._lock:
            text = self._tail.decode("utf-8", "replace")
            return {"call": self._call_id, "printed": self._printed, "tail": text, "withheld": self._withheld}
