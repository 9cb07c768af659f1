"""The rules of a bundle that count in a tenant on a day, found by agent and by tool and not one after the other."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Final

from interlock.policy.bundle import Bundle
from interlock.policy.compiled import ANYONE, CompiledRule
from interlock.policy.patterns import segments_match

ANY: Final = "*"
ANY_AGENT: Final = "agent:*"


@dataclass(frozen=True)
class Survey:
    """What is asked about: a bundle, a tenant, a day, and the names of a project beyond those in the policy."""

    bundle: Bundle
    tenant: str
    on: date
    """Rules that expired by then count no more."""
    project_agents: Collection[str] = ()
    """`agent:` names."""
    project_tools: Mapping[str, str] = field(default_factory=dict)
    """Tool → its action."""

    @cached_property
    def rules(self) -> tuple[CompiledRule, ...]:
        """Those that count, strongest first."""
        return tuple(
            rule
            for rule in self.bundle.rules
            if not rule.tenants.isdisjoint({self.tenant, ANY})
            and (rule.rule.expires is None or self.on < rule.rule.expires)
        )

    @cached_property
    def users(self) -> frozenset[str]:
        """Everybody who is known in the tenant."""
        people = self.bundle.people
        return frozenset(user for user in people.tenants if people.is_known(user, self.tenant))

    @cached_property
    def agents(self) -> tuple[str, ...]:
        """Every agent that policy or project names; `agent:*` where there is none."""
        named = {name for rule in self.rules for name in rule.agents if name.startswith("agent:")}
        members = {one for some in self.bundle.people.members.values() for one in some if one.startswith("agent:")}
        return tuple(sorted((named | members | set(self.project_agents)) - {ANY_AGENT})) or (ANY_AGENT,)

    def of_agent(self, agent: str) -> list[CompiledRule]:
        """The rules that cover an agent, strongest first."""
        names = {ANYONE, ANY_AGENT, *self.bundle.people.names_of(agent)}
        return self._ranked({number for name in names for number in self._by_agent.get(name, ())})

    def of_tool(self, tool: str) -> list[CompiledRule]:
        """The rules that cover a tool, strongest first."""
        return self._ranked({*self._by_tool.get(tool, ()), *self._matching(tool)})

    def tools_of(self, rules: Iterable[CompiledRule]) -> tuple[str, ...]:
        """Every tool that rules grant; a pattern that covers no tool anybody named stands for itself."""
        granting = [rule for rule in rules if not rule.denies and not rule.rule.guardrail]
        found = {name for rule in granting for name in rule.tool_names}
        for pattern in {pattern for rule in granting for pattern in rule.tool_patterns}:
            covered = {name for name in self._tools if segments_match(pattern, tuple(name.split(".")))}
            found |= covered or {".".join(pattern)}
        return tuple(sorted(found))

    @cached_property
    def _tools(self) -> frozenset[str]:
        return frozenset(self._by_tool) | frozenset(self.project_tools)

    @cached_property
    def _by_agent(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for number, rule in enumerate(self.rules):
            for name in rule.agents:
                found.setdefault(name, []).append(number)
        return found

    @cached_property
    def _by_tool(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for number, rule in enumerate(self.rules):
            for name in rule.tool_names:
                found.setdefault(name, []).append(number)
        return found

    @cached_property
    def _by_pattern(self) -> dict[tuple[str, ...], list[int]]:
        found: dict[tuple[str, ...], list[int]] = {}
        for number, rule in enumerate(self.rules):
            for pattern in rule.tool_patterns:
                found.setdefault(pattern, []).append(number)
        return found

    def _matching(self, tool: str) -> set[int]:
        segments = tuple(tool.split("."))
        return {n for pattern, some in self._by_pattern.items() if segments_match(pattern, segments) for n in some}

    def _ranked(self, numbers: set[int]) -> list[CompiledRule]:
        return [self.rules[number] for number in sorted(numbers)]
