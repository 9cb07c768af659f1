"""What the rules say about one request: Casbin's deciding rule, the others that match, the near ones."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Final, NamedTuple

from interlock.errors import IntegrityError
from interlock.policy.bundle import Bundle
from interlock.policy.compiled import CompiledRule
from interlock.policy.matching import CLAUSES, SUBJECT_AND_CALL, may_apply, resource_outcome
from interlock.policy.view import RequestView
from interlock.types.access import AccessRequest, NearestRule

LOOKED_AT: Final = 16
"""Rules that are looked at for each nearest one that is wanted. In a policy of no more, that is every rule."""


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
    """Have Casbin decide, and see what each rule says that could match.

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
    for rule in bundle.pdp.candidates(view):
        if not all(covers(rule, view) for _, covers in SUBJECT_AND_CALL):
            continue
        resource = resource_outcome(rule, view)
        errors += resource.errors
        if resource.hold:
            conditions = rule.outcome(view)
            errors += conditions.errors
            if conditions.hold and may_apply(rule, view):
                matched.append(rule)
    if deciding is not (matched[0] if matched else None):
        raise IntegrityError("Casbin did not name the strongest rule that matches; nothing was allowed")
    return Judgement(view, deciding, tuple(matched), tuple(errors))


def near_rules(bundle: Bundle, view: RequestView, *, count: int, denying: bool) -> tuple[NearestRule, ...]:
    """Rules that do not match, nearest first: those of which most clauses hold, the tool's counting first.

    In a policy of more than `LOOKED_AT` rules for each that is wanted, only so many are looked at: those that the
    index finds closest.

    Args:
        bundle: whose rules.
        view: the request; already judged.
        count: at most so many.
        denying: whether rules count that grant nothing: those that deny, and guardrails.
    """
    rules = bundle.pdp.near(view, LOOKED_AT * count, denying=denying)
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
    if not conditions.hold:
        return _Miss(rule, "when", (len(CLAUSES), True, conditions.passed))
    if not may_apply(rule, view):
        return _Miss(rule, "granted", (len(CLAUSES), True, conditions.passed + 1))
    return None


def _clause(rule: CompiledRule, failed: str, view: RequestView) -> str:
    request, own = view.request, rule.rule
    if failed == "when":
        return rule.outcome(view).failed
    if failed == "granted":
        return "no other rule allows or asks for this call, and a guardrail grants nothing by itself"
    if failed == "expires":
        return f"the rule expired on {own.expires}"
    if failed == "resource":
        # The resource carries argument values, which must not end in the ledger in the clear.
        errors = resource_outcome(rule, view).errors
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
