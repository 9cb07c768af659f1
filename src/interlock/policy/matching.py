"""Whether a rule matches a request: its clauses one by one, and what a guardrail needs besides.

Casbin's matcher and the list of everything that matched ask the same functions; each answer is found once a
request and kept in the view.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from interlock.policy.compiled import CompiledRule, ConditionsOutcome
from interlock.policy.view import RequestView

Covers = Callable[[CompiledRule, RequestView], bool]

SUBJECT_AND_CALL: Final[tuple[tuple[str, Covers], ...]] = (
    ("tool", CompiledRule.covers_tool),
    ("agent", CompiledRule.covers_agent),
    ("requester", CompiledRule.covers_requester),
    ("tenant", CompiledRule.covers_tenant),
    ("action", CompiledRule.covers_action),
    ("expires", CompiledRule.covers_expiry),
)
"""The clauses that a request always answers, in the order in which a failing one is named."""

# No rule's id begins with a blank, so these never meet what the view keeps of a rule.
_GRANTED: Final = " granted"
_CANDIDATES: Final = " candidates"


def resource_outcome(rule: CompiledRule, view: RequestView) -> ConditionsOutcome:
    """What the rule's resource patterns come to."""
    key = " resource " + rule.id
    found: ConditionsOutcome | None = view.memo.get(key)
    if found is None:
        found = view.memo[key] = rule.resource_outcome(view)
    return found


def covers_resource(rule: CompiledRule, view: RequestView) -> bool:
    """Whether the rule is about this resource."""
    return resource_outcome(rule, view).hold


CLAUSES: Final[tuple[tuple[str, Covers], ...]] = (*SUBJECT_AND_CALL, ("resource", covers_resource))
"""All clauses; the conditions come after them, and then what a guardrail needs."""


def offer(view: RequestView, rules: Sequence[CompiledRule]) -> None:
    """Say among which rules a guardrail finds one that grants: all that could match, or more."""
    view.memo[_CANDIDATES] = rules


def is_granted(view: RequestView) -> bool:
    """Whether a rule that grants by itself matches: allow, or ask that is no guardrail."""
    found: bool | None = view.memo.get(_GRANTED)
    if found is None:
        rules: Sequence[CompiledRule] = view.memo.get(_CANDIDATES, ())
        found = view.memo[_GRANTED] = any(grants(rule) and _matches(rule, view) for rule in rules)
    return found


def grants(rule: CompiledRule) -> bool:
    """Whether the rule permits anything by itself."""
    return not rule.denies and not rule.rule.guardrail


def may_apply(rule: CompiledRule, view: RequestView) -> bool:
    """Whether nothing but its conditions stands against the rule: a guardrail applies to what is granted."""
    return not rule.rule.guardrail or is_granted(view)


def _matches(rule: CompiledRule, view: RequestView) -> bool:
    return all(covers(rule, view) for _, covers in CLAUSES) and rule.outcome(view).hold
