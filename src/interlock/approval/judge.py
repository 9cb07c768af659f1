"""Whether a person's decision on a request holds. One set of rules, applied twice: by the workflow when the
decision arrives, and by the executor, from the signed tokens and the record alone, before it acts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from interlock.approval.tokens import ApprovalClaims, PasskeyClaims
from interlock.errors import Conflict, InvalidInput, Refused
from interlock.types.approval import ApprovalRequest, ApprovalVerdict, RequestKind
from interlock.types.route import Route, Stage

ALLOWED: dict[RequestKind, frozenset[ApprovalVerdict]] = {
    "call": frozenset({"approve", "edit", "reject"}),
    "question": frozenset({"respond", "reject"}),
    "unknown": frozenset({"approve", "respond", "reject"}),
    "review": frozenset({"respond", "reject"}),
}
"""Which verdicts each kind of request takes."""


@dataclass(frozen=True)
class Seats:
    """Who decides for whom on one request, by the statements that are on record."""

    moved: Mapping[str, str] = field(default_factory=dict)
    """Approver → the person to whom they handed their decision."""

    def seat(self, claims: ApprovalClaims, route: Route, stage: Stage) -> str:
        """The approver of the stage as whom a person decides.

        Raises:
            Refused: they are none, or stand in for nobody who is.
        """
        seat = claims.seat or claims.sub
        if seat not in stage.approvers:
            given = next((name for name, holder in self.moved.items() if holder == claims.sub), "")
            if given in stage.approvers:
                raise Refused(
                    f"{claims.sub} decides here for {given} only",
                    next_step=f"say so: --for {given}, `seat` in the API",
                )
            what = f"stage {stage.name!r} of route {route.name!r}" if stage.name else f"route {route.name!r}"
            raise Refused(
                f"{seat} is not an approver of {what}",
                next_step=f"ask one of {', '.join(stage.approvers) or 'nobody: the route is empty'}",
            )
        if seat in self.moved and self.moved[seat] != claims.sub:
            raise Refused(f"{seat} handed this decision on to {self.moved[seat]}")
        if seat != claims.sub:
            self._check_stand_in(claims, route, seat)
        return seat

    def _check_stand_in(self, claims: ApprovalClaims, route: Route, seat: str) -> None:
        if claims.sub not in route.stand_ins:
            raise Refused(f"route {route.name!r} lets {claims.sub} stand in for nobody")
        if self.moved.get(seat) != claims.sub and not claims.is_deputy():
            raise Refused(f"{seat} did not hand this decision on to {claims.sub}")


def check_person(claims: ApprovalClaims, *, requester: str, tenant: str) -> None:
    """Raises Refused unless this person may decide for this requester at all."""
    if claims.tenant != tenant:
        raise Refused(f"{claims.sub} belongs to another tenant")
    if requester in (claims.sub, claims.seat):
        raise Refused(f"{requester} asked for this run and cannot decide on it (separation of duties)")


def check_about(request: ApprovalRequest, claims: ApprovalClaims) -> None:
    """Raises unless `claims` is a decision on exactly this request, with all that it needs.

    Raises:
        Refused: another run, request or call.
        InvalidInput: the verdict does not fit the request, or lacks what it needs.
    """
    if (claims.run, claims.request) != (request.run, request.request_id):
        raise Refused(f"the decision is about {claims.request!r}, not about {request.request_id!r}")
    if claims.call != request.call_digest or claims.about != request.kind:
        raise Refused("the decision was made about another call than the one that waits (digests differ)")
    if claims.verdict not in ALLOWED[request.kind]:
        allowed = ", ".join(sorted(ALLOWED[request.kind]))
        raise InvalidInput(f"verdict: {claims.verdict!r} does not fit a {request.kind} request; use {allowed}")
    if claims.verdict == "edit" and not claims.edited:
        raise InvalidInput("edited: an edit needs the new arguments")
    if claims.verdict in ("reject", "respond") and not claims.message.strip():
        raise InvalidInput(f"message: {claims.verdict} needs a message for the agent to read")


def check_signed(claims: ApprovalClaims, stages: Sequence[Stage], route: Route) -> None:
    """Raises Refused where one of these stages wants what lets something happen signed by a passkey and it is not,
    or by another than the policy has for this person.

    The signature itself was verified when the statement was read.
    """
    if claims.verdict == "reject" or not any(stage.passkey for stage in stages):
        return
    if claims.signature is None:
        raise Refused(
            f"{claims.sub} must sign this decision with a passkey: the route demands it",
            next_step="decide in the browser, or send `passkey` with the decision",
        )
    pinned = route.keys_of(claims.sub)
    if pinned and PasskeyClaims.peek(claims.signature.passkey).public_key not in pinned:
        raise Refused(
            f"{claims.sub} signed with a passkey that the policy does not have for them",
            next_step="sign with another one, or have `passkeys` of the user changed in permissions/",
        )


def check_emergency(claims: ApprovalClaims, route: Route) -> None:
    """Raises unless this person may break the glass on this route, and says why.

    Raises:
        Refused: the route does not let them, or nobody is left to review it.
        InvalidInput: no reason, or another verdict than approve.
    """
    if claims.verdict != "approve" or claims.about != "call" or claims.seat:
        raise InvalidInput("emergency: it goes with your own approval of a call, and with nothing else")
    if not claims.message.strip():
        raise InvalidInput("message: an emergency approval needs a reason, which is reviewed afterwards")
    check_signed(claims, route.stages, route)
    if route.emergency is None or claims.sub not in route.emergency.people:
        raise Refused(f"route {route.name!r} does not let {claims.sub} approve in an emergency")
    if not set(route.emergency.reviewers) - {claims.sub}:
        raise Refused(f"nobody would be left to review an emergency approval of {claims.sub}")


def check_apart(person: Collection[str], others: Collection[str], route: Route) -> None:
    """Raises Refused where an approval would be the second one of a team.

    Args:
        person: whoever approves, and whose seat they have.
        others: all who approved before, and their seats.
        route: names the teams.
    """
    for team in route.teams:
        if not set(team).isdisjoint(person) and (same := sorted(set(team).intersection(others))):
            raise Refused(f"{same[0]} of the same team approved already: one of each team counts")


def check_quorum(
    votes: Sequence[ApprovalClaims],
    route: Route,
    *,
    run: str,
    call: str,
    requester: str,
    tenant: str,
    passed_over: Collection[str] = (),
    seats: Seats | None = None,
) -> list[str]:
    """Raises Refused unless `votes` together approve `call` under `route`; returns the nonces they consume.

    The votes' signatures and expiry were checked when they were read.

    Args:
        passed_over: names of the stages whose deadlines passed, by the record.
        seats: who decides for whom, by the record.
    """
    for claims in votes:
        if claims.run != run or claims.call != call or claims.verdict != "approve":
            raise Refused(f"the approval of {claims.sub} is for another run or call, or approves nothing")
        check_person(claims, requester=requester, tenant=tenant)
    breaking = [claims for claims in votes if claims.emergency]
    if breaking:
        check_emergency(breaking[0], route)
        return [breaking[0].jti]
    known: dict[str, str] = {}
    escalated, nonces = False, []
    for stage in route.stages:
        if stage.only_escalated and not escalated:
            continue
        escalated = stage.at_deadline == "escalate" and stage.name in passed_over
        if escalated:
            continue
        own = [claims for claims in votes if claims.stage == stage.name]
        for claims in own:
            people = {claims.sub, (seats or Seats()).seat(claims, route, stage)}
            check_signed(claims, (stage,), route)
            if not people.isdisjoint(known):
                raise Conflict(f"{claims.sub} approved twice; a quorum counts people")
            check_apart(people, known, route)
            known |= dict.fromkeys(people, claims.jti)
            nonces.append(claims.jti)
        if len(own) < stage.quorum:
            where = f", stage {stage.name!r}," if stage.name else ""
            raise Refused(f"route {route.name!r}{where} needs {stage.quorum} approval(s), {len(own)} hold")
    return sorted(nonces)
