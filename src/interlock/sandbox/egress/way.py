"""The way out of one call: the connections that come in at its socket, each served on its own."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

import anyio
import h11
from anyio.abc import ByteStream, SocketListener, TaskGroup
from anyio.streams.tls import TLSStream

from interlock.errors import InterlockError, Refused
from interlock.network import Resolver
from interlock.sandbox.egress.authority import CertificateAuthority
from interlock.sandbox.egress.caps import Caps
from interlock.sandbox.egress.client import Client, ConnectionOver
from interlock.sandbox.egress.credentials import Secrets
from interlock.sandbox.egress.exchange import Exchange
from interlock.sandbox.egress.headers import check_host, plain_name
from interlock.sandbox.egress.journal import Asked, Journal
from interlock.sandbox.egress.matching import reaching
from interlock.sandbox.egress.scrubber import Guard
from interlock.sandbox.egress.target import Authority, read_authority
from interlock.sandbox.egress.upstream import Upstream
from interlock.types.egress import Credential, EgressRule

_LOG: Final = logging.getLogger(__name__)
_HTTPS: Final = 443
_PAUSE_S: Final = 0.1
_LOOKUPS: Final = 4
_ENDS: Final = (
    ConnectionOver,
    h11.ProtocolError,
    TimeoutError,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.EndOfStream,
    ssl.SSLError,
    Refused,
)
"""How connections of hostile or hasty clients end."""


@dataclass
class Way:
    """All that one call's requests are judged and sent with."""

    rules: Sequence[EgressRule]
    credentials: Sequence[Credential]
    capture: bool
    caps: Caps
    resolver: Resolver
    secrets: Secrets
    upstream: Upstream
    journal: Journal
    authority: CertificateAuthority
    guard: Guard = field(default_factory=Guard)
    lookups: anyio.Semaphore = field(default_factory=lambda: anyio.Semaphore(_LOOKUPS))
    """So many names and secrets are looked up at once: these take threads, which all calls share."""
    tunnels: int = 0
    """So many were let in."""

    @asynccontextmanager
    async def serving(self, listening: socket.socket) -> AsyncIterator[None]:
        """Serve the socket; at the end every connection is closed at once."""
        async with await SocketListener.from_socket(listening) as listener:
            try:
                async with anyio.create_task_group() as group:
                    group.start_soon(self._accept, listener, group)
                    yield
                    group.cancel_scope.cancel()
            finally:
                with anyio.CancelScope(shield=True):
                    await self.upstream.aclose()

    async def _accept(self, listener: SocketListener, group: TaskGroup) -> None:
        """Accept no more connections than are served: the others cost this process nothing."""
        slots = anyio.Semaphore(self.caps.connections)
        while True:
            await slots.acquire()
            try:
                stream = await listener.accept()
            except OSError as error:
                _LOG.error("no connection of a sandbox can be accepted: %s", error.strerror)
                slots.release()
                await anyio.sleep(_PAUSE_S)
            else:
                group.start_soon(self._serve, stream, slots)

    async def _serve(self, stream: ByteStream, slots: anyio.Semaphore) -> None:
        try:
            async with stream:
                await self._talk(stream, None)
        except _ENDS:
            pass
        except Exception as error:
            # One connection must not end the others, and the text of an error may hold what was sent.
            _LOG.error("a connection of a sandbox ended by %s", type(error).__name__)
        finally:
            slots.release()

    async def _talk(self, stream: ByteStream, tunnel: Authority | None) -> None:
        """Serve one request after the other."""
        client = Client(stream, self.caps)
        while True:
            try:
                request = await client.request()
            except h11.RemoteProtocolError as error:
                await self._refuse_malformed(client, error, tunnel)
                return
            if request is None:
                return
            if request.method == b"CONNECT":
                await self._tunnel(client, request, tunnel)
                return
            await Exchange(self, client, request, tunnel).run()
            if not await client.again():
                return

    async def _refuse_malformed(
        self, client: Client, error: h11.RemoteProtocolError, tunnel: Authority | None
    ) -> None:
        refusal = Refused("what came is no HTTP/1.1 request, or its head is too large")
        await self._refuse(client, Asked("", tunnel), refusal, status=error.error_status_hint)
        await client.again()

    async def _refuse(
        self, client: Client, asked: Asked, why: InterlockError, *, status: int = HTTPStatus.FORBIDDEN
    ) -> None:
        try:
            await self.journal.note(asked, "refused", reason=why.reason)
        except Refused as refusal:
            why = refusal
        phrase = f"Refused by Interlock: {why}".encode("ascii", "replace").decode()
        await client.answer(status, {"refused": why.reason, "next_step": why.next_step}, reason=phrase)

    async def _tunnel(self, client: Client, request: h11.Request, tunnel: Authority | None) -> None:
        """Let in a tunnel for a host that rules name; the requests inside are checked one by one."""
        text = request.target.decode("ascii")
        asked = Asked("CONNECT", Authority(text, 0))
        try:
            if tunnel is not None:
                raise Refused("there is no tunnel within a tunnel")
            wanted = read_authority(text, _HTTPS)
            asked = Asked("CONNECT", wanted)
            headers = list(request.headers.raw_items())
            # Python before 3.12 opens tunnels by HTTP/1.0, without it.
            if any(plain_name(name) == "host" for name, _ in headers):
                check_host(headers, wanted, _HTTPS)
            reaching(self.rules, wanted, "https")
            self.tunnels += 1
            if self.tunnels > self.caps.requests:
                raise Refused(f"this call has opened {self.caps.requests} tunnels, the most that one may open")
        except Refused as refusal:
            await self._refuse(client, asked, refusal)
            await client.again()
            return
        await self._inside(await client.tunnel(), wanted)

    async def _inside(self, stream: ByteStream, wanted: Authority) -> None:
        context = self.authority.context(wanted.host)
        try:
            with anyio.fail_after(self.caps.head_s):
                tls = await TLSStream.wrap(stream, server_side=True, ssl_context=context, standard_compatible=False)
        except ssl.SSLError:
            if other := self.authority.misnamed.pop(wanted.host, ""):
                reason = f"the TLS handshake asks for {other!r}, the tunnel is for {wanted.host!r}"
                await self.journal.note(Asked("CONNECT", wanted), "refused", reason=reason)
            raise
        await self._talk(tls, wanted)
