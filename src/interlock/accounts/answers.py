"""What a request with an Idempotency-Key was answered, so that the same one again does nothing and says the same.

draft-ietf-httpapi-idempotency-key-header: the key is the sender's, and stands for one request.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, insert, select, update

from interlock.accounts.secret import stored_time
from interlock.accounts.tables import answers
from interlock.database import Store
from interlock.errors import Conflict, InvalidInput

KEPT: Final = timedelta(hours=24)
ABANDONED: Final = timedelta(minutes=2)
"""After this long without an answer, whoever was to give it has died, and the request may be made again."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered."""

    status: int
    body: bytes


@dataclass(frozen=True)
class Answers:
    """Answers by key."""

    store: Store

    def begin(self, key: str, request: str, *, now: datetime) -> Answer | None:
        """Take a key for a request; returns the answer that it had, or None where it is to be carried out now.

        Args:
            key: the sender's, and who sends.
            request: digest of what is asked.
            now: the time.

        Raises:
            InvalidInput: the key stands for another request.
            Conflict: the same request is being carried out.
        """
        taken = answers.c.key == key
        with self.store.write() as connection:
            self.store.lock(connection, f"answer {key}")
            connection.execute(delete(answers).where(answers.c.at < stored_time(now - KEPT)))
            row = connection.execute(select(answers).where(taken)).one_or_none()
            if row is None:
                connection.execute(insert(answers).values(key=key, request=request, at=stored_time(now)))
                return None
            if row.request != request:
                raise InvalidInput(
                    "Idempotency-Key: it stood for another request before", next_step="use a new key"
                )
            if row.status is not None:
                return Answer(row.status, bytes(row.body))
            if datetime.fromisoformat(row.at) > now - ABANDONED:
                raise Conflict("the same request is being carried out", next_step="wait, and ask again")
            connection.execute(update(answers).where(taken).values(at=stored_time(now)))
            return None

    def keep(self, key: str, answer: Answer) -> None:
        """Keep what was answered."""
        with self.store.write() as connection:
            given = update(answers).where(answers.c.key == key)
            connection.execute(given.values(status=answer.status, body=answer.body))

    def drop(self, key: str) -> None:
        """Let the key be used again: nothing was done."""
        with self.store.write() as connection:
            connection.execute(delete(answers).where(answers.c.key == key, answers.c.status.is_(None)))
