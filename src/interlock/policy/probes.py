"""Requests that probe a rule: some that satisfy all of it, and neighbours that break exactly one part."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from itertools import islice
from typing import Final

from interlock.policy.bundle import Bundle
from interlock.policy.cases import CaseRequest
from interlock.policy.compiled import CompiledRule
from interlock.policy.fitting import Fitting, names_tool, resources_around
from interlock.policy.universe import Universe, distinct
from interlock.policy.variants import variants

CLAUSES: Final = ("tool", "agent", "requester", "tenant", "action", "resource", "expires", "when")
"""The parts of a rule that a neighbour may break."""

_MOST_STARTS: Final = 12
_MOST_BASES: Final = 6
_MOST_USUAL: Final = 4
"""So many other tools are tried with arguments of their own."""
_MOST_NAMES: Final = 32
"""So many other tools, agents, people, tenants, actions and resources are tried."""


@dataclass(frozen=True)
class Probes:
    """Makes the requests that probe a bundle's rules."""

    bundle: Bundle
    universe: Universe
    _bases: dict[CompiledRule, list[CaseRequest]] = field(default_factory=dict, repr=False)

    def of(self, rule: CompiledRule, clauses: Collection[str] = CLAUSES) -> Iterator[CaseRequest]:
        """Known calls, requests that satisfy the rule, then neighbours that break one of `clauses`; each once."""
        said: set[str] = set()
        for request in self._of(rule, clauses):
            key = request.model_dump_json()
            if key not in said:
                said.add(key)
                yield request

    def satisfying(self, rule: CompiledRule) -> list[CaseRequest]:
        """Requests that the rule covers and no stronger one, as far as such are found; the most usual first."""
        if rule not in self._bases:
            self._bases[rule] = self._satisfying(rule)
        return self._bases[rule]

    def _satisfying(self, rule: CompiledRule) -> list[CaseRequest]:
        fitting = Fitting(self.bundle, self.universe)
        fitted = [fitting.fitted(start, rule) for start in islice(self._starts(rule), _MOST_STARTS)]
        found = [*(fitting.unmasked(request, rule) for request in fitted), *fitted]
        return distinct(found, key=lambda request: request.model_dump_json())[:_MOST_BASES]

    def _of(self, rule: CompiledRule, clauses: Collection[str]) -> Iterator[CaseRequest]:
        yield from (seed for seed in self.universe.seeds if names_tool(rule, seed.tool))
        bases = self.satisfying(rule)
        yield from bases
        for base in bases:
            for clause in (name for name in CLAUSES if name in clauses):
                yield from _NEIGHBOURS[clause](self, base, rule)

    def _starts(self, rule: CompiledRule) -> Iterator[CaseRequest]:
        named = [seed for seed in self.universe.seeds if names_tool(rule, seed.tool)]
        yield from distinct(named, key=lambda seed: (seed.tool, seed.agent))[: _MOST_STARTS // 2]
        fitting = Fitting(self.bundle, self.universe)
        plain = self._plain(fitting.tools(rule)[0])
        usual = self.universe.like(plain.tool)
        yield from (usual, plain) if usual is not None else (plain,)
        for other in self.bundle.rules:
            shared = not rule.tool_names or not rule.tool_names.isdisjoint(other.tool_names)
            if shared and other is not rule and not other.denies:
                yield fitting.fitted(plain, other)

    def _plain(self, tool: str) -> CaseRequest:
        own = self.universe
        return CaseRequest(
            tenant=own.tenants[0], agent=own.agents[0], requester=own.users[0], tool=tool, action=own.actions[0]
        )

    def _tools(self, base: CaseRequest, rule: CompiledRule) -> Iterator[CaseRequest]:
        fitting, parent = Fitting(self.bundle, self.universe), base.tool.rpartition(".")[0]
        beside = (f"{base.tool}.example", f"{base.tool}_other", f"{parent}.other" if parent else "other")
        family = base.tool.partition(".")[0]
        unnamed = (tool for tool in self.universe.tools if not names_tool(rule, tool))
        others = sorted(unnamed, key=lambda tool: tool.partition(".")[0] != family)
        for tool in (*others[:_MOST_USUAL], *beside[:1]):
            yield fitting.fitted(fitting.of_tool(base, tool), _any_tool(rule))
        for tool in (*others[:_MOST_NAMES], *beside):
            yield base.model_copy(update={"tool": tool})

    def _agents(self, base: CaseRequest, rule: CompiledRule) -> Iterator[CaseRequest]:
        for agent in Fitting(self.bundle, self.universe).agents(rule, covered=False)[:_MOST_NAMES]:
            yield base.model_copy(update={"agent": agent})

    def _requesters(self, base: CaseRequest, rule: CompiledRule) -> Iterator[CaseRequest]:
        for user in self.universe.users[:_MOST_NAMES]:
            yield base.model_copy(update={"requester": user})

    def _tenants(self, base: CaseRequest, rule: CompiledRule) -> Iterator[CaseRequest]:
        for tenant in self.universe.tenants[:_MOST_NAMES]:
            yield base.model_copy(update={"tenant": tenant})
            known = [user for user in self.universe.users if self.bundle.people.is_known(user, tenant)]
            for user in known[:_MOST_NAMES]:
                yield base.model_copy(update={"tenant": tenant, "requester": user})

    def _actions(self, base: CaseRequest, rule: CompiledRule) -> Iterator[CaseRequest]:
        for action in self.universe.actions[:_MOST_NAMES]:
            yield base.model_copy(update={"action": action})

    def _resources(self, base: CaseRequest, rule: CompiledRule) -> Iterator[CaseRequest]:
        known = (seed.resource for seed in self.universe.seeds)
        for resource in distinct((*resources_around(rule), *known, "workspace:elsewhere"))[:_MOST_NAMES]:
            yield base.model_copy(update={"resource": resource})

    def _days(self, base: CaseRequest, rule: CompiledRule) -> Iterator[CaseRequest]:
        if rule.rule.expires:
            midnight = datetime.combine(rule.rule.expires, time(), UTC)
            for moment in (midnight + timedelta(hours=12), midnight, midnight - timedelta(seconds=1)):
                yield base.model_copy(update={"time": moment})

    def _conditions(self, base: CaseRequest, rule: CompiledRule) -> Iterator[CaseRequest]:
        for condition in rule.conditions:
            yield from variants(base, condition.condition, self.universe, self.bundle.prices)


_NEIGHBOURS: Final[dict[str, Callable[[Probes, CaseRequest, CompiledRule], Iterator[CaseRequest]]]] = {
    "tool": Probes._tools,
    "agent": Probes._agents,
    "requester": Probes._requesters,
    "tenant": Probes._tenants,
    "action": Probes._actions,
    "resource": Probes._resources,
    "expires": Probes._days,
    "when": Probes._conditions,
}


def _any_tool(rule: CompiledRule) -> CompiledRule:
    """The rule without its tools, so that only the rest of it is fitted."""
    return CompiledRule(rule.rule.model_copy(update={"tool": ("**",)}), rule.source, rule.conditions)
