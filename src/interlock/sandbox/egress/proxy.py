"""The only way out of a sandbox: a proxy on the executor's side, one Unix socket a call."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from anyio.from_thread import BlockingPortalProvider

from interlock.network import Resolver, SystemResolver
from interlock.sandbox.call import Observer
from interlock.sandbox.egress.authority import CertificateAuthority
from interlock.sandbox.egress.caps import Caps
from interlock.sandbox.egress.credentials import Secrets, standard_secrets
from interlock.sandbox.egress.journal import Journal
from interlock.sandbox.egress.upstream import Upstream
from interlock.sandbox.egress.way import Way
from interlock.types.egress import EgressRecord, WayOut

SOCKET: Final = "egress.sock"
AUTHORITY: Final = "ca.pem"
_WAITING: Final = 128


class EgressProxy:
    """Serves the sockets of an executor's calls, all in one thread of its own."""

    def __init__(
        self,
        secrets: Secrets | None = None,
        *,
        resolver: Resolver | None = None,
        trust: ssl.SSLContext | None = None,
        caps: Caps | None = None,
    ) -> None:
        """Serve nothing yet.

        Args:
            secrets: where credentials are read; None: files of the working folder, environment, Vault.
            resolver: who finds addresses; None: the system.
            trust: which servers are believed; None: those that the system's roots vouch for, or those of
                `SSL_CERT_FILE` and `SSL_CERT_DIR`.
            caps: bounds of each call.
        """
        self._secrets = secrets or standard_secrets(Path.cwd())
        self._resolver = resolver or SystemResolver()
        self._trust = trust or ssl.create_default_context()
        self._caps = caps or Caps()
        self._portal = BlockingPortalProvider()

    @contextmanager
    def open(self, directory: Path, way_out: WayOut, observer: Observer) -> Iterator[list[EgressRecord]]:
        """Let one sandbox out at `directory`, within `way_out`, until the context ends.

        Whoever can reach the socket is taken for that sandbox.

        Args:
            directory: a folder of the host that the sandbox's user may enter, and nobody else's can reach.
            way_out: what it may send.
            observer: hears of each request before it leaves.

        Returns:
            Every request in order. It grows while the context is open and is complete when it has ended.
        """
        hosts = [rule.host for rule in way_out.rules if rule.scheme == "https"]
        way = Way(
            rules=way_out.rules,
            credentials=way_out.credentials,
            capture=way_out.capture,
            caps=self._caps,
            resolver=self._resolver,
            secrets=self._secrets,
            upstream=Upstream(self._trust, self._caps),
            journal=Journal(observer, self._caps.requests),
            authority=CertificateAuthority(hosts or ["invalid"]),
        )
        failure: BaseException | None = None
        with _listening(directory, way.authority.pem) as listening, self._portal as portal:
            with portal.wrap_async_context_manager(way.serving(listening)):
                try:
                    yield way.journal.records
                except BaseException as error:
                    # Raised through the connections' group, it would come out as an exception group.
                    failure = error
        if failure is not None:
            raise failure


@contextmanager
def _listening(directory: Path, authority: bytes) -> Iterator[socket.socket]:
    """A socket in the directory that every user inside may ask at, and the authority's certificate beside it."""
    certificate, path = directory / AUTHORITY, directory / SOCKET
    for left in (certificate, path):
        left.unlink(missing_ok=True)
    certificate.write_bytes(authority)
    certificate.chmod(0o644)
    listening = socket.socket(socket.AF_UNIX)
    try:
        _bind(listening, directory)
        path.chmod(0o666)
        listening.listen(_WAITING)
        yield listening
    finally:
        listening.close()
        for made in (certificate, path):
            with suppress(OSError):
                made.unlink(missing_ok=True)


def _bind(listening: socket.socket, directory: Path) -> None:
    # By descriptor: a socket's path may have 107 bytes, and folders lie deep.
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        listening.bind(f"/proc/self/fd/{folder}/{SOCKET}")
    finally:
        os.close(folder)
