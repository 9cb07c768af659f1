"""Compiles tools/NAME.yaml: declared tools, without a sandbox, because nothing of them is code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pydantic import ValidationError

from interlock.definitions import ToolSchema
from interlock.definitions.declared import (
    CommandTool,
    HttpTool,
    McpServer,
    OutputTool,
    Read,
    ShellTool,
    check_options,
    read_definition,
)
from interlock.errors import InvalidInput
from interlock.project.declared import command, http, mcp, output
from interlock.project.declared.compiled import DeclaredTool, Wrong
from interlock.project.declared.mcp import lock_path, read_lock
from interlock.project.problem import Problem
from interlock.project.snapshot import Snapshot

__all__ = ["DeclaredTool", "declared_tools", "lock_path", "read_lock"]


LONGEST_NAME: Final = 64


def declared_tools(snapshot: Snapshot) -> tuple[list[DeclaredTool], list[Problem]]:
    """Every tool that a file tools/NAME.yaml declares, and what is wrong with the others."""
    tools: list[DeclaredTool] = []
    problems: list[Problem] = []
    for stem, path in snapshot.declared().items():
        read = read_definition(snapshot.files[path], path)
        problems += [_problem(path, *one.place, one.message) for one in read.problems]
        if read.definition is not None and not read.problems:
            found, wrong = _compile(snapshot, stem, path, read)
            tools += found
            problems += wrong
    return tools, problems


def _problem(path: str, file: str, line: int, message: str) -> Problem:
    return Problem(file=file or path, line=max(line, 1), message=message)


def _compile(snapshot: Snapshot, stem: str, path: str, read: Read) -> tuple[list[DeclaredTool], list[Problem]]:
    assert read.definition is not None, "only what was read is compiled"
    kind, tools = read.definition.kind, []
    try:
        for schema, flat in _tools(snapshot, stem, read.definition):
            tool = DeclaredTool(kind, path, read.file.lines.get(("kind",), 1), schema, flat)
            _ = tool.source  # what has no canonical form is a mistake of the file
            if len(schema.name) > LONGEST_NAME:
                raise Wrong(
                    f"tool {schema.name!r}: model providers take names of at most {LONGEST_NAME} characters"
                )
            tools.append(tool)
    except Wrong as error:
        return [], [_placed(read, error.place, str(error))]
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        said = f"{'.'.join(map(str, first['loc']))}: {first['msg']}".removeprefix(": ")
        return [], [_placed(read, tuple(first["loc"]), said)]
    except InvalidInput as error:
        return [], [_placed(read, (), str(error))]
    known = [_parameters(tool) for tool in tools]
    return tools, [_placed(read, *one) for one in _late_mistakes(read, tools, known)]


def _parameters(tool: DeclaredTool) -> tuple[str, ...]:
    properties = tool.schema.parameters["properties"]
    return tuple(properties) if isinstance(properties, dict) else ()


def _placed(read: Read, place: tuple[Any, ...], message: str) -> Problem:
    one = read.problem((place, message))
    return _problem(read.file.label, *one.place, one.message)


def _tools(snapshot: Snapshot, stem: str, definition: Any) -> Iterator[tuple[ToolSchema, dict[str, Any]]]:
    name = getattr(definition, "name", "") or stem
    if name.replace(".", "_") != stem:
        raise Wrong(f"name: the tool is named {name!r} and its file {stem!r}; give them one name", ("name",))
    if isinstance(definition, CommandTool):
        yield command.command(definition, name)
    elif isinstance(definition, ShellTool):
        yield command.shell(definition, name)
    elif isinstance(definition, OutputTool):
        yield output.output(definition, name)
    elif isinstance(definition, McpServer):
        yield from mcp.server(definition, stem, snapshot.files.get(lock_path(stem)))
    elif isinstance(definition, HttpTool):
        yield from http.operations(definition, stem, snapshot.files)


def _late_mistakes(
    read: Read, tools: list[DeclaredTool], known: list[tuple[str, ...]]
) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Templates over arguments that are known only now: those of a server or of a document."""
    definition = read.definition
    if not isinstance(definition, (McpServer, HttpTool)):
        return
    field = "tools" if isinstance(definition, McpServer) else "operations"
    chosen = definition.tools if isinstance(definition, McpServer) else definition.operations
    everything = {name for names in known for name in names}
    yield from check_options(definition, everything)
    for (ident, own), names in zip(chosen.items(), known, strict=False):
        yield from check_options(own, names, (field, ident))
