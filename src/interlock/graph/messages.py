"""State across the activity boundary: LangChain messages, `Send`, `Command` and models as tagged JSON and back.

Temporal's converters write a message as an object without its class, so that `isinstance(m, ToolMessage)` is
false on the other side. Here each such value is written as an object with one `$` key that names its kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from langchain_core.messages import BaseMessage, message_to_dict, messages_from_dict
from langgraph.types import Command, Interrupt, Overwrite, Send
from pydantic import BaseModel

from interlock.errors import InvalidInput

Types = Mapping[str, type]
"""Models and dataclasses of a graph's schemas, by qualified name: the only ones that are made anew."""
Change = Callable[[BaseMessage], BaseMessage]


def type_key(kind: type) -> str:
    """The name under which a schema's type travels."""
    return f"{kind.__module__}:{kind.__qualname__}"


def dump(value: Any, change: Change | None = None, path: str = "state") -> Any:
    """`value` as JSON.

    Args:
        value: a state, an update or a command.
        change: applied to every message on its way out.
        path: where `value` is, for messages.

    Raises:
        InvalidInput: something in it cannot cross; the message names the place.
    """
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        items = [dump(item, change, f"{path}[{index}]") for index, item in enumerate(value)]
        if isinstance(value, list):
            return items
        return {"$tuple": items} if isinstance(value, tuple) else {"$set": sorted(items, key=repr)}
    if isinstance(value, Mapping):
        return _dump_mapping(value, change, path)
    return _dump_object(value, change, path)


def _dump_mapping(value: Mapping[Any, Any], change: Change | None, path: str) -> Any:
    if all(isinstance(key, str) and not key.startswith("$") for key in value):
        return {key: dump(item, change, f"{path}.{key}") for key, item in value.items()}
    pairs = [[dump(key, change, path), dump(item, change, f"{path}.{key}")] for key, item in value.items()]
    return {"$pairs": pairs}


def _dump_object(value: Any, change: Change | None, path: str) -> Any:
    if isinstance(value, BaseMessage):
        return {"$message": message_to_dict(change(value) if change else value)}
    if isinstance(value, Send):
        return {"$send": [value.node, dump(value.arg, change, path)]}
    if isinstance(value, Command):
        parts = {name: getattr(value, name) for name in ("graph", "update", "resume", "goto")}
        return {"$command": dump(parts, change, path)}
    if isinstance(value, Overwrite):
        return {"$overwrite": dump(value.value, change, path)}
    if isinstance(value, Interrupt):
        return {"$interrupt": dump([value.value, value.id, value.response_schema], change, path)}
    if isinstance(value, datetime):
        return {"$datetime": value.isoformat()}
    if isinstance(value, (Decimal, UUID)):
        return {f"${type(value).__name__.lower()}": str(value)}
    names = _field_names(value)
    if names is not None:
        content = {name: dump(getattr(value, name), change, f"{path}.{name}") for name in names}
        return {"$object": [type_key(type(value)), content]}
    raise InvalidInput(
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
    if key == "$object":
        name, parts = content
        if name not in types:
            raise InvalidInput(f"{name!r} is not a type of this graph's schemas")
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
