"""Reads tools/NAME.yaml: the definition, or every mistake with its line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError

from interlock.definitions.declared.command import CommandTool, ShellTool
from interlock.definitions.declared.http import HttpTool
from interlock.definitions.declared.mcp import McpServer
from interlock.definitions.declared.options import Mistake
from interlock.definitions.declared.output import OutputTool
from interlock.definitions.placed import Problem, did_you_mean
from interlock.definitions.yaml_file import YamlFile, parse_yaml

Definition = CommandTool | ShellTool | McpServer | HttpTool | OutputTool

KINDS: Final[Mapping[str, type[Definition]]] = {
    "command": CommandTool,
    "shell": ShellTool,
    "mcp": McpServer,
    "http": HttpTool,
    "output": OutputTool,
}


@dataclass(slots=True)
class Read:
    """One file as it was read."""

    file: YamlFile
    definition: Definition | None = None
    """None where the file has mistakes of form."""
    problems: list[Problem] = field(default_factory=list)

    def problem(self, mistake: Mistake) -> Problem:
        """A mistake with its place in the file."""
        return Problem(self.file.source(mistake[0]), mistake[1])


def read_definition(data: bytes, label: str) -> Read:
    """Read one file.

    Args:
        data: its bytes.
        label: what messages call it: `tools/NAME.yaml`.
    """
    found = Read(parse_yaml(data, label))
    found.problems += found.file.problems
    if found.problems:
        return found
    for mistake in _form(found):
        found.problems.append(found.problem(mistake))
    if found.definition is not None:
        found.problems += map(found.problem, found.definition.mistakes())
    return found


def _form(found: Read) -> Iterator[Mistake]:
    value = found.file.value
    if not isinstance(value, dict):
        yield (), "a file of tools/ is a mapping that begins with `kind:`"
        return
    kind = value.get("kind")
    if kind is None:
        yield (), f"kind: is missing: one of {', '.join(KINDS)}"
        return
    if not isinstance(kind, str) or kind not in KINDS:
        yield ("kind",), f"kind: {kind!r} is none of {', '.join(KINDS)}{did_you_mean(kind, KINDS)}"
        return
    try:
        found.definition = KINDS[kind].model_validate(value)
    except ValidationError as error:
        yield from _mistakes(error, KINDS[kind])


def _mistakes(error: ValidationError, model: type[Definition]) -> Iterator[Mistake]:
    """One mistake for each place; of the members of a union the first speaks."""
    seen: set[tuple[Any, ...]] = set()
    for one in error.errors(include_url=False, include_context=False):
        # What comes after an index of argv is a member of the union, no place in the file.
        depth = one["loc"].index("argv") + 2 if "argv" in one["loc"] else None
        place = one["loc"][:depth]
        if place in seen:
            continue
        seen.add(place)
        name = ".".join(str(part) for part in place if part != "[key]")
        if one["type"] == "extra_forbidden":
            guess = did_you_mean(place[-1], model.model_fields) if len(place) == 1 else ""
            yield place, f"{name}: no such key{guess}"
        elif one["type"] == "missing":
            yield place, f"{name}: is missing"
        else:
            yield place, f"{name}: {one['msg'].removeprefix('Value error, ')}, not {one['input']!r:.100}"
