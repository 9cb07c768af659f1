"""What a node returned, brought into the exact form of an update of its graph's state, or refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from langchain_core.messages import convert_to_messages
from langgraph._internal._fields import get_cached_annotated_keys
from langgraph.channels.binop import BinaryOperatorAggregate
from langgraph.graph import END, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Command

from interlock.errors import InvalidInput
from interlock.graph.edges import check_target


def shape_of(builder: StateGraph[Any, Any, Any, Any]) -> Callable[[Any], Any]:
    """Updates of `add_messages` keys as message objects: LangGraph would give them random ids in the workflow.
    What is no update is refused here: where LangGraph does, it cancels the node's siblings in any order."""
    keys = [key for key, channel in builder.channels.items() if _adds_messages(channel)]

    whole = "__root__" in builder.channels

    def shape(update: Any) -> Any:
        if isinstance(update, Command):
            _check_goto(update, builder)
            return replace(update, update=with_messages(update.update))
        if not (whole or isinstance(update, dict) or _is_update(update)):
            raise InvalidInput(
                f"it returned a {type(update).__name__}, which is no update of the state",
                next_step="return an object with the state's keys, a Command, or None",
            )
        return with_messages(update)

    def with_messages(update: Any) -> Any:
        if not isinstance(update, dict):
            return update
        return update | {key: _as_messages(update[key]) for key in keys if key in update}

    return shape


def _check_goto(command: Command[Any], builder: StateGraph[Any, Any, Any, Any]) -> None:
    goto: Any = command.goto
    if command.graph is None:
        for target in goto if isinstance(goto, (list, tuple)) else [goto]:
            check_target(target, (*builder.nodes, END), builder.nodes)


def _is_update(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(isinstance(item, Command) for item in value)
    return value is None or bool(get_cached_annotated_keys(type(value)))


def _adds_messages(channel: Any) -> bool:
    return isinstance(channel, BinaryOperatorAggregate) and channel.operator is add_messages


def _as_messages(value: Any) -> Any:
    if isinstance(value, list):
        return convert_to_messages(value)
    return convert_to_messages([value])[0] if isinstance(value, (str, tuple, dict)) else value
