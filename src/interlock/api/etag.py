"""ETags: of a GET's answer, so that the same is not sent twice (RFC 9110, 8.8.3 and 13.1)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from interlock.api.idempotency import IdempotentRoute
from interlock.api.problems import Precondition


def tag_of(*parts: object) -> str:
    """A strong ETag over what is named."""
    return '"' + hashlib.sha256(repr(parts).encode()).hexdigest()[:32] + '"'


def check_match(request: Request, tag: str) -> None:
    """Raises Precondition where If-Match names another state than the one that is there."""
    wanted = request.headers.get("if-match")
    if wanted is not None and wanted.strip() != "*" and tag not in _tags(wanted):
        raise Precondition(
            "it changed since you read it (If-Match names another state)", next_step="read it again, then decide"
        )


def _tags(text: str) -> list[str]:
    return [one.strip().removeprefix("W/") for one in text.split(",")]


class Route(IdempotentRoute):
    """The routes of the API: GETs with ETags, POSTs that may be repeated."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with its answer tagged."""
        handler = super().get_route_handler()

        async def tagged(request: Request) -> Response:
            answer = await handler(request)
            if request.method != "GET" or answer.status_code != 200 or not hasattr(answer, "body"):
                return answer
            tag = answer.headers.setdefault("etag", '"' + hashlib.sha256(answer.body).hexdigest()[:32] + '"')
            answer.headers["cache-control"] = "private, no-cache"
            wanted = request.headers.get("if-none-match")
            if wanted is not None and (wanted.strip() == "*" or tag in _tags(wanted)):
                kept = {name: answer.headers[name] for name in ("etag", "cache-control")}
                return Response(status_code=304, headers=kept)
            return answer

        return tagged
