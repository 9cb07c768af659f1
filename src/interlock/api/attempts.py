"""Limits on guessing: whoever failed to sign in too often, from one address or for one account, is not heard for a
while."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from fastapi import Request

from interlock.accounts.attempts import FOR_ACCOUNT, FROM_ADDRESS, WINDOW
from interlock.api.problems import TooMany
from interlock.api.services import Services


def _about(request: Request, account: str) -> list[tuple[str, int]]:
    address = request.client.host if request.client else ""
    found = [(f"address {address}", FROM_ADDRESS)]
    return [*found, (f"account {account}", FOR_ACCOUNT)] if account else found


async def check(request: Request, held: Services, account: str = "") -> None:
    """Before an attempt.

    Raises:
        TooMany: too many failed within the last minute.
    """
    for about, most in _about(request, account):
        if await asyncio.to_thread(held.accounts.attempts.seen, about, now=datetime.now(UTC)) >= most:
            raise _too_many()


async def failed(request: Request, held: Services, account: str = "") -> None:
    """After an attempt that failed.

    Raises:
        TooMany: it is one too many.
    """
    for about, most in _about(request, account):
        if await asyncio.to_thread(held.accounts.attempts.count, about, now=datetime.now(UTC)) > most:
            raise _too_many()


def _too_many() -> TooMany:
    return TooMany("too many attempts failed", after_s=int(WINDOW.total_seconds()))
