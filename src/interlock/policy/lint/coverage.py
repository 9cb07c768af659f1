"""Whether one rule matches wherever another does, and whether two can meet."""

from __future__ import annotations

from interlock.policy.compiled import ANYONE, CompiledRule
from interlock.policy.lint.cover import (
    EVERYBODY,
    resources_cover,
    resources_meet,
    subjects_cover,
    subjects_meet,
    tools_cover,
    tools_meet,
    words_cover,
    words_meet,
)
from interlock.policy.lint.implication import implies
from interlock.policy.people import People


def covers(wide: CompiledRule, narrow: CompiledRule, people: People) -> bool:
    """Whether `wide` matches every request that `narrow` matches. "No" where that is not certain."""
    mine, theirs = wide.rule, narrow.rule
    return (
        tools_cover(mine.tool or ("**",), theirs.tool or ("**",))
        and _agents_cover(wide, narrow, people)
        and _requesters_cover(wide, narrow, people)
        and words_cover(mine.tenant, theirs.tenant)
        and words_cover(mine.action, theirs.action)
        and resources_cover(mine.resource, theirs.resource)
        and (wide.strict or not narrow.strict or mine.resource == ("*",))
        and (mine.expires is None or (theirs.expires is not None and theirs.expires <= mine.expires))
        and _conditions_cover(wide, narrow)
    )


def _agents_cover(wide: CompiledRule, narrow: CompiledRule, people: People) -> bool:
    return bool(wide.agents & EVERYBODY) or subjects_cover(wide.agents, narrow.agents, people)


def _requesters_cover(wide: CompiledRule, narrow: CompiledRule, people: People) -> bool:
    if ANYONE in wide.requesters:
        return True
    if narrow.denies and not wide.denies:
        return False  # a deny rule also matches whom nobody knows
    if "user:*" in wide.requesters:
        return not narrow.denies or narrow.requesters == {"user:*"}
    return subjects_cover(wide.requesters, narrow.requesters, people)


def _conditions_cover(wide: CompiledRule, narrow: CompiledRule) -> bool:
    return all(
        any(implies(given, wanted, lenient=narrow.strict, strict=wide.strict) for given in narrow.conditions)
        for wanted in wide.conditions
    )


def meet(one: CompiledRule, other: CompiledRule, people: People) -> bool:
    """Whether some request could match both, their conditions aside. "Yes" where that is not certain."""
    return (
        tools_meet(one.rule.tool or ("**",), other.rule.tool or ("**",))
        and subjects_meet(one.agents, other.agents, people)
        and subjects_meet(one.requesters, other.requesters, people)
        and words_meet(one.rule.tenant, other.rule.tenant)
        and words_meet(one.rule.action, other.rule.action)
        and resources_meet(one.rule.resource, other.rule.resource)
    )
