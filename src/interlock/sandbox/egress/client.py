"""The sandbox's side of a connection: HTTP/1.1 as h11 reads it, with caps and deadlines."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from http.client import responses
from typing import Final

import anyio
import h11
from anyio.abc import ByteStream

from interlock.sandbox.egress.caps import Caps
from interlock.sandbox.egress.headers import Headers

_PIECE: Final = 16 * 1024
_DRAINED: Final = 1024 * 1024
"""Most bytes of a refused request that are read before it is answered; after more, the connection is closed."""
_DRAIN_S: Final = 2


class ConnectionOver(Exception):
    """Nothing more can be said on this connection."""


class Client:
    """One connection of a program inside, or the inside of its tunnel."""

    def __init__(self, stream: ByteStream, caps: Caps) -> None:
        self._stream = stream
        self._caps = caps
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=caps.head_bytes)

    async def request(self) -> h11.Request | None:
        """The next request; None: there is none.

        Raises:
            h11.RemoteProtocolError: what came is no request.
            TimeoutError: it did not come in time.
        """
        event = self._http.next_event()
        if event is h11.NEED_DATA:
            with anyio.fail_after(self._caps.idle_s):
                await self._receive()
        with anyio.fail_after(self._caps.head_s):
            while (event := self._http.next_event() if event is h11.NEED_DATA else event) is h11.NEED_DATA:
                await self._receive()
        return event if isinstance(event, h11.Request) else None

    async def body(self) -> AsyncIterator[bytes]:
        """The request's body, piece by piece.

        Raises:
            h11.RemoteProtocolError, TimeoutError
        """
        if self._http.they_are_waiting_for_100_continue:
            await self._send(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue"))
        while not isinstance(event := self._http.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                with anyio.fail_after(self._caps.piece_s):
                    await self._receive()
            elif isinstance(event, h11.Data):
                yield bytes(event.data)
            else:
                raise ConnectionOver

    async def _receive(self) -> None:
        try:
            self._http.receive_data(await self._stream.receive(_PIECE))
        except anyio.EndOfStream:
            self._http.receive_data(b"")

    async def _send(self, event: h11.Event) -> None:
        with anyio.fail_after(self._caps.piece_s):
            await self._stream.send(self._http.send(event) or b"")

    async def begin(self, status: int, headers: Headers, reason: str = "") -> None:
        """Start an answer; h11 adds what frames its body."""
        phrase = (reason or responses.get(status, "")).encode("ascii", "replace")
        await self._send(h11.Response(status_code=status, headers=headers, reason=phrase))

    async def piece(self, data: bytes) -> None:
        """A part of the answer's body."""
        if data:
            await self._send(h11.Data(data=data))

    async def end(self) -> None:
        """End the answer."""
        await self._send(h11.EndOfMessage())

    async def answer(self, status: int, content: dict[str, str], *, reason: str = "", head: bool = False) -> None:
        """A whole answer of the proxy's own.

        Args:
            status: HTTP status.
            content: sent as JSON.
            reason: for the status line, which is all that some clients show.
            head: whether the request was HEAD, whose answer has no body.
        """
        drained = await self._drained()
        body = json.dumps(content, indent=1).encode() + b"\n"
        headers = [(b"Content-Type", b"application/json"), (b"Content-Length", str(len(body)).encode())]
        await self.begin(status, headers if drained else [*headers, (b"Connection", b"close")], reason)
        await self.piece(b"" if head else body)
        await self.end()

    async def _drained(self) -> bool:
        """Take in what is left of the request; whether that was all."""
        if self._http.their_state is not h11.SEND_BODY:
            return self._http.their_state is h11.DONE
        if self._http.they_are_waiting_for_100_continue:
            return False
        size = 0
        with anyio.move_on_after(_DRAIN_S):
            async for piece in self.body():
                size += len(piece)
                if size > _DRAINED:
                    return False
            return True
        return False

    async def again(self) -> bool:
        """Whether another request may come; if not, wait a moment for the client to take the answer."""
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            return True
        if self._http.their_state is h11.SEND_BODY:
            # Closed with bytes unread, a socket may take back what was sent.
            with anyio.move_on_after(_DRAIN_S):
                while await self._stream.receive(_PIECE):
                    pass
        return False

    async def tunnel(self) -> ByteStream:
        """Accept a tunnel; what it is for follows on the stream.

        Raises:
            ConnectionOver: the client did not wait for the answer.
        """
        await self.begin(200, [], "Connection established")
        if self._http.trailing_data[0]:
            raise ConnectionOver
        return self._stream
