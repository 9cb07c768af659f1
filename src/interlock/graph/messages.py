"""State across the activity boundary: LangChain messages, `Send`, `Command` and models as tagged JSON and back.

Temporal's converters write a message as an object without its class, so that `isinstance(m, ToolMessage)` is
false on the other side. Here each such value is written as an object with one `$` key that names its kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from langchain_core.messages import BaseMessage, ToolMessage, message_to_dict, messages_from_dict
from langgraph.types import Command, Interrupt, Overwrite, Send
from pydantic import BaseModel

from interlock.errors import InvalidInput

Types = Mapping[str, type]
"""Models and dataclasses of a graph's schemas, by qualified name: the only ones that are made anew."""
Change = Callable[[BaseMessage], BaseMessage]


def type_key(kind: type) -> str:
    """The name under which a schema's type travels."""
    return f"{kind.__module__}:{kind.__qualname__}"


def dump(value: Any, change: Change | None = None, path: str = "state", types: Types | None = None) -> Any:
    """`value` as JSON.

    Args:
        value: a state, an update or a command.
        change: applied to every message on its way out.
        path: where `value` is, for messages.
        types: the graph's own types, if an object of any other is to be refused here.

    Raises:
        InvalidInput: something in it cannot cross; the message names the place and the type.
    """
    return _Dump(change, types).value(value, path)


@dataclass(frozen=True)
class _Dump:
    change: Change | None
    types: Types | None

    def value(self, value: Any, path: str) -> Any:
        if isinstance(value, Enum):
            return {"$enum": [self._known(type(value), path), self.value(value.value, path)]}
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, str):
            return _text(value, path)
        if isinstance(value, (list, tuple, set, frozenset)):
            items = [self.value(item, f"{path}[{index}]") for index, item in enumerate(value)]
            if isinstance(value, list):
                return items
            return {"$tuple": items} if isinstance(value, tuple) else {"$set": sorted(items, key=repr)}
        if isinstance(value, Mapping):
            return self._mapping(value, path)
        return self._object(value, path)

    def _mapping(self, value: Mapping[Any, Any], path: str) -> Any:
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {_text(key, path): self.value(item, f"{path}.{key}") for key, item in value.items()}
        pairs = [[self.value(key, path), self.value(item, f"{path}.{key}")] for key, item in value.items()]
        return {"$pairs": pairs}

    def _object(self, value: Any, path: str) -> Any:
        if isinstance(value, BaseMessage):
            if isinstance(value, ToolMessage):
                self.value(value.artifact, f"{path}.artifact")
            return {"$message": message_to_dict(self.change(value) if self.change else value)}
        if isinstance(value, Send):
            if value.timeout is not None:
                raise InvalidInput(
                    f"{path}: timeout of a Send is LangGraph's; give the node a start_to_close_timeout"
                )
            return {"$send": [value.node, self.value(value.arg, f"{path}.{value.node}")]}
        if isinstance(value, Command):
            parts = {name: getattr(value, name) for name in ("graph", "update", "resume", "goto")}
            return {"$command": self._mapping(parts, path)}
        if isinstance(value, Overwrite):
            return {"$overwrite": self.value(value.value, path)}
        if isinstance(value, Interrupt):
            return {"$interrupt": self.value([value.value, value.id, value.response_schema], path)}
        if isinstance(value, datetime):
            return {"$datetime": value.isoformat()}
        if isinstance(value, (Decimal, UUID)):
            return {f"${type(value).__name__.lower()}": str(value)}
        names = _field_names(value)
        if names is None:
            raise _cannot_pass(value, path)
        content = {name: self.value(getattr(value, name), f"{path}.{name}") for name in names}
        return {"$object": [self._known(type(value), path), content]}

    def _known(self, kind: type, path: str) -> str:
        key = type_key(kind)
        if self.types is not None and key not in self.types:
            raise InvalidInput(
                f"{path}: a {kind.__name__} cannot pass between a node and the workflow: no schema of the graph's "
                "state names this type",
                next_step=f"annotate the state's key with {kind.__name__}",
            )
        return key


def _text(value: str, path: str) -> str:
    text = str(value)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InvalidInput(f"{path}: a str holds half a character (U+{ord(text[error.start]):04X})") from error
    return text


def _cannot_pass(value: Any, path: str) -> InvalidInput:
    return InvalidInput(
        f"{path}: a {type(value).__name__} cannot pass between a node and the workflow",
        next_step="keep JSON, messages, and pydantic models or dataclasses that the state's schema names",
    )


def _field_names(value: Any) -> list[str] | None:
    if isinstance(value, BaseModel):
        return list(type(value).model_fields)
    if is_dataclass(value) and not isinstance(value, type):
        return [field.name for field in fields(value)]
    return None


def revive(value: Any, types: Types | None = None, change: Change | None = None) -> Any:
    """What `dump` was given.

    Args:
        value: JSON that `dump` wrote.
        types: the graph's own types; an object of any other is refused.
        change: applied to every message on its way in.

    Raises:
        InvalidInput: an unknown kind of value.
    """
    if isinstance(value, list):
        return [revive(item, types, change) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((key, content),) = value.items()
        if key.startswith("$"):
            return _revive_tagged(key, content, types or {}, change)
    return {key: revive(item, types, change) for key, item in value.items()}


def _revive_tagged(key: str, content: Any, types: Types, change: Change | None) -> Any:
    if key == "$message":
        message = messages_from_dict([content])[0]
        return change(message) if change else message
    if key in ("$object", "$enum"):
        name, parts = content
        if name not in types:
            raise InvalidInput(f"{name!r} is not a type of this graph's schemas")
        if key == "$enum":
            return types[name](revive(parts, types, change))
        return types[name](**{field: revive(item, types, change) for field, item in parts.items()})
    make = _SIMPLE.get(key)
    if make is None:
        raise InvalidInput(f"unknown kind of state value {key!r}")
    return make(revive(content, types, change))


_SIMPLE: Mapping[str, Callable[[Any], Any]] = {
    "$tuple": tuple,
    "$set": set,
    "$pairs": lambda pairs: {_hashable(key): item for key, item in pairs},
    "$send": lambda parts: Send(parts[0], parts[1]),
    "$command": lambda parts: Command(**parts),
    "$overwrite": Overwrite,
    "$interrupt": lambda parts: Interrupt(parts[0], parts[1], response_schema=parts[2]),
    "$decimal": Decimal,
    "$datetime": datetime.fromisoformat,
    "$uuid": UUID,
}


def _hashable(key: Any) -> Any:
    return tuple(key) if isinstance(key, list) else key
