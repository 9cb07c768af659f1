"""What a runner may say, as closed models. The container may be the tool's by now, so nothing is taken on trust."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from interlock.sandbox.guest import frames
from interlock.sandbox.stream import Stream
from interlock.types import CallStatus, RelativePath
from interlock.types.closed import Closed

Text = Annotated[str, StringConstraints(max_length=16_384)]
StreamName = Literal["stdout", "stderr"]


class Reply(Closed):
    """Base of all replies."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    call: Annotated[str, StringConstraints(max_length=512)]
    """The call that it answers; empty before the first."""
    more: bool
    """Whether the body goes on in the next frame."""


class Ready(Reply):
    """The runner is confined and waits."""

    kind: Literal["ready"]
    version: int
    facts: dict[str, Any]
    memory_kib: Annotated[int, Field(ge=0, lt=1 << 53)] = 0


class Refused(Reply):
    """The runner could not confine itself."""

    kind: Literal["refused"]
    error: Text


class Claimed(Reply):
    """Nothing of an earlier call is left, and the container's time is that of the new one."""

    kind: Literal["claimed"]


class Nothing(Reply):
    """It has nothing of the call that a new host asked for."""

    kind: Literal["nothing"]


class Started(Reply):
    """The tool's process runs."""

    kind: Literal["started"]


class Output(Reply):
    """Printed bytes: as they come until half the cap, and the last half at the end."""

    kind: Literal["output"]
    stream: StreamName
    part: Literal["head", "tail"]


class Finished(Reply):
    """The tool's processes are gone; the rest is collected."""

    kind: Literal["finished"]


class ChangedFile(Reply):
    """A new or changed file of the workspace."""

    kind: Literal["file"]
    path: RelativePath
    executable: bool


class GoneFile(Reply):
    """A file that was sent and is no longer there."""

    kind: Literal["gone"]
    path: RelativePath


class ArtifactFile(Reply):
    """A named output."""

    kind: Literal["artifact"]
    path: RelativePath


class Value(Reply):
    """What the tool returned, as JSON."""

    kind: Literal["value"]


class Used(Closed):
    """What the kernel counted for the container's control group during the call."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    cpu_ms: Annotated[int, Field(ge=0, lt=1 << 53)] = 0
    memory_kib: Annotated[int, Field(ge=0, lt=1 << 53)] = 0
    left_kib: Annotated[int, Field(ge=0, lt=1 << 53)] = 0
    """Memory in use when the tool had ended: a leased container keeps it until its next call empties it."""


class End(Reply):
    """The call is over, and no process of the tool is left."""

    kind: Literal["end"]
    status: CallStatus
    error: Text
    limit: Literal["", "time", "memory", "output", "pids", "workspace"]
    notes: Annotated[list[Text], Field(max_length=32)]
    dropped: dict[StreamName, Annotated[int, Field(ge=0)]]
    usage: Used = Used()


AnyReply = Annotated[
    Ready
    | Refused
    | Claimed
    | Nothing
    | Started
    | Output
    | Finished
    | ChangedFile
    | GoneFile
    | ArtifactFile
    | Value
    | End,
    Field(discriminator="kind"),
]
_REPLY: Final[TypeAdapter[AnyReply]] = TypeAdapter(AnyReply)


def read_reply(stream: Stream) -> tuple[AnyReply, bytes]:
    """The next reply and its body.

    Raises:
        frames.FrameError: it is none that a runner gives.
        StreamEnded, DeadlinePassed, OverCap: see `Stream`.
    """
    frame = frames.read(stream.receive, max_body=frames.PIECE)
    try:
        return _REPLY.validate_python(frame.head), frame.body
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise frames.FrameError(f"no reply of a runner: {first['loc']} {first['msg']}") from error
