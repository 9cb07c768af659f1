"""Other people's JSON Schemas as ours: closed, finite, without floats, references or what we cannot check.

An argument of type `number` becomes a whole number or a decimal as a string, because canonical bytes have no
floats; the places are kept, and what carries the call out writes numbers there again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from referencing import Registry, Resource
from referencing.exceptions import Unresolvable

from interlock.definitions.declared import DECIMAL_PATTERN

Path = tuple[str, ...]

MOST_NODES: Final = 20_000
MAX_DEPTH: Final = 24
_BASE: Final = "urn:interlock:document"
_LARGEST: Final = 2**53

_COUNTS: Final = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
_BOUNDS: Final = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_LISTS: Final = ("anyOf", "oneOf", "allOf")
NUMBER: Final[Mapping[str, Any]] = {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": DECIMAL_PATTERN}]}


class Untranslatable(ValueError):
    """A schema that cannot be ours; says where in it and why."""


def registry(document: Any) -> Any:
    """A resolver of references within one document; there is nothing else to refer to."""
    # Opaque: only pointers lead anywhere, and nothing of it is gone through that nobody refers to.
    registered: Registry[Any] = Registry().with_resource(_BASE, Resource.opaque(document))
    return registered.resolver(base_uri=_BASE)


def resolved(value: Any, resolver: Any) -> Any:
    """What a value refers to, or the value.

    Raises:
        Untranslatable: it refers to another document, to nothing, or in a circle.
    """
    seen: set[str] = set()
    while isinstance(value, dict) and isinstance(value.get("$ref"), str):
        reference = value["$ref"]
        if reference in seen:
            raise Untranslatable(f"$ref {reference!r} leads in a circle")
        seen.add(reference)
        try:
            value = resolver.lookup(reference).contents
        except (Unresolvable, LookupError, ValueError, TypeError) as error:
            raise Untranslatable(f"$ref {reference!r} leads to nothing within the document") from error
    return value


@dataclass
class Translation:
    """Translates schemas of one document."""

    resolver: Any
    numbers: list[list[str]] = field(default_factory=list)
    """Places of numbers in what was translated: keys from the top, `*` for every item or key."""
    nodes: int = 0

    def of(self, schema: Any, path: Path = ()) -> dict[str, Any]:
        """Our schema for theirs.

        Args:
            schema: a schema, true or false.
            path: where values of it are in the arguments.

        Raises:
            Untranslatable
        """
        try:
            found = self._of(schema, path, ())
            Draft202012Validator.check_schema(found)
        except SchemaError as error:
            place = ".".join(map(str, error.absolute_path)) or "the schema"
            raise Untranslatable(f"{place}: {error.message[:300]}") from error
        except (RecursionError, OverflowError) as error:
            raise Untranslatable(f"no schema that can be read: {error}") from error
        return found

    def _of(self, schema: Any, path: Path, within: tuple[str, ...]) -> dict[str, Any]:
        """One schema. `within`: references that it is inside of; one that contains itself is left open there."""
        self.nodes += 1
        if self.nodes > MOST_NODES or len(path) > MAX_DEPTH:
            raise Untranslatable(f"larger than {MOST_NODES} schemas, or nested deeper than {MAX_DEPTH}")
        if schema is True or schema == {} or schema is None:
            return {}
        if schema is False:
            return {"not": {}}
        if not isinstance(schema, dict):
            raise Untranslatable(f"{'.'.join(path) or 'the schema'}: is no schema but {type(schema).__name__}")
        reference = schema.get("$ref")
        if isinstance(reference, str):
            if reference in within:
                return {}
            within = (*within, reference)
            target = resolved(schema, self.resolver)
            if not isinstance(target, dict):
                return self._of(target, path, within)
            schema = {**target, **{key: one for key, one in schema.items() if key != "$ref"}}
        return self._described(self._nullable(self._translated(schema, path, within), schema), schema)

    def _described(self, found: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
        text = schema.get("description") or schema.get("title")
        pattern = schema.get("pattern")
        if isinstance(pattern, str) and len(pattern) < 500:
            # Not ours to run: another dialect, and some run for ever.
            text = f"{text or ''} Must match {pattern}".strip()
        return {**found, "description": text[:2000]} if isinstance(text, str) and text else found

    def _nullable(self, found: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
        if schema.get("nullable") is not True or not found:
            return found
        default = {"default": found.pop("default")} if "default" in found else {}
        return {"anyOf": [found, {"type": "null"}], **default}

    def _translated(self, schema: dict[str, Any], path: Path, within: tuple[str, ...]) -> dict[str, Any]:
        types = schema.get("type")
        listed = types if isinstance(types, list) else [types]
        names = list(dict.fromkeys(one for one in listed if isinstance(one, str)))
        if "number" in names:
            return self._number(schema, path, names)
        found: dict[str, Any] = {"type": names[0] if len(names) == 1 else names} if names else {}
        found |= self._plain_parts(schema)
        for key in _LISTS:
            if isinstance(schema.get(key), list) and schema[key]:
                found[key] = [self._of(one, path, within) for one in schema[key]]
        found |= self._object(schema, path, within)
        if "items" in schema:
            found["items"] = self._of(schema["items"], (*path, "*"), within)
        return found

    def _number(self, schema: dict[str, Any], path: Path, names: list[str]) -> dict[str, Any]:
        if list(path) not in self.numbers:
            self.numbers.append(list(path))
        others = [{"type": name} for name in names if name not in ("number", "integer")]
        found: dict[str, Any] = {"anyOf": [*NUMBER["anyOf"], *others]}
        if "default" in schema:
            found["default"] = _value(schema["default"])
        return found

    def _plain_parts(self, schema: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key in ("enum", "const", "default"):
            if key in schema:
                found[key] = _value(schema[key])
        for key in _COUNTS:
            if isinstance(schema.get(key), int) and abs(schema[key]) < _LARGEST:
                found[key] = schema[key]
        for key in _BOUNDS:
            value = schema.get(key)
            # What is beyond, or between two whole numbers, bounds no number that a call may have.
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                continue
            if abs(value) < _LARGEST and value == int(value):
                found[key] = int(value)
        for key, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
            # OpenAPI 3.0 says so of a bound; 3.1 gives the bound itself.
            if schema.get(key) is True and bound in found:
                found[key] = found.pop(bound)
        if schema.get("uniqueItems") is True:
            found["uniqueItems"] = True
        if isinstance(schema.get("format"), str):
            found["format"] = schema["format"][:100]
        return found

    def _object(self, schema: dict[str, Any], path: Path, within: tuple[str, ...]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        properties = schema.get("properties")
        if isinstance(properties, dict):
            for name in properties:
                if not str(name).isascii():
                    raise Untranslatable(f"property {name!r} is not ASCII, and no key of a call can be")
            found["properties"] = {name: self._of(one, (*path, name), within) for name, one in properties.items()}
        if isinstance(schema.get("required"), list):
            found["required"] = [name for name in schema["required"] if isinstance(name, str)]
        if "additionalProperties" in schema:
            rest = schema["additionalProperties"]
            found["additionalProperties"] = rest if rest is False else self._of(rest, (*path, "*"), within)
        return found


def _value(value: Any) -> Any:
    """A value that a schema names, as a value that a call may have.

    Raises:
        Untranslatable: it has no canonical form.
    """
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int) and abs(value) < _LARGEST:
        return value
    if isinstance(value, float) and abs(value) < _LARGEST:
        return int(value) if value == int(value) else format(Decimal(repr(value)), "f")
    if isinstance(value, list):
        return [_value(item) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) and key.isascii() for key in value):
        return {key: _value(item) for key, item in value.items()}
    raise Untranslatable(f"{str(value)[:100]!r} has no canonical form")


def closed_object(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema of arguments: an object that takes nothing unnamed."""
    if schema.get("type", "object") != "object" or any(key in schema for key in _LISTS):
        raise Untranslatable("arguments must be described as one object with properties")
    kept = {key: value for key, value in schema.items() if key in ("required", "description")}
    return {"type": "object", "properties": schema.get("properties", {}), "additionalProperties": False, **kept}
