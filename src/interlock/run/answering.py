"""What a person may answer to a question: any text, one of some choices, or an object that fits a model.

It is an argument of the question, so that the approver sees it and the digest binds it. The workflow asks whether
an answer fits twice: before it takes the decision, and where it reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self, TypeVar

from pydantic import BaseModel, JsonValue, ValidationError

from interlock.digest import canonical, parse
from interlock.errors import InvalidInput
from interlock.run.arguments import check_value
from interlock.types.closed import Closed

M = TypeVar("M", bound=BaseModel)

_SHOWN = 80
"""Characters of a wrong answer in the sentence that refuses it."""


class Expected(Closed):
    """What an answer must be; with neither field, any text will do."""

    choices: tuple[str, ...] = ()
    """One of these texts."""
    answer: dict[str, JsonValue] | None = None
    """An object that fits this JSON Schema, as JSON."""

    @classmethod
    def of(cls, choices: Sequence[str] | None, model: type[BaseModel] | None) -> Self:
        """What a workflow says that it expects.

        Raises:
            InvalidInput: choices that nobody can tell apart, both a model and choices, or a model whose schema
                cannot be asked.
        """
        if choices is None and model is None:
            return cls()
        if model is None:
            return cls(choices=_choices(choices))
        if choices is not None:
            raise InvalidInput("choices: give choices or a model of the answer, not both")
        schema = model.model_json_schema()
        try:
            canonical(schema)
        except InvalidInput as error:
            raise InvalidInput(f"answer: the schema of {model.__name__} cannot be asked: {error}") from error
        if schema.get("type") != "object":
            raise InvalidInput(f"answer: {model.__name__} is no model of an object")
        return cls(answer=schema)

    def arguments(self) -> dict[str, JsonValue]:
        """What the question says of it; nothing where any text will do."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def read(self, message: str) -> JsonValue:
        """What a person answered, as the workflow gets it.

        Raises:
            InvalidInput: names the field of the answer, and why it does not fit.
        """
        if self.choices and message not in self.choices:
            raise InvalidInput(f"message: {_short(message)} is none of {', '.join(map(repr, self.choices))}")
        if self.answer is None:
            return message
        takes = f"the answer is a JSON object of {', '.join(self._fields()) or 'no fields'}"
        try:
            value: JsonValue = parse(message)
        except InvalidInput as error:
            raise InvalidInput(f"message: {error.reason}", next_step=takes) from error
        check_value(self.answer, value, root="message", next_step=takes)
        return value

    def _fields(self) -> list[str]:
        properties: Any = (self.answer or {}).get("properties", {})
        return list(properties)


def fitted(model: type[M], value: JsonValue) -> M:
    """An answer as its model, which may ask more of it than its schema says.

    Raises:
        InvalidInput: names the field, and why it does not fit.
    """
    try:
        return model.model_validate_json(canonical(value))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "message"
        raise InvalidInput(f"{place}: {first['msg']}") from error


def _choices(choices: Sequence[str] | None) -> tuple[str, ...]:
    if isinstance(choices, str) or not choices:
        raise InvalidInput("choices: name at least one, in a list")
    found = tuple(choices)
    if not all(isinstance(one, str) and one.strip() for one in found) or len(set(found)) < len(found):
        raise InvalidInput("choices: each is a text of its own, and not empty")
    return found


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
