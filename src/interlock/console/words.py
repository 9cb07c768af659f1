"""Times, digests and names as a page writes them."""

from __future__ import annotations

from datetime import datetime
from typing import Final

TONES: Final = {
    "completed": "good",
    "approved": "good",
    "consumed": "good",
    "answered": "good",
    "allow": "good",
    "ok": "good",
    "verified": "good",
    "waiting": "warn",
    "pending": "warn",
    "paused": "warn",
    "ask": "warn",
    "failed": "bad",
    "cancelled": "bad",
    "rejected": "bad",
    "expired": "bad",
    "deny": "bad",
}
"""Word → how it is coloured; the word itself always stands there too."""


def tone(word: str) -> str:
    """The class of a state's pill; empty for what is neither good nor bad."""
    return TONES.get(word, "")


def moment(time: datetime | None) -> str:
    """A time to the second, UTC."""
    return f"{time:%Y-%m-%d %H:%M:%S}" if time else ""


def left(seconds: float) -> str:
    """Time that is left, as countdown.js writes it."""
    whole = int(seconds)
    if whole <= 0:
        return "deadline passed"
    days, hours, minutes = whole // 86400, whole % 86400 // 3600, whole % 3600 // 60
    if days:
        return f"{days} d {hours} h left"
    if hours:
        return f"{hours} h {minutes} min left"
    if minutes >= 10:
        return f"{minutes} min left"
    return f"{minutes} min {whole % 60} s left" if minutes else f"{whole} s left"


def short_digest(digest: str) -> str:
    """The beginning of a digest, for where the whole one is at hand too."""
    return f"{digest.removeprefix('sha256:')[:12]}…" if digest else "none"


def short_id(full: str) -> str:
    """`a1` of `RUN:a1`."""
    return full.rpartition(":")[2]
