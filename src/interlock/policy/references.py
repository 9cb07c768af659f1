"""Checking a bundle against the rest of the project: agents, tools and their arguments, images, workflows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import get_args

from interlock.definitions import ToolSchema
from interlock.policy.argument_types import condition_problem, find_argument
from interlock.policy.bundle import Bundle
from interlock.policy.compiled import CompiledRule
from interlock.policy.conditions import Condition
from interlock.policy.outflow import outflow_problems
from interlock.policy.patterns import segments_match
from interlock.policy.problems import Problem, did_you_mean
from interlock.types.access import Flow

Coded = tuple[str, str]
"""A kind of mistake, and the sentence."""


def check_references(
    bundle: Bundle,
    *,
    agents: Collection[str],
    tools: Mapping[str, ToolSchema],
    images: Collection[str],
    workflows: Collection[str] = (),
    places: Mapping[str, str] | None = None,
) -> list[Problem]:
    """Everything in the bundle that names something which does not exist, or that could never work.

    Args:
        bundle: a bundle that was loaded, so that its own references resolve.
        agents: names of all agents, without `agent:`.
        tools: every tool's schema by name.
        images: names of all sandbox images.
        workflows: names of all workflows; empty: conditions on the workflow are not checked.
        places: tool → `file:line` where it is written; the others are taken to be in a Python file of their name.
    """
    problems = [*_people(bundle, agents), *route_problems(bundle), *_profiles(bundle, images, tools, places or {})]
    for rule in bundle.rules:
        found = [
            *_agents(rule, agents),
            *_tools(bundle, rule, tools),
            *_questions(rule, tools),
            *_attributes(bundle, rule, workflows),
        ]
        problems += [Problem(rule.source, f"rule {rule.id!r}: {text}", code) for code, text in found]
    return sorted(problems, key=lambda problem: problem.order)


def _agents(rule: CompiledRule, agents: Collection[str]) -> Iterator[Coded]:
    for reference in sorted(rule.agents):
        kind, _, name = reference.partition(":")
        if kind == "agent" and name != "*" and name not in agents:
            yield "unknown-name", f"unknown agent {reference!r}{did_you_mean(name, agents)}"


def _people(bundle: Bundle, agents: Collection[str]) -> Iterator[Problem]:
    for parent, members in bundle.people.members.items():
        kind, _, name = parent.partition(":")
        for member in members:
            agent = member.removeprefix("agent:")
            if agent != member and agent not in agents:
                source = bundle.sources[f"{kind}s:{name}"]
                said = f"{kind} {name!r}: unknown agent {member!r}{did_you_mean(agent, agents)}"
                yield Problem(source, said, "unknown-name")


def route_problems(bundle: Bundle) -> list[Problem]:
    """Routes that nobody can satisfy, or not everybody who may ask."""
    return list(_routes(bundle))


def _routes(bundle: Bundle) -> Iterator[Problem]:
    asked = {rule.rule.route: rule for rule in reversed(bundle.rules) if rule.rule.route}
    for name in bundle.routes:
        source = bundle.sources[f"routes:{name}"]
        if (short := bundle.route(name).short_of()) is not None:
            stage = f", stage {short.name!r}," if short.name else ""
            have, need = len(short.approvers), short.quorum
            said = f"route {name!r}{stage} can never be satisfied: it needs {need} people and has {have}"
            yield Problem(source, said, "unsatisfiable-route")
        elif name in asked and (own := _own_calls(bundle, name)):
            said = (
                f"route {name!r} cannot be satisfied for {own[0]!r}, who may ask and cannot approve their own call"
            )
            yield Problem(source, said, "unsatisfiable-route")


def _own_calls(bundle: Bundle, route: str) -> list[str]:
    """Approvers of the route who may also be requesters of a rule that asks it, and without whom it lacks one."""
    approvers = bundle.route(route).approvers
    rules = [rule for rule in bundle.rules if rule.rule.route == route]
    return [
        user
        for user in approvers
        if bundle.route(route, requester=user).short_of() is not None
        and any("user:*" in r.requesters or r.requesters & bundle.people.names_of(user) for r in rules)
    ]


def _profiles(
    bundle: Bundle, images: Collection[str], tools: Mapping[str, ToolSchema], places: Mapping[str, str]
) -> Iterator[Problem]:
    for name, profile in bundle.profiles.items():
        if profile.image not in images:
            guess = did_you_mean(profile.image, images)
            said = f"profile {name!r}: unknown image {profile.image!r}{guess}"
            yield Problem(bundle.sources[f"profiles:{name}"], said, "unknown-name")
    for tool in tools.values():
        place = places.get(tool.name, f"tools/{tool.name.replace('.', '_')}.py:1")
        if tool.profile not in bundle.profiles:
            guess = did_you_mean(tool.profile, bundle.profiles)
            said = f"tool {tool.name!r}: unknown profile {tool.profile!r}{guess}"
            yield Problem(place, said, "unknown-name")
        for credential in tool.credentials:
            if credential not in bundle.credentials:
                guess = did_you_mean(credential, bundle.credentials)
                said = f"tool {tool.name!r}: unknown credential {credential!r}{guess}"
                yield Problem(place, said, "unknown-name")


def covered_tools(pattern: str, tools: Mapping[str, ToolSchema]) -> dict[str, ToolSchema]:
    """The tools whose names a pattern covers."""
    segments = tuple(pattern.split("."))
    return {name: tool for name, tool in tools.items() if segments_match(segments, tuple(name.split(".")))}


def _tools(bundle: Bundle, rule: CompiledRule, tools: Mapping[str, ToolSchema]) -> Iterator[Coded]:
    covered: dict[str, ToolSchema] = {}
    for pattern in rule.rule.tool or ("**",):
        found = covered_tools(pattern, tools)
        if not found:
            yield "unreachable-tool", f"no tool is covered by {pattern!r}{did_you_mean(pattern, tools)}"
        covered |= found
    known = {tool.action for tool in covered.values()}
    for action in rule.rule.action if covered else ():
        if action != "*" and action not in known:
            yield "unreachable-action", f"no covered tool has the action {action!r}{did_you_mean(action, known)}"
    acting = [tool for tool in covered.values() if "*" in rule.rule.action or tool.action in rule.rule.action]
    yield from outflow_problems(bundle, rule, acting)
    for condition in rule.rule.when:
        for tool in acting:
            yield from _argument(rule, condition, tool)


def _argument(rule: CompiledRule, condition: Condition, tool: ToolSchema) -> Iterator[Coded]:
    if condition.argument is None:
        return
    schema, guess = find_argument(tool.parameters, condition.argument)
    if schema is None:
        name = condition.argument
        always = "; the rule would match every call of it" if rule.strict else "; the rule could never match it"
        yield "unreachable-argument", f"tool {tool.name!r} has no argument {name!r}{guess}{always}"
    elif text := condition_problem(condition, schema, tool.parameters):
        yield "never-evaluable", f"argument {condition.argument!r} of tool {tool.name!r}: {text}"


def _questions(rule: CompiledRule, tools: Mapping[str, ToolSchema]) -> Iterator[Coded]:
    """What conditions ask about earlier calls, of tools that nobody could have called."""
    for condition in rule.rule.when:
        asked = condition.count or condition.sum
        pattern = asked.tool if asked else condition.preceded_by
        if pattern is None:
            continue
        covered = covered_tools(pattern, tools)
        if not covered:
            said = f"{condition.address} is about no tool: none is covered by {pattern!r}"
            yield "unreachable-tool", said + did_you_mean(pattern, tools)
        elif condition.sum and not any(
            find_argument(t.parameters, condition.sum.argument)[0] is not None for t in covered.values()
        ):
            yield (
                "unreachable-argument",
                f"no tool covered by {pattern!r} has the argument {condition.sum.argument!r}",
            )


def _attributes(bundle: Bundle, rule: CompiledRule, workflows: Collection[str]) -> Iterator[Coded]:
    known = {"requester": list(bundle.people.tenants), "workflow": list(workflows), "flow": list(get_args(Flow))}
    for condition in rule.rule.when:
        names = known.get(str(condition.attribute), [])
        if names and condition.operator in ("eq", "ne", "in", "not_in"):
            listed = condition.operand if isinstance(condition.operand, tuple) else (condition.operand,)
            for name in listed:
                if name not in names:
                    yield "unknown-name", f"unknown {condition.attribute} {name!r}{did_you_mean(name, names)}"
