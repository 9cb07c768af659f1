"""Runs a tool's source file and finds its one `@tool` function."""

from __future__ import annotations

import ast
import linecache
import sys
import traceback
import types
from collections.abc import Callable
from typing import Any

MODULE = "interlock_tool"


class SourceProblem(Exception):
    """The source is no tool file.

    Attributes:
        line: where, from 1.
    """

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def load(source: bytes, path: str) -> types.ModuleType:
    """Execute `source` as a module.

    Raises:
        SourceProblem: it does not compile, or raises while it is executed.
    """
    module = types.ModuleType(MODULE)
    module.__file__ = path
    # Dataclasses look their module up here to read annotations; tracebacks read lines from the cache.
    sys.modules[MODULE] = module
    lines = source.decode("utf-8", "replace").splitlines(keepends=True)
    linecache.cache[path] = (len(source), None, lines, path)
    try:
        exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)  # noqa: S102
    except SyntaxError as error:
        raise SourceProblem(error.lineno or 1, f"{type(error).__name__}: {error.msg}") from error
    except (Exception, SystemExit) as error:
        raise SourceProblem(line_in(error, path), f"raises when imported: {one_line(error)}") from error
    return module


def tool_functions(module: types.ModuleType) -> list[Callable[..., Any]]:
    """The functions that the module itself marks with `@tool`, in the order of their lines."""
    marked = {
        id(item): item
        for item in vars(module).values()
        if isinstance(item, types.FunctionType) and hasattr(item, "__interlock_tool__")
    }
    return sorted(marked.values(), key=lambda item: item.__code__.co_firstlineno)


def find(module: types.ModuleType, name: str) -> Callable[..., Any]:
    """The module's tool called `name`.

    Raises:
        SourceProblem: there is none.
    """
    for function in tool_functions(module):
        if function.__interlock_tool__.name == name:  # type: ignore[attr-defined]
            return function
    raise SourceProblem(1, f"the source defines no tool {name!r}")


def definition(source: bytes, function: Callable[..., Any]) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """The syntax node of `function`, for the lines of its parameters."""
    wanted = function.__name__
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == wanted:
            return node
    return None


def line_in(error: BaseException, path: str) -> int:
    """The deepest line of `path` in an exception's traceback, or 1."""
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame.lineno or 1 for frame in reversed(frames) if frame.filename == path), 1)


def one_line(error: BaseException) -> str:
    """Type and message of an exception."""
    return "".join(traceback.format_exception_only(error)).strip()


def short_traceback(error: BaseException, path: str) -> str:
    """An exception for a reader who knows only the tool: the tool's own frames, then type and message."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return "".join(traceback.format_list(own[-8:])) + one_line(error)
