"""Values on both sides of a condition: at its limit, one beside it, just inside and just outside."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from interlock.policy.conditions import Condition
from interlock.policy.regex_examples import examples

_MOST_OPERANDS: Final = 8
_LONGEST: Final = 20_000


def values_around(condition: Condition) -> list[Any]:
    """Argument values that tell this condition from its neighbours; not all of them satisfy it."""
    operator, operand = condition.operator, condition.operand
    listed = operand if isinstance(operand, tuple) else (operand,)
    return [value for item in listed[:_MOST_OPERANDS] for value in _around(operator, item)]


def _around(operator: str, item: Any) -> Iterator[Any]:
    if operator in ("under", "not_under"):
        yield from _paths(item)
    elif operator == "host_in":
        yield from _hosts(item)
    elif operator == "matches":
        for text in examples(item):
            yield from (text, f"{text}x", f"x{text}")
    elif operator == "contains":
        yield from ([item], [])
        if isinstance(item, str):
            yield from (item, f"with {item} inside", "without it")
    elif operator == "length_le":
        if item <= _LONGEST:
            yield from ("a" * item, "a" * (item + 1), ["a"] * item, ["a"] * (item + 1))
    elif operator not in ("label", "no_label", "time_between"):
        yield from _scalars(item)


def _scalars(item: Any) -> Iterator[Any]:
    if isinstance(item, bool):
        yield from (item, not item)
    elif isinstance(item, Decimal):
        step = Decimal(1).scaleb(min(int(item.as_tuple().exponent), 0))
        yield from (format(value, "f") for value in (item, item - step, item + step))
    elif isinstance(item, int):
        yield from (item, item - 1, item + 1)
    elif isinstance(item, str):
        yield from (item, f"{item}x", "other")
    else:
        yield from (None, "other")


def _paths(root: str) -> Iterator[str]:
    """Below, at and beside a root; above it; somewhere else."""
    parent, _, _ = root.rpartition("/")
    yield from (f"{root.rstrip('/')}/example", root)
    if root != "/":
        yield f"{root}-other/example"
    if parent:
        yield f"{parent}/elsewhere"
    yield "/elsewhere/example" if root.startswith("/") else "elsewhere/example"


def _hosts(host: str) -> Iterator[str]:
    bare = host.removeprefix(".")
    for name in (f"www{host}" if host != bare else bare, bare, f"below.{bare}", f"not{bare}", "other.example"):
        yield from (name, f"https://{name}/")
