"""The record of one call's requests, each noted before anything of it leaves."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import anyio
from anyio import to_thread

from interlock.errors import Refused
from interlock.sandbox.call import Observer
from interlock.sandbox.egress.target import Authority, Target
from interlock.types.egress import LONGEST, EgressRecord, EgressVerdict


class Journal:
    """Numbers requests and keeps what became of them."""

    def __init__(self, observer: Observer, most: int) -> None:
        self._observer = observer
        self._most = most
        self._lock = anyio.Lock()
        self._beyond = 0
        self.records: list[EgressRecord] = []
        """In order. One that is under way is here as it was noted."""

    async def note(self, asked: Asked, verdict: EgressVerdict, *, reason: str = "", credential: str = "") -> Entry:
        """Put a request on record.

        Raises:
            Refused: it is one too many, or it cannot be put on record; so it must not leave.
        """
        async with self._lock:
            index, too_many = (
                len(self.records),
                f"this call has made {self._most} requests, the most that one may make",
            )
            if index > self._most:
                self._count_on(too_many)
                raise Refused(too_many)
            if index == self._most:
                # The last record stands for all that come after it.
                verdict, reason, credential = "refused", too_many, ""
            self.records.append(_record(asked, index + 1, verdict, reason, credential))
            await self._tell(self.records[index])
            if index == self._most:
                raise Refused(too_many)
        return Entry(self, index)

    async def _tell(self, record: EgressRecord) -> None:
        try:
            await to_thread.run_sync(self._observer.leaving, record)
        except anyio.get_cancelled_exc_class():
            if record.verdict == "sent":
                update = {"verdict": "failed", "reason": "the call ended before it left"}
                self.records[-1] = record.model_copy(update=update)
            raise
        except Exception as error:
            reason = f"it could not be put on record first ({type(error).__name__})"
            self.records[-1] = record.model_copy(update={"verdict": "refused", "reason": reason, "credential": ""})
            raise Refused(reason, next_step="nothing was sent; see the executor's log") from error

    def _count_on(self, reason: str) -> None:
        self._beyond += 1
        update = {"reason": f"{reason}; {self._beyond} more followed this one"}
        self.records[-1] = self.records[-1].model_copy(update=update)


class Asked:
    """What is known of a request so far, for its record."""

    def __init__(self, method: str, within: Authority | None) -> None:
        host, port = within or ("", 0)
        scheme = "https" if within else ""
        self.fields: dict[str, Any] = {"method": method, "scheme": scheme, "host": host, "port": port, "path": ""}

    def takes(self, target: Target) -> None:
        """It asks for this."""
        for name in ("scheme", "host", "port", "path"):
            self.fields[name] = getattr(target, name)


class Entry:
    """One record, to be completed."""

    def __init__(self, journal: Journal, index: int) -> None:
        self._journal = journal
        self._index = index

    def becomes(self, **update: Any) -> None:
        """What came of it."""
        records = self._journal.records
        records[self._index] = records[self._index].model_copy(update=_fitted(update))


def _record(asked: Asked, number: int, verdict: EgressVerdict, reason: str, credential: str) -> EgressRecord:
    fields = _fitted({**asked.fields, "reason": reason})
    return EgressRecord(number=number, verdict=verdict, credential=credential, at=datetime.now(UTC), **fields)


def _fitted(fields: dict[str, Any]) -> dict[str, Any]:
    """Text as records take it: ASCII, printable, not too long."""
    return {
        name: ascii(value)[1:-1][: LONGEST[name]] if name in LONGEST else value for name, value in fields.items()
    }
