"""Why a request is decided as it is: for people who write rules."""

from __future__ import annotations

from typing import Final, Literal

from interlock.policy.bundle import Bundle
from interlock.policy.decision import decide, decision_of
from interlock.policy.handed_on import each_subject, strictest
from interlock.policy.judgement import judge, near_rules
from interlock.types.access import AccessRequest, Decision, NearestRule
from interlock.types.closed import Closed
from interlock.types.names import SubjectName

MAX_NEAR: Final = 10


class MatchedRule(Closed):
    """A rule that matches the request."""

    rule: str
    effect: Literal["allow", "ask", "deny"]
    owner: str
    source: str
    """`file:line`."""


class Explanation(Closed):
    """A decision and what led to it."""

    decision: Decision
    subject: SubjectName
    """The agent whose rules decided: the one that acts, or one that handed the work on."""
    deciding: MatchedRule | None
    """None for a default deny."""
    runners_up: tuple[MatchedRule, ...]
    """Rules that match too and are weaker, strongest first."""
    near: tuple[NearestRule, ...]
    """Rules that do not match, nearest first, each with its first failing clause; at most ten."""
    condition_errors: tuple[str, ...]
    """What could not be evaluated: it matches in rules that deny or ask, and not in rules that allow."""


def explain(bundle: Bundle, request: AccessRequest) -> Explanation:
    """Decide, and say why.

    Raises:
        InvalidInput: the request has no canonical form.
    """
    judgements = [judge(bundle, one) for one in each_subject(request)]
    judgement = judgements[strictest([decision_of(bundle, one) for one in judgements])]
    matched = tuple(
        MatchedRule(rule=r.id, effect=r.rule.effect, owner=r.rule.owner, source=r.source) for r in judgement.matched
    )
    near = () if judgement.view.invalid else near_rules(bundle, judgement.view, count=MAX_NEAR, denying=True)
    return Explanation(
        decision=decide(bundle, request),
        subject=judgement.view.request.agent,
        deciding=matched[0] if matched else None,
        runners_up=matched[1:],
        near=near,
        condition_errors=judgement.errors,
    )
