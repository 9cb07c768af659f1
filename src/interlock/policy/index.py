"""Which rules could match a request: found by tool and agent, then by tenant and requester, whatever their number.

The index only ever says too many. What it gives is decided by Casbin over the rules' own clauses; what it leaves
out cannot match. A rule whose lists multiply beyond `MOST_PLACES` is filed as if it named everybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import product
from typing import Final, NamedTuple

from interlock.policy.entries import Rule
from interlock.policy.view import RequestView

MOST_PLACES: Final = 1024
"""A rule is filed in at most so many places."""

SPLIT: Final = 8
"""Rules of one tool and agent beyond which they are filed by tenant and requester, too."""

KEPT: Final = 16
"""How many rules that could grant are kept for each tool and for each agent: where a request that nothing allows
looks for the nearest."""

Names = tuple[str, ...]
ANY: Final = ("*",)
EVERY_TOOL: Final = ("**",)


class Head(NamedTuple):
    """What the index reads of a rule; `*` stands for everybody."""

    id: str
    grants: bool
    """Whether it allows or asks by itself."""
    tools: Names
    agents: Names
    tenants: Names
    requesters: Names

    def is_for(self, view: RequestView) -> bool:
        """Whether its tenant and requester could be those of the request."""
        if "*" not in self.tenants and view.tenant not in self.tenants:
            return False
        names = view.requester_names
        return any(one in names or one in ("*", "user:*") for one in self.requesters)


def head_of(rule: Rule) -> Head:
    """The head of a rule."""
    grants = rule.effect != "deny" and not rule.guardrail
    return Head(rule.id, grants, rule.tool or EVERY_TOOL, rule.agent or ANY, rule.tenant, rule.requester or ANY)


class RuleIndex:
    """The heads of a bundle's rules, strongest first, filed. Positions are theirs in that order."""

    def __init__(self, heads: Sequence[Head]) -> None:
        self._heads = heads
        self._by_tool_and_agent: dict[tuple[str, str], list[int]] = {}
        self._split: dict[tuple[str, str], dict[tuple[str, str], list[int]]] = {}
        self._granting_by_tool: dict[str, list[int]] = {}
        self._granting_by_agent: dict[str, list[int]] = {}
        self.granting: list[int] = []
        """The first of all that could grant."""
        for position, head in enumerate(heads):
            self._file(position, head)
        for place, positions in self._by_tool_and_agent.items():
            if len(positions) > SPLIT:
                self._split[place] = self._by_tenant_and_requester(positions)

    def _file(self, position: int, head: Head) -> None:
        agents = head.agents if "agent:*" not in head.agents else ANY
        places: Iterable[tuple[str, str]] = ((_tool_key(head.tools[0]), agents[0]),)
        if len(head.tools) > 1 or len(agents) > 1:
            places = _places(tuple(map(_tool_key, head.tools)), agents, everything="")
        for place in places:
            filed = self._by_tool_and_agent.get(place)
            if filed is None:
                self._by_tool_and_agent[place] = [position]
            else:
                filed.append(position)
            if head.grants:
                _keep(self._granting_by_tool, place[0], position)
                _keep(self._granting_by_agent, place[1], position)
        if head.grants and len(self.granting) < KEPT:
            self.granting.append(position)

    def _by_tenant_and_requester(self, positions: Iterable[int]) -> dict[tuple[str, str], list[int]]:
        filed: dict[tuple[str, str], list[int]] = {}
        for position in positions:
            head = self._heads[position]
            tenants = head.tenants if "*" not in head.tenants else ANY
            requesters = head.requesters if "user:*" not in head.requesters else ANY
            for place in _places(tenants, requesters, everything="*"):
                filed.setdefault(place, []).append(position)
        return filed

    def candidates(self, view: RequestView) -> tuple[int, ...]:
        """Positions of all rules that could match, and of some that do not."""
        found: set[int] = set()
        tenants, requesters = (view.tenant, "*"), ("*", *view.requester_names)
        for place in self._tools_and_agents(view):
            if (split := self._split.get(place)) is not None:
                for inner in product(tenants, requesters):
                    found.update(split.get(inner, ()))
            elif (positions := self._by_tool_and_agent.get(place)) is not None:
                found.update(position for position in positions if self._heads[position].is_for(view))
        return tuple(sorted(found))

    def _tools_and_agents(self, view: RequestView) -> Iterator[tuple[str, str]]:
        return product(_tool_keys(view.tool), ("*", *sorted(view.agent_names)))

    def near(self, view: RequestView) -> Iterator[Sequence[int]]:
        """Positions of rules that could grant something like the request, the nearest kind first, few of each."""
        for place in self._tools_and_agents(view):
            positions = self._by_tool_and_agent.get(place, ())[: 4 * KEPT]
            yield [position for position in positions if self._heads[position].grants][:KEPT]
        for tool in _tool_keys(view.tool):
            yield self._granting_by_tool.get(tool, ())
        for agent in ("*", *sorted(view.agent_names)):
            yield self._granting_by_agent.get(agent, ())
        yield self.granting


def _keep(kept: dict[str, list[int]], name: str, position: int) -> None:
    positions = kept.get(name)
    if positions is None:
        kept[name] = [position]
    elif len(positions) < KEPT and positions[-1] != position:
        positions.append(position)


def _places(first: Names, second: Names, *, everything: str) -> Iterable[tuple[str, str]]:
    while len(first) * len(second) > MOST_PLACES:
        # The longer list tells less apart.
        first, second = ((everything,), second) if len(first) > len(second) else (first, ANY)
    return product(dict.fromkeys(first), dict.fromkeys(second))


@lru_cache(maxsize=65536)
def _tool_key(pattern: str) -> str:
    """A tool as it is named, or what stands before a pattern's first wildcard: `files.`, or nothing."""
    return pattern[: pattern.index("*")] if "*" in pattern else pattern


def _tool_keys(tool: str) -> Names:
    """Every key under which a rule about this tool may be filed."""
    ends = (index + 1 for index, char in enumerate(tool) if char == ".")
    return (tool, "", *(tool[:end] for end in ends))
