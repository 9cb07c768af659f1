"""A rule made ready to match: its row for Casbin, and the clauses that the row's texts stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from interlock.policy.conditions import Condition
from interlock.policy.entries import Rule
from interlock.policy.normal import ConditionError
from interlock.policy.operators import TESTS, Test, time_between
from interlock.policy.patterns import resource_matches, segments_match
from interlock.policy.view import RequestView

ANYONE = "*"
"""Stands in a deny rule's row where it names nobody: known or not, all are meant."""


@dataclass(frozen=True, slots=True)
class CompiledCondition:
    """A condition with its test."""

    condition: Condition
    test: Test
    text: str
    """`arguments.path under source`."""

    def holds(self, view: RequestView) -> bool:
        """Whether it holds; raises ConditionError where that cannot be told."""
        return self.test(view.value(self.condition))


@dataclass(frozen=True, slots=True)
class ConditionsOutcome:
    """What a rule's conditions came to."""

    hold: bool
    passed: int
    """How many held before the first that did not."""
    errors: tuple[str, ...]
    """Those that could not be evaluated."""
    failed: str = ""
    """The first that did not hold, in words."""


_COVERED: Final = ConditionsOutcome(True, 0, ())


@dataclass(frozen=True, eq=False)
class CompiledRule:
    """A rule and its clauses."""

    rule: Rule
    source: str
    conditions: tuple[CompiledCondition, ...]

    @property
    def id(self) -> str:
        """The rule's id."""
        return self.rule.id

    @cached_property
    def denies(self) -> bool:
        """Whether it is a deny rule."""
        return self.rule.effect == "deny"

    @cached_property
    def strict(self) -> bool:
        """Whether what cannot be evaluated counts as a match: in rules that ask or deny."""
        return self.rule.effect != "allow"

    @cached_property
    def agents(self) -> frozenset[str]:
        """Names one of which the agent must have; with `*` or `agent:*`, any."""
        return frozenset(self.rule.agent or (ANYONE,))

    @cached_property
    def requesters(self) -> frozenset[str]:
        """Names one of which the requester must have; `user:*` is any known user, `*` anyone at all."""
        return frozenset(self.rule.requester or (("user:*",) if self.rule.effect != "deny" else (ANYONE,)))

    @cached_property
    def tool_names(self) -> frozenset[str]:
        """Tools that are named without a wildcard."""
        return frozenset(pattern for pattern in self.rule.tool or () if "*" not in pattern)

    @cached_property
    def tool_patterns(self) -> tuple[tuple[str, ...], ...]:
        """The patterns with a wildcard, as segments."""
        return tuple(tuple(pattern.split(".")) for pattern in self.rule.tool or ("**",) if "*" in pattern)

    @cached_property
    def actions(self) -> frozenset[str]:
        """Actions that are named; `*` is every one."""
        return frozenset(self.rule.action)

    @cached_property
    def tenants(self) -> frozenset[str]:
        """Tenants that are named; `*` is every one."""
        return frozenset(self.rule.tenant)

    def covers_tool(self, view: RequestView) -> bool:
        """Whether the tool is named or a pattern covers it."""
        if view.tool in self.tool_names:
            return True
        return any(segments_match(pattern, view.tool_segments) for pattern in self.tool_patterns)

    def covers_action(self, view: RequestView) -> bool:
        """Whether the action is named, or all are."""
        return view.action in self.actions or "*" in self.actions

    def covers_agent(self, view: RequestView) -> bool:
        """Whether the agent, or a group or role that it has, is named."""
        if not self.agents.isdisjoint(view.agent_names):
            return True
        return ANYONE in self.agents or "agent:*" in self.agents

    def covers_requester(self, view: RequestView) -> bool:
        """Whether the person is named; to allow or ask, it must also be a known user of the tenant."""
        if not view.known and not self.denies:
            return False
        if not self.requesters.isdisjoint(view.requester_names):
            return True
        return ANYONE in self.requesters or ("user:*" in self.requesters and view.known)

    def covers_tenant(self, view: RequestView) -> bool:
        """Whether the tenant is named, or all are."""
        return view.tenant in self.tenants or "*" in self.tenants

    def covers_expiry(self, view: RequestView) -> bool:
        """Whether the rule still counts at the request's time; its day begins at midnight UTC."""
        return self.rule.expires is None or (view.time is not None and view.time.date() < self.rule.expires)

    def covers_resource(self, view: RequestView) -> bool:
        """Whether a resource pattern covers the resource; unclear counts as the rule's effect demands."""
        return self.resource_outcome(view).hold

    def resource_outcome(self, view: RequestView) -> ConditionsOutcome:
        """The same, with the error where the resource has no strict form."""
        if self.rule.resource == ("*",):
            return _COVERED
        error = ""
        for pattern in self.rule.resource:
            try:
                if resource_matches(pattern, view.request.resource):
                    return ConditionsOutcome(True, 0, ())
            except ConditionError as problem:
                error = f"{self.id}: resource: {problem}"
        return ConditionsOutcome(bool(error) and self.strict, 0, (error,) if error else ())

    def outcome(self, view: RequestView) -> ConditionsOutcome:
        """What the conditions come to, found once a request."""
        found: ConditionsOutcome | None = view.memo.get(self.id)
        if found is None:
            found = view.memo[self.id] = self._outcome(view)
        return found

    def _outcome(self, view: RequestView) -> ConditionsOutcome:
        errors: list[str] = []
        unclear: tuple[int, str] | None = None
        for index, condition in enumerate(self.conditions):
            try:
                if not condition.holds(view):
                    return ConditionsOutcome(False, index, tuple(errors), condition.text)
            except ConditionError as error:
                said = f"{condition.condition.address} cannot be tested: {error}"
                errors.append(f"{self.id}: {said}")
                unclear = unclear or (index, said)
        if unclear and not self.strict:
            return ConditionsOutcome(False, unclear[0], tuple(errors), unclear[1])
        return ConditionsOutcome(True, len(self.conditions), tuple(errors))


def compile_rule(rule: Rule, source: str, zones: Mapping[str, str]) -> CompiledRule:
    """Make a rule ready to match."""
    return CompiledRule(rule, source, compile_conditions(rule.when, zones))


def compile_conditions(
    conditions: tuple[Condition, ...], zones: Mapping[str, str]
) -> tuple[CompiledCondition, ...]:
    """Make conditions ready to be tested."""
    return tuple(_condition(condition, zones) for condition in conditions)


def _condition(condition: Condition, zones: Mapping[str, str]) -> CompiledCondition:
    operator, operand = condition.operator, condition.operand
    if operator == "time_between":
        shown = f"{operand.from_}-{operand.to} {operand.zone} on {','.join(operand.days)}"
        return CompiledCondition(condition, time_between(operand, zones), f"time must be between {shown}")
    listed = operand if isinstance(operand, tuple) else (operand,)
    text = f"{condition.address} must {_WORDS[operator]} {', '.join(_shown(item) for item in listed[:5])}"
    return CompiledCondition(condition, TESTS[operator](operand), text + (", …" if len(listed) > 5 else ""))


_WORDS: Final = {
    "eq": "be",
    "ne": "not be",
    "lt": "be below",
    "le": "be at most",
    "gt": "be above",
    "ge": "be at least",
    "in": "be one of",
    "not_in": "be none of",
    "under": "be under",
    "not_under": "not be under",
    "host_in": "be a host of",
    "matches": "match",
    "contains": "contain",
    "length_le": "be no longer than",
    "label": "come from data labelled",
    "no_label": "not come from data labelled",
}


def _shown(operand: object) -> str:
    words = {None: "null", True: "true", False: "false"}
    if operand is None or isinstance(operand, bool):
        return words[operand]
    return repr(operand) if isinstance(operand, str) else str(operand)
