"""A tool call: a proposal with a digest; and its result. Arguments and outputs travel by digest."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from interlock.types.closed import Closed
from interlock.types.names import Digest, Name, OptionalDigest, RunId, SubjectName, ToolName

CallStatus = Literal["ok", "error", "timeout", "out_of_memory", "output_limit", "killed", "protocol", "cancelled"]
"""How a call ended in the sandbox. ok: the tool returned. error: it raised or gave back what its result type
does not allow. timeout, out_of_memory, output_limit: the limit that fired. killed: it died by a signal of
its own. protocol: the container answered what the runner would not say. cancelled: a person stopped it."""

Refusal = Literal[
    "schema", "policy", "approver", "expired", "withdrawn", "executor", "unknown_tool", "failed", "cancelled"
]
"""Why a call did not run: the arguments do not fit the tool; a rule or the default; a person; the deadline; the
requester, who withdrew it; the executor's own second look; no such tool for this agent; a person took an unknown
outcome as failed; the run was cancelled."""


class ToolCall(Closed):
    """A proposed call, as it is hashed. The digest of this is what is decided, approved, executed, receipted."""

    tenant: str
    run: RunId
    call_id: str
    """`RUN:cN`, N counting from 1 in the run; never the model's own id."""
    agent: SubjectName
    tool: ToolName
    tool_digest: Digest
    """Digest of the tool's source file as the manifest pins it."""
    arguments: Digest
    """Digest of the normalised arguments' canonical bytes."""
    workspace: OptionalDigest
    """Digest of the workspace tree that the call starts from: an approval binds to these exact files."""

    def as_hashed(self) -> dict[str, Any]:
        """The JSON value whose canonical bytes give the call digest."""
        return {"v": 1, **self.model_dump(mode="json")}


class Artifact(Closed):
    """A named output of a call."""

    name: str
    digest: Digest
    size: int
    """Bytes."""
    media_type: str = "application/octet-stream"


class ChildRun(Closed):
    """What became of the run to which a call handed work on, as the executor found it in the ledger."""

    run: RunId
    status: Literal["completed", "failed", "cancelled", "lost"]
    """How it ended. lost: it has no end on record, and from this receipt on nothing of it runs any more."""
    count: int = Field(ge=0)
    """How many events it had."""
    head: Digest
    """Hash of the last of them."""
    usage: dict[str, tuple[int, int]] = Field(default_factory=dict)
    """Model → tokens that it read and wrote, with those of the runs to which it handed work on."""
    labels: tuple[Name, ...] = ()
    """Labels of all data that it has seen, sorted: its result has them too."""

    @property
    def tokens(self) -> int:
        """Read and written, by all models."""
        return sum(read + written for read, written in self.usage.values())

    @model_validator(mode="after")
    def _sorted(self) -> Self:
        if list(self.labels) != sorted(set(self.labels)):
            raise ValueError("labels are sorted, and each is there once")
        return self


class Usage(Closed):
    """What a call used, as the kernel counted it for its container."""

    cpu_ms: int = Field(default=0, ge=0)
    """CPU time of all its processes, milliseconds."""
    memory_kib: int = Field(default=0, ge=0)
    """Peak memory of the container, file pages of its tmpfs included."""
    bytes_in: int = Field(default=0, ge=0)
    """Sent into the container for the call: source, arguments, files."""
    bytes_out: int = Field(default=0, ge=0)
    """Taken from it: output, result, files, artifacts."""
