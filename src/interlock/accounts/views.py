"""When people first opened a card in the console: how long they had it before them when they decided."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select

from interlock.accounts.secret import stored_time
from interlock.accounts.tables import views
from interlock.database import Store


@dataclass(frozen=True)
class Views:
    """First looks at cards. They measure, and permit nothing."""

    store: Store

    def opened(self, request: str, person: str, tenant: str, *, now: datetime) -> None:
        """Note that a person has a card before them; only the first time counts."""
        own = (views.c.request == request) & (views.c.person == person)
        with self.store.read() as connection:
            if connection.execute(select(views.c.opened_at).where(own)).first() is not None:
                return
        with self.store.write() as connection:
            self.store.lock(connection, f"view {request} {person}")
            if connection.execute(select(views.c.opened_at).where(own)).first() is None:
                row = {"request": request, "person": person, "tenant": tenant, "opened_at": stored_time(now)}
                connection.execute(insert(views).values(row))

    def since(self, tenant: str, since: datetime) -> dict[tuple[str, str], datetime]:
        """Request and person → when they first opened its card, of all that were opened since some time."""
        query = select(views).where(views.c.tenant == tenant, views.c.opened_at >= stored_time(since))
        with self.store.read() as connection:
            rows = connection.execute(query)
            return {(row.request, row.person): datetime.fromisoformat(row.opened_at) for row in rows}
