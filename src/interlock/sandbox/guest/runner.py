"""The container's first process: takes requests from the host, runs each in a process of its own, reports.

Order at the start: move the host's connection to private descriptors, become unreadable, install the system
call filter, tell the host the facts. Only then does the host send anything of a tool.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import sys
import time
from contextlib import suppress
from typing import Any

from . import child, confine, emptying, facts, files, frames, usage
from .capture import Capture
from .host import SERVING_S, WAITING_S, Host, HostGone
from .processes import end_all, wake_on_exit
from .serving import Serving
from .watch import Watch

_IMPORTED = ("datetime", "decimal", "random", "socket", "subprocess", "tempfile", "urllib.parse")
_QUIET_S = 0.05
"""Whoever waits for this container speaks earlier, and is not kept waiting by imports."""


class Runner:
    """Serves the requests of its host, one after the other."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._wake = wake_on_exit()
        self._served: Serving | None = None
        self._prepared: child.Prepared | None = None
        self._forget()

    def _forget(self) -> None:
        self._workspace = files.Workspace()
        self._bodies: dict[str, bytes] = {}
        self._partial = bytearray()
        self._refused = ""

    def serve(self) -> None:
        """Until the host is gone.

        Raises:
            HostGone
        """
        self._import("interlock")
        ready = False
        while True:
            if not ready and self._host.quiet_for(_QUIET_S):
                self._import(*_IMPORTED)
                ready = True
            frame = self._host.next()
            kind = frame.head["kind"]
            if kind in ("source", "arguments"):
                self._bodies[kind] = frame.body
            elif kind == "file":
                self._file(frame)
            elif kind == "claim":
                self._claim(frame.head)
            elif kind in ("run", "reconcile"):
                self._run(frame.head)
            elif kind == "resume":
                self._resume(frame)
            elif kind == "compile":
                self._compile(frame.head)
            else:
                raise HostGone(f"unknown kind {kind!r}")

    def _import(self, *names: str) -> None:
        """Import what tools import: each is forked from here, and has it at once."""
        for name in names:
            importlib.import_module(name)
        # A collection in a child would copy every page that it looks at.
        gc.collect()
        gc.freeze()

    def _claim(self, head: dict[str, Any]) -> None:
        """From here on this container is one call's; nothing of a call before it is left."""
        _expire_after(head["lifetime_s"])
        self._host.patience_s = SERVING_S
        if self._served is not None:
            emptying.empty()
            self._served = None
        self._forget()
        self._host.send("claimed", head["call"])
        # The host is busy with the engine meanwhile.
        self._prepare()

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
        self._served = Serving(self._host, head, self._workspace)
        if self._refused:
            self._served.refuse(self._refused)
        else:
            source, arguments = self._bodies["source"], self._bodies["arguments"]
            prepared, self._prepared = self._prepared or child.Prepared(), None
            self._served.run(lambda: prepared.begin(source, head, arguments), self._wake)
        self._forget()

    def _prepare(self) -> None:
        """Have a fresh process ready for the next call."""
        if self._prepared is not None:
            self._prepared.discard()
            end_all()
        self._prepared = child.Prepared()

    def _resume(self, frame: frames.Frame) -> None:
        if self._served is not None:
            self._served.heard(frame)
            return
        self._host.mark(frame.head["marker"])
        self._host.send("nothing", frame.head["call"])

    def _compile(self, head: dict[str, Any]) -> None:
        call = head["call"]
        one = child.start(child.compile_tool(self._bodies["source"], head["path"]))
        capture = Capture(4096)
        watch = Watch(one, capture, lambda *_: None, max_value=head["output_bytes"])
        outcome = watch.follow(self._host, self._wake, head["time_s"])
        if outcome.status == "ok":
            self._host.send("value", call, outcome.value)
        fields: dict[str, Any] = {"status": outcome.status, "error": outcome.error, "limit": outcome.limit}
        self._host.send("end", call, **fields, notes=[], dropped=capture.dropped)
        self._forget()


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
    """Entry point of the image.

    Args:
        lifetime_s: the container ends after so many seconds. 0: it is started ahead and waits for as long as its
            host keeps saying so; the claim of a call sets its time.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if lifetime_s:
        _expire_after(lifetime_s)
    host = Host(SERVING_S if lifetime_s else WAITING_S)
    try:
        if os.getpid() != 1:
            raise RuntimeError("the runner must be the container's first process")
        confine.dumpable(False)
        confine.install_filter()
        seen = facts.facts()
    except Exception as error:
        host.send("refused", error=f"{type(error).__name__}: {error}")
        sys.exit(1)
    host.send("ready", version=frames.VERSION, facts=seen, memory_kib=usage.memory_kib())
    with suppress(HostGone):
        Runner(host).serve()
