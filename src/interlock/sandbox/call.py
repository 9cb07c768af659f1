"""What the sandbox is asked to run, and what came of it. Facts only: the caller records them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field, JsonValue

from interlock.definitions.tool import WorkspaceUse
from interlock.types import Artifact, CallStatus, Profile, ToolName, Tree
from interlock.types.access import Closed

Limit = Literal["", "time", "memory", "output", "pids", "workspace"]
"""Which limit of the profile fired. `pids` goes with status error or timeout: the tool was refused a process."""


class SandboxCall(Closed):
    """One tool call, complete: nothing else reaches the container."""

    call_id: str
    """`RUN:cN`. The container's name is made from it, so that a call has at most one container on an engine."""
    run: str
    tool: ToolName
    """Which `@tool` function of the source runs."""
    source: bytes
    """The tool's source file, as its digest pins it."""
    path: str = "tool.py"
    """What tracebacks call the source: `tools/NAME.py`."""
    arguments: dict[str, JsonValue] = Field(default_factory=dict)
    """Normalised arguments."""
    workspace: Tree = Tree()
    workspace_use: WorkspaceUse = "none"
    profile: Profile
    image: str = ""
    """The engine's image id, `sha256:…`; the in-process driver needs none."""


class SandboxResult(Closed):
    """How a call ended. Whatever the status, its container is gone when this is returned."""

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
