"""Whether a standing grant lets a call run: one answer for the executor, which counts its uses, and for the
proof.
"""

from __future__ import annotations

from datetime import datetime

from interlock.approval.grants import GrantClaims, check_terms, covers
from interlock.errors import InterlockError
from interlock.policy import Bundle
from interlock.policy.fitting_arguments import arguments_fit
from interlock.types.access import AccessRequest, Decision
from interlock.types.call import ToolCall


def lets_run(
    claims: GrantClaims, call: ToolCall, access: AccessRequest, decision: Decision, bundle: Bundle, at: datetime
) -> str:
    """Why a grant does not let a call run; empty: it does.

    Args:
        claims: the grant; its signature was checked.
        call: the call.
        access: the same as a question to the policy.
        decision: the answer, which asks.
        bundle: the policy that gave it.
        at: when it runs.
    """
    if decision.route is None or claims.tenant != call.tenant:
        return "nobody is asked about this call"
    when = covers(claims, agent=call.agent, requester=access.requester, tool=call.tool, at=at)
    if when:
        return "it is for other calls" if when == "no" else "it is over, or has not begun"
    try:
        check_terms(claims, decision.route)
        fits = claims.arguments == call.arguments if claims.arguments else _fits(claims, access, bundle)
    except InterlockError as error:
        return error.reason
    return "" if fits else "it is for other arguments"


def _fits(claims: GrantClaims, access: AccessRequest, bundle: Bundle) -> bool:
    return arguments_fit(claims.when, access, bundle.people)
