"""The client side of a Model Context Protocol session over a server's stdin and stdout."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import threading
import time
from collections import deque
from typing import Any

from ..failure import ToolError
from .program import end
from .room import Room

NEWEST = "2025-06-18"
SPOKEN = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
"""Versions of the protocol in which what we use is the same."""

LARGEST_MESSAGE = 24 * 1024 * 1024
MOST_BYTES = 64 * 1024 * 1024
MOST_MESSAGES = 10_000
"""Most that a server may say in one call."""
_CHUNK = 64 * 1024
_OWN_END_S = 0.5
_NO_METHOD = -32601
_STDERR_KEPT = 4096


class Client:
    """A started server and the requests to it. A context manager: it ends the server."""

    def __init__(self, command: list[str], environment: dict[str, str], room: Room) -> None:
        self.what = f"MCP server {command[0]!r}"
        """How messages call it; its own name once it has given one."""
        self.server = self.protocol = ""
        self._deadline = time.monotonic() + max(1.0, room.time_s - 1)
        self._bytes = self._messages = self._last = 0
        self._buffer = bytearray()
        self._errors: deque[bytes] = deque()
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                # Modules beside it must not be the run's files, which others may have written.
                env={**os.environ, "PYTHONSAFEPATH": "1", **environment},
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise ToolError(f"{self.what} cannot be started: {error}") from error
        assert self._process.stdin is not None, "it was asked for"
        self._input = self._process.stdin.fileno()
        os.set_blocking(self._input, False)
        threading.Thread(target=self._read_errors, daemon=True).start()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        # Closing its input is how a server is told to end; it gets a moment, then it is killed.
        assert self._process.stdin is not None, "it was asked for"
        self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_OWN_END_S)
        end(self._process)

    def initialize(self) -> None:
        """Agree on a version of the protocol."""
        client = {"name": "interlock", "version": "1"}
        answer = self.request("initialize", {"protocolVersion": NEWEST, "capabilities": {}, "clientInfo": client})
        self.protocol = str(answer.get("protocolVersion"))[:100]
        if self.protocol not in SPOKEN:
            raise ToolError(f"{self.what} speaks protocol {self.protocol!r}; Interlock speaks {', '.join(SPOKEN)}")
        info = answer.get("serverInfo")
        if isinstance(info, dict):
            self.server = f"{info.get('name', '')} {info.get('version', '')}".strip()[:200]
            self.what = f"MCP server {self.server!r}"
        if not isinstance(answer.get("capabilities"), dict) or "tools" not in answer["capabilities"]:
            raise ToolError(f"{self.what} offers no tools")
        self._send({"method": "notifications/initialized"})

    def request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Ask; the answer's result.

        Raises:
            ToolError: it answers with an error, to another question, not at all, or not in the protocol.
        """
        self._last += 1
        self._send({"id": self._last, "method": method, "params": params})
        while True:
            message = self._receive(method)
            if "method" in message:
                self._asked(message)
                continue
            if message.get("id") != self._last or isinstance(message.get("id"), bool):
                raise self._failed(f"answered {str(message.get('id'))[:50]!r}, and was asked {self._last}")
            if "error" in message:
                raise ToolError(f"{self.what} refuses {method}: {_reason(message['error'])}")
            if not isinstance(message.get("result"), dict):
                raise self._failed(f"answered {method} without a result")
            result: dict[str, Any] = message["result"]
            return result

    def _asked(self, message: dict[str, Any]) -> None:
        """What the server asks of us or tells us. We offer nothing but a sign of life."""
        if "id" not in message:
            return
        if message["method"] == "ping":
            self._send({"id": message["id"], "result": {}})
            return
        said = f"Interlock does not offer {str(message['method'])[:100]}"
        self._send({"id": message["id"], "error": {"code": _NO_METHOD, "message": said}})

    def _send(self, message: dict[str, Any]) -> None:
        left = memoryview(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        while left:
            if not select.select([], [self._input], [], self._left("read what it is sent"))[1]:
                continue
            try:
                left = left[os.write(self._input, left) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise self._failed("ended before it was asked") from error

    def _receive(self, method: str) -> dict[str, Any]:
        """The next message."""
        line = self._line(method)
        self._messages += 1
        if self._messages > MOST_MESSAGES:
            raise self._failed(f"sent more than {MOST_MESSAGES} messages")
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
            raise self._failed(
                f"wrote what is no message of the protocol: {line[:200].decode('utf-8', 'replace')!r}"
            )
        return message

    def _line(self, method: str) -> bytes:
        assert self._process.stdout is not None, "it was asked for"
        number = self._process.stdout.fileno()
        searched = 0
        while (at := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if searched > LARGEST_MESSAGE or self._bytes > MOST_BYTES:
                raise self._failed(f"sent more than {LARGEST_MESSAGE} bytes in a message or {MOST_BYTES} in all")
            if not select.select([number], [], [], self._left(f"answer {method}"))[0]:
                continue
            chunk = os.read(number, _CHUNK)
            if not chunk:
                raise self._failed(f"ended before it answered {method}")
            self._bytes += len(chunk)
            self._buffer += chunk
        line = bytes(self._buffer[:at])
        del self._buffer[: at + 1]
        return line

    def _left(self, what: str) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise self._failed(f"did not {what} in time")
        return left

    def _read_errors(self) -> None:
        assert self._process.stderr is not None, "it was asked for"
        kept = 0
        try:
            while chunk := os.read(self._process.stderr.fileno(), _CHUNK):
                self._errors.append(chunk)
                kept += len(chunk)
                while kept - len(self._errors[0]) >= _STDERR_KEPT:
                    kept -= len(self._errors.popleft())
        except (OSError, ValueError):
            return

    def _failed(self, what: str) -> ToolError:
        end(self._process)
        time.sleep(0.05)  # its last words come by another thread
        said = b"".join(self._errors)[-_STDERR_KEPT:].decode("utf-8", "replace").strip()
        return ToolError(f"{self.what} {what}" + (f"\n[its stderr]\n{said}" if said else ""))


def _reason(error: Any) -> str:
    if not isinstance(error, dict):
        return str(error)[:2000]
    return f"{str(error.get('message', 'no reason given'))[:2000]} ({str(error.get('code', ''))[:20]})"
