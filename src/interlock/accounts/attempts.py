"""How often signing in failed, from one address and for one account: behind a limit nobody is heard."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, func, insert, select

from interlock.accounts.secret import stored_time
from interlock.accounts.tables import attempts
from interlock.database import Store

WINDOW: Final = timedelta(minutes=1)
FROM_ADDRESS: Final = 30
"""Failures from one address in a window. Offices share one."""
FOR_ACCOUNT: Final = 10
"""Failures for one account: one link, or one person of an identity provider."""


@dataclass(frozen=True)
class Attempts:
    """What failed in the last window. Processes that share the database share the count."""

    store: Store

    def count(self, about: str, *, now: datetime) -> int:
        """Note one more, and say how many there were in this window, this one included."""
        since = stored_time(now - WINDOW)
        with self.store.write() as connection:
            self.store.lock(connection, f"attempts {about}")
            connection.execute(delete(attempts).where(attempts.c.at < since))
            row = {"id": secrets.token_hex(12), "about": about, "at": stored_time(now)}
            connection.execute(insert(attempts).values(row))
            mine = select(func.count()).where(attempts.c.about == about)
            return connection.execute(mine).scalar_one()

    def seen(self, about: str, *, now: datetime) -> int:
        """How many there were in this window; notes none."""
        own = select(func.count()).where(attempts.c.about == about, attempts.c.at >= stored_time(now - WINDOW))
        with self.store.read() as connection:
            return connection.execute(own).scalar_one()
