"""The rules of a bundle, strongest first, each compiled when it is first needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple

from interlock.policy.compiled import CompiledRule
from interlock.policy.conditions import Condition
from interlock.policy.entries import Rule
from interlock.policy.index import Head, head_of
from interlock.policy.routes import RouteEntry

_RANK: Final = {"deny": 0, "ask": 1, "allow": 2}

Strength = tuple[int, int, int, str]
"""Sorts deny before ask before allow; of asks, the larger quorum and then the shorter deadline first."""


class Entry(NamedTuple):
    """A rule that is known to be valid, before it is compiled."""

    strength: Strength
    head: Head
    conditions: tuple[Condition, ...]
    origin: Any
    """What it is compiled from."""


def strength_of(effect: str, route: RouteEntry | None, rule_id: str) -> Strength:
    """How strong a rule of this effect and route is; the first of those that match decides."""
    quorum, deadline = (route.least, route.longest_s) if route else (0, 0)
    return _RANK[effect], -quorum, deadline, rule_id


def entry_of(rule: Rule, routes: Mapping[str, RouteEntry]) -> Entry:
    """The entry of a rule."""
    strength = strength_of(rule.effect, routes.get(rule.route or ""), rule.id)
    return Entry(strength, head_of(rule), rule.when, rule)


class Rulebook:
    """A bundle's rules by position, strongest first. Safe to use from threads."""

    def __init__(self, entries: Sequence[Entry], compile_one: Callable[[Any], CompiledRule]) -> None:
        """Rank them.

        Args:
            entries: the rules, in any order, each with its own id.
            compile_one: compiles a rule from its entry's origin.
        """
        self._entries = sorted(entries, key=lambda entry: entry.strength)
        self._compile = compile_one
        self._compiled: dict[int, CompiledRule] = {}
        self.heads = tuple(entry.head for entry in self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, position: int) -> CompiledRule:
        found = self._compiled.get(position)
        if found is None:
            # Two threads may compile the same rule; both get the one that came first.
            found = self._compiled.setdefault(position, self._compile(self._entries[position].origin))
        return found

    def __iter__(self) -> Iterator[CompiledRule]:
        return (self[position] for position in range(len(self)))

    @cached_property
    def positions(self) -> Mapping[str, int]:
        """Each rule's position by its id."""
        return {head.id: position for position, head in enumerate(self.heads)}

    def about(self, test: Callable[[Condition], bool]) -> tuple[CompiledRule, ...]:
        """The rules that have a condition which passes the test; no other is compiled."""
        # Rules of a stored bundle share equal lists of conditions.
        passed: dict[int, bool] = {}
        found: list[int] = []
        for position, entry in enumerate(self._entries):
            own = entry.conditions
            if id(own) not in passed:
                passed[id(own)] = any(map(test, own))
            if passed[id(own)]:
                found.append(position)
        return tuple(self[position] for position in found)
