"""Temporal's remote codec protocol over HTTP: Temporal's own UI and command line show payloads to those who may see
them. It reads keys and signs nothing.

    POST /decode   {"payloads": […]} → the same, opened
    POST /encode   refused: runs are written to through Interlock
    GET, POST /    a browser's sign-in: the token, once, for a cookie
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl

from google.protobuf import json_format
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from temporalio.api.common.v1 import Payload, Payloads

from interlock.errors import InterlockError, InvalidInput, Refused, TokenRejected, Unreachable
from interlock.run.payloads.access import ReadClaims, Readers
from interlock.run.payloads.keys import Vault
from interlock.run.payloads.packing import LARGEST
from interlock.run.payloads.showing import shown

COOKIE: Final = "interlock_read"
_BODY: Final = 2 * LARGEST
"""Bytes of one request: the UI sends what it has of a page at once."""
_CLOSED: Final = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'",
}
_FORM: Final = """<!doctype html><title>Interlock: payloads</title>
<form method="post"><label>Token, from <code>interlock codec token</code>:
<input name="token" type="password" autocomplete="off" autofocus size="60"></label>
<button>Show payloads</button></form>
"""
_log = logging.getLogger("interlock.codec")


@dataclass(frozen=True)
class CodecServer:
    """The server's parts, and its answers."""

    vault: Vault
    readers: Readers
    namespace: str
    """Temporal's; requests for another one are refused."""

    async def decode(self, request: Request) -> Response:
        """Payloads, opened for the person of the token."""
        claims = self._reader(request)
        asked = request.headers.get("x-namespace", self.namespace)
        if asked != self.namespace:
            raise Refused(f"this server shows namespace {self.namespace!r}, not {asked!r}")
        found = await shown(_payloads(await _body(request)), self.vault, claims)
        for run, count in found.runs.items():
            _log.info("%s was shown %d payloads of run %r", claims.sub, count, run)
        return JSONResponse(json_format.MessageToDict(Payloads(payloads=found.payloads)), headers=_CLOSED)

    async def encode(self, request: Request) -> Response:
        """Refused, also to those who may read."""
        self._reader(request)
        raise Refused("nothing is written to a run from Temporal's UI or command line: use interlock")

    async def form(self, request: Request) -> Response:
        """Where a browser gives the token."""
        return HTMLResponse(_FORM, headers=_CLOSED)

    async def sign_in(self, request: Request) -> Response:
        """Check the token, and keep it as a cookie that no script reads and no other site sends."""
        token = dict(parse_qsl((await _body(request)).decode(errors="replace"))).get("token", "").strip()
        claims = self.readers.admit(token)
        answer = HTMLResponse("<!doctype html>Payloads are shown now. Reload Temporal's page.", headers=_CLOSED)
        ends = datetime.fromtimestamp(claims.exp, UTC)
        secure = request.url.scheme == "https"
        answer.set_cookie(COOKIE, token, expires=ends, httponly=True, samesite="strict", secure=secure)
        return answer

    def _reader(self, request: Request) -> ReadClaims:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        token = token.strip() if scheme.lower() == "bearer" else request.cookies.get(COOKIE, "")
        if not token:
            raise TokenRejected("no token", next_step="interlock codec token --as user:NAME")
        return self.readers.admit(token)


def application(server: CodecServer, *, origin: str) -> Starlette:
    """The server as an ASGI application.

    Args:
        server: its answers.
        origin: where Temporal's UI is served; pages from elsewhere are not answered.
    """
    cors = Middleware(
        CORSMiddleware,
        allow_origins=[origin],
        allow_methods=["POST"],
        allow_headers=["authorization", "content-type", "x-namespace"],
        allow_credentials=True,
    )
    routes = [
        Route("/decode", server.decode, methods=["POST"]),
        Route("/encode", server.encode, methods=["POST"]),
        Route("/", server.form, methods=["GET"]),
        Route("/", server.sign_in, methods=["POST"]),
    ]
    return Starlette(routes=routes, middleware=[cors], exception_handlers={InterlockError: _refused})


async def _refused(request: Request, error: Exception) -> Response:
    """An error of ours as an answer; the reason is for the person, and names no content."""
    code = 403
    match error:
        case TokenRejected():
            code = 401
        case InvalidInput():
            code = 400
        case Unreachable():
            code = 503
    return JSONResponse({"message": str(error)}, status_code=code, headers=_CLOSED)


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _BODY:
            raise InvalidInput(f"a request of more than {_BODY} bytes")
    return bytes(body)


def _payloads(body: bytes) -> list[Payload]:
    try:
        return list(json_format.Parse(body, Payloads(), ignore_unknown_fields=True).payloads)
    except (json_format.ParseError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"not the payloads of Temporal's codec protocol: {error}") from error
