"""The world outside: a real HTTP server that counts effects by what they are about, as a bank would."""

from __future__ import annotations

import http.server
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

KEY = "Idempotency-Key"


@dataclass
class Outside:
    """What has happened out there."""

    port: int = 0
    effects: Counter[str] = field(default_factory=Counter)
    """`pay/ORDER` → how often it took effect."""
    requests: Counter[str] = field(default_factory=Counter)
    """The same, repeated requests with a known key included."""
    keys: set[tuple[str, str]] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, what: str, key: str) -> None:
        """A request came: it takes effect, unless one with its idempotency key did."""
        with self.lock:
            self.requests[what] += 1
            if key and (what, key) in self.keys:
                return
            self.keys.add((what, key))
            self.effects[what] += 1


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        outside: Outside = self.server.outside  # type: ignore[attr-defined]
        outside.take(self.path.strip("/"), self.headers.get(KEY, ""))
        time.sleep(0.05)  # the effect is made, and nobody knows yet
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: Any) -> None:
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        pass  # whoever asked was killed meanwhile


@contextmanager
def outside() -> Iterator[Outside]:
    """Serve on loopback until the block ends."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.outside = found = Outside(server.server_port)  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
