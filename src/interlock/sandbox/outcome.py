"""Follows a call's replies to its end and keeps what they bring. Anything out of order ends it as `protocol`."""

from __future__ import annotations

import mimetypes
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Final, Literal

from interlock.digest import canonical, parse
from interlock.errors import InvalidInput
from interlock.sandbox import replies, request
from interlock.sandbox.call import UNOBSERVED, Limit, Observer, SandboxCall, SandboxResult, Start
from interlock.sandbox.guest import files, frames
from interlock.sandbox.options import ARTIFACTS_MIB, MIB
from interlock.sandbox.printed import Printed
from interlock.sandbox.stream import DeadlinePassed, OverCap, Stream, StreamEnded
from interlock.types import Artifact, Blobs, CallStatus, EgressRecord, FileEntry, Tree, Usage

START_S: Final = 30
GRACE_S: Final = 2
"""The runner ends a late tool itself and still reports what it printed; after this the host does not wait."""
COLLECT_S: Final = 60
_FRAME_OVERHEAD: Final = 2048

_Phase = Literal["sent", "running", "collecting", "ended"]
_MAY_COME: Final[dict[_Phase, set[str]]] = {
    "sent": {"started", "end"},
    "running": {"output", "finished"},
    "collecting": {"output", "artifact", "file", "gone", "value", "end"},
    "ended": set(),
}
_PHASE_AFTER: Final[dict[str, _Phase]] = {"started": "running", "finished": "collecting", "end": "ended"}


class Outcome:
    """The state of one call as its replies come in. Nothing of the container is trusted to be consistent."""

    def __init__(self, call: SandboxCall, blobs: Blobs, observer: Observer = UNOBSERVED) -> None:
        self._call = call
        self._blobs = blobs
        self._observer = observer
        self._used = replies.Used()
        self._bytes = (0, 0)
        self._body = bytearray()
        self._printed = {"stdout": Printed(), "stderr": Printed()}
        self._printed_bytes = 0
        self._dropped: dict[replies.StreamName, int] = {}
        self._files = dict(call.workspace.files)
        self._touched: set[str] = set()
        self._artifacts: dict[str, Artifact] = {}
        self._value = b""
        self._phase: _Phase = "sent"
        self.status: CallStatus = "protocol"
        self.error = ""
        self.limit: Limit = ""
        self.notes: tuple[str, ...] = ()
        self._died = False

    @property
    def total_cap(self) -> int:
        """Most bytes that an honest runner sends for this call."""
        profile = self._call.profile
        content = 4 * profile.output_kib * 1024 + (profile.workspace_mib + ARTIFACTS_MIB) * MIB
        files_sent = profile.workspace_files + len(self._call.workspace.files) + files.MAX_ARTIFACTS
        return content + files_sent * _FRAME_OVERHEAD + MIB + content // 64

    @property
    def left_kib(self) -> int:
        """Memory in use in the container when the tool had ended."""
        return self._used.left_kib

    @property
    def reported(self) -> bool:
        """Whether the runner has told the end of the call: no process of the tool is left then."""
        return self._phase == "ended"

    @property
    def clean(self) -> bool:
        """Whether the tool came to its own end, within every limit."""
        return self.reported and self.status in ("ok", "error") and not self.limit

    def follow(self, stream: Stream, arguments: bytes) -> None:
        """Send the call and read replies until it has ended, in whichever way.

        Raises:
            IntegrityError, LedgerUnavailable: of the blobs.
        """
        self._follow(stream, lambda: request.send(stream, self._call, arguments, self._blobs))

    def follow_again(self, stream: Stream, first: replies.AnyReply) -> None:
        """Read the replies of a call that another process sent, until it has ended.

        Args:
            stream: what follows `first`.
            first: the first reply to whoever takes over.

        Raises:
            LedgerUnavailable: of the blobs.
        """
        self._follow(stream, lambda: self._take(first, b"", stream))

    def _follow(self, stream: Stream, begin: Callable[[], None]) -> None:
        sent, received = stream.sent, stream.received
        try:
            begin()
            while self._phase != "ended":
                reply, body = replies.read_reply(stream)
                self._take(reply, body, stream)
        except StreamEnded:
            self._died = True
            self._fail("killed", "the container ended before its runner reported")
        except DeadlinePassed:
            if self._phase == "collecting":
                self._fail("protocol", "the runner did not finish its report in time")
            else:
                self._fail("timeout", "still running at the deadline", "time")
        except (frames.FrameError, OverCap) as error:
            self._fail("protocol", f"the container does not follow the protocol: {error}")
        finally:
            self._bytes = stream.sent - sent, stream.received - received

    def explain_death(self, *, stopped: bool, out_of_memory: Callable[[], bool]) -> None:
        """Say why the container ended on its own: a person stopped it, or the kernel did.

        Args:
            stopped: whether this driver was told to.
            out_of_memory: asks the engine; called only if need be.
        """
        if stopped:
            self._fail("cancelled", "the call was stopped")
        elif self._died and out_of_memory():
            self._fail("out_of_memory", "the whole container was killed: out of memory", "memory")

    def _fail(self, status: CallStatus, error: str, limit: Limit = "") -> None:
        self.status, self.error, self.limit = status, error, limit

    def _take(self, reply: replies.AnyReply, body: bytes, stream: Stream) -> None:
        if reply.call != self._call.call_id:
            raise frames.FrameError(f"a reply for call {reply.call!r}")
        if reply.kind not in _MAY_COME[self._phase]:
            raise frames.FrameError(f"{reply.kind!r} while {self._phase}")
        if isinstance(reply, replies.Output):
            self._print(reply, body)
            return
        self._body += body
        if reply.more:
            return
        whole, self._body = bytes(self._body), bytearray()
        if isinstance(reply, replies.End) and reply.status == "ok" and self._phase != "collecting":
            raise frames.FrameError("a good end of a tool that never started")
        self._phase = _PHASE_AFTER.get(reply.kind, self._phase)
        if isinstance(reply, replies.Started):
            stream.deadline = time.monotonic() + self._call.profile.time_s + GRACE_S
        elif isinstance(reply, replies.Finished):
            stream.deadline = time.monotonic() + COLLECT_S
        else:
            self._keep(reply, whole)

    def _print(self, reply: replies.Output, body: bytes) -> None:
        self._printed_bytes += len(body)
        if self._printed_bytes > self._call.profile.output_kib * 1024:
            raise frames.FrameError("more output than the profile keeps")
        self._printed[reply.stream].add(reply.part, body)
        if reply.part == "head":
            with suppress(Exception):
                self._observer.output(reply.stream, body)

    def _keep(self, reply: replies.AnyReply, body: bytes) -> None:
        if isinstance(reply, replies.ChangedFile):
            self._touch(reply.path)
            digest = self._blobs.put(body)
            self._files[reply.path] = FileEntry(digest=digest, size=len(body), executable=reply.executable)
        elif isinstance(reply, replies.GoneFile):
            self._touch(reply.path)
            self._files.pop(reply.path, None)
        elif isinstance(reply, replies.ArtifactFile):
            self._keep_artifact(reply.path, body)
        elif isinstance(reply, replies.Value):
            self._value = body
        elif isinstance(reply, replies.End):
            self._end(reply)

    def _touch(self, path: str) -> None:
        if self._call.workspace_use != "write" or path in self._touched:
            raise frames.FrameError(f"workspace file {path!r} comes twice, or unasked")
        self._touched.add(path)

    def _keep_artifact(self, name: str, body: bytes) -> None:
        if "/" in name or name in self._artifacts or len(self._artifacts) >= files.MAX_ARTIFACTS:
            raise frames.FrameError(f"artifact {name!r}: comes twice, is no plain name, or is one too many")
        media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        digest = self._blobs.put(body)
        self._artifacts[name] = Artifact(name=name, digest=digest, size=len(body), media_type=media_type)

    def _end(self, reply: replies.End) -> None:
        self.status, self.error, self.limit = reply.status, reply.error, reply.limit
        self.notes = tuple(reply.notes)
        self._dropped, self._used = dict(reply.dropped), reply.usage
        if reply.status == "ok" and self._whole_tree():
            self._check_value()

    def _whole_tree(self) -> bool:
        """A file cannot stand where a folder is; a runner that says so is none."""
        folders = {path[:at] for path in self._files for at in range(len(path)) if path[at] == "/"}
        clash = sorted(folders & set(self._files))
        if clash:
            raise frames.FrameError(f"{clash[0]!r} is a file and a folder")
        if len(self._files) > self._call.profile.workspace_files:
            raise frames.FrameError("more files than the profile takes")
        if sum(entry.size for entry in self._files.values()) > self._call.profile.workspace_mib * MIB:
            raise frames.FrameError("more bytes of files than the profile takes")
        return True

    def _check_value(self) -> None:
        cap = self._call.profile.output_kib * 1024
        try:
            self._value = canonical(parse(self._value), max_bytes=cap)
        except InvalidInput as error:
            self._fail("error", f"the tool returned what has no canonical form: {error}")

    def result(
        self,
        *,
        image: str,
        started_at: datetime,
        ended_at: datetime,
        start: Start = "",
        egress: tuple[EgressRecord, ...] = (),
    ) -> SandboxResult:
        """What came of the call. Files count only when the tool came to a good end."""
        ok = self.status == "ok"
        sent, received = self._bytes
        usage = Usage(cpu_ms=self._used.cpu_ms, memory_kib=self._used.memory_kib, bytes_in=sent, bytes_out=received)
        return SandboxResult(
            call_id=self._call.call_id,
            status=self.status,
            value=self._value if ok else None,
            error=self.error,
            stdout=self._printed["stdout"].text(self._dropped.get("stdout", 0)),
            stderr=self._printed["stderr"].text(self._dropped.get("stderr", 0)),
            limit=self.limit,
            workspace=Tree(files=self._files) if ok and self._touched else self._call.workspace,
            artifacts=tuple(self._artifacts.values()) if self.status in ("ok", "error") else (),
            notes=self.notes,
            image=image,
            started_at=started_at,
            ended_at=ended_at,
            start=start,
            usage=usage,
            egress=egress,
        )
