"""The codec server as one process."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable

import uvicorn

from interlock.errors import Unreachable
from interlock.policy import PolicySource
from interlock.policy.signature import signed_only
from interlock.run.payloads.access import Readers
from interlock.run.payloads.converter import vault_of
from interlock.run.payloads.server import CodecServer, application
from interlock.settings import Settings
from interlock.signing import load_verifier


def serve(settings: Settings, ready: Callable[[str], None], *, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        settings: the project's.
        ready: called with the server's URL once it listens.
        host: address to listen on.
        port: 0: a free one.

    Raises:
        Unreachable: the address cannot be had, or the API's public key is not there.
        PolicyError: the policy does not load, so that nobody is known.
    """
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("interlock").setLevel(logging.INFO)
    policy = PolicySource(settings.root / "permissions", signed=signed_only(settings, None))
    readers = Readers(load_verifier(settings.keys_folder, "api"), settings.tenant, policy.current)
    server = CodecServer(vault_of(settings), readers, settings.temporal_namespace)
    app = application(server, origin=settings.codec_origin)
    with _listening(host, port) as listener:
        where = listener.getsockname()
        ready(f"http://{where[0]}:{where[1]}")
        config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, lifespan="off")
        uvicorn.Server(config).run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port))
    except OSError as error:
        raise Unreachable(f"cannot listen on {host}:{port}: {error.strerror}", next_step="--port 0") from error
