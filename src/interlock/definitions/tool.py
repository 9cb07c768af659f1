"""The authoring API of a tool. Standard library only: this very file is also what `import interlock` gives
inside a sandbox, where the tool's body runs. The engine's processes never import a module of tools/.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

WorkspaceUse = Literal["none", "read", "write"]
"""none: the call sees no files. read: it gets the run's files, changes are dropped. write: changes are kept."""

Effects = Literal["contained", "external"]
"""contained: nothing leaves the sandbox but the result and the workspace, both committed with the result, so
that running again after a crash is safe. external: the call acts on the outside world; if its outcome is not
on record, a person decides."""

Flow = Literal["reader", "writer", "sink"]
"""reader: takes data in. writer: changes the run's files. sink: data leaves the run through it; fetching a URL
does that too."""

ARTIFACTS_VARIABLE = "INTERLOCK_ARTIFACTS"
KEY_VARIABLE = "INTERLOCK_IDEMPOTENCY_KEY"
"""Holds the call's idempotency key: the same for every attempt at the call, another for every other call."""
KEY_PARAMETER = "idempotency_key"
"""A parameter of this name gets that key. It is the engine's: no model sees or gives it."""


@dataclass(frozen=True, slots=True)
class Done:
    """Answer of `reconcile`: the call has happened."""

    result: Any = None
    """What the call would have returned."""


@dataclass(frozen=True, slots=True)
class NotDone:
    """Answer of `reconcile`: the call has not happened, and since nothing of it runs, it will not: it may run."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Answer of `reconcile`: that cannot be told; a person decides."""

    reason: str = ""
    """What that person should know."""


Reconciled = Done | NotDone | Unknown
"""What `reconcile` may return."""


@dataclass(frozen=True, slots=True)
class ToolOptions:
    """What a tool says of itself. Read inside the sandbox when the tool is compiled."""

    name: str
    action: str
    """The verb that rules test: read, write, execute, publish, …"""
    resource: str
    """What it acts on, as a template over its arguments: `workspace:{path}`."""
    workspace: WorkspaceUse
    effects: Effects
    idempotent: bool
    """Whether running it again with the same arguments after a crash does no harm."""
    profile: str
    """The sandbox profile, unless a rule names another."""
    preview: Literal["arguments", "workspace_diff"]
    """What an approver is shown besides the arguments: nothing, or all changes since the run began."""
    sentence: str
    """What a call does, in one sentence for the approver: `Open a pull request titled {title}`."""
    flow: Flow = "reader"
    emits: tuple[str, ...] = ()
    """Labels of what it returns: `untrusted` for text that strangers wrote, `secret`, classes of data."""
    destination: tuple[str, ...] = ()
    """Its arguments that say where to: recipient, URL, account, file."""
    declassifies: tuple[str, ...] = ()
    """Labels of its arguments that its result no longer has."""
    credentials: tuple[str, ...] = ()
    """Secrets that the egress proxy adds to its requests, by name. The tool itself never sees one."""
    reconcile: Callable[..., Reconciled] | None = None
    """Asks the outside world whether a call happened whose result was lost."""


def tool(
    *,
    action: str,
    resource: str = "",
    workspace: WorkspaceUse = "none",
    effects: Effects = "contained",
    idempotent: bool = False,
    profile: str = "default",
    preview: Literal["arguments", "workspace_diff"] = "arguments",
    sentence: str = "",
    name: str = "",
    flow: Literal["", "reader", "writer", "sink"] = "",
    emits: tuple[str, ...] = (),
    destination: tuple[str, ...] = (),
    declassifies: tuple[str, ...] = (),
    credentials: tuple[str, ...] = (),
    reconcile: Callable[..., Reconciled] | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function a tool. It stays an ordinary function; its options are kept on it.

    Every parameter and the result need an annotation out of str, int, bool, Decimal, Literal, list, dict with
    str keys, Optional, dataclass and TypedDict, with `Annotated[T, "text"]` for descriptions. The docstring is
    what the model reads. `flow` left out is sink for external effects, else writer where changes to the workspace
    are kept, else reader.

    A parameter `idempotency_key: str` gets the call's idempotency key. `reconcile` is a function of the same file.
    It takes any of the tool's parameters, by name, and `idempotency_key`; it returns `Done(result)`, `NotDone()` or
    `Unknown(reason)`, and changes nothing. It is asked when a call's outcome is not on record, before a person is.
    """
    own_flow: Flow = flow or ("sink" if effects == "external" else "writer" if workspace == "write" else "reader")

    def mark(function: Callable[P, R]) -> Callable[P, R]:
        own = name or function.__name__
        options = ToolOptions(
            name=own,
            action=action,
            resource=resource or f"tool:{own}",
            workspace=workspace,
            effects=effects,
            idempotent=idempotent,
            profile=profile,
            preview=preview,
            sentence=sentence,
            flow=own_flow,
            emits=emits,
            destination=destination,
            declassifies=declassifies,
            credentials=credentials,
            reconcile=reconcile,
        )
        function.__interlock_tool__ = options  # type: ignore[attr-defined]
        return function

    return mark


def artifact(name: str, data: bytes | str) -> str:
    """Keep `data` as a named output of this call; returns the name.

    Raises:
        ValueError: the name is not a plain file name.
    """
    if not name or name != os.path.basename(name) or name in (".", "..") or "\\" in name:
        raise ValueError(f"artifact name {name!r} must be a plain file name")
    folder = Path(os.environ.get(ARTIFACTS_VARIABLE, "artifacts"))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)
    return name


def workspace_path(path: str) -> Path:
    """A path that a model gave, as a path in the workspace, which is the working folder of a call.

    Only the plain form is taken, so that what a rule matched in `workspace:{path}` is what the tool opens.

    Raises:
        ValueError: absolute, with `..`, `.` or an empty segment, a backslash or a control character; or it leads
            out of the workspace through a link. `.` alone is the workspace itself.
    """
    segments = path.split("/")
    if path != "." and any(segment in ("", ".", "..") for segment in segments):
        raise ValueError(f"path {path!r} must be relative to the workspace and plain, like 'source/module.py'")
    if "\\" in path or any(ord(character) < 32 or ord(character) == 127 for character in path):
        raise ValueError(f"path {path!r} has a backslash or a control character")
    found = Path(path)
    if not found.resolve().is_relative_to(Path.cwd().resolve()):
        raise ValueError(f"path {path!r} leads out of the workspace")
    return found


def options_of(function: Any) -> ToolOptions | None:
    """The options that `@tool` left on a function, or None."""
    found = getattr(function, "__interlock_tool__", None)
    return found if isinstance(found, ToolOptions) else None
