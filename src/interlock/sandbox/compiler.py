"""Compiles tools/: what each `@tool` function takes and gives, found inside a sandbox and kept by digest."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import docker
from pydantic import Field, TypeAdapter, ValidationError

from interlock.definitions import ToolSchema
from interlock.digest import digest_bytes, digest_of, parse
from interlock.errors import InvalidInput, SandboxUnavailable
from interlock.sandbox import replies
from interlock.sandbox.container import Container
from interlock.sandbox.engine import BUILD_IMAGE, connect, engine_errors
from interlock.sandbox.guest import frames
from interlock.sandbox.guest.child import compile_tool
from interlock.sandbox.guest_code import guest_digest
from interlock.sandbox.images import image_id
from interlock.sandbox.in_process import require_permission
from interlock.sandbox.stream import DeadlinePassed, OverCap, Stream, StreamEnded
from interlock.settings import Settings
from interlock.types import Profile
from interlock.types.closed import Closed

_TOOL_S: Final = 20
_MAX_CONTRACT: Final = 1 << 20


class ToolProblem(Closed):
    """Why a source file is no tool."""

    line: int = Field(ge=1)
    """Line of the source file."""
    message: str


Compiled = ToolSchema | ToolProblem
_COMPILED: Final[TypeAdapter[Compiled]] = TypeAdapter(Compiled)


def compile_tools(sources: Mapping[str, bytes], settings: Settings, cache: Path) -> dict[str, Compiled]:
    """Derive each file's schema from its annotations, in one container for all that the cache does not hold.

    Args:
        sources: file name → source. Problems call the file by this name.
        settings: which driver and image.
        cache: folder of results, by digest of name, source, guest code and image; made if absent.

    Returns:
        One schema or problem for each file, in the order of `sources`.

    Raises:
        SandboxUnavailable: no engine or no image.
        Refused: the in-process driver outside tests and benchmarks.
    """
    place = _Place.of(settings)
    keys = {name: place.key(name, source) for name, source in sources.items()}
    found = {name: one for name, key in keys.items() if (one := _cached(cache / key)) is not None}
    for name, one in place.compile({name: sources[name] for name in sources if name not in found}).items():
        found[name] = one
        _keep(cache / keys[name], one)
    return {name: found[name] for name in sources}


def _cached(path: Path) -> Compiled | None:
    try:
        return _COMPILED.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _keep(path: Path, one: Compiled) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{secrets.token_hex(4)}")
    part.write_bytes(one.model_dump_json().encode())
    part.replace(path)


def read_contract(answer: bytes) -> Compiled:
    """The answer of a guest, checked: it was made beside a tool's code."""
    try:
        value = parse(answer)
        if "problem" in value:
            return ToolProblem.model_validate(value["problem"])
        fields = dict(value["schema"])
        line = int(fields.pop("line"))
    except (InvalidInput, ValidationError, KeyError, TypeError, ValueError) as error:
        return ToolProblem(line=1, message=f"compiling it gave no contract: {error}")
    try:
        return ToolSchema.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        return ToolProblem(line=max(line, 1), message=f"@tool {where}={first['input']!r}: {first['msg']}")


class _Place:
    """Where tools are compiled."""

    def __init__(self, image: str) -> None:
        self._image = image

    @staticmethod
    def of(settings: Settings) -> _Place:
        """The place that the settings name."""
        if settings.sandbox_driver == "in_process":
            require_permission(settings)
            return _InProcess("")
        image = image_id(settings)
        if image is None:
            raise SandboxUnavailable("the sandbox image is not built", next_step=BUILD_IMAGE)
        return _Place(image)

    def key(self, name: str, source: bytes) -> str:
        """File name of the cached result."""
        made_of = {"name": name, "source": digest_bytes(source), "guest": guest_digest(), "image": self._image}
        return digest_of(made_of).removeprefix("sha256:") + ".json"

    def compile(self, sources: Mapping[str, bytes]) -> dict[str, Compiled]:
        """Compile each of `sources`; one that ends its container gets a problem, and the rest a new one."""
        found: dict[str, Compiled] = {}
        if not sources:
            return found
        with closing(connect()) as api:
            while len(found) < len(sources):
                left = {name: source for name, source in sources.items() if name not in found}
                self._in_one_container(api, left, found)
        return found

    def _in_one_container(
        self, api: docker.APIClient, sources: Mapping[str, bytes], found: dict[str, Compiled]
    ) -> None:
        with engine_errors():
            cgroup_v1 = api.info().get("CgroupVersion", "1") == "1"
        profile = Profile(name="compiler", time_s=min(3600, _TOOL_S * len(sources)))
        name = f"interlock-compiler-{secrets.token_hex(8)}"
        container = Container.open(api, profile, image=self._image, name=name, cgroup_v1=cgroup_v1)
        try:
            for path, source in sources.items():
                found[path] = _ask(container.stream, path, source)
        except (StreamEnded, DeadlinePassed, OverCap, frames.FrameError) as error:
            found[path] = ToolProblem(line=1, message=f"ended the sandbox when it was imported: {error}")
        finally:
            container.destroy()


class _InProcess(_Place):
    """This process. Isolates nothing; see `InProcessDriver`."""

    def compile(self, sources: Mapping[str, bytes]) -> dict[str, Compiled]:
        return {name: read_contract(compile_tool(source, name)()) for name, source in sources.items()}


def _ask(stream: Stream, path: str, source: bytes) -> Compiled:
    """Compile one file in a container that waits."""
    call = f"compile {path}"
    stream.deadline = time.monotonic() + _TOOL_S + 2
    stream.cap += 4 * _MAX_CONTRACT
    head: dict[str, Any] = {"kind": "compile", "call": call, "path": path}
    head |= {"time_s": _TOOL_S, "output_bytes": _MAX_CONTRACT}
    stream.send(frames.pack({"kind": "source"}, source) + frames.pack(head))
    value = bytearray()
    while True:
        reply, body = replies.read_reply(stream)
        if reply.call != call or not isinstance(reply, (replies.Value, replies.End)):
            raise frames.FrameError(f"a reply {reply.kind!r} for call {reply.call!r}")
        if isinstance(reply, replies.End):
            break
        value += body
    if reply.status != "ok":
        return ToolProblem(line=1, message=f"cannot be imported: {reply.error}")
    return read_contract(bytes(value))
