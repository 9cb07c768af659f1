"""The models, dataclasses and enums that a graph's schemas name: the types that may cross the activity boundary."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import is_dataclass
from enum import Enum
from typing import Any, get_args, get_type_hints

from langchain_core.messages import BaseMessage
from langgraph.graph import StateGraph
from pydantic import BaseModel

from interlock.graph.messages import Types, type_key


def types_of(builder: StateGraph[Any, Any, Any, Any]) -> Types:
    """Every model, dataclass and enum in the schemas of `builder` and its nodes, by the name it travels under."""
    seen: set[Any] = set()
    schemas = [*builder.schemas, *(spec.input_schema for spec in builder.nodes.values())]
    return {type_key(kind): kind for schema in schemas for kind in _walk(schema, seen)}


def _walk(hint: Any, seen: set[Any]) -> Iterator[type]:
    for part in get_args(hint):
        yield from _walk(part, seen)
    if not isinstance(hint, type) or hint in seen or issubclass(hint, BaseMessage):
        return
    seen.add(hint)
    if issubclass(hint, (BaseModel, Enum)) or is_dataclass(hint):
        yield hint
    try:
        hints = get_type_hints(hint)
    except (NameError, TypeError):
        return
    for part in hints.values():
        yield from _walk(part, seen)
