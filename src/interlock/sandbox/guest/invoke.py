"""Calls a tool function with JSON arguments and turns its result into JSON."""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Callable
from typing import Any

from . import key, kinds
from .annotations import AnnotationProblem
from .failure import ToolError
from .loading import SourceProblem, find, load, short_traceback
from .reconciling import reconcile
from .values import ValueProblem, decode, encode

__all__ = ["ToolError", "carry_out", "invoke", "resolve"]


def resolve(source: bytes, path: str, name: str) -> Callable[..., Any]:
    """Load the source and find the tool.

    Raises:
        ToolError: it cannot be loaded.
    """
    try:
        return find(load(source, path), name)
    except SourceProblem as error:
        cause = error.__cause__
        raise ToolError(short_traceback(cause, path) if cause else f"{path}:{error.line}: {error}") from error


def carry_out(source: bytes, head: dict[str, Any], arguments: dict[str, Any]) -> bytes:
    """Run a tool of any kind, or ask it whether the call happened; returns the value or the answer as JSON.

    Args:
        source: Python source, or a definition.
        head: what the host says of the call: `kind` (`reconcile`: only ask), `path`, `tool`, `tool_kind`,
            `idempotency_key`, `output_bytes`, `time_s`.
        arguments: by name.

    Raises:
        ToolError: it failed.
    """
    path, kind = head["path"], head.get("tool_kind", "python")
    asks, own_key = head.get("kind") == "reconcile", head.get("idempotency_key", "")
    if kind == "python":
        act = reconcile if asks else invoke
        return act(resolve(source, path, head["tool"]), arguments, path, own_key)
    room = kinds.Room(head["output_bytes"], head["time_s"], own_key)
    return kinds.carry_out(kind, source, arguments, room, asks=asks)


def invoke(function: Callable[..., Any], arguments: dict[str, Any], path: str, own_key: str = "") -> bytes:
    """Run the tool; returns its value as JSON.

    Args:
        function: the tool.
        arguments: by name.
        path: what tracebacks call its file.
        own_key: the call's idempotency key; empty: it has none.

    Raises:
        ToolError: arguments that do not fit, an exception of the tool, or a result outside its declared type.
    """
    try:
        hints = typing.get_type_hints(function, include_extras=True)
        known = inspect.signature(function).parameters
        _check_names(arguments, known)
        values = {name: decode(value, hints[name], name) for name, value in arguments.items()}
        values |= _key(known, own_key)
    except (ValueProblem, AnnotationProblem, KeyError) as error:
        raise ToolError(f"arguments do not fit: {error}") from error
    try:
        returned = function(**values)
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        raise ToolError(short_traceback(error, path)) from error
    try:
        return json.dumps(encode(returned, hints.get("return"), "result"), allow_nan=False).encode()
    except (ValueProblem, AnnotationProblem, ValueError, RecursionError) as error:
        raise ToolError(f"the tool returned what its result type does not allow: {error}") from error


def _key(known: typing.Mapping[str, inspect.Parameter], own_key: str) -> dict[str, str]:
    if key.PARAMETER not in known:
        return {}
    if not own_key:
        raise ToolError("this call has no idempotency key")
    return {key.PARAMETER: own_key}


def _check_names(arguments: dict[str, Any], known: typing.Mapping[str, inspect.Parameter]) -> None:
    unknown = sorted(set(arguments) - (set(known) - {key.PARAMETER}))
    if unknown:
        raise ValueProblem(f"no parameter {unknown[0]!r}")
    for name, item in known.items():
        if name not in (*arguments, key.PARAMETER) and item.default is inspect.Parameter.empty:
            raise ValueProblem(f"{name!r} is missing")
