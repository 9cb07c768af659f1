"""Standing grants: an approver's word, taken on one request, that calls like it may run for some time without
asking again. Counted, bounded by the route, and void once it is revoked.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field, JsonValue

from interlock.approval.state import PendingApproval
from interlock.approval.tokens import Claims, Statement
from interlock.errors import Conflict, InvalidInput, Refused
from interlock.types.names import Digest, Name, OptionalDigest, SubjectName, ToolName
from interlock.types.route import Route


class GrantClaims(Claims):
    """An approver lets calls like one that they were shown run until `exp`. `jti` is the grant's id."""

    TYP = "interlock-grant"

    request: str
    """The request on whose card it was given."""
    call: Digest
    """The call that was shown there."""
    route: Name
    agent: SubjectName
    requester: SubjectName
    """For whom such calls run: whoever asked for that one."""
    tool: ToolName
    arguments: OptionalDigest = ""
    """Exactly these arguments; empty: those that `when` fits."""
    when: tuple[dict[str, JsonValue], ...] = ()
    """Conditions on arguments, as a rule writes them; all must hold."""
    uses: int = Field(ge=1)
    """How often."""
    reason: str = Field(min_length=1, max_length=2_000)


class RevocationClaims(Statement):
    """A person ends a grant."""

    TYP = "interlock-grant-revocation"

    grant: str
    """Its `jti`."""
    reason: str = Field(min_length=1, max_length=2_000)


def check_grant(claims: GrantClaims, pending: PendingApproval) -> None:
    """Refuse a grant before it is written anywhere.

    Raises:
        Conflict: the request is closed.
        Refused: it is about something else, by somebody who may not, or wider than the route lets it be.
        InvalidInput: it fits nothing or everything.
    """
    request = pending.request
    if not pending.open:
        raise Conflict(f"{request.request_id} is {pending.state}: a grant is given on a request that waits")
    if (claims.run, claims.request, claims.tenant) != (request.run, request.request_id, pending.tenant):
        raise Refused(f"the grant is about {claims.request!r} of tenant {claims.tenant!r}")
    if request.kind != "call" or claims.call != request.call_digest:
        raise Refused("the grant was given on another call than the one that waits (digests differ)")
    if claims.requester != request.requester:
        raise Refused(f"the grant is for {claims.requester}, the call for {request.requester}")
    if claims.arguments not in ("", request.subject):
        raise Refused("arguments: the grant is for other arguments than those that were shown")
    check_terms(claims, request.route)


def check_terms(claims: GrantClaims, route: Route) -> None:
    """Raises unless a grant keeps to what a route allows: the one on record when it is given, the one in force each
    time that it is used.

    Raises:
        Refused: the route allows none, not by this person, not for so long, so often, or for patterns.
        InvalidInput: it fits nothing or everything.
    """
    terms = route.grants
    if terms is None or route.name != claims.route:
        raise Refused(f"route {route.name!r} lets nobody give standing grants")
    if claims.sub not in route.stages[0].approvers:
        raise Refused(f"{claims.sub} is not an approver of route {route.name!r}")
    if claims.sub == claims.requester:
        raise Refused(f"{claims.sub} asked for this run and cannot decide on it (separation of duties)")
    if claims.exp - claims.iat > terms.longest_s:
        raise Refused(f"route {route.name!r} lets grants last {terms.longest_s} s, this one lasts longer")
    if claims.uses > terms.uses:
        raise Refused(f"route {route.name!r} lets grants be used {terms.uses} times, not {claims.uses}")
    if bool(claims.arguments) == bool(claims.when):
        raise InvalidInput("when: a grant is for exactly one call's arguments, or for those that conditions fit")
    if claims.when and not terms.patterns:
        raise Refused(f"route {route.name!r} lets grants be for exact arguments only")


def covers(
    claims: GrantClaims, *, agent: str, requester: str, tool: str, at: datetime
) -> Literal["", "no", "late"]:
    """Whether a grant could be for such a call at all: `no`; `late`: not any more; empty: its arguments decide."""
    if (claims.agent, claims.requester, claims.tool) != (agent, requester, tool):
        return "no"
    return "" if claims.iat <= int(at.timestamp()) < claims.exp else "late"
