"""What differs between two forms of an entry, in words: `tool: read_file → read_file, search_code`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from interlock.policy.people import People

_SAYS_NOTHING: Final = frozenset({"owner", "note", "ticket"})
"""Fields on which no decision depends."""


def belongings(people: People, name: str) -> dict[str, list[str]]:
    """What a person or an agent has."""
    return {
        "groups and roles": sorted(people.names_of(name) - {name}),
        "tenants": sorted(people.tenants.get(name, ())),
    }


def is_looser(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether a limit grew, or something changed that is no number."""
    changed = [(old.get(key), own) for key, own in new.items() if old.get(key) != own]
    numbers = (int, float)
    return any(not (isinstance(was, numbers) and isinstance(now, numbers) and now < was) for was, now in changed)


def values(entry: Any) -> dict[str, Any]:
    """The fields of an entry that count in a decision; none of no entry."""
    value = entry.model_dump(mode="json", by_alias=True) if entry is not None else {}
    return {key: own for key, own in value.items() if key not in _SAYS_NOTHING}


def told(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Each field that differs."""
    keys = dict.fromkeys((*old, *new))
    return [f"{k}: {_shown(old.get(k))} → {_shown(new.get(k))}" for k in keys if old.get(k) != new.get(k)]


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_shown, value)) or "none"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_shown(own)}" for key, own in value.items()) + "}"
    return "none" if value in (None, "") else str(value)
