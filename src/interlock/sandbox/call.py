"""What the sandbox is asked to run, and what came of it. Facts only: the caller records them."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, Protocol

from pydantic import Field, JsonValue

from interlock.definitions import ToolKind
from interlock.definitions.tool import WorkspaceUse
from interlock.types import Artifact, CallStatus, EgressRecord, Profile, ToolName, Tree, Usage, WayOut
from interlock.types.closed import Closed

Limit = Literal["", "time", "memory", "output", "pids", "workspace"]
"""Which limit of the profile fired. `pids` goes with status error or timeout: the tool was refused a process."""


Start = Literal["", "warm", "cold", "leased", "resumed", "reconciled"]
"""warm: it had been started ahead. cold: none was waiting, so one was started for the call. leased: the run's own,
that served it before. resumed: the call's own, found again after its executor had died. reconciled: the tool's
`reconcile` told afterwards that an earlier attempt had done it."""


class SandboxCall(Closed):
    """One tool call, complete: nothing else reaches the container."""

    call_id: str
    """`RUN:cN`. The container's name is made from it, so that a call has at most one container on an engine."""
    run: str
    tenant: str = ""
    """With the run and the labels, whose container this may be where the profile leases one to a run."""
    labels: tuple[str, ...] = ()
    """Data labels that the run has taken on; a leased container of other labels is not used."""
    kind: ToolKind = "python"
    """What the source is: a Python module, or a definition that the runner's own code carries out."""
    tool: ToolName
    """Which tool of the source runs."""
    source: bytes
    """The tool's source file, as its digest pins it."""
    path: str = "tool.py"
    """What tracebacks call the source: `tools/NAME.py`."""
    arguments: dict[str, JsonValue] = Field(default_factory=dict)
    """Normalised arguments."""
    idempotency_key: str = ""
    """The same for every attempt at the call, another for every other call; empty: it has none."""
    asks: bool = False
    """Not to act, but to ask by the tool's `reconcile` whether an earlier attempt did."""
    workspace: Tree = Tree()
    workspace_use: WorkspaceUse = "none"
    profile: Profile
    image: str = ""
    """The engine's image id, `sha256:…`; the in-process driver needs none."""
    way_out: WayOut | None = None
    """What it may send out; None: nothing at all, and no socket to ask at."""


class SandboxResult(Closed):
    """How a call ended. When this is returned, no process of the tool is left; the container is gone, or being
    removed, or it waits for the next call of its run."""

    call_id: str
    status: CallStatus
    value: bytes | None = None
    """Canonical JSON of the returned value; present if and only if the status is ok."""
    error: str = ""
    """What went wrong, for a model to read: exception, message, the tool's own frames, or the limit."""
    stdout: str = ""
    """Head and tail; what was dropped between them is said in place. Invalid UTF-8 is replaced."""
    stderr: str = ""
    limit: Limit = ""
    workspace: Tree = Tree()
    """The files after the call; those before it unless the status is ok and the tool writes."""
    artifacts: tuple[Artifact, ...] = ()
    """Named outputs, stored in the blobs; only from a tool that came to its own end."""
    notes: tuple[str, ...] = ()
    """What was left behind and why: links and devices in the workspace, artifacts over the cap."""
    image: str = ""
    """The image that it ran in; empty: none, in process."""
    started_at: datetime
    ended_at: datetime
    start: Start = ""
    """Where its container came from; empty: in process."""
    usage: Usage = Usage()
    egress: tuple[EgressRecord, ...] = ()
    """Every request that it made, in order."""


class Observer(Protocol):
    """Sees a call while it runs. Called from the threads that serve the call."""

    def output(self, stream: Literal["stdout", "stderr"], data: bytes) -> None:
        """What the tool printed, as it comes, until the cap. Whatever this raises is ignored."""
        ...

    def leaving(self, record: EgressRecord) -> None:
        """A request is about to leave, or was refused. If this raises, the request does not leave."""
        ...

    def taking(self) -> None:
        """What an earlier attempt left was found and is about to be taken over; if this raises, it is not."""
        ...


class Unobserved:
    """Nobody watches."""

    def output(self, stream: Literal["stdout", "stderr"], data: bytes) -> None:
        """See `Observer.output`."""

    def leaving(self, record: EgressRecord) -> None:
        """See `Observer.leaving`."""

    def taking(self) -> None:
        """See `Observer.taking`."""


UNOBSERVED: Final = Unobserved()
