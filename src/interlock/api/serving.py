"""The API's process."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import Any, Final

import uvicorn
from fastapi import FastAPI

from interlock.errors import InvalidInput, Unreachable
from interlock.settings import Settings

_EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._tell()


def serve(app: FastAPI, settings: Settings, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        app: the application.
        settings: the project's.
        ready: called with the address once it serves.

    Raises:
        InvalidInput: the settings name no address, or not the one that people use.
        Unreachable: the address cannot be had, or a part that the app opens is not there.
    """
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("interlock").setLevel(logging.INFO)
    if not settings.listen:
        raise InvalidInput("listen: empty, so nothing is served", next_step="set INTERLOCK_LISTEN=HOST:PORT")
    host, _, port = settings.listen.rpartition(":")
    if host.strip("[]") in _EVERYWHERE and not settings.public_url:
        raise InvalidInput(
            f"public_url: needed where `listen` is {settings.listen}, since requests for other hosts are refused",
            next_step="set INTERLOCK_PUBLIC_URL to the address that people use",
        )
    with _listening(host.strip("[]"), int(port)) as listener:
        where = listener.getsockname()
        options: dict[str, Any] = {"log_level": "warning", "access_log": False, "server_header": False}
        # Without proxy headers: whoever sends X-Forwarded-For would choose whom the limits on signing in are for.
        config = uvicorn.Config(app, proxy_headers=False, timeout_graceful_shutdown=5, **options)
        server = _Server(config, lambda: ready(f"http://{where[0]}:{where[1]}"))
        server.run(sockets=[listener])
        if not server.started:
            raise Unreachable("the server did not start: its log says why", next_step="interlock doctor")


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise Unreachable(
            f"cannot listen on {host}:{port}: {error}", next_step="set `listen` to another address"
        ) from error
