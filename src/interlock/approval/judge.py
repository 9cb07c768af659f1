"""Whether a person's decision on a request holds. One set of rules, applied twice: by the workflow when the
decision arrives, and by the executor, from the signed tokens alone, before it acts.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from interlock.approval.tokens import ApprovalClaims
from interlock.errors import Conflict, InvalidInput, Refused
from interlock.types.access import Route
from interlock.types.approval import ApprovalRequest, ApprovalVerdict, RequestKind

ALLOWED: dict[RequestKind, frozenset[ApprovalVerdict]] = {
    "call": frozenset({"approve", "edit", "reject"}),
    "question": frozenset({"respond", "reject"}),
    "unknown": frozenset({"approve", "respond", "reject"}),
}
"""Which verdicts each kind of request takes."""


def check_person(claims: ApprovalClaims, route: Route, *, requester: str, tenant: str) -> None:
    """Raises Refused unless this person may decide on this route for this requester."""
    if claims.tenant != tenant:
        raise Refused(f"{claims.sub} belongs to another tenant")
    if claims.sub == requester:
        raise Refused(f"{claims.sub} asked for this run and cannot decide on it (separation of duties)")
    if claims.sub not in route.approvers:
        raise Refused(
            f"{claims.sub} is not an approver of route {route.name!r}",
            next_step=f"ask one of {', '.join(route.approvers) or 'nobody: the route is empty'}",
        )


def check_vote(request: ApprovalRequest, claims: ApprovalClaims, *, tenant: str, now: datetime) -> None:
    """Raises unless `claims` is a decision on exactly this request, by somebody who may, in time.

    Raises:
        Refused: another run, request or call; not an approver; too late.
        InvalidInput: the verdict does not fit the request, or lacks what it needs.
    """
    if (claims.run, claims.request) != (request.run, request.request_id):
        raise Refused(f"the decision is about {claims.request!r}, not about {request.request_id!r}")
    if claims.call != request.call_digest or claims.about != request.kind:
        raise Refused("the decision was made about another call than the one that waits (digests differ)")
    check_person(claims, request.route, requester=request.requester, tenant=tenant)
    if now >= request.expires_at:
        raise Refused(f"the request expired at {request.expires_at.isoformat()}")
    if claims.verdict not in ALLOWED[request.kind]:
        allowed = ", ".join(sorted(ALLOWED[request.kind]))
        raise InvalidInput(f"verdict: {claims.verdict!r} does not fit a {request.kind} request; use {allowed}")
    if claims.verdict == "edit" and not claims.edited:
        raise InvalidInput("edited: an edit needs the new arguments")
    if claims.verdict in ("reject", "respond") and not claims.message.strip():
        raise InvalidInput(f"message: {claims.verdict} needs a message for the agent to read")


def check_quorum(
    votes: Sequence[ApprovalClaims], route: Route, *, run: str, call: str, requester: str, tenant: str
) -> list[str]:
    """Raises Refused unless `votes` together approve `call` under `route`; returns the nonces they consume.

    The votes' signatures and expiry were checked when they were read.
    """
    approvers: dict[str, str] = {}
    for claims in votes:
        if claims.run != run or claims.call != call or claims.verdict != "approve":
            raise Refused(f"the approval of {claims.sub} is for another run or call, or approves nothing")
        check_person(claims, route, requester=requester, tenant=tenant)
        if claims.sub in approvers:
            raise Conflict(f"{claims.sub} approved twice; a quorum counts people")
        approvers[claims.sub] = claims.jti
    if len(approvers) < route.quorum:
        raise Refused(f"route {route.name!r} needs {route.quorum} approval(s), {len(approvers)} hold")
    return sorted(approvers.values())
