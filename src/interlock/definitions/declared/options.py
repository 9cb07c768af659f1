"""What every declared tool may say of itself: the same options as `@tool(…)`, in YAML."""

from __future__ import annotations

import string
from collections.abc import Collection, Iterator
from typing import Any, Final, Literal

from pydantic import Field

from interlock.definitions.manifest import ToolSchema
from interlock.definitions.placed import did_you_mean
from interlock.definitions.tool import Effects, Flow, WorkspaceUse
from interlock.definitions.yaml_file import Place
from interlock.types.closed import Closed
from interlock.types.names import Name

Mistake = tuple[Place, str]
"""Where in the file, and what is wrong there."""


class Options(Closed):
    """Options of a tool. One that is left out has its kind's default."""

    description: str = Field(default="", max_length=8192)
    """What the model reads."""
    action: Name | Literal[""] = ""
    """The verb that rules test."""
    resource: str = ""
    """What it acts on, as a template over its arguments."""
    workspace: WorkspaceUse = "none"
    effects: Effects = "contained"
    idempotent: bool = False
    profile: Name = "default"
    preview: Literal["arguments", "workspace_diff"] = "arguments"
    sentence: str = ""
    """What a call does, in one sentence for the approver."""
    flow: Flow = "reader"
    emits: tuple[Name, ...] = ()
    destination: tuple[str, ...] = ()
    declassifies: tuple[Name, ...] = ()
    credentials: tuple[Name, ...] = ()
    """Secrets that the egress proxy adds to its requests, if the policy grants them."""


OPTIONS: Final = tuple(Options.model_fields)


def said(options: Options) -> dict[str, Any]:
    """The options that the file gives, without those that it leaves out."""
    return options.model_dump(mode="python", include=set(OPTIONS) & options.model_fields_set)


def schema_of(
    name: str, parameters: dict[str, Any], result: dict[str, Any], defaults: dict[str, Any], *given: Options
) -> ToolSchema:
    """The contract of a tool: its kind's defaults, over them what the file says, the later part over the earlier.

    Raises:
        pydantic.ValidationError: a label is the engine's own, or a destination is no argument.
    """
    fields = Options().model_dump(mode="python", exclude={"flow"}) | defaults
    for options in given:
        fields |= said(options)
    fields["resource"] = fields["resource"] or f"tool:{name}"
    fields.setdefault("flow", _flow(fields["effects"], fields["workspace"]))
    return ToolSchema(name=name, parameters=parameters, result=result, **fields)


def _flow(effects: Effects, workspace: WorkspaceUse) -> Flow:
    """As `@tool` has it."""
    return "sink" if effects == "external" else "writer" if workspace == "write" else "reader"


def fields_of(template: str) -> list[str]:
    """The names in braces of a template; `{{` and `}}` stand for braces.

    Raises:
        ValueError: it is no template, or has more than a name in braces.
    """
    found = []
    for _, name, specification, conversion in string.Formatter().parse(template):
        if name is None:
            continue
        if not name.isidentifier() or specification or conversion:
            raise ValueError(f"{{{name}}} must be the name of one parameter, and a brace itself is written twice")
        found.append(name)
    return found


def check_template(place: Place, template: str, known: Collection[str]) -> Iterator[Mistake]:
    """What is wrong with a template over parameters."""
    try:
        names = fields_of(template)
    except ValueError as error:
        yield place, f"{place[-1]}: {template!r} is no template: {error}"
        return
    for name in names:
        if name not in known:
            said = f"names {{{name}}}, and there is no such parameter{did_you_mean(name, known)}"
            yield place, f"{place[-1]}: {template!r} {said}"


def check_options(options: Options, known: Collection[str], place: Place = ()) -> Iterator[Mistake]:
    """What is wrong with the templates among the options."""
    for field in ("resource", "sentence"):
        yield from check_template((*place, field), getattr(options, field), known)
    for name in options.destination:
        if name not in known:
            yield (*place, "destination"), f"destination: {name!r} is no parameter{did_you_mean(name, known)}"
