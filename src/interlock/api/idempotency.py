"""Requests that may be sent twice: what was answered is kept by the sender's Idempotency-Key."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, Final

from fastapi import Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from interlock.accounts.answers import Answer
from interlock.api.caller import Caller, caller
from interlock.api.services import Services
from interlock.errors import InvalidInput

HEADER: Final = "idempotency-key"
_LONGEST: Final = 255


class IdempotentRoute(APIRoute):
    """A route whose POST may be repeated under one key."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, behind the answers that are kept."""
        handler = super().get_route_handler()

        async def once(request: Request) -> Response:
            if request.method != "POST" or HEADER not in request.headers:
                return await handler(request)
            held: Services = request.app.state.services
            who = await caller(request, held)
            key = key_of(request, who)
            asked = await _asked(request)
            kept = await asyncio.to_thread(held.accounts.answers.begin, key, asked, now=datetime.now(UTC))
            if kept is not None:
                headers = {"idempotency-replayed": "true"}
                return Response(kept.body, kept.status, headers, media_type="application/json")
            try:
                answer = await handler(request)
            except BaseException:
                await asyncio.to_thread(held.accounts.answers.drop, key)
                raise
            await asyncio.to_thread(held.accounts.answers.keep, key, Answer(answer.status_code, bytes(answer.body)))
            return answer

        return once


def key_of(request: Request, who: Caller) -> str:
    """The key as it is kept: of this person and route alone. Empty where the request has none.

    Raises:
        InvalidInput: it is empty or too long.
    """
    given = request.headers.get(HEADER)
    if given is None:
        return ""
    if not given.strip() or len(given) > _LONGEST:
        raise InvalidInput(f"Idempotency-Key: 1 to {_LONGEST} characters")
    parts = (who.tenant, who.person, request.url.path, given)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


async def _asked(request: Request) -> str:
    text = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    return hashlib.sha256(text + await request.body()).hexdigest()
