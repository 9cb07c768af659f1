"""Lets unmodified programs use the way out: a port on the loopback interface whose bytes go to the proxy's socket.

It decides nothing and nothing believes it. The socket is the host's, one per sandbox; a tool may as well use it
directly, and gets the same answers.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket

SOCKET = "/run/interlock/egress.sock"
AUTHORITY = "/run/interlock/ca.pem"
PORT = 3128
_CHUNK = 64 * 1024
_WAITING = 64

_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_AUTHORITIES = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
    "AWS_CA_BUNDLE",
)
ENVIRONMENT = {
    **dict.fromkeys(_PROXIES, f"http://127.0.0.1:{PORT}"),
    # Servers that a tool starts for itself. A name goes to the proxy, which may know it.
    **dict.fromkeys(("no_proxy", "NO_PROXY"), "127.0.0.1,::1"),
    "NODE_USE_ENV_PROXY": "1",
    **dict.fromkeys(_AUTHORITIES, AUTHORITY),
}
"""What makes common clients ask the relay and believe the proxy's certificates."""


def start() -> bool:
    """Start a relay in a process of its own, if this call has a way out; whether it has."""
    if not os.path.exists(SOCKET):
        return False
    listener = socket.create_server(("127.0.0.1", PORT), backlog=_WAITING)
    if os.fork() == 0:
        try:
            _become(listener.fileno())
            Relay(listener, SOCKET).serve()
        finally:
            os._exit(1)
    listener.close()
    return True


def _become(keep: int) -> None:
    """Give up what is the runner's."""
    signal.set_wakeup_fd(-1)
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number in (signal.SIGALRM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    nothing = os.open("/dev/null", os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    os.closerange(3, keep)
    os.closerange(keep + 1, os.sysconf("SC_OPEN_MAX"))


class Relay:
    """Copies between connections that it accepts and a Unix socket, all in one thread."""

    def __init__(self, listener: socket.socket, path: str) -> None:
        self._listener = listener
        self._path = path
        self._selector = selectors.DefaultSelector()
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ)

    def serve(self) -> None:
        """Until the process is killed."""
        while True:
            for key, events in self._selector.select():
                if key.data is None:
                    self._accept()
                elif key.fileobj.fileno() >= 0:  # type: ignore[union-attr]
                    key.data.move(key.fileobj, events)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            near, _ = self._listener.accept()
            far = socket.socket(socket.AF_UNIX)
            try:
                # With too many connections this fails at once; waiting would hold up the others.
                far.setblocking(False)
                far.connect(self._path)
                _Pair(self._selector, near, far)
            except OSError:
                near.close()
                far.close()


class _Pair:
    """Two connected sockets; what one says the other hears."""

    def __init__(self, selector: selectors.BaseSelector, near: socket.socket, far: socket.socket) -> None:
        self._selector = selector
        self._other = {near: far, far: near}
        self._waiting = {near: bytearray(), far: bytearray()}
        """Bytes to be written to each."""
        self._ended: set[socket.socket] = set()
        """Those that say nothing more."""
        for one in self._other:
            one.setblocking(False)
            selector.register(one, selectors.EVENT_READ, self)

    def move(self, one: socket.socket, events: int) -> None:
        """Read from `one`, or write to it what waits."""
        try:
            if events & selectors.EVENT_READ:
                self._read(one)
            if events & selectors.EVENT_WRITE:
                self._write(one)
            for each in self._other:
                self._watch(each)
        except BlockingIOError:
            pass
        except OSError:
            self._close()

    def _read(self, one: socket.socket) -> None:
        chunk = one.recv(_CHUNK)
        if not chunk:
            self._ended.add(one)
        self._waiting[self._other[one]] += chunk
        self._write(self._other[one])

    def _write(self, one: socket.socket) -> None:
        waiting = self._waiting[one]
        if waiting:
            with contextlib.suppress(BlockingIOError):
                del waiting[: one.send(waiting)]
        if not waiting and self._other[one] in self._ended:
            one.shutdown(socket.SHUT_WR)
            if len(self._ended) == len(self._other):
                raise ConnectionResetError

    def _watch(self, one: socket.socket) -> None:
        """Read only while the other side takes what was read; write only while something waits."""
        readable = one not in self._ended and not self._waiting[self._other[one]]
        events = (selectors.EVENT_READ if readable else 0) | (selectors.EVENT_WRITE if self._waiting[one] else 0)
        known = self._selector.get_map().get(one)
        if known is not None and known.events != events:
            self._selector.unregister(one)
            known = None
        if known is None and events:
            self._selector.register(one, events, self)

    def _close(self) -> None:
        for one in self._other:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(one)
            one.close()
