"""Tools and the agents that have them, beside the rules that grant them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

from interlock.definitions import ToolSchema
from interlock.policy.bundle import Bundle
from interlock.policy.compiled import CompiledRule
from interlock.policy.lint.cover import EVERYBODY
from interlock.policy.lint.finding import LintFinding, finding
from interlock.policy.lint.surroundings import Surroundings
from interlock.policy.references import covered_tools


def grants(bundle: Bundle, project: Surroundings, today: date) -> Iterator[LintFinding]:
    """Tools that nobody may use, tools of agents that are never granted, and grants of tools that no agent has."""
    granting = [r for r in bundle.rules if not r.denies and not r.rule.guardrail]
    granted = {rule.id: _tools(rule, project.tools) for rule in granting}
    counting = [r for r in granting if r.rule.expires is None or r.rule.expires > today]
    for tool, place in sorted(project.places.items()):
        rules = [rule for rule in counting if tool in granted[rule.id]]
        if not rules:
            said = f"no rule allows or asks the tool {tool!r}."
            step = "Write a rule that grants it, or remove the tool."
            yield finding("ungranted-tool", place, said, step, entry=f"tools:{tool}")
        else:
            yield from _agents(bundle, project, tool, rules)
    for rule in granting:
        if granted[rule.id] and not _used(bundle, project, rule, granted[rule.id]):
            said = f"rule {rule.id!r} grants tools that none of its agents has."
            step = "Give an agent the tool, or drop the rule."
            yield finding("idle-grant", rule.source, said, step, entry=f"rules:{rule.id}")


def _tools(rule: CompiledRule, tools: Mapping[str, ToolSchema]) -> set[str]:
    """Tools that the rule is about, their action included."""
    covered = {name: tool for p in rule.rule.tool or ("**",) for name, tool in covered_tools(p, tools).items()}
    return {name for name, tool in covered.items() if rule.actions & {"*", tool.action}}


def _names(bundle: Bundle, rule: CompiledRule, agent: str) -> bool:
    return bool(rule.agents & (EVERYBODY | bundle.people.names_of(f"agent:{agent}")))


def _agents(bundle: Bundle, project: Surroundings, tool: str, rules: list[CompiledRule]) -> Iterator[LintFinding]:
    for agent, tools in sorted(project.agents.items()):
        if tool in tools and not any(_names(bundle, rule, agent) for rule in rules):
            said = f"agent {agent!r} has the tool {tool!r}, and no rule allows or asks it that."
            step = "Write a rule for this agent, or take the tool from it."
            yield finding("ungranted-agent-tool", tools[tool], said, step, entry=f"agents:{agent}")


def _used(bundle: Bundle, project: Surroundings, rule: CompiledRule, tools: set[str]) -> bool:
    """Whether some agent of the rule has one of the tools; every agent makes the engine's own calls."""
    agents = [own for agent, own in project.agents.items() if _names(bundle, rule, agent)]
    # That it names no agent at all is told as a reference.
    return not agents or any(tool not in project.places or tool in own for own in agents for tool in tools)
