"""The container's first process: takes requests from the host, runs each in a process of its own, reports.

Order at the start: move the host's connection to private descriptors, become unreadable, install the system
call filter, tell the host the facts. Only then does the host send anything of a tool.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sys
import time
from typing import Any

from . import child, confine, facts, files, frames
from .capture import Capture
from .processes import wake_on_exit
from .watch import HostGone, Outcome, Watch


def _private(number: int, *, write: bool) -> int:
    """Move a descriptor out of the way, closed on exec, and put /dev/null in its place."""
    moved = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 10)
    nothing = os.open("/dev/null", os.O_WRONLY if write else os.O_RDONLY)
    os.dup2(nothing, number)
    os.close(nothing)
    return moved


class Host:
    """The connection to the host."""

    def __init__(self) -> None:
        self.input = _private(0, write=False)
        self._output = _private(1, write=True)

    def send(self, kind: str, call: str = "", body: bytes = b"", **fields: Any) -> None:
        """Send a frame; a longer body goes in pieces."""
        for piece, more in frames.pieces(body):
            view = memoryview(frames.pack({"kind": kind, "call": call, "more": more, **fields}, piece))
            while view:
                view = view[os.write(self._output, view) :]

    def receive(self, count: int) -> bytes:
        """Exactly `count` bytes.

        Raises:
            HostGone: the connection ended.
        """
        parts = []
        while count:
            part = os.read(self.input, min(count, 1 << 20))
            if not part:
                raise HostGone
            parts.append(part)
            count -= len(part)
        return b"".join(parts)


class Runner:
    """Serves the requests of one connection, one after the other."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._wake = wake_on_exit()
        self._forget()

    def _forget(self) -> None:
        self._workspace = files.Workspace()
        self._bodies: dict[str, bytes] = {}
        self._partial = bytearray()
        self._refused = ""

    def serve(self) -> None:
        """Until the host is gone."""
        while True:
            frame = frames.read(self._host.receive)
            kind = frame.head["kind"]
            if kind in ("source", "arguments"):
                self._bodies[kind] = frame.body
            elif kind == "file":
                self._file(frame)
            elif kind == "run":
                self._run(frame.head)
                self._forget()
            elif kind == "compile":
                self._compile(frame.head)
                self._forget()
            else:
                raise frames.FrameError(f"unknown kind {kind!r}")

    def _file(self, frame: frames.Frame) -> None:
        self._partial += frame.body
        if frame.head["more"]:
            return
        content, self._partial = bytes(self._partial), bytearray()
        try:
            self._workspace.put(frame.head["path"], content, frame.head["executable"])
        except OSError as error:
            # The host goes on sending; it learns of this when it asks to run.
            self._refused = self._refused or f"workspace file {frame.head['path']!r}: {error.strerror}"

    def _run(self, head: dict[str, Any]) -> None:
        call = head["call"]
        if self._refused:
            self._host.send(
                "end", call, status="error", error=self._refused, limit="workspace", notes=[], dropped={}
            )
            return
        body = child.run_tool(self._bodies["source"], head["path"], head["tool"], self._bodies["arguments"])
        self._host.send("started", call)
        capture = Capture(head["output_bytes"])
        outcome = self._follow(call, child.start(body), capture, head)
        self._host.send("finished", call)
        for stream in ("stdout", "stderr"):
            if tail := capture.tail(stream):
                self._host.send("output", call, tail, stream=stream, part="tail")
        self._end(call, self._collect(call, outcome, head), capture)

    def _follow(self, call: str, one: child.Child, capture: Capture, head: dict[str, Any]) -> Outcome:
        def emit(stream: str, chunk: bytes) -> None:
            self._host.send("output", call, chunk, stream=stream, part="head")

        # One byte more: the child marks what follows as value or error.
        watch = Watch(one, capture, emit, max_value=head["output_bytes"] + 1)
        return watch.follow(self._host.input, self._wake, head["time_s"])

    def _collect(self, call: str, outcome: Outcome, head: dict[str, Any]) -> Outcome:
        """Send files and artifacts; the outcome, or that the workspace is over its limit."""
        if outcome.status in ("ok", "error"):
            for item in files.artifacts():
                self._host.send("artifact", call, item.content, path=item.path)
        if outcome.status != "ok" or not head["collect"]:
            return outcome
        try:
            for item in self._workspace.changes(max_files=head["max_files"], max_bytes=head["max_bytes"]):
                self._host.send("file", call, item.content, path=item.path, executable=item.executable)
        except files.Overfull as error:
            return Outcome("error", error=str(error), limit="workspace")
        for path in self._workspace.gone:
            self._host.send("gone", call, path=path)
        return outcome

    def _end(self, call: str, outcome: Outcome, capture: Capture) -> None:
        if outcome.status == "ok":
            self._host.send("value", call, outcome.value)
        self._host.send(
            "end",
            call,
            status=outcome.status,
            error=outcome.error,
            limit=outcome.limit,
            notes=self._workspace.notes,
            dropped=capture.dropped,
        )

    def _compile(self, head: dict[str, Any]) -> None:
        call = head["call"]
        one = child.start(child.compile_tool(self._bodies["source"], head["path"]))
        capture = Capture(4096)
        watch = Watch(one, capture, lambda *_: None, max_value=head["output_bytes"])
        outcome = watch.follow(self._host.input, self._wake, head["time_s"])
        self._end(call, outcome, capture)


def _expire_after(seconds: float) -> None:
    """End the container then, whatever the host does: a stuck host leaves nothing behind for long."""
    end = time.monotonic() + seconds

    def ring(*_: object) -> None:
        # A tool may send the signal too; only the clock counts.
        if time.monotonic() >= end:
            os._exit(1)

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)


def main(lifetime_s: float) -> None:
    """Entry point of the image: serve for at most `lifetime_s` seconds."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _expire_after(lifetime_s)
    host = Host()
    try:
        if os.getpid() != 1:
            raise RuntimeError("the runner must be the container's first process")
        confine.dumpable(False)
        confine.install_filter()
        seen = facts.facts()
    except Exception as error:
        host.send("refused", error=f"{type(error).__name__}: {error}")
        sys.exit(1)
    host.send("ready", version=frames.VERSION, facts=seen)
    with contextlib.suppress(HostGone):
        Runner(host).serve()
