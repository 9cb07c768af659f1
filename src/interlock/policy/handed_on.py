"""Calls of a sub-agent: what it may do, and no more than those may who handed the work on to it.

The same request is decided for the agent that acts and for every delegator. The strictest verdict counts, all
obligations are kept, and what several rules grant is granted only where all of them do. Where they cannot be
reconciled, the call is denied.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from interlock.types.access import AccessRequest, Decision, Limits, Obligations, Verdict
from interlock.types.route import Route, Stage

_STRICTNESS: Final[dict[Verdict, int]] = {"deny": 0, "ask": 1, "allow": 2}


def each_subject(request: AccessRequest) -> tuple[AccessRequest, ...]:
    """The request as each of its subjects would make it for itself: the agent first, then the delegators."""
    subjects = (request.agent, *request.delegators)
    return tuple(request.model_copy(update={"agent": one, "delegators": ()}) for one in subjects)


def strictest(decisions: Sequence[Decision]) -> int:
    """Which of the decisions counts: the first of the strictest."""
    return min(range(len(decisions)), key=lambda i: _STRICTNESS[decisions[i].verdict])


def united(request: AccessRequest, decisions: Sequence[Decision], digest: str) -> Decision:
    """One decision out of those about each subject.

    Args:
        request: the call of the agent that acts.
        decisions: in the order of `each_subject`.
        digest: of the request's canonical bytes, delegators included.
    """
    subjects = (request.agent, *request.delegators)
    place = strictest(decisions)
    counts = decisions[place]
    found = counts.model_copy(
        update={
            "request": digest,
            "reason": counts.reason if place == 0 else _not_alone(subjects[place], counts),
            "condition_errors": _once(error for one in decisions for error in one.condition_errors),
            "obligations": _obligations(decisions),
        }
    )
    if found.verdict == "deny":
        return found
    if problem := _irreconcilable(decisions):
        return _denied(found, f"{problem}, so the call is denied: make the rules agree about it.")
    return _asked(found, decisions) if found.verdict == "ask" else found


def _not_alone(delegator: str, decision: Decision) -> str:
    if decision.verdict == "deny":
        return f"{delegator!r} handed this work on and may not make this call itself. {decision.reason}"
    return f"{delegator!r} handed this work on. {decision.reason}"


def _denied(decision: Decision, reason: str) -> Decision:
    return decision.model_copy(update={"verdict": "deny", "reason": reason, "route": None, "profile": ""})


def _irreconcilable(decisions: Sequence[Decision]) -> str:
    """Why the call cannot be run as all of them demand; empty if it can."""
    if len({one.profile for one in decisions}) > 1:
        profiles = " and ".join(repr(one.profile or "the tool's own") for one in decisions)
        return f"The rules for the agent and for those who handed the work on name different profiles ({profiles})"
    if not _obligations(decisions).egress and any(one.obligations.egress for one in decisions):
        return "The rules for the agent and for those who handed the work on share no egress"
    return ""


def _asked(found: Decision, decisions: Sequence[Decision]) -> Decision:
    """Asked as every route demands: of those whom all of them name, where each has one stage; else one after the
    other."""
    routes = [one.route for one in decisions if one.route is not None]
    if all(one == routes[0] for one in routes):
        return found.model_copy(update={"route": routes[0]})
    short = all(len(one.stages) == 1 for one in routes)
    route = _shared(routes) if short else _in_turn(routes)
    names = " and ".join(repr(name) for name in _once(route.name for route in routes))
    if route.short_of() is not None:
        reason = (
            f"Routes {names} share {len(route.approvers)} people, and {route.quorum} must approve what was handed "
            f"on, so the call is denied: add people to both."
        )
        return _denied(found, reason)
    note = f" Only people of every route that is asked may approve, {route.quorum} of them."
    if not short:
        note = f" The stages of routes {names} are asked one after the other."
    return found.model_copy(update={"route": route, "reason": found.reason + note})


def _shared(routes: Sequence[Route]) -> Route:
    """As many people as the strictest demands, in the shortest time."""
    stages = [route.stages[0] for route in routes]
    people = set(stages[0].approvers).intersection(*(stage.approvers for stage in stages))
    stage = Stage(
        approvers=tuple(sorted(people)),
        quorum=max(one.quorum for one in stages),
        rejections=min(one.rejections for one in stages),
        passkey=any(one.passkey for one in stages),
        expires_after_s=min(one.expires_after_s for one in stages),
    )
    return Route(name=routes[0].name, stages=(stage,), **_strictest(routes))


def _in_turn(routes: Sequence[Route]) -> Route:
    every = [stage for route in dict.fromkeys(routes) for stage in route.stages]
    stages = (one.model_copy(update={"name": f"s{n}_{one.name}"[:64]}) for n, one in enumerate(every, 1))
    return Route(name=routes[0].name, stages=tuple(stages), **_strictest(routes))


def _strictest(routes: Sequence[Route]) -> dict[str, Any]:
    """Teams are kept apart where one route says so; nobody breaks the glass of another's route."""
    stand_ins = set(routes[0].stand_ins).intersection(*(route.stand_ins for route in routes))
    return {
        "teams": tuple(dict.fromkeys(team for route in routes for team in route.teams)),
        "stand_ins": tuple(sorted(stand_ins)),
        "pinned": tuple(dict.fromkeys(one for route in routes for one in route.pinned)),
    }


def _obligations(decisions: Sequence[Decision]) -> Obligations:
    own, *others = (one.obligations for one in decisions)
    all_of_them = (own, *others)
    return Obligations(
        egress=tuple(rule for rule in own.egress if all(rule in other.egress for other in others)),
        credentials=tuple(name for name in own.credentials if all(name in other.credentials for other in others)),
        limits=_tightest([one.limits for one in all_of_them if one.limits is not None]),
        redact=_once(pattern for one in all_of_them for pattern in one.redact),
        notify=tuple(sorted({name for one in all_of_them for name in one.notify})),
    )


def _tightest(limits: Sequence[Limits]) -> Limits | None:
    if not limits:
        return None
    given = [one.model_dump(exclude_none=True) for one in limits]
    return Limits(**{name: min(one[name] for one in given if name in one) for some in given for name in some})


def _once(items: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items))
