"""Differences between two policies' decisions, sorted into groups that a person can read."""

from __future__ import annotations

from dataclasses import dataclass, field

from interlock.run.differences import KINDS, Difference, Kind, Side
from interlock.run.rehearsal import Recorded
from interlock.types.closed import Closed


class Place(Closed):
    """Where a decision is on record: what `interlock policy explain RUN CALL` takes."""

    run: str
    call: str
    tool: str
    agent: str
    requester: str


class Group(Closed):
    """Decisions that differ in the same way."""

    kind: Kind
    widened: bool
    before: Side
    after: Side
    details: tuple[str, ...]
    count: int
    tools: tuple[str, ...]
    example: Place
    """The first of them."""


@dataclass
class _Same:
    """Decisions that differ in the same way, so far."""

    found: Difference
    example: Place
    count: int = 0
    tools: set[str] = field(default_factory=set)

    def told(self) -> Group:
        found = self.found
        return Group(
            kind=found.kind,
            widened=found.widened,
            before=found.before,
            after=found.after,
            details=found.details,
            count=self.count,
            tools=tuple(sorted(self.tools)),
            example=self.example,
        )


@dataclass
class Grouping:
    """Differences, sorted into groups as they come."""

    _groups: dict[tuple[object, ...], _Same] = field(default_factory=dict)

    def take(self, found: Difference, place: Place) -> None:
        """One more."""
        key = (found.kind, found.before.verdict, found.before.rule, found.after.verdict, found.after.rule)
        same = self._groups.setdefault((*key, found.details), _Same(found, place))
        same.count += 1
        same.tools.add(place.tool)

    def groups(self) -> tuple[Group, ...]:
        """Newly allowed first, then newly asking, newly denied, other terms; the largest group first."""
        return tuple(sorted((same.told() for same in self._groups.values()), key=_order))


def place_of(record: Recorded) -> Place:
    """Where a record is."""
    event, request = record.event, record.request
    return Place(
        run=event.run,
        call=event.call_id.rpartition(":")[2],
        tool=request.tool,
        agent=request.agent,
        requester=request.requester,
    )


def _order(group: Group) -> tuple[int, bool, int, str, str]:
    return KINDS.index(group.kind), not group.widened, -group.count, group.before.rule, group.after.rule
