"""Derives a tool's contract from its source: what `interlock check` and the model see of it."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import string
import typing
from collections.abc import Callable
from typing import Any

from . import key
from .annotations import AnnotationProblem
from .loading import SourceProblem, definition, load, tool_functions
from .reconcile_contract import check_reconcile
from .schemas import record, schema
from .values import ValueProblem, encode

_VARIADIC = {
    inspect.Parameter.VAR_POSITIONAL: "*{}: arguments have names; a list parameter holds any number",
    inspect.Parameter.VAR_KEYWORD: "**{}: a dict[str, T] parameter holds any names",
    inspect.Parameter.POSITIONAL_ONLY: "{} is positional-only, and arguments are passed by name",
}


def contract(source: bytes, path: str) -> dict[str, Any]:
    """The fields of the tool's schema, and `line`: where the function stands.

    Raises:
        SourceProblem: the file is no tool; names the line.
    """
    functions = tool_functions(load(source, path))
    if not functions:
        raise SourceProblem(1, "no @tool function; a file of tools/ defines one")
    if len(functions) > 1:
        names = [function.__name__ for function in functions]
        raise SourceProblem(
            functions[1].__code__.co_firstlineno, f"defines {len(names)} tools {names}; one file, one"
        )
    return _Reader(source, functions[0]).read()


class _Reader:
    """Reads one function; knows the lines of its parts."""

    def __init__(self, source: bytes, function: Callable[..., Any]) -> None:
        self._function = function
        self._node = definition(source, function)
        self._line = self._node.lineno if self._node else function.__code__.co_firstlineno

    def read(self) -> dict[str, Any]:
        function = self._function
        if not inspect.isfunction(function) or inspect.iscoroutinefunction(function):
            raise SourceProblem(self._line, "a tool is a plain function, not async")
        if inspect.isgeneratorfunction(function):
            raise SourceProblem(self._line, "a tool returns its result; it does not yield")
        description = inspect.getdoc(function) or ""
        if not description.strip():
            raise SourceProblem(self._line, "no docstring; it is what the model reads of the tool")
        parameters, result = self._parameters()
        options = dataclasses.asdict(function.__interlock_tool__)  # type: ignore[attr-defined]
        for field in ("resource", "sentence"):
            self._check_template(field, options[field], set(parameters["properties"]))
        asked = options["reconcile"]
        if asked is not None:
            check_reconcile(asked, function, self._line)
        found = {"description": description, "parameters": parameters, "result": result}
        return {**options, **found, "reconcile": asked is not None, "line": self._line}

    def _parameters(self) -> tuple[dict[str, Any], dict[str, Any]]:
        try:
            hints = typing.get_type_hints(self._function, include_extras=True)
        except Exception as error:
            raise SourceProblem(self._line, f"annotations cannot be read: {error}") from error
        if wrong := key.mistake(hints):
            raise SourceProblem(getattr(self._argument(key.PARAMETER), "lineno", self._line), wrong)
        signature = inspect.signature(self._function)
        properties = {
            name: self._parameter(item, hints)
            for name, item in signature.parameters.items()
            if name != key.PARAMETER  # the engine gives it
        }
        if "return" not in hints:
            raise SourceProblem(self._line, "the result has no annotation; write -> None if there is none")
        returns = self._node.returns if self._node else None
        return record(properties), self._schema("the result", hints["return"], returns)

    def _parameter(self, item: inspect.Parameter, hints: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        node = self._argument(item.name)
        line = getattr(node, "lineno", self._line)
        if item.kind in _VARIADIC:
            raise SourceProblem(line, _VARIADIC[item.kind].format(item.name))
        if item.name not in hints:
            raise SourceProblem(line, f"parameter {item.name!r} has no annotation")
        found = self._schema(f"parameter {item.name!r}", hints[item.name], node)
        if item.default is inspect.Parameter.empty:
            return found, True
        try:
            return {**found, "default": encode(item.default, hints[item.name], "default")}, False
        except ValueProblem as error:
            raise SourceProblem(line, f"parameter {item.name!r}: {error}") from error

    def _argument(self, name: str) -> ast.arg | None:
        if self._node is None:
            return None
        parts = self._node.args
        every = [*parts.posonlyargs, *parts.args, *parts.kwonlyargs, parts.vararg, parts.kwarg]
        return next((part for part in every if part and part.arg == name), None)

    def _schema(self, what: str, annotation: Any, node: ast.AST | None) -> dict[str, Any]:
        try:
            return schema(annotation)
        except AnnotationProblem as error:
            raise SourceProblem(getattr(node, "lineno", self._line), f"{what}: {error}") from error

    def _check_template(self, field: str, template: Any, known: set[str]) -> None:
        try:
            names = {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}
        except (ValueError, TypeError) as error:
            raise SourceProblem(self._line, f"{field}={template!r}: {error}") from error
        if names - known:
            raise SourceProblem(
                self._line, f"{field} names {sorted(names - known)}; parameters are {sorted(known)}"
            )
