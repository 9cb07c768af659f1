"""Parameters of a declared tool, in a compact form; compiled to the JSON Schema that a Python tool would have."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from interlock.definitions.declared.options import Mistake
from interlock.definitions.yaml_file import Place
from interlock.types.closed import Closed

DECIMAL_PATTERN: Final = r"^-?[0-9]+(\.[0-9]+)?$"

Scalar = Literal["string", "integer", "boolean", "decimal", "path"]
"""path: a file of the workspace, plain and relative, checked where it is used. decimal: a decimal as a string."""

ParameterName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]

_SCALARS: Final[Mapping[str, dict[str, Any]]] = {
    "string": {"type": "string"},
    "path": {"type": "string"},
    "integer": {"type": "integer"},
    "boolean": {"type": "boolean"},
    "decimal": {"type": "string", "pattern": DECIMAL_PATTERN},
}


class Parameter(Closed):
    """One argument of a tool."""

    type: Literal["string", "integer", "boolean", "decimal", "path", "list"]
    description: str = ""
    items: Scalar = "string"
    """What a list holds."""
    enum: tuple[str | int, ...] = ()
    """The only values that it may have."""
    pattern: str = ""
    """A regular expression that text must match somewhere; `^` and `$` tie it to the ends."""
    minimum: int | None = None
    maximum: int | None = None
    """Of a whole number."""
    max_length: int | None = Field(default=None, ge=0)
    """Characters of text, or items of a list."""
    default: str | int | bool | Decimal | tuple[str | int | bool, ...] | None = None
    """Taken where the argument is left out."""
    optional: bool = False
    """Whether it may be left out; one with a default always may."""
    options: bool = False
    """Whether its value may begin with `-` where a program would take it for an option."""

    @property
    def required(self) -> bool:
        """Whether a call must give it."""
        return not self.optional and "default" not in self.model_fields_set

    def schema_of(self) -> dict[str, Any]:
        """Its JSON Schema (2020-12)."""
        if self.type == "list":
            found: dict[str, Any] = {"type": "array", "items": dict(_SCALARS[self.items])}
            limits = {"maxItems": self.max_length}
        else:
            found = dict(_SCALARS[self.type])
            limits = {"maxLength": self.max_length, "minimum": self.minimum, "maximum": self.maximum}
        said = {"enum": list(self.enum) or None, "pattern": self.pattern or None, **limits}
        found |= {key: value for key, value in said.items() if value is not None}
        if "default" in self.model_fields_set:
            found["default"] = _json(self.default)
        return {**found, "description": self.description} if self.description else found


def _json(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    return list(value) if isinstance(value, tuple) else value


def _short(value: Any) -> Any:
    """`path: string` stands for `path: {type: string}`."""
    return {"type": value} if isinstance(value, str) else value


Parameters = dict[ParameterName, Annotated[Parameter, BeforeValidator(_short)]]


def object_schema(parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """The schema of all arguments: a closed object."""
    found: dict[str, Any] = {
        "type": "object",
        "properties": {name: one.schema_of() for name, one in parameters.items()},
        "additionalProperties": False,
    }
    required = [name for name, one in parameters.items() if one.required]
    return {**found, "required": required} if required else found


def check_parameters(parameters: Mapping[str, Parameter]) -> Iterator[Mistake]:
    """What is wrong with parameters beyond their form."""
    from jsonschema import Draft202012Validator

    for name, one in parameters.items():
        place: Place = ("parameters", name)
        for field, types in _ONLY_FOR.items():
            if field in one.model_fields_set and one.type not in types:
                yield (*place, field), f"parameters.{name}.{field}: is only for type {' or '.join(types)}"
        try:
            re.compile(one.pattern)
        except re.error as error:
            yield (*place, "pattern"), f"parameters.{name}.pattern: no regular expression: {error}"
            continue
        schema = one.schema_of()
        if "default" in schema and not Draft202012Validator(schema).is_valid(schema["default"]):
            yield (*place, "default"), f"parameters.{name}.default: {schema['default']!r} does not fit its own type"


_ONLY_FOR: Final[Mapping[str, tuple[str, ...]]] = {
    "items": ("list",),
    "enum": ("string", "integer", "path"),
    "pattern": ("string", "path"),
    "minimum": ("integer",),
    "maximum": ("integer",),
    "max_length": ("string", "path", "list"),
}
