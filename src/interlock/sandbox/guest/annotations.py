"""The closed set of types that a tool may take and give: what each is called and how each is taken apart."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any

MAX_DEPTH = 16
ALLOWED = (
    "str, int, bool, None, Decimal, Literal, list[T], dict[str, T], Optional[T], a dataclass or a TypedDict, "
    "with Annotated[T, 'text'] for a description"
)


class AnnotationProblem(Exception):
    """A type outside the closed set."""


def unwrap(annotation: Any) -> tuple[Any, str]:
    """The bare type, and the text of an `Annotated[T, "text"]`."""
    text = ""
    while True:
        origin = typing.get_origin(annotation)
        if origin is typing.Annotated:
            bare, *extras = typing.get_args(annotation)
            text = text or next((extra for extra in extras if isinstance(extra, str)), "")
            annotation = bare
        elif origin in (typing.Required, typing.NotRequired):
            (annotation,) = typing.get_args(annotation)
        else:
            return annotation, text


def optional(annotation: Any) -> Any | None:
    """T of `Optional[T]`; None for any other type."""
    if typing.get_origin(annotation) not in (typing.Union, types.UnionType):
        return None
    members = typing.get_args(annotation)
    rest = [member for member in members if member is not type(None)]
    if len(rest) != 1 or len(members) != 2:
        raise AnnotationProblem(f"{show(annotation)}: a union may only add None to one type")
    return rest[0]


def is_record(annotation: Any) -> bool:
    """Whether it is a dataclass or a TypedDict."""
    return isinstance(annotation, type) and (
        dataclasses.is_dataclass(annotation) or typing.is_typeddict(annotation)
    )


def fields(record: Any) -> dict[str, tuple[Any, bool]]:
    """Name → (annotation, whether it must be given) of a dataclass or TypedDict."""
    try:
        hints = typing.get_type_hints(record, include_extras=True)
    except Exception as error:
        raise AnnotationProblem(f"{show(record)}: {error}") from error
    if typing.is_typeddict(record):
        return {name: (hint, _required(record, name, hint)) for name, hint in hints.items()}
    missing = dataclasses.MISSING
    return {
        field.name: (hints[field.name], field.default is missing and field.default_factory is missing)
        for field in dataclasses.fields(record)
        if field.init
    }


def _required(record: Any, name: str, hint: Any) -> bool:
    """Whether a TypedDict must have a key. Its own list is wrong where annotations were text when it was made."""
    origin = typing.get_origin(hint)
    if origin in (typing.Required, typing.NotRequired):
        return origin is typing.Required
    return name in record.__required_keys__


def literals(annotation: Any) -> tuple[Any, ...]:
    """The values of a `Literal`.

    Raises:
        AnnotationProblem: one of them is bytes or an enum member.
    """
    values = typing.get_args(annotation)
    for value in values:
        if type(value) not in (str, int, bool, type(None)):
            raise AnnotationProblem(f"{show(annotation)}: {value!r} is no JSON value")
    return values


def refuse(annotation: Any) -> AnnotationProblem:
    """The problem for a type outside the set, with what to write instead."""
    if annotation is float:
        return AnnotationProblem("float has no canonical JSON form; use Decimal, or int in a smaller unit")
    if annotation in (bytes, bytearray):
        return AnnotationProblem("bytes is no JSON value; use str, or keep it with artifact()")
    if annotation in (list, dict):
        return AnnotationProblem(f"{show(annotation)} needs its item type: list[T] or dict[str, T]")
    return AnnotationProblem(f"{show(annotation)} is not one of {ALLOWED}")


def show(annotation: Any) -> str:
    """How a type is written."""
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")
