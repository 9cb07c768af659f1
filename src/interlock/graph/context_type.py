"""A graph's `context_schema`: what an agent's definition gives its nodes to read, in the type that they expect."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, get_type_hints

from pydantic import JsonValue, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from interlock.errors import InvalidInput


@dataclass(frozen=True)
class ContextType:
    """Made when a graph is prepared: in a workflow's sandbox, annotations cannot be read."""

    adapter: TypeAdapter[Any]
    fields: tuple[str, ...]

    @classmethod
    def of(cls, schema: Any) -> ContextType | None:
        """Of a graph's `context_schema`; None for a graph without.

        Raises:
            InvalidInput: the schema is no dataclass, TypedDict or pydantic model whose types can be read.
        """
        if schema is None:
            return None
        try:
            return cls(TypeAdapter(schema), tuple(get_type_hints(schema)))
        except (PydanticUserError, NameError, TypeError) as error:
            raise InvalidInput(f"context_schema cannot be read: {error}") from error

    def read(self, context: JsonValue) -> Any:
        """`context` as the schema's type.

        Raises:
            InvalidInput: it does not fit; one line for each reason.
        """
        given = context if context is not None else {}
        reasons = list(self._unknown(given))
        try:
            value = self.adapter.validate_python(given)
        except ValidationError as error:
            reasons += [f"{'.'.join(map(str, e['loc'])) or 'context'}: {e['msg']}" for e in error.errors()]
        if reasons:
            raise InvalidInput("\n".join(f"context does not fit context_schema: {reason}" for reason in reasons))
        return value

    def _unknown(self, given: Any) -> Iterator[str]:
        for key in given if isinstance(given, dict) else ():
            if key not in self.fields:
                near = get_close_matches(key, self.fields, 1)
                yield f"{key}: there is no such field{f'; did you mean {near[0]!r}?' if near else ''}"
