"""Who may do what, read off the rules: which of them cover an agent and a tool, for whom, under which conditions.

Nothing is sampled: each rule is taken as it is written. Where several rules cover the same call, the stronger one
decides (deny, ask, allow); so a line that permits holds only as far as no stronger line above it does.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from interlock.errors import InvalidInput
from interlock.policy.compiled import ANYONE, CompiledRule
from interlock.policy.patterns import segments_match
from interlock.policy.problems import did_you_mean
from interlock.policy.survey import ANY, ANY_AGENT, Survey
from interlock.types.access import Verdict
from interlock.types.closed import Closed


class Reaching(Closed):
    """One rule that covers an agent and a tool."""

    rule: str
    effect: Verdict
    owner: str
    source: str
    """`file:line`."""
    people: tuple[str, ...]
    """For whom, as far as they are known in the tenant."""
    conditions: tuple[str, ...]
    """All of which must hold, in words: `arguments.path is under 'source'`."""
    guardrail: bool
    """Grants nothing: makes stricter what another rule permits."""
    route: str
    """Who must approve; empty unless it asks."""
    overruled_by: str = ""
    """A stronger rule without conditions that covers all that this one does: this one never decides."""


class Reach(Closed):
    """What an agent may do with a tool."""

    agent: str
    tool: str
    verdict: Verdict
    """The best that a call can come to."""
    people: tuple[str, ...]
    """For whom a call can come to more than a denial."""
    rules: tuple[Reaching, ...]
    """Strongest first: deny, then ask, then allow."""


def can(survey: Survey, subject: str, *, requester: str = "", tool: str = "") -> tuple[Reach, ...]:
    """What a subject may do: an agent for people, a user through every agent, a role or group through its members.

    Tools about which no rule permits anything are left out, unless it is the one asked about an agent.

    Args:
        survey: the rules, and what they are about.
        subject: `agent:`, `user:`, `role:` or `group:` and a name.
        requester: calls for this user only.
        tool: only this one.

    Raises:
        InvalidInput: nobody is called that.
    """
    if requester and requester not in survey.users:
        guess = did_you_mean(requester, survey.users)
        raise InvalidInput(f"--for: unknown user {requester!r} in tenant {survey.tenant!r}{guess}")
    found = []
    members = _members(survey, subject)
    for agent, people in _pairs(survey, members, requester):
        rules = [rule for rule in survey.of_agent(agent) if _covered(survey, rule, people)]
        for name in [tool] if tool else survey.tools_of(rules):
            one = _reach(survey, rules, agent, name, people)
            if _permits(one) or (tool and agent in members):
                found.append(one)
    return tuple(found)


def who(survey: Survey, tool: str, *, action: str = "") -> tuple[Reach, ...]:
    """Which agents may call a tool, for which people; agents for which no rule permits it are left out."""
    rules = survey.of_tool(tool)
    named = {name for rule in rules for name in rule.agents}
    found = []
    for agent in survey.agents:
        names = {ANYONE, ANY_AGENT, *survey.bundle.people.names_of(agent)}
        if not names.isdisjoint(named):
            own = [rule for rule in rules if not names.isdisjoint(rule.agents)]
            found.append(_reach(survey, own, agent, tool, survey.users, action))
    return tuple(one for one in found if _permits(one))


_STATED: Final = {
    "must not be ": "is not ",
    "must be ": "is ",
    "must match ": "matches ",
    "must contain ": "contains ",
    "must not come ": "does not come ",
    "must come ": "comes ",
}


def stated(demand: str) -> str:
    """A condition's demand as a statement: `arguments.path is under 'source'`."""
    address, space, rest = demand.partition(" must ")
    for wanted, said in _STATED.items():
        if f"must {rest}".startswith(wanted):
            return f"{address} {said}{rest.removeprefix(wanted.removeprefix('must '))}"
    return address + space + rest


def _pairs(survey: Survey, members: Collection[str], requester: str) -> list[tuple[str, frozenset[str]]]:
    """Each agent that is meant, and the people for whom."""
    acting = [one for one in members if one.startswith("agent:")]
    asking = survey.users & set(members) & ({requester} if requester else survey.users)
    everybody = frozenset({requester}) if requester else survey.users
    through = [agent for agent in survey.agents if agent not in acting] if asking else []
    return [*((agent, everybody) for agent in acting), *((agent, asking) for agent in through)]


def _members(survey: Survey, subject: str) -> tuple[str, ...]:
    people = survey.bundle.people
    known = {*people.tenants, *people.members, *survey.agents}
    if subject not in known:
        raise InvalidInput(
            f"SUBJECT: the policy knows no {subject!r}{did_you_mean(subject, known)}",
            next_step="agent:NAME, user:NAME, role:NAME or group:NAME",
        )
    return people.expand((subject,))


def _permits(one: Reach) -> bool:
    """Whether a rule permits something, even if stronger ones take it away again."""
    return any(rule.effect != "deny" and not rule.guardrail for rule in one.rules)


def _reach(
    survey: Survey,
    rules: list[CompiledRule],
    agent: str,
    tool: str,
    people: Collection[str],
    action: str = "",
) -> Reach:
    """What these rules of the agent let it do with a tool."""
    action = action or survey.project_tools.get(tool, "")
    segments = tuple(tool.split("."))
    covering = [
        (rule, covered)
        for rule in rules
        if _covers_tool(rule, tool, segments)
        and (not action or not rule.actions.isdisjoint({action, ANY}))
        and (covered := _covered(survey, rule, people))
    ]
    told = []
    for number, (rule, covered) in enumerate(covering):
        always = (r for r, c in covering[:number] if _always(r, action) and set(covered) <= set(c))
        told.append((_reaching(rule, covered, action, over := _stronger(next(always, None), rule)), over))
    return _summed(agent, tool, told)


def _summed(agent: str, tool: str, told: list[tuple[Reaching, CompiledRule | None]]) -> Reach:
    granted: dict[Verdict, set[str]] = {"allow": set(), "ask": set(), "deny": set()}
    for one, over in told:
        if one.effect != "deny" and not one.guardrail:
            best = one.effect if over is None else over.rule.effect
            granted[best].update(one.people)
    verdict: Verdict = "allow" if granted["allow"] else "ask" if granted["ask"] else "deny"
    people = tuple(sorted(granted["allow"] | granted["ask"]))
    return Reach(agent=agent, tool=tool, verdict=verdict, people=people, rules=tuple(one for one, _ in told))


def _reaching(rule: CompiledRule, people: tuple[str, ...], action: str, over: CompiledRule | None) -> Reaching:
    own = rule.rule
    limits = [] if own.resource == (ANY,) else [f"resource is {' or '.join(own.resource)}"]
    if not action and ANY not in own.action:
        limits.append(f"action is {' or '.join(own.action)}")
    return Reaching(
        rule=rule.id,
        effect=own.effect,
        owner=own.owner,
        source=rule.source,
        people=people,
        conditions=(*limits, *(stated(condition.text) for condition in rule.conditions)),
        guardrail=own.guardrail,
        route=own.route or "",
        overruled_by=over.id if over else "",
    )


def _covers_tool(rule: CompiledRule, tool: str, segments: tuple[str, ...]) -> bool:
    return tool in rule.tool_names or any(segments_match(pattern, segments) for pattern in rule.tool_patterns)


def _always(rule: CompiledRule, action: str) -> bool:
    """Whether the rule or a stronger one decides every call that it covers here."""
    own = rule.rule
    return not rule.conditions and own.resource == (ANY,) and (bool(action) or ANY in own.action)


def _stronger(over: CompiledRule | None, rule: CompiledRule) -> CompiledRule | None:
    # Of two rules that allow, the weaker one changes nothing and takes nothing away.
    return None if over is None or over.rule.effect == rule.rule.effect == "allow" else over


def _covered(survey: Survey, rule: CompiledRule, people: Collection[str]) -> tuple[str, ...]:
    """Those of `people` whom the rule covers."""
    if not rule.requesters.isdisjoint({ANYONE, "user:*"}):
        return tuple(sorted(people))
    names_of = survey.bundle.people.names_of
    return tuple(sorted(one for one in people if not rule.requesters.isdisjoint(names_of(one))))
