"""Checks the function that a tool gives as `reconcile`: it can be called with what the call has."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from typing import Any

from . import key
from .annotations import AnnotationProblem, unwrap
from .loading import SourceProblem
from .schemas import schema


def check_reconcile(asked: Any, function: Callable[..., Any], line: int) -> None:
    """Refuse what could not be asked.

    Args:
        asked: what `reconcile=` was given.
        function: the tool.
        line: where the tool stands.

    Raises:
        SourceProblem: names the line.
    """
    own = inspect.isfunction(asked) and asked.__code__.co_filename == function.__code__.co_filename
    if not own or inspect.iscoroutinefunction(asked) or inspect.isgeneratorfunction(asked):
        name = getattr(asked, "__name__", asked)
        raise SourceProblem(line, f"reconcile={name}: give a plain function of the same file")
    line = asked.__code__.co_firstlineno
    try:
        hints = typing.get_type_hints(asked, include_extras=True)
    except Exception as error:
        raise SourceProblem(line, f"annotations of reconcile cannot be read: {error}") from error
    if wrong := key.mistake(hints):
        raise SourceProblem(line, f"reconcile: {wrong}")
    theirs = typing.get_type_hints(function, include_extras=True)
    for item in inspect.signature(asked).parameters.values():
        if item.name != key.PARAMETER and (wrong := _mistake(item, hints, theirs)):
            raise SourceProblem(line, f"reconcile: {wrong}")


def _mistake(item: inspect.Parameter, hints: dict[str, Any], theirs: dict[str, Any]) -> str:
    if item.kind not in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY):
        return f"{item.name!r} must be a parameter that can be given by name"
    if item.name not in theirs or item.name == "return":
        return f"{item.name!r} is no parameter of the tool"
    if item.name not in hints:
        return f"parameter {item.name!r} has no annotation"
    return "" if _same(hints[item.name], theirs[item.name]) else f"parameter {item.name!r} has another type there"


def _same(one: Any, other: Any) -> bool:
    try:
        return schema(unwrap(one)[0]) == schema(unwrap(other)[0])
    except AnnotationProblem:
        return False
