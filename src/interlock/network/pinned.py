"""Connections to addresses that were checked, whatever their name says by now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import httpcore2

_ADDRESSES: Final = 4
"""Most addresses of a name that are tried."""


class Pinned(httpcore2.AsyncNetworkBackend):
    """Connects to these addresses, whatever the name says by now."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses[:_ADDRESSES]
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        failure: Exception = httpcore2.ConnectError("no address")
        for address in self._addresses:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure
