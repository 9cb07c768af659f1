"""The container's stdin and stdout as the engine relays them: read with a cap and a deadline, as from an enemy."""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from contextlib import suppress
from typing import Any, Final

from interlock.sandbox.guest import frames

_HEADER: Final = struct.Struct(">BxxxI")
_STDERR: Final = 2
_CHUNK: Final = 256 * 1024
_KEEP_STDERR: Final = 4096
_PING: Final = frames.pack({"kind": "ping"})


class StreamEnded(Exception):
    """The container is gone, or the connection was closed from our side."""


class DeadlinePassed(Exception):
    """Nothing came in time."""


class OverCap(Exception):
    """More came than an honest runner ever sends."""


class Stream:
    """One attached container."""

    def __init__(self, attached: Any) -> None:
        # The client hands out a file over the socket; deadlines need the socket.
        self._attached = attached
        self._socket: socket.socket = getattr(attached, "_sock", attached)
        self._raw = bytearray()
        self._payload = bytearray()
        self._stderr = bytearray()
        self._sending = threading.Lock()
        self.sent = 0
        """Bytes sent so far, signs of life apart."""
        self.received = 0
        """Bytes of the container's output so far."""
        self.cap = 0
        """Most bytes to accept in all."""
        self.deadline = 0.0
        """By `time.monotonic()`."""

    @property
    def stderr(self) -> str:
        """The start of what the runner itself printed: nothing, unless it could not start."""
        return self._stderr.decode("utf-8", "replace").strip()

    def send(self, data: bytes) -> None:
        """Send all of `data`.

        Raises:
            StreamEnded: nobody reads it.
            DeadlinePassed: not in time.
        """
        try:
            with self._sending:
                self._socket.settimeout(self._left())
                self._socket.sendall(data)
            self.sent += len(data)
        except TimeoutError as error:
            raise DeadlinePassed("the container does not read") from error
        except OSError as error:
            raise StreamEnded(str(error)) from error

    def ping(self) -> None:
        """Tell the runner that its host lives, from any thread. Does nothing where that would have to wait: what is
        being sent is a sign of life too.

        Raises:
            StreamEnded: the connection is closed.
        """
        if not self._sending.acquire(blocking=False):
            return
        try:
            if self._polled(select.POLLOUT):
                self._socket.send(_PING)
        except OSError as error:
            raise StreamEnded(str(error)) from error
        finally:
            self._sending.release()

    @property
    def disturbed(self) -> bool:
        """Whether there is something to read, or an end. Of a container that waits, neither is to be expected."""
        try:
            return bool(self._payload) or self._polled(select.POLLIN)
        except OSError:
            return True

    def _polled(self, event: int) -> bool:
        number = self._socket.fileno()
        if number < 0:
            raise OSError("closed")
        poll = select.poll()
        poll.register(number, event)
        return bool(poll.poll(0))

    def skip_to(self, marker: bytes) -> None:
        """Drop all that comes before `marker`, and the marker.

        Raises:
            StreamEnded, DeadlinePassed, OverCap
        """
        while (at := self._payload.find(marker)) < 0:
            del self._payload[: max(0, len(self._payload) - len(marker) + 1)]
            self._read()
        del self._payload[: at + len(marker)]

    def receive(self, count: int) -> bytes:
        """Exactly `count` bytes of the container's stdout.

        Raises:
            StreamEnded, DeadlinePassed, OverCap
        """
        while len(self._payload) < count:
            self._read()
        taken = bytes(self._payload[:count])
        del self._payload[:count]
        return taken

    def _read(self) -> None:
        try:
            self._socket.settimeout(self._left())
            chunk = self._socket.recv(_CHUNK)
        except TimeoutError as error:
            raise DeadlinePassed("the container does not answer") from error
        except OSError as error:
            raise StreamEnded(str(error)) from error
        if not chunk:
            raise StreamEnded("the container ended")
        self.received += len(chunk)
        if self.received > self.cap:
            raise OverCap(f"the container sent more than {self.cap} bytes")
        self._raw += chunk
        self._split()

    def _split(self) -> None:
        """Take the engine's own frames apart: a stream number, a length, the bytes."""
        at = 0
        while len(self._raw) - at >= _HEADER.size:
            number, length = _HEADER.unpack_from(self._raw, at)
            end = at + _HEADER.size + length
            if end > len(self._raw):
                break
            part = self._raw[at + _HEADER.size : end]
            if number == _STDERR:
                self._stderr += part[: _KEEP_STDERR - len(self._stderr)]
            else:
                self._payload += part
            at = end
        del self._raw[:at]

    def _left(self) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def close(self) -> None:
        """Close the connection; a thread that reads or writes it wakes with `StreamEnded`."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        with suppress(OSError):
            self._attached.close()
