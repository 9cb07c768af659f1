"""Reads `notifications.yaml`: the channels, or every mistake with its line."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from interlock.definitions.placed import Problem, did_you_mean
from interlock.definitions.yaml_file import YamlFile, read_yaml
from interlock.errors import ProjectError
from interlock.notifications.channels import Channels


def load_channels(path: Path, label: str, people: Collection[str] | None = None) -> Channels | None:
    """Read the file; None where there is none.

    Args:
        path: where it is.
        label: what messages call it.
        people: every `user:` whom the policy knows; None: names are not looked up.

    Raises:
        ProjectError: it has mistakes; each is named with its line.
    """
    if not path.exists():
        return None
    file = read_yaml(path, label)
    found, problems = _read(file) if not file.problems else (None, file.problems)
    if found is not None:
        problems = list(_strangers(found, file, people))
    if problems or found is None:
        raise ProjectError(
            f"{label} is not used:",
            problems=tuple(str(one) for one in sorted(problems, key=lambda one: one.order)),
            next_step=f"correct {label}; docs/reference/notifications.md lists its keys",
        )
    return found


def _read(file: YamlFile) -> tuple[Channels | None, list[Problem]]:
    value = {} if file.value is None else file.value
    if not isinstance(value, dict):
        return None, [Problem(file.source(), "write `webhooks:` and `email:`")]
    try:
        return Channels.model_validate(value), []
    except ValidationError as error:
        return None, [_problem(details, file) for details in error.errors(include_url=False)]


def _problem(details: Any, file: YamlFile) -> Problem:
    place = tuple(step for step in details["loc"] if step != "[key]")
    where = ".".join(map(str, place))
    if details["type"] == "extra_forbidden":
        return Problem(file.source(place), f"{where}: no such key{did_you_mean(place[-1], _keys(place[:-1]))}")
    if details["type"] == "missing":
        return Problem(file.source(place), f"{where}: is missing")
    said = details["msg"].removeprefix("Value error, ")
    shown = f", not {details['input']!r:.100}" if details["type"] != "value_error" else ""
    return Problem(file.source(place), f"{where}: {said}{shown}" if where else said)


def _keys(place: tuple[str | int, ...]) -> list[str]:
    """The keys that the model at `place` takes."""
    model: type[BaseModel] = Channels
    for step in place:
        if isinstance(step, str) and step in model.model_fields:
            inner = _models(model.model_fields[step].annotation)
            model = next(inner, model)
    return [field.alias or name for name, field in model.model_fields.items()]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def _strangers(found: Channels, file: YamlFile, people: Collection[str] | None) -> Iterator[Problem]:
    if people is None or found.email is None:
        return
    for name in found.email.to:
        if name not in people:
            guess = did_you_mean(name, people)
            yield Problem(file.source(("email", "to", name)), f"email.to: the policy knows no {name!r}{guess}")
