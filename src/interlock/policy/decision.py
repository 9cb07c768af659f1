"""The policy decision point: one request, one bundle, one answer. Pure, so that it can be made again."""

from __future__ import annotations

from typing import Any

from interlock.digest import digest_of
from interlock.policy.bundle import Bundle
from interlock.policy.compiled import CompiledRule
from interlock.policy.handed_on import each_subject, united
from interlock.policy.judgement import Judgement, judge, near_rules
from interlock.types.access import AccessRequest, Decision, NearestRule, Obligations, canonical_request
from interlock.types.route import Route


def decide(bundle: Bundle, request: AccessRequest) -> Decision:
    """Decide a request under a bundle. A function of these two and nothing else; safe to call from threads.

    A call of a sub-agent is decided for it and for every agent that handed the work on.

    Raises:
        InvalidInput: the request has no canonical form, so that it can be neither recorded nor decided.
        IntegrityError: Casbin does not agree with itself.
    """
    if not request.delegators:
        return decision_of(bundle, judge(bundle, request))
    digest = digest_of(canonical_request(request))
    return united(request, [decision_of(bundle, judge(bundle, one)) for one in each_subject(request)], digest)


def decision_of(bundle: Bundle, judgement: Judgement) -> Decision:
    """The decision that a judgement comes to."""
    rule = judgement.deciding
    if judgement.view.invalid:
        return _decision(
            bundle, judgement, "deny", f"The request is invalid and was denied: {judgement.view.invalid}."
        )
    if rule is None:
        return _default_deny(bundle, judgement)
    if rule.rule.effect == "deny":
        return _decision(bundle, judgement, "deny", _denied(rule))
    if rule.rule.effect == "ask":
        return _ask(bundle, judgement, rule)
    profile = rule.rule.profile or ""
    return _decision(bundle, judgement, "allow", f"Rule {rule.id!r} allows this call.", profile=profile)


def _decision(bundle: Bundle, judgement: Judgement, verdict: Any, reason: str, **more: Any) -> Decision:
    return Decision(
        verdict=verdict,
        obligations=_obligations(bundle, judgement),
        rule=judgement.deciding.id if judgement.deciding else "",
        matched=tuple(rule.id for rule in judgement.matched),
        reason=reason,
        condition_errors=judgement.errors,
        bundle=bundle.digest,
        request=judgement.view.digest,
        **more,
    )


def _obligations(bundle: Bundle, judgement: Judgement) -> Obligations:
    """Those of the deciding rule alone; whoever is told of a call is told of a denied one too."""
    if judgement.deciding is None:
        return Obligations()
    rule = judgement.deciding.rule
    return Obligations(
        egress=rule.egress or (),
        credentials=rule.credentials or (),
        limits=rule.limits,
        redact=rule.redact or (),
        notify=bundle.people.users(rule.notify or ()),
    )


def _default_deny(bundle: Bundle, judgement: Judgement) -> Decision:
    near = near_rules(bundle, judgement.view, count=1, denying=False)
    nearest: NearestRule | None = near[0] if near else None
    if nearest is None:
        reason = "No rule allows this call, and there is no rule that allows anything: ask the policy's owner."
        return _decision(bundle, judgement, "deny", reason)
    near_rule = bundle.rule(nearest.rule)
    owner = near_rule.rule.owner if near_rule else "the policy's owner"
    reason = (
        f"No rule allows this call; the nearest is {nearest.rule!r}, which does not apply because "
        f"{nearest.clause}: change the call to fit, do something else, or ask {owner} for a rule."
    )
    return _decision(bundle, judgement, "deny", reason, nearest=nearest)


def _denied(rule: CompiledRule) -> str:
    note = f" ({rule.rule.note})" if rule.rule.note else ""
    return (
        f"Rule {rule.id!r} of {rule.rule.owner} denies this call{note}: do not repeat it, "
        f"choose another way, or ask {rule.rule.owner}."
    )


def _ask(bundle: Bundle, judgement: Judgement, rule: CompiledRule) -> Decision:
    request = judgement.view.request
    route = bundle.route(str(rule.rule.route), tenant=request.tenant, requester=request.requester, at=request.time)
    note = f" ({rule.rule.note})" if rule.rule.note else ""
    if (short := route.short_of()) is not None:
        stage = f", stage {short.name!r}" if short.name else ""
        reason = (
            f"Rule {rule.id!r} asks for {_people(short.quorum)} of route {route.name!r}{stage}{note}, and only "
            f"{len(short.approvers)} in tenant {request.tenant!r} may approve for {request.requester!r}, so the "
            f"call is denied: ask {rule.rule.owner} to add approvers."
        )
        return _decision(bundle, judgement, "deny", reason)
    reason = (
        f"Rule {rule.id!r} lets this call run once {_people(route.quorum)} of route {route.name!r} approved it"
        f"{_in_turn(route)}{note}: wait for the answer, which expires after {_span(route)}."
    )
    return _decision(bundle, judgement, "ask", reason, route=route, profile=rule.rule.profile or "")


def _people(count: int) -> str:
    return "one person" if count == 1 else f"{count} people"


def _in_turn(route: Route) -> str:
    return f" in {len(route.stages)} stages" if len(route.stages) > 1 else ""


def _span(route: Route) -> str:
    for name, unit in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if route.expires_after_s % unit == 0:
            count = route.expires_after_s // unit
            return f"{count} {name}{'s' if count > 1 else ''}"
    return f"{route.expires_after_s} seconds"
