"""The relay inside: unmodified programs speak to its port, and whole bytes arrive in order."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from support.egress import HOST, Service, opened

from interlock.sandbox.guest.relay import ENVIRONMENT, Relay, start


def relaying(path: Path) -> int:
    """The port of a relay to a socket."""
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=Relay(listener, str(path)).serve, daemon=True).start()
    return int(listener.getsockname()[1])


def test_ordinary_client_goes_through(web: Service, tmp_path: Path) -> None:
    with opened(tmp_path, web.rule()) as way:
        proxy = f"http://127.0.0.1:{relaying(tmp_path / 'egress.sock')}"
        client = urllib.request.build_opener(urllib.request.ProxyHandler({"http": proxy}))
        with client.open(web.url("/hello?x=1"), timeout=10) as answer:
            assert answer.read() == b"hello"
    assert [one.host for one in way.records] == [HOST]


@pytest.fixture
def echo(tmp_path: Path) -> Iterator[Path]:
    """A socket that answers with what it was told, once its client has said all."""
    path = tmp_path / "echo.sock"

    def answer(one: socket.socket) -> None:
        with one, suppress(OSError):
            said = b""
            while piece := one.recv(65536):
                said += piece
            one.sendall(said)

    def serve() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(64)
        threading.Thread(target=serve, daemon=True).start()
        yield path


def test_many_large_streams_arrive_whole(echo: Path) -> None:
    port = relaying(echo)

    def exchange(number: int) -> bool:
        said = os.urandom(1_500_000 + number)
        with socket.create_connection(("127.0.0.1", port), timeout=30) as one:
            one.sendall(said)
            one.shutdown(socket.SHUT_WR)
            heard = b""
            while piece := one.recv(65536):
                heard += piece
        return hashlib.sha256(heard).digest() == hashlib.sha256(said).digest()

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(exchange, range(16)))


def test_broken_connections_do_not_end_it(echo: Path) -> None:
    port = relaying(echo)
    for number in range(20):
        one = socket.create_connection(("127.0.0.1", port))
        one.sendall(b"x" * 100_000)
        if number % 2:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        one.close()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as last:
        last.sendall(b"still there")
        last.shutdown(socket.SHUT_WR)
        assert last.recv(100) == b"still there"


def test_relay_without_socket_closes_connections(tmp_path: Path) -> None:
    with socket.create_connection(("127.0.0.1", relaying(tmp_path / "none.sock")), timeout=10) as one:
        assert one.recv(10) == b""


def test_nothing_starts_without_a_way_out() -> None:
    assert not Path("/run/interlock/egress.sock").exists()
    assert start() is False


def test_environment_names_proxy_and_authority() -> None:
    assert {ENVIRONMENT[name] for name in ("http_proxy", "https_proxy", "ALL_PROXY")} == {"http://127.0.0.1:3128"}
    assert ENVIRONMENT["SSL_CERT_FILE"] == ENVIRONMENT["REQUESTS_CA_BUNDLE"] == "/run/interlock/ca.pem"
