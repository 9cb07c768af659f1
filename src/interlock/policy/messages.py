"""pydantic's validation errors in the words of a policy author."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from interlock.policy.problems import Problem, did_you_mean
from interlock.policy.yaml_file import Place, YamlFile

_CODES: Final = {"extra_forbidden": "unknown-key", "missing": "missing-key"}
"""pydantic's word → ours; every other one is a bad value."""


def problems(error: ValidationError, model: type[BaseModel], item: Any, file: YamlFile, at: Place) -> list[Problem]:
    """Each error as a problem at its line of `file`; `at` is where the entry stands in it."""
    return [
        Problem(file.source((*at, *place)), text, _CODES.get(details["type"], "bad-value"))
        for details, place, text in _messages(error, model, item)
    ]


def messages(error: ValidationError, model: type[BaseModel], item: Any) -> Iterator[tuple[Place, str]]:
    """Each error with the place inside the entry and a message that begins with the entry's own name."""
    for _, place, text in _messages(error, model, item):
        yield place, text


def _messages(
    error: ValidationError, model: type[BaseModel], item: Any
) -> Iterator[tuple[ErrorDetails, Place, str]]:
    named = item.get("id", item.get("name")) if isinstance(item, dict) else None
    prefix = f"{model.__name__.removesuffix('Entry').lower()} {named!r}: " if isinstance(named, str) else ""
    found = error.errors(include_url=False)
    places = [details["loc"] for details in found]
    for details in found:
        # A list whose items are wrong is called too short as well, since none of them counts.
        inner = any(place[:-1] == details["loc"] for place in places)
        if details["type"] != "too_short" or not inner:
            yield details, details["loc"], prefix + _message(details, model)


def _message(details: ErrorDetails, model: type[BaseModel]) -> str:
    place, given, context = details["loc"], details["input"], details.get("ctx", {})
    where = ".".join(str(step) for step in place)
    if details["type"] == "extra_forbidden":
        return f"unknown key {place[-1]!r}{did_you_mean(place[-1], keys_of(model, place[:-1]))}"
    if details["type"] == "missing":
        return f"{where!r} is missing"
    if details["type"] == "literal_error":
        expected = str(context.get("expected", ""))
        guess = did_you_mean(given, expected.replace("'", "").replace(" or ", ", ").split(", "))
        return f"{where!r} must be {expected}, not {given!r}{guess}"
    if details["type"] == "string_pattern_mismatch":
        return f"{where!r}: {given!r} does not have the form {context.get('pattern')}"
    if details["type"] == "value_error":
        text = str(context.get("error", details["msg"]))
        return f"{where}: {text}" if where else text
    text = details["msg"].removeprefix("Input should be ")
    shown = f", not {given!r}" if isinstance(given, str | int | float) else ""
    return f"{where!r} must be {text}{shown}" if text != details["msg"] else f"{where!r}: {text}"


def keys_of(model: type[BaseModel], place: Place) -> list[str]:
    """The keys that the model at `place` takes."""
    for step in place:
        if isinstance(step, str):
            found = next((f for name, f in model.model_fields.items() if step in (name, f.alias)), None)
            inner = _inner_model(found.annotation) if found else None
            if inner is None:
                return []
            model = inner
    return [field.alias or name for name, field in model.model_fields.items()]


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _inner_model(part))), None)
