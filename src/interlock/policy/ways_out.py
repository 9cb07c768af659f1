"""Egress as people write it: a host alone, or host, port, scheme, methods and paths."""

from __future__ import annotations

from typing import Any, Final

from interlock.types.egress import EgressRule

_LISTS: Final = ("methods", "paths")


def egress_rule(value: Any) -> Any:
    """`api.example.org` as the mapping that it stands for; lists of a mapping as the tuples that they are."""
    if isinstance(value, str):
        return {"host": value}
    if not isinstance(value, dict):
        return value
    return {key: _items(own) if key in _LISTS else own for key, own in value.items()}


def egress_rules(value: Any) -> Any:
    """A list of them, or one."""
    rules = value if isinstance(value, (list, tuple)) else [value]
    return tuple(EgressRule.model_validate(egress_rule(rule), strict=True) for rule in rules)


def _items(value: Any) -> Any:
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value
