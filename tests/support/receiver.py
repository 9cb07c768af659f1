"""A webhook's receiver and a mail server, each real and on loopback."""

from __future__ import annotations

import contextlib
import email
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult


@dataclass
class Receiver:
    """Takes POSTs and answers as it is told."""

    url: str = ""
    taken: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    """Headers, in lower case, and body of each."""
    answers: list[int] = field(default_factory=list)
    """Status codes of the next answers; then 204."""
    headers: dict[str, str] = field(default_factory=dict)
    """What each answer carries besides."""
    body: bytes = b""
    hold: threading.Event = field(default_factory=threading.Event)
    """Set: answers come at once."""


@contextmanager
def receiving(tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver on a free port."""
    receiver = Receiver()
    receiver.hold.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers.get("content-length", "0")))
            receiver.taken.append(({k.lower(): v for k, v in self.headers.items()}, content))
            receiver.hold.wait(20)
            status = receiver.answers.pop(0) if receiver.answers else 204
            self.send_response(status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(receiver.body)))
            self.end_headers()
            with contextlib.suppress(OSError):  # the sender has read enough
                self.wfile.write(receiver.body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    receiver.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}/hook"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.hold.set()
        server.shutdown()
        server.server_close()


@dataclass
class Mailbox:
    """What a mail server took."""

    port: int = 0
    envelopes: list[tuple[str, list[str], bytes]] = field(default_factory=list)
    """Sender, recipients and content of each."""
    refuse: str = ""
    """What it answers to recipients instead of taking them."""

    def messages(self) -> list[EmailMessage]:
        """Each message, read."""
        return [email.message_from_bytes(data, policy=default) for _, _, data in self.envelopes]  # type: ignore[misc]

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self.refuse:
            return self.refuse
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.envelopes.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return "250 OK"


@contextmanager
def mail_server(*, password: str = "", tls: ssl.SSLContext | None = None) -> Iterator[Mailbox]:
    """A mail server on a free port; with a password, it takes mail from `interlock` only, after STARTTLS."""
    box = Mailbox()

    def check(server: SMTP, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        known = (data.login, data.password) == (b"interlock", password.encode())
        return AuthResult(success=known, handled=False)

    options: dict[str, Any] = {"tls_context": tls, "require_starttls": tls is not None}
    if password:
        options |= {"authenticator": check, "auth_required": True, "auth_require_tls": True}
    with socket.create_server(("127.0.0.1", 0)) as free:
        box.port = free.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=box.port, **options)
    controller.start()
    try:
        yield box
    finally:
        controller.stop(no_assert=True)


def secret_file(root: Path, name: str, text: str) -> str:
    """Write a secret as it must be kept; returns its name."""
    path = root / name
    path.write_text(text + "\n")
    path.chmod(0o600)
    return name
