"""What there is to make a request from: names in a policy, known calls, tools' schemas. In a fixed order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from interlock.definitions import ToolSchema
from interlock.policy.bundle import Bundle
from interlock.policy.cases import CaseRequest
from interlock.policy.compiled import CompiledRule
from interlock.policy.tool_sample import filled_resource, sample_arguments
from interlock.policy.values import values_around
from interlock.types.access import AccessRequest

_MOST_VALUES: Final = 64
STRANGERS: Final = ("agent:stranger", "user:stranger", "elsewhere", "other")
"""An agent, a person, a tenant and an action that no policy names."""

Seed = CaseRequest | AccessRequest


@dataclass(frozen=True, slots=True)
class Universe:
    """Names and calls, each once, the likelier first."""

    seeds: tuple[CaseRequest, ...]
    tools: tuple[str, ...]
    agents: tuple[str, ...]
    users: tuple[str, ...]
    tenants: tuple[str, ...]
    actions: tuple[str, ...]
    schemas: Mapping[str, ToolSchema]
    known: Mapping[str, tuple[Any, ...]] = field(repr=False)
    """Argument → values that known calls have for it."""
    named: Mapping[str, tuple[Any, ...]] = field(repr=False)
    """Argument → values around the conditions of rules on it."""

    @classmethod
    def of(
        cls, bundles: Sequence[Bundle], seeds: Iterable[Seed] = (), tools: Mapping[str, ToolSchema] | None = None
    ) -> Universe:
        """Everything that these policies, calls and tools name."""
        known = tuple(seed if isinstance(seed, CaseRequest) else as_case_request(seed) for seed in seeds)
        rules = [rule for bundle in bundles for rule in bundle.rules]
        people = [bundle.people for bundle in bundles]
        schemas = dict(sorted((tools or {}).items()))
        members = [one for each in people for listed in each.members.values() for one in listed]
        return cls(
            seeds=known,
            tools=_each((s.tool for s in known), schemas, (t for r in rules for t in _tools_in(r))),
            agents=_each(
                (s.agent for s in known),
                (a for r in rules for a in sorted(r.agents) if a.startswith("agent:") and a != "agent:*"),
                (one for one in members if one.startswith("agent:")),
                STRANGERS[:1],
            ),
            users=_each((s.requester for s in known), (u for each in people for u in each.tenants), STRANGERS[1:2]),
            tenants=_each(
                (s.tenant for s in known),
                (t for r in rules for t in sorted(r.tenants) if t != "*"),
                (t for each in people for own in each.tenants.values() for t in sorted(own)),
                STRANGERS[2:3],
            ),
            actions=_each(
                (s.action for s in known),
                (tool.action for tool in schemas.values()),
                (a for r in rules for a in sorted(r.actions) if a != "*"),
                STRANGERS[3:],
            ),
            schemas=schemas,
            known=_known(known),
            named=_named(rules),
        )

    def like(self, tool: str, action: str = "") -> CaseRequest | None:
        """A usual call of a tool: a known one, or one made from its schema; None where neither is there."""
        for seed in self.seeds:
            if seed.tool == tool:
                return seed
        schema = self.schemas.get(tool)
        if schema is None:
            return None
        arguments = sample_arguments(schema)
        return CaseRequest(
            tenant=self.tenants[0],
            agent=self.agents[0],
            requester=self.users[0],
            tool=tool,
            action=schema.action,
            resource=filled_resource(schema.resource, arguments),
            arguments=arguments,
            flow=schema.flow,
            emits=schema.emits,
            declassifies=schema.declassifies,
            destination=schema.destination,
        )


def as_case_request(request: AccessRequest) -> CaseRequest:
    """A recorded request in the form of a case; what it knew of its run is left out."""
    own = request.model_dump(exclude={"facts", "events", "labels"})
    return CaseRequest.model_validate({**own, "labels": request.labels or {}})


def distinct(items: Iterable[Any], key: Callable[[Any], Any] = repr) -> list[Any]:
    """Each item once, in order; `True` and `1` are two."""
    found: dict[Any, Any] = {}
    for item in items:
        found.setdefault(key(item), item)
    return list(found.values())


def _each(*names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for some in names for name in some))


def _tools_in(rule: CompiledRule) -> list[str]:
    return [concrete(pattern) for pattern in rule.rule.tool or () if pattern != "**"]


def concrete(pattern: str) -> str:
    """A tool that a pattern covers: `db.*.read` → `db.example.read`."""
    return pattern.replace("**", "example").replace("*", "example")


def _known(seeds: Iterable[CaseRequest]) -> dict[str, tuple[Any, ...]]:
    found: dict[str, list[Any]] = {}
    for seed in seeds:
        for name, value in seed.arguments.items():
            found.setdefault(name, []).append(value)
    return {name: tuple(distinct(values)[:_MOST_VALUES]) for name, values in found.items()}


def _named(rules: Iterable[CompiledRule]) -> dict[str, tuple[Any, ...]]:
    found: dict[str, list[Any]] = {}
    for condition in (c for rule in rules for c in rule.rule.when if c.argument):
        values = found.setdefault(str(condition.argument), [])
        if len(values) < _MOST_VALUES:
            values += values_around(condition)
    return {name: tuple(distinct(values)[:_MOST_VALUES]) for name, values in found.items()}
