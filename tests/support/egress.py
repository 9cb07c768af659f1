"""A real server on loopback, a way out opened for it, and a client that asks at the way's socket."""

from __future__ import annotations

import gzip
import http.client
import http.server
import json
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from interlock.sandbox.egress import Caps, EgressProxy, EnvironmentSecrets, Secrets
from interlock.sandbox.egress.authority import CertificateAuthority
from interlock.types import EgressRecord, WayOut
from interlock.types.egress import Credential, EgressRule

TOKEN = "s3cr3t-T0ken/of+the=bank"
HOST = "api.test"


@dataclass
class Names:
    """Resolves names as a test says: to one list of addresses after the other, the last for ever."""

    known: dict[str, list[Sequence[str]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        answers = self.known.get(host, [["127.0.0.1"]])
        return answers.pop(0) if len(answers) > 1 else answers[0]


@dataclass
class Seen:
    """A request as the server had it."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def _answer(self) -> None:
        seen = Seen(self.command, self.path, list(self.headers.items()), self._body())
        self.server.seen.append(seen)  # type: ignore[attr-defined]
        make = getattr(self, f"_{seen.path.split('?')[0].strip('/').split('/')[0]}", None)
        (make or self._plain)(seen)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_TRACE = _answer

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _whole(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _plain(self, seen: Seen) -> None:
        self._whole(b"hello")

    def _echo(self, seen: Seen) -> None:
        own = " ".join(seen.header("Authorization"))
        self._whole(json.dumps([seen.headers, seen.body.decode("latin-1")]).encode(), X_Seen=own)

    def _pieces(self, seen: Seen) -> None:
        """The Authorization header, one byte a chunk."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for byte in b"<" + " ".join(seen.header("Authorization")).encode() + b">":
            self.wfile.write(b"1\r\n%c\r\n" % byte)
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def _zipped(self, seen: Seen) -> None:
        self._whole(gzip.compress(" ".join(seen.header("Authorization")).encode()), Content_Encoding="gzip")

    def _redirect(self, seen: Seen) -> None:
        self._whole(b"", 302, Location=seen.path.partition("?")[2])

    def _upgrade(self, seen: Seen) -> None:
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.end_headers()

    def _mute(self, seen: Seen) -> None:
        self.server.released.wait(20)  # type: ignore[attr-defined]
        self.close_connection = True

    def _files(self, seen: Seen) -> None:
        path = self.server.folder / seen.path.split("?")[0].removeprefix("/files/")  # type: ignore[attr-defined]
        self._whole(path.read_bytes()) if path.is_file() else self._whole(b"", 404)

    def _broken(self, seen: Seen) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"only this")
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        pass


@dataclass
class Service:
    """A running server."""

    port: int
    seen: list[Seen]
    authority: CertificateAuthority | None
    released: threading.Event = field(default_factory=threading.Event)
    """Ends what `/mute` waits for."""

    @property
    def scheme(self) -> str:
        return "https" if self.authority else "http"

    def rule(self, **given: Any) -> EgressRule:
        """A rule that reaches it."""
        return EgressRule(**{"host": HOST, "port": self.port, "scheme": self.scheme, "private": True, **given})

    def url(self, path: str = "/hello", host: str = HOST) -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"


@contextmanager
def service(*, tls: bool = False, address: str = "127.0.0.1", folder: Path | None = None) -> Iterator[Service]:
    """A server that answers by path; with TLS, of an authority of its own; with `/files/` as in `folder`."""
    server = _Server((address, 0), _Handler)
    server.seen, server.released, server.folder = [], threading.Event(), folder  # type: ignore[attr-defined]
    authority = CertificateAuthority(["test", "localhost"]) if tls else None
    if authority:
        context = authority.context(HOST)
        context.sni_callback = lambda one, name, _: setattr(one, "context", authority.context(name or HOST))
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield Service(server.server_port, server.seen, authority, server.released)  # type: ignore[attr-defined]
    finally:
        server.released.set()  # type: ignore[attr-defined]
        server.shutdown()
        server.server_close()


class Watching:
    """Keeps what it is told, and may refuse."""

    def __init__(self, refuse: Exception | None = None) -> None:
        self.told: list[EgressRecord] = []
        self.refuse = refuse

    def output(self, stream: str, data: bytes) -> None:
        pass

    def leaving(self, record: EgressRecord) -> None:
        self.told.append(record)
        if self.refuse:
            raise self.refuse


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


class _Connection(http.client.HTTPConnection):
    """Plain HTTP to the proxy over its socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("proxy", timeout=15)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(15)
        self.sock.connect(str(self._path))


@dataclass
class Opened:
    """An open way out."""

    directory: Path
    records: list[EgressRecord]
    watching: Watching

    def connect(self) -> socket.socket:
        """A bare connection to the proxy."""
        one = socket.socket(socket.AF_UNIX)
        one.settimeout(15)
        one.connect(str(self.directory / "egress.sock"))
        return one

    def tunnel(self, service: Service, *, host: str = HOST, name: str | None = None) -> ssl.SSLSocket:
        """A tunnel to a host, TLS inside asking for `name`."""
        one = self.connect()
        authority = f"{host}:{service.port}"
        one.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += one.recv(1)
        assert head.startswith(b"HTTP/1.1 200"), head
        context = ssl.create_default_context(cafile=str(self.directory / "ca.pem"))
        return context.wrap_socket(one, server_hostname=name or host)

    def ask(
        self,
        service: Service,
        path: str = "/hello",
        *,
        method: str = "GET",
        host: str = HOST,
        headers: dict[str, str] | None = None,
        body: Any = None,
    ) -> Answer:
        """One request as an ordinary client makes it."""
        connection = _Connection(self.directory / "egress.sock")
        own = {"Host": f"{host}:{service.port}", **(headers or {})}
        with contextmanager(_closing)(connection):
            if service.authority:
                connection.sock = self.tunnel(service, host=host)
                target = path
            else:
                target = f"http://{host}:{service.port}{path}"
            connection.request(method, target, body, own)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())

    def raw(self, data: bytes, connection: socket.socket | None = None) -> bytes:
        """Everything that comes back for these bytes."""
        with connection or self.connect() as one:
            with suppress(OSError):
                one.sendall(data)
            back = b""
            with suppress(OSError):
                while piece := one.recv(65536):
                    back += piece
        return back


def _closing(one: Any) -> Iterator[Any]:
    try:
        yield one
    finally:
        one.close()


def secrets(**given: str) -> Secrets:
    """Secrets of an environment of the test's own."""
    return Secrets({"env": EnvironmentSecrets(given)})


def credential(**given: Any) -> Credential:
    return Credential(**{"name": "bank", "source": "env:BANK", "hosts": (HOST,), **given})


@contextmanager
def opened(
    directory: Path,
    *rules: EgressRule,
    service: Service | None = None,
    credentials: Sequence[Credential] = (),
    capture: bool = False,
    names: Names | None = None,
    caps: Caps | None = None,
    watching: Watching | None = None,
    read: Secrets | None = None,
) -> Iterator[Opened]:
    """A way out with these rules; names lead to loopback unless the test says otherwise."""
    trust = ssl.create_default_context()
    if service and service.authority:
        trust.load_verify_locations(cadata=service.authority.pem.decode())
    proxy = EgressProxy(
        read or secrets(BANK=TOKEN), resolver=names or Names(), trust=trust, caps=caps or Caps(head_s=2, piece_s=2)
    )
    watching = watching or Watching()
    way_out = WayOut(rules=rules, credentials=tuple(credentials), capture=capture)
    with proxy.open(directory, way_out, watching) as records:
        yield Opened(directory, records, watching)
