"""The accounts: one database that the API alone writes. Nothing in it permits anything: it says who asks."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Final

from interlock.accounts.answers import Answers
from interlock.accounts.attempts import Attempts
from interlock.accounts.deputies import Deputies
from interlock.accounts.links import Links
from interlock.accounts.passkeys import Passkeys
from interlock.accounts.sessions import Sessions
from interlock.accounts.tokens import Tokens
from interlock.database import Store, migrate
from interlock.settings import Settings

FOLDER: Final = Path(__file__).parent / "migrations"
LAST: Final = "accounts_0003"
"""The newest migration: known without loading Alembic, so that opening stays quick."""


class Accounts:
    """SQLite or PostgreSQL, by URL. Safe to call from threads.

    Attributes:
        links: one-time links.
        sessions: signed-in browsers.
        tokens: of programs.
        attempts: to sign in.
        answers: given to requests with an Idempotency-Key.
        deputies: who decides for whom.
        passkeys: of people, and what they signed.
    """

    def __init__(self, url: str, *, idle: timedelta, life: timedelta) -> None:
        """Open the accounts; make the database's tables where there are none.

        Raises:
            InvalidInput: the URL does not fit.
            LedgerUnavailable: the database cannot be reached or written.
        """
        self.store = Store("accounts", url)
        migrate(self.store, FOLDER, LAST)
        self.links = Links(self.store)
        self.sessions = Sessions(self.store, idle, life)
        self.tokens = Tokens(self.store)
        self.attempts = Attempts(self.store)
        self.answers = Answers(self.store)
        self.deputies = Deputies(self.store)
        self.passkeys = Passkeys(self.store)

    @classmethod
    def of(cls, settings: Settings) -> Accounts:
        """Those that the settings name."""
        return cls(
            settings.effective_accounts_url,
            idle=timedelta(minutes=settings.session_idle_min),
            life=timedelta(hours=settings.session_life_h),
        )

    def close(self) -> None:
        """Close every connection."""
        self.store.close()
