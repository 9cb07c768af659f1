"""The server's side: connections to addresses that were checked, with the server's certificate verified."""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpcore2

from interlock.errors import Unreachable
from interlock.network import Pinned
from interlock.sandbox.egress.caps import Caps
from interlock.sandbox.egress.headers import Headers
from interlock.sandbox.egress.target import Target

_KEPT_S: Final = 30

# At this level the library logs the headers of answers, in which a server may repeat a credential.
for _name in ("httpcore2.http11", "httpcore2.connection"):
    logging.getLogger(_name).setLevel(logging.INFO)


class Upstream:
    """Connections to servers for one call; kept alive between its requests."""

    def __init__(self, trust: ssl.SSLContext, caps: Caps) -> None:
        self._trust = trust
        self._caps = caps
        self._pools: dict[tuple[str, tuple[str, ...]], httpcore2.AsyncConnectionPool] = {}

    @asynccontextmanager
    async def send(
        self,
        method: str,
        target: Target,
        addresses: tuple[str, ...],
        headers: Headers,
        content: AsyncIterator[bytes] | None,
    ) -> AsyncIterator[httpcore2.Response]:
        """Send a request; the answer's head is there, its body is read from the response's stream.

        Raises:
            Unreachable: no answer, or the rest of it does not come. Whatever `content` raises passes through.
        """
        url = httpcore2.URL(
            scheme=target.scheme.encode(),
            host=target.host.encode(),
            port=target.port,
            target=target.sent.encode(),
        )
        given: dict[str, Any] = {
            "headers": headers,
            "content": content,
            "extensions": {"timeout": self._timeouts()},
        }
        try:
            async with self._pool(target.host, addresses).stream(method, url, **given) as response:
                yield response
        except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
            raise Unreachable(
                f"cannot connect to {target.host}: {str(error)[:200] or 'no answer in time'}"
            ) from error
        except httpcore2.TimeoutException as error:
            raise Unreachable(f"{target.host} did not answer in time") from error
        except (httpcore2.NetworkError, httpcore2.ProtocolError, ssl.SSLError) as error:
            # Its text may quote what was sent.
            raise Unreachable(f"{target.host} broke off its answer ({type(error).__name__})") from error

    def _timeouts(self) -> dict[str, float]:
        caps = self._caps
        return {"connect": caps.connect_s, "read": caps.answer_s, "write": caps.piece_s, "pool": caps.connect_s}

    def _pool(self, host: str, addresses: tuple[str, ...]) -> httpcore2.AsyncConnectionPool:
        # A connection serves only requests whose name led to the very addresses that it was made for.
        key = host, tuple(sorted(addresses))
        if key not in self._pools:
            self._pools[key] = httpcore2.AsyncConnectionPool(
                ssl_context=self._trust,
                max_connections=self._caps.connections,
                keepalive_expiry=_KEPT_S,
                network_backend=Pinned(addresses),
            )
        return self._pools[key]

    async def aclose(self) -> None:
        """Close every connection."""
        for pool in self._pools.values():
            await pool.aclose()
