"""What every rule says about one request: Casbin's deciding rule, the others that match, the near ones."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from interlock.errors import IntegrityError
from interlock.policy.bundle import Bundle
from interlock.policy.compiled import CompiledRule
from interlock.policy.view import RequestView
from interlock.types.access import AccessRequest, NearestRule

Covers = Callable[[CompiledRule, RequestView], bool]

CLAUSES: tuple[tuple[str, Covers], ...] = (
    ("tool", CompiledRule.covers_tool),
    ("agent", CompiledRule.covers_agent),
    ("requester", CompiledRule.covers_requester),
    ("tenant", CompiledRule.covers_tenant),
    ("action", CompiledRule.covers_action),
    ("resource", CompiledRule.covers_resource),
)
"""In the order in which a failing one is named; the conditions come after them."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A request and what the rules make of it."""

    view: RequestView
    deciding: CompiledRule | None
    matched: tuple[CompiledRule, ...]
    """Strongest first; the deciding rule is the first."""
    errors: tuple[str, ...]
    """Conditions and resources that could not be evaluated."""


def judge(bundle: Bundle, request: AccessRequest) -> Judgement:
    """Have Casbin decide, and see what each rule says.

    Raises:
        InvalidInput: the request has no canonical form.
        IntegrityError: Casbin's deciding rule is not the strongest that matches.
    """
    view = RequestView(request, bundle.people)
    if view.invalid:
        return Judgement(view, None, (), ())
    deciding = bundle.pdp.deciding_rule(view)
    matched: list[CompiledRule] = []
    errors: list[str] = []
    for rule in bundle.rules:
        if not (rule.covers_tool(view) and all(covers(rule, view) for _, covers in CLAUSES[1:5])):
            continue
        resource = rule.resource_outcome(view)
        errors += resource.errors
        if resource.hold:
            conditions = rule.outcome(view)
            errors += conditions.errors
            if conditions.hold:
                matched.append(rule)
    if deciding is not (matched[0] if matched else None):
        raise IntegrityError("Casbin did not name the strongest rule that matches; nothing was allowed")
    return Judgement(view, deciding, tuple(matched), tuple(errors))


def near_rules(bundle: Bundle, view: RequestView, *, count: int, denying: bool) -> tuple[NearestRule, ...]:
    """Rules that do not match, nearest first: those of which most clauses hold, the tool's counting first.

    Args:
        bundle: whose rules.
        view: the request.
        count: at most so many.
        denying: whether deny rules count; they are not near to allowing anything.
    """
    rules = (rule for rule in bundle.rules if denying or not rule.denies)
    misses = [miss for rule in rules if (miss := _miss(rule, view)) is not None]
    # nlargest is stable: of equals, the stronger rule comes first
    return tuple(
        NearestRule(rule=miss.rule.id, clause=_clause(miss.rule, miss.failed, view), source=miss.rule.source)
        for miss in heapq.nlargest(count, misses, key=lambda miss: miss.nearness)
    )


class _Miss(NamedTuple):
    rule: CompiledRule
    failed: str
    """Name of the first clause that failed; `when` for a condition."""
    nearness: tuple[int, bool, int]


def _miss(rule: CompiledRule, view: RequestView) -> _Miss | None:
    failed = [name for name, covers in CLAUSES if not covers(rule, view)]
    if failed:
        return _Miss(rule, failed[0], (len(CLAUSES) - len(failed), "tool" not in failed, 0))
    conditions = rule.outcome(view)
    return None if conditions.hold else _Miss(rule, "when", (len(CLAUSES), True, conditions.passed))


def _clause(rule: CompiledRule, failed: str, view: RequestView) -> str:
    request, own = view.request, rule.rule
    if failed == "when":
        return rule.outcome(view).failed
    if failed == "resource":
        # The resource carries argument values, which must not end in the ledger in the clear.
        errors = rule.resource_outcome(view).errors
        return f"resource cannot be tested ({errors[0]})" if errors else f"resource is not {_any(own.resource)}"
    if failed == "requester" and not view.known:
        return f"requester {request.requester!r} is not a known user of tenant {request.tenant!r}"
    covered = {
        "tool": own.tool or ("**",),
        "agent": tuple(sorted(rule.agents)),
        "requester": tuple(sorted(rule.requesters)),
        "tenant": own.tenant,
        "action": own.action,
    }[failed]
    return f"{failed} is {getattr(request, failed)!r}, the rule covers {_any(covered)}"


def _any(items: tuple[str, ...]) -> str:
    shown = " or ".join(repr(item) for item in items[:4])
    return shown + (" or …" if len(items) > 4 else "")
