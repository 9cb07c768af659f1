"""Changing a request so that a rule covers it, and then so that no stronger rule is in its way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from interlock.errors import InvalidInput
from interlock.policy.bundle import Bundle
from interlock.policy.cases import CaseRequest
from interlock.policy.compiled import CompiledCondition, CompiledRule
from interlock.policy.normal import ConditionError
from interlock.policy.patterns import segments_match
from interlock.policy.universe import Universe, concrete, distinct
from interlock.policy.variants import variants
from interlock.policy.view import RequestView


def view_of(bundle: Bundle, request: CaseRequest) -> RequestView | None:
    """The request as this policy sees it; None where it has no canonical form."""
    try:
        return RequestView(request.as_request(bundle), bundle.people)
    except (InvalidInput, ValueError):
        return None


def covers(rule: CompiledRule, view: RequestView) -> bool:
    """Whether every clause and condition of a rule holds; what a guardrail needs besides is left out."""
    view.memo.clear()
    return (
        rule.covers_tool(view)
        and rule.covers_action(view)
        and rule.covers_agent(view)
        and rule.covers_requester(view)
        and rule.covers_tenant(view)
        and rule.covers_expiry(view)
        and rule.covers_resource(view)
        and rule.outcome(view).hold
    )


def names_tool(rule: CompiledRule, tool: str) -> bool:
    """Whether a rule is about a tool."""
    if tool in rule.tool_names or not rule.tool_patterns:
        return tool in rule.tool_names
    segments = tuple(tool.split("."))
    return any(segments_match(pattern, segments) for pattern in rule.tool_patterns)


def resources_around(rule: CompiledRule) -> list[str]:
    """For each resource pattern: one that it covers; with a segment more; one less; beside it; of another kind."""
    found = []
    for pattern in rule.rule.resource:
        if pattern != "*":
            own = concrete(pattern)
            found += [own, f"{own}/example", own.rpartition("/")[0] or own, f"{own}-other", f"x{own}"]
    return found


@dataclass(frozen=True)
class Fitting:
    """Makes requests fit the rules of a bundle."""

    bundle: Bundle
    universe: Universe

    def fitted(self, request: CaseRequest, rule: CompiledRule) -> CaseRequest:
        """The request, changed where the rule does not cover it, as far as that succeeds."""
        request = self.of_tool(request, self.tools(rule)[0]) if not names_tool(rule, request.tool) else request
        if "*" not in rule.actions and request.action not in rule.actions:
            request = request.model_copy(update={"action": rule.rule.action[0]})
        request = self._for_people(request, rule)
        for condition in rule.conditions:
            request = self._under_condition(request, rule, condition)
        view = view_of(self.bundle, request)
        if view is not None and not rule.covers_resource(view):
            request = request.model_copy(update={"resource": next(iter(resources_around(rule)))})
        if view is not None and not rule.covers_expiry(view) and rule.rule.expires:
            last = datetime.combine(rule.rule.expires, time(12), UTC) - timedelta(days=1)
            request = request.model_copy(update={"time": last})
        return request

    def unmasked(self, request: CaseRequest, rule: CompiledRule) -> CaseRequest:
        """The request, changed so that no stronger rule covers it, as far as the rule still does."""
        view = view_of(self.bundle, request)
        for other in self.bundle.rules:
            if other.rule.effect == "allow" or view is None:
                break
            own = (
                other.id == rule.id or other.rule.effect == rule.rule.effect or not names_tool(other, request.tool)
            )
            if not own and covers(other, view):
                request = next(self._beside(request, rule, other), request)
                view = view_of(self.bundle, request)
        return request

    def _beside(self, request: CaseRequest, rule: CompiledRule, other: CompiledRule) -> Iterator[CaseRequest]:
        for condition in other.conditions:
            for one in variants(request, condition.condition, self.universe, self.bundle.prices):
                view = view_of(self.bundle, one)
                if view is not None and covers(rule, view) and not covers(other, view):
                    yield one

    def tools(self, rule: CompiledRule) -> list[str]:
        """Tools that the rule is about, the known ones first."""
        covered = [tool for tool in self.universe.tools if names_tool(rule, tool)]
        return covered or [concrete(pattern) for pattern in rule.rule.tool or ("**",)]

    def of_tool(self, request: CaseRequest, tool: str) -> CaseRequest:
        """The same person's and agent's usual call of another tool."""
        usual = self.universe.like(tool)
        if usual is None:
            return request.model_copy(update={"tool": tool})
        kept = {name: getattr(request, name) for name in ("tenant", "agent", "requester", "time")}
        return usual.model_copy(update=kept)

    def agents(self, rule: CompiledRule, *, covered: bool) -> list[str]:
        """Agents that the rule names, or those that it does not."""
        people, named = self.bundle.people, rule.agents
        every = not named.isdisjoint({"agent:*", "*"})
        known = (*self.universe.agents, *people.expand(tuple(sorted(named))))
        agents = distinct(one for one in known if one.startswith("agent:") and one != "agent:*")
        return [one for one in agents if covered == (every or not people.names_of(one).isdisjoint(named))]

    def _for_people(self, request: CaseRequest, rule: CompiledRule) -> CaseRequest:
        view = view_of(self.bundle, request)
        if view is None:
            return request
        update: dict[str, str] = {}
        if not rule.covers_agent(view):
            update["agent"] = next(iter(self.agents(rule, covered=True)), request.agent)
        if not (rule.covers_tenant(view) and rule.covers_requester(view)):
            update |= next(self._people(rule), {})
        return request.model_copy(update=update)

    def _people(self, rule: CompiledRule) -> Iterator[dict[str, str]]:
        """Requesters whom the rule covers, each in a tenant that it covers, known ones first."""
        people, named = self.bundle.people, rule.requesters
        members = people.expand(tuple(sorted(named)))
        users = [one for one in distinct((*self.universe.users, *members)) if one.startswith("user:")]
        tenants = [one for one in self.universe.tenants if one in rule.tenants or "*" in rule.tenants]
        for wanted in (True, False):
            for user in users:
                for tenant in tenants:
                    known = people.is_known(user, tenant)
                    fits = not people.names_of(user).isdisjoint(named) or "*" in named
                    if known is wanted and (fits or ("user:*" in named and known)) and (known or rule.denies):
                        yield {"requester": user, "tenant": tenant}

    def _under_condition(self, request: CaseRequest, rule: CompiledRule, own: CompiledCondition) -> CaseRequest:
        if _holds(own, view_of(self.bundle, request)):
            return request
        same = [one for one in rule.conditions if one.condition.address == own.condition.address]
        best, most = request, 0
        for one in variants(request, own.condition, self.universe, self.bundle.prices):
            view = view_of(self.bundle, one)
            held = sum(_holds(each, view) for each in same) if _holds(own, view) else 0
            if held > most:
                best, most = one, held
            if most == len(same):
                break
        return best


def _holds(condition: CompiledCondition, view: RequestView | None) -> bool:
    try:
        return view is not None and condition.holds(view)
    except ConditionError:
        return False
