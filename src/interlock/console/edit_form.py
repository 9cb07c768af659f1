"""A form made from a tool's JSON Schema: what an approver may change of a call's arguments, and what they sent.

A browser changes text that passes through it: line ends, a first empty line, characters that it cannot hold. So a
field that comes back as it was shown gives the value that was there before, to the byte; and text with characters
that nobody sees is edited as JSON, where each of them is spelled out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from interlock.approval.visible import visible
from interlock.digest import parse
from interlock.errors import InvalidInput
from interlock.run.arguments import normalise

Kind = Literal["text", "number", "choice", "list", "json"]
PREFIX: Final = "argument."
GIVEN: Final = "given."


@dataclass(frozen=True)
class Field:
    """One argument in the form."""

    name: str
    kind: Kind
    value: str
    """As it stands in the form."""
    required: bool
    given: bool
    """Whether the call has the argument; one that is not required may be left out."""
    options: tuple[str, ...] = ()
    """For a choice, each as JSON."""
    hint: str = ""
    wrong: str = ""

    @property
    def rows(self) -> int:
        """How tall the field is."""
        return min(24, max(1 if self.kind in ("text", "list") else 3, self.value.count("\n") + 1))


@dataclass(frozen=True)
class Sent:
    """What came back."""

    arguments: dict[str, Any] = field(default_factory=dict)
    """Normalised; empty if something is wrong."""
    wrong: dict[str, str] = field(default_factory=dict)
    """Argument → why it does not fit; the empty name for what is wrong with all of them."""


def fields(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> tuple[Field, ...]:
    """The form for a call."""
    required = set(schema.get("required", ()))
    properties: Mapping[str, Any] = schema.get("properties", {})
    names = [*properties, *(name for name in sorted(arguments) if name not in properties)]
    return tuple(_field(name, properties.get(name, {}), arguments, required=name in required) for name in names)


def filled(form: tuple[Field, ...], given: Mapping[str, str], wrong: Mapping[str, str]) -> tuple[Field, ...]:
    """The form as somebody sent it, with what is wrong beside each field."""
    return tuple(
        Field(
            name=one.name,
            kind=one.kind,
            value=_lines(given.get(PREFIX + one.name, one.value)),
            required=one.required,
            given=one.required or GIVEN + one.name in given,
            options=one.options,
            hint=one.hint,
            wrong=wrong.get(one.name, ""),
        )
        for one in form
    )


def sent(schema: dict[str, Any], arguments: dict[str, Any], given: Mapping[str, str]) -> Sent:
    """The arguments that somebody sent, checked against the schema as the run will check them."""
    values: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for one in fields(schema, arguments):
        text = given.get(PREFIX + one.name)
        if text is None or not (one.required or GIVEN + one.name in given):
            continue
        if one.given and _lines(text) == _lines(one.value):
            values[one.name] = arguments[one.name]
            continue
        try:
            values[one.name] = _read(one, _lines(text))
        except InvalidInput as error:
            wrong[one.name] = error.reason
    if wrong:
        return Sent(wrong=wrong)
    try:
        new = normalise(schema, values)
    except InvalidInput as error:
        place, _, reason = error.reason.partition(": ")
        name = place.split(".")[0]
        return Sent(wrong={name: reason} if name in schema.get("properties", {}) else {"": str(error)})
    if new == arguments:
        return Sent(wrong={"": "Nothing was changed: approve the call as it is, or reject it."})
    return Sent(arguments=new)


def _field(name: str, schema: Any, arguments: Mapping[str, Any], *, required: bool) -> Field:
    own: Mapping[str, Any] = schema if isinstance(schema, dict) else {}
    given = name in arguments
    value = arguments[name] if given else own.get("default")
    kind = _kind(own, value, given=given)
    options = tuple(json.dumps(one) for one in own.get("enum", [True, False])) if kind == "choice" else ()
    return Field(
        name=name,
        kind=kind,
        value=_written(kind, value),
        required=required,
        given=given,
        options=options,
        hint=str(own.get("description", "")),
    )


def _kind(schema: Mapping[str, Any], value: Any, *, given: bool) -> Kind:
    told = schema.get("type")
    if isinstance(schema.get("enum"), list) and (not given or value in schema["enum"]):
        return "choice"
    if told == "boolean" and (not given or isinstance(value, bool)):
        return "choice"
    if told in ("integer", "number") and not isinstance(value, bool) and isinstance(value, int | None):
        return "number"
    if told == "string" and (value is None or _plain(value)):
        return "text"
    items = schema.get("items")
    lines = isinstance(value, list) and value and all(_plain(one) and one and "\n" not in one for one in value)
    return (
        "list"
        if told == "array" and isinstance(items, dict) and items.get("type") == "string" and lines
        else "json"
    )


def _plain(value: Any) -> bool:
    """Whether a browser shows every character of it."""
    return isinstance(value, str) and visible(value) == value


def _written(kind: Kind, value: Any) -> str:
    if kind == "text":
        return value or ""
    if kind == "number":
        return "" if value is None else str(value)
    if kind == "list":
        return "\n".join(value)
    return json.dumps(value) if kind == "choice" else json.dumps(value, indent=1)


def _read(one: Field, text: str) -> Any:
    """Raises InvalidInput: the text is no such value."""
    if one.kind == "text":
        return text
    if one.kind == "list":
        return [part for part in text.split("\n") if part]
    if one.kind == "choice" and text not in one.options:
        raise InvalidInput("choose one of those that are offered")
    if one.kind == "number" and not text.strip():
        raise InvalidInput("a number is needed")
    try:
        return parse(text)
    except InvalidInput as error:
        raise InvalidInput(f"not a number: {text[:80]!r}" if one.kind == "number" else error.reason) from error


def _lines(text: str) -> str:
    """Line ends as they were before a browser sent them."""
    return text.replace("\r\n", "\n")
