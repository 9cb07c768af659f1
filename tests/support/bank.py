"""A bank on loopback that takes a payment once for each idempotency key, and tells what it has by that key."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Bank:
    """Its books."""

    port: int = 0
    payments: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By idempotency key."""
    asked: list[str] = field(default_factory=list)
    """Method, path and key of every request."""

    def to(self, account: str) -> list[dict[str, Any]]:
        """What was paid to an account."""
        return [one for one in self.payments.values() if one["account"] == account]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        key = self.headers.get("Idempotency-Key", "")
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        self._bank.asked.append(f"POST {self.path} {key}")
        if not key:
            self._answer(400, {"error": "no Idempotency-Key"})
            return
        payment = self._bank.payments.setdefault(key, {"id": f"p{len(self._bank.payments) + 1}", **body})
        self._answer(201, payment)

    def do_GET(self) -> None:
        key = self.path.rpartition("/")[2]
        self._bank.asked.append(f"GET {self.path} {key}")
        found = self._bank.payments.get(key)
        self._answer(200 if found else 404, found or {"error": "no such payment"})

    @property
    def _bank(self) -> Bank:
        found: Bank = self.server.bank  # type: ignore[attr-defined]
        return found

    def _answer(self, status: int, value: dict[str, Any]) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def bank() -> Iterator[Bank]:
    """A running one."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.bank = Bank(server.server_port)  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server.bank  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()
