"""Secrets that are handed out once and kept as a hash: of links, sessions and tokens."""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime
from typing import Final

BYTES: Final = 32


def new_secret() -> str:
    """256 random bits, as text for a URL, a cookie or a header."""
    return secrets.token_urlsafe(BYTES)


def hashed(secret: str) -> str:
    """What is stored of it. No salt and no slow hash: nobody guesses 256 random bits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def stored_time(time: datetime) -> str:
    """A time as it is stored, and sorts."""
    return time.astimezone(UTC).isoformat(timespec="microseconds")
