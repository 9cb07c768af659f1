"""A request with other values of what one condition addresses: some satisfy it, some just do not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from interlock.policy.cases import CaseRequest
from interlock.policy.conditions import LABEL_OPERATORS, LABEL_SETS, Condition
from interlock.policy.entries import Price
from interlock.policy.operands import TimeWindow
from interlock.policy.origins import MODEL, REQUESTER
from interlock.policy.run_sample import runs_around
from interlock.policy.tool_sample import filled_resource
from interlock.policy.universe import Universe, distinct
from interlock.policy.values import values_around

_MOST_KNOWN: Final = 8
_MOST_JOINED: Final = 48
_MONDAY: Final = datetime(2026, 1, 5, tzinfo=UTC)
_FLOWS: Final = ("reader", "writer", "sink")


def variants(
    request: CaseRequest, condition: Condition, universe: Universe, prices: Mapping[str, Price]
) -> Iterator[CaseRequest]:
    """The request on both sides of a condition, the plainest first."""
    if condition.question is not None:
        yield from runs_around(request, condition, prices)
    elif condition.operator in LABEL_OPERATORS:
        yield from _labelled(request, condition)
    elif condition.argument is not None:
        for value in _values(condition, universe):
            yield with_argument(request, condition.argument, value, universe)
    elif condition.attribute not in LABEL_SETS:
        for value in _attribute_values(condition):
            yield request.model_copy(update={str(condition.attribute): value})


def with_argument(request: CaseRequest, name: str, value: Any, universe: Universe) -> CaseRequest:
    """The request with another value of an argument, and in the resource that is made from it."""
    head, *path = name.split(".")
    old = request.arguments.get(head)
    new = _nested(old, path, value)
    arguments = {**request.arguments, head: new}
    resource, schema = request.resource, universe.schemas.get(request.tool)
    kind, _, rest = resource.partition(":")
    if schema is not None:
        resource = filled_resource(schema.resource, arguments)
    elif isinstance(new, str) and old and rest == old:
        resource = f"{kind}:{new}"
    return request.model_copy(update={"arguments": arguments, "resource": resource})


def _nested(old: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    inner = old if isinstance(old, dict) else {}
    return {**inner, path[0]: _nested(inner.get(path[0]), path[1:], value)}


def _values(condition: Condition, universe: Universe) -> list[Any]:
    """Known values, those around the condition, those of other rules, and paths put together from both."""
    name, own = str(condition.argument), values_around(condition)
    known, named = universe.known.get(name, ()), universe.named.get(name, ())
    paths = [v for v in (*known, *named) if isinstance(v, str) and "/" in v]
    folders = distinct(path.rpartition("/")[0] or path for path in paths)[:_MOST_KNOWN]
    texts = [value for value in own if isinstance(value, str)]
    joined = [f"{folder}/{text}" for text in texts for folder in folders][:_MOST_JOINED]
    return distinct([*known, *own, *named, *joined])


def _attribute_values(condition: Condition) -> Iterator[Any]:
    if condition.attribute == "time":
        yield from _moments(condition.operand)
    elif condition.attribute == "flow":
        yield from _FLOWS
    else:
        yield from (value for value in values_around(condition) if isinstance(value, str) and value)


def _moments(window: TimeWindow) -> Iterator[datetime]:
    """Both ends of the window and the minutes before them on each day of a week, and its noons, in UTC."""
    zone = ZoneInfo(window.zone)
    for minute in (end + step for end in window.minutes for step in (0, -1)):
        for day in range(7):
            local = datetime(_MONDAY.year, 1, _MONDAY.day + day, tzinfo=zone) + timedelta(minutes=minute)
            yield local.astimezone(UTC)
    yield from (_MONDAY + timedelta(days=day, hours=12) for day in range(7))


def _labelled(request: CaseRequest, condition: Condition) -> Iterator[CaseRequest]:
    """The request with its data labelled otherwise: each label that is named, the engine's own, none."""
    for labels in distinct([*((label,) for label in condition.operand), (REQUESTER,), (MODEL,), ()]):
        if condition.attribute in ("seen", "emits", "declassifies"):
            yield request.model_copy(update={str(condition.attribute): labels})
        else:
            yield from _with_labels(request, condition, labels)


def _with_labels(request: CaseRequest, condition: Condition, labels: tuple[str, ...]) -> Iterator[CaseRequest]:
    own = str(condition.argument or "").partition(".")[0]
    for name in (own,) if own else request.destination or tuple(request.arguments) or ("to",):
        update: dict[str, Any] = {"labels": {**request.labels, name: labels}}
        if name not in request.arguments:
            update["arguments"] = {**request.arguments, name: "example"}
        if condition.attribute == "destination" and name not in request.destination:
            update["destination"] = (name,)
        yield request.model_copy(update=update)
