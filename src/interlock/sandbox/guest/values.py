"""JSON values to the types a tool declares, and back. What does not fit is named by its path."""

from __future__ import annotations

import dataclasses
import re
import typing
from decimal import Decimal
from typing import Any

from .annotations import fields, is_record, literals, optional, refuse, show, unwrap
from .schemas import DECIMAL_PATTERN


class ValueProblem(Exception):
    """A value that is not of the declared type."""


def _expect(ok: bool, path: str, value: Any, wanted: str) -> None:
    if not ok:
        hint = "; a float has no canonical form, return Decimal or str" if isinstance(value, float) else ""
        raise ValueProblem(f"{path}: expected {wanted}, got {type(value).__name__}{hint}")


def decode(value: Any, annotation: Any, path: str = "$") -> Any:
    """A JSON value as the type that the tool declares."""
    bare, _ = unwrap(annotation)
    if bare is Decimal:
        fits = isinstance(value, str) and re.search(DECIMAL_PATTERN, value) is not None
        _expect(fits, path, value, "a decimal as a string")
        return Decimal(value)
    return _walk(value, bare, path, decode)


def encode(value: Any, annotation: Any, path: str = "$") -> Any:
    """What the tool returned as a JSON value."""
    bare, _ = unwrap(annotation)
    if bare is Decimal:
        _expect(isinstance(value, Decimal) and value.is_finite(), path, value, "a finite Decimal")
        return format(value, "f")
    if dataclasses.is_dataclass(bare):
        _expect(isinstance(value, bare), path, value, show(bare))  # type: ignore[arg-type]
        value = {name: getattr(value, name) for name in fields(bare)}
    return _walk(value, bare, path, encode)


def _walk(value: Any, bare: Any, path: str, step: Any) -> Any:
    if bare is None or bare is type(None):
        _expect(value is None, path, value, "None")
        return None
    if bare in (str, int, bool):
        _expect(type(value) is bare or (bare is str and isinstance(value, str)), path, value, show(bare))
        return str(value) if bare is str else value
    inner = optional(bare)
    if inner is not None:
        return None if value is None else step(value, inner, path)
    return _composite(value, bare, path, step)


def _composite(value: Any, bare: Any, path: str, step: Any) -> Any:
    origin, arguments = typing.get_origin(bare), typing.get_args(bare)
    if origin is typing.Literal:
        fits = any(value == one and type(value) is type(one) for one in literals(bare))
        _expect(fits, path, value, f"one of {list(literals(bare))}")
        return value
    if origin is list:
        _expect(isinstance(value, list), path, value, show(bare))
        return [step(item, arguments[0], f"{path}[{at}]") for at, item in enumerate(value)]
    if origin is dict:
        _expect(isinstance(value, dict) and all(isinstance(key, str) for key in value), path, value, show(bare))
        return {key: step(item, arguments[1], f"{path}.{key}") for key, item in value.items()}
    if is_record(bare):
        return _record(value, bare, path, step)
    raise refuse(bare)


def _record(value: Any, bare: Any, path: str, step: Any) -> Any:
    _expect(isinstance(value, dict), path, value, f"the fields of {show(bare)}")
    known = fields(bare)
    unknown = sorted(set(value) - set(known))
    missing = [name for name, (_, must) in known.items() if must and name not in value]
    if unknown or missing:
        raise ValueProblem(
            f"{path}: {show(bare)} has no field {unknown}" if unknown else f"{path}: lacks {missing}"
        )
    found = {name: step(item, known[name][0], f"{path}.{name}") for name, item in value.items()}
    return bare(**found) if step is decode else found
