"""What every answer carries and every request must fit: security headers, size, where a form was sent from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST: Final = 4 * 1024 * 1024
"""Bytes of one request."""
_SAFE: Final = ("GET", "HEAD", "OPTIONS")


def policy(form_targets: Sequence[str] = ()) -> str:
    """The Content-Security-Policy: nothing inline, nothing from elsewhere, in nobody's frame."""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            "connect-src 'self'",
            "font-src 'self'",
            " ".join(("form-action 'self'", *form_targets)),
            "frame-ancestors 'none'",
            "base-uri 'none'",
        )
    )


@dataclass
class SecurityHeaders:
    """Puts the headers on every answer, errors too."""

    app: ASGIApp
    csp: str
    https: bool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add(MutableHeaders(scope=message))
            await send(message)

        await self.app(scope, receive, with_headers)

    def _add(self, headers: MutableHeaders) -> None:
        headers["content-security-policy"] = self.csp
        headers["x-content-type-options"] = "nosniff"
        headers["referrer-policy"] = "no-referrer"
        headers["cross-origin-opener-policy"] = "same-origin"
        headers["cross-origin-resource-policy"] = "same-origin"
        headers["x-frame-options"] = "DENY"
        headers.setdefault("cache-control", "no-store")
        if self.https:
            headers["strict-transport-security"] = "max-age=31536000"


@dataclass
class OwnPages:
    """Refuses what a browser says that another site's page sent, and bodies that are too large.

    Sec-Fetch-Site and Origin are set by browsers and not by scripts. Programs send neither, and no cookie either.
    """

    app: ASGIApp
    origin: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if scope["method"] not in _SAFE and not self._own(headers):
            await PlainTextResponse("sent by another site's page\n", status_code=403)(scope, receive, send)
            return
        if _length(headers) > LARGEST:
            await PlainTextResponse("too large\n", status_code=413)(scope, receive, send)
            return
        await self.app(scope, _limited(receive), send)

    def _own(self, headers: Headers) -> bool:
        site = headers.get("sec-fetch-site")
        if site is not None:
            # It decides by itself: since our pages send no referrer, Chromium gives their forms `Origin: null`.
            return site in ("same-origin", "none")
        origin = headers.get("origin")
        if origin is None:
            return True
        return _same(origin, self.origin) or _same(origin, f"{urlsplit(self.origin).scheme}://{headers['host']}")


def _same(one: str, other: str) -> bool:
    try:
        first, second = urlsplit(one), urlsplit(other)
        return (first.scheme, first.hostname, first.port) == (second.scheme, second.hostname, second.port)
    except ValueError:
        return False


def _length(headers: Headers) -> int:
    text = headers.get("content-length", "0")
    return int(text) if text.isascii() and text.isdigit() else 0


def _limited(receive: Receive) -> Receive:
    """A body without a length is counted as it comes; behind the limit nobody reads on."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message: dict[str, Any] = dict(await receive())
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > LARGEST:
                raise HTTPException(413, f"a request of more than {LARGEST} bytes")
        return message

    return counted
