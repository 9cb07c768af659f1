"""Asks a Python tool's `reconcile` whether an earlier attempt at the call happened."""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Callable
from typing import Any

from interlock import Done, NotDone, Unknown

from . import key
from .annotations import AnnotationProblem
from .failure import ToolError
from .loading import short_traceback
from .values import ValueProblem, decode, encode

_MOST_REASON = 2000


def reconcile(function: Callable[..., Any], arguments: dict[str, Any], path: str, own_key: str) -> bytes:
    """Its answer as JSON: `answer` is done (with `result`), not_done, or unknown (with `reason`).

    Raises:
        ToolError: the tool has none, it raised, or it gave no such answer.
    """
    asked = function.__interlock_tool__.reconcile  # type: ignore[attr-defined]
    if asked is None:
        raise ToolError("the tool has no reconcile")
    try:
        values = _values(asked, arguments, own_key)
    except (ValueProblem, AnnotationProblem, KeyError) as error:
        raise ToolError(f"arguments do not fit: {error}") from error
    try:
        answer = asked(**values)
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        raise ToolError(short_traceback(error, path)) from error
    try:
        returns = typing.get_type_hints(function, include_extras=True).get("return")
        return json.dumps(_answer(answer, returns), allow_nan=False).encode()
    except (ValueProblem, AnnotationProblem, ValueError, TypeError, RecursionError) as error:
        raise ToolError(f"reconcile gave what the tool's result type does not allow: {error}") from error


def _values(asked: Callable[..., Any], arguments: dict[str, Any], own_key: str) -> dict[str, Any]:
    hints = typing.get_type_hints(asked, include_extras=True)
    given = {**arguments, key.PARAMETER: own_key}
    return {
        name: decode(given[name], hints[name], name)
        for name in inspect.signature(asked).parameters
        if name in given
    }


def _answer(answer: Any, returns: Any) -> dict[str, Any]:
    if type(answer) is Done:
        return {"answer": "done", "result": encode(answer.result, returns, "result")}
    if type(answer) is NotDone:
        return {"answer": "not_done"}
    if type(answer) is Unknown:
        return {"answer": "unknown", "reason": str(answer.reason)[:_MOST_REASON]}
    raise ToolError(
        f"reconcile returned {type(answer).__name__}; it returns Done(result), NotDone() or Unknown(reason)"
    )
