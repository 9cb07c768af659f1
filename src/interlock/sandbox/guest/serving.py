"""One call inside the container: run, then reported; reported again to a host that takes over from a dead one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import child, files, frames, usage
from .capture import Capture
from .host import Host, HostGone
from .watch import Outcome, Watch


class Serving:
    """A call and all that is kept of it until the next: its output, its outcome, its files."""

    def __init__(self, host: Host, head: dict[str, Any], workspace: files.Workspace) -> None:
        self.call: str = head["call"]
        self._host = host
        self._head = head
        self._workspace = workspace
        self._capture = Capture(head["output_bytes"])
        self._heads: list[tuple[str, bytes]] = []
        self._meter = usage.Meter()
        self._outcome: Outcome | None = None

    def run(self, begin: Callable[[], child.Child], wake: int) -> None:
        """Run the tool, whose process `begin` gives, to its end and report.

        Raises:
            HostGone: no host is left that waits for it.
        """
        self._host.send("started", self.call)
        # One byte more: the child marks what follows as value or error.
        limit = self._head["output_bytes"] + 1
        watch = Watch(begin(), self._capture, self._emit, max_value=limit, sample=self._meter.sample)
        self._outcome = watch.follow(self._host, wake, self._head["time_s"], self.heard)
        self._report(self._outcome)

    def refuse(self, reason: str) -> None:
        """The tool is not started: its files do not fit."""
        self._host.send("started", self.call)
        self._outcome = Outcome("error", error=reason, limit="workspace")
        self._report(self._outcome)

    def heard(self, frame: frames.Frame) -> None:
        """A frame of the host beside the call: a host that takes over asks for it.

        Raises:
            HostGone: any other frame is out of turn.
        """
        if frame.head["kind"] != "resume":
            raise HostGone(f"{frame.head['kind']!r} out of turn")
        self._host.mark(frame.head["marker"])
        if frame.head["call"] != self.call:
            self._host.send("nothing", frame.head["call"])
            return
        self._host.send("started", self.call)
        for stream, chunk in self._heads:
            self._host.send("output", self.call, chunk, stream=stream, part="head")
        if self._outcome is not None:
            self._report(self._outcome)

    def _emit(self, stream: str, chunk: bytes) -> None:
        self._heads.append((stream, chunk))
        self._host.send("output", self.call, chunk, stream=stream, part="head")

    def _report(self, outcome: Outcome) -> None:
        self._host.send("finished", self.call, hold=True)
        for stream in ("stdout", "stderr"):
            if tail := self._capture.tail(stream):
                self._host.send("output", self.call, tail, stream=stream, part="tail")
        self._end(self._collect(outcome))

    def _collect(self, outcome: Outcome) -> Outcome:
        """Send files and artifacts; the outcome, or that the workspace is over its limit."""
        limits = {"max_files": self._head["max_files"], "max_bytes": self._head["max_bytes"]}
        wanted = outcome.status == "ok" and self._head["collect"]
        try:
            for item in files.artifacts() if outcome.status in ("ok", "error") else ():
                self._host.send("artifact", self.call, item.content, path=item.path)
            for item in self._workspace.changes(**limits) if wanted else ():
                self._host.send("file", self.call, item.content, path=item.path, executable=item.executable)
        except files.Overfull as error:
            return outcome if outcome.status == "error" else Outcome("error", error=str(error), limit="workspace")
        if not wanted:
            return outcome
        for path in self._workspace.gone:
            self._host.send("gone", self.call, path=path)
        return outcome

    def _end(self, outcome: Outcome) -> None:
        if outcome.status == "ok":
            self._host.send("value", self.call, outcome.value, hold=True)
        self._host.send(
            "end",
            self.call,
            status=outcome.status,
            error=outcome.error,
            limit=outcome.limit,
            notes=self._workspace.notes,
            dropped=self._capture.dropped,
            usage=self._meter.read(),
        )
