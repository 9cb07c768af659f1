"""What would have to be otherwise for a request to be decided otherwise, and who could see to it: for people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from pydantic import computed_field

from interlock.policy.bundle import Bundle
from interlock.policy.compiled import CompiledRule
from interlock.policy.normal import ConditionError
from interlock.policy.reach import stated
from interlock.policy.view import RequestView
from interlock.types.access import AccessRequest, Decision, Verdict
from interlock.types.closed import Closed

MAX_NEAR: Final = 10
_SHOWN: Final = 4


class NearRule(Closed):
    """A rule about the tool that does not match."""

    rule: str
    effect: Verdict
    owner: str
    source: str
    """`file:line`."""
    guardrail: bool
    needs: tuple[str, ...]
    """Everything that would have to be true, and is not, for it to match."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def clause(self) -> str:
        """The first clause that fails."""
        return self.needs[0]


class Grantor(Closed):
    """Somebody who could let the call run."""

    who: str
    """An owner as rules name it, or `user:NAME` of an approver."""
    how: str
    """What they would have to do."""


class Reasons(Closed):
    """What stands behind a decision."""

    near: tuple[NearRule, ...]
    """Rules about the tool that do not match, nearest first; those of other tools are not near."""
    others: int
    """How many more rules are about the tool."""
    needs: tuple[str, ...]
    """What would have to be true for the call to run; of the near rules that grant, one is enough."""
    grantors: tuple[Grantor, ...]


def reasons(bundle: Bundle, request: AccessRequest, decision: Decision) -> Reasons:
    """Find what stands behind a decision of `bundle` about `request`.

    Raises:
        InvalidInput: the request has no canonical form.
    """
    view = RequestView(request, bundle.people)
    if view.invalid:
        return Reasons(near=(), others=0, needs=(f"the request must be valid: {view.invalid}",), grantors=())
    misses = _misses(bundle, view, frozenset(decision.matched))
    misses.sort(key=lambda miss: (miss.grants is not (decision.verdict == "deny"), len(miss.needs)))
    near = _nearest(misses)
    matched = [bundle.rule_by_id[name] for name in decision.matched]
    needs, grantors = _remedies(bundle, view, decision, matched, [miss for miss in near if miss.grants])
    return Reasons(
        near=tuple(miss.told() for miss in near), others=len(misses) - len(near), needs=needs, grantors=grantors
    )


class _Miss(NamedTuple):
    rule: CompiledRule
    needs: tuple[str, ...]

    @property
    def grants(self) -> bool:
        return _grants(self.rule)

    def told(self) -> NearRule:
        own = self.rule.rule
        return NearRule(
            rule=own.id,
            effect=own.effect,
            owner=own.owner,
            source=self.rule.source,
            guardrail=own.guardrail,
            needs=self.needs,
        )


def _grants(rule: CompiledRule) -> bool:
    return not rule.denies and not rule.rule.guardrail


def _misses(bundle: Bundle, view: RequestView, matched: frozenset[str]) -> list[_Miss]:
    found = []
    for rule in bundle.rules:
        if rule.id not in matched and rule.covers_tool(view):
            needs = (*_unmet(rule, view), *_unmet_conditions(rule, view))
            found.append(_Miss(rule, needs or ("a rule that grants by itself must match",)))
    return found


def _nearest(misses: list[_Miss]) -> list[_Miss]:
    """The nearest of those that grant and of those that do not: at most one clause farther than the best."""
    near = []
    for grants in (True, False):
        some = [miss for miss in misses if miss.grants is grants]
        best = min((len(miss.needs) for miss in some), default=0)
        near += [miss for miss in some if len(miss.needs) <= best + 1]
    return sorted(near, key=misses.index)[:MAX_NEAR]


Covers = Callable[[CompiledRule, RequestView], bool]

_CLAUSES: Final[tuple[tuple[str, Covers], ...]] = (
    ("agent", CompiledRule.covers_agent),
    ("requester", CompiledRule.covers_requester),
    ("tenant", CompiledRule.covers_tenant),
    ("action", CompiledRule.covers_action),
)


def _unmet(rule: CompiledRule, view: RequestView) -> Iterator[str]:
    request, own = view.request, rule.rule
    for name, covers in _CLAUSES:
        if covers(rule, view):
            continue
        if name == "requester" and not view.known:
            yield f"requester {request.requester!r} must be a known user of tenant {request.tenant!r}"
            continue
        wanted = {"agent": sorted(rule.agents), "requester": sorted(rule.requesters)}
        yield f"{name} must be {_any(wanted.get(name) or getattr(own, name))}, it is {getattr(request, name)!r}"
    if not rule.covers_expiry(view):
        yield f"the rule must count still, it expired on {own.expires}"
    outcome = rule.resource_outcome(view)
    if not outcome.hold:
        # The resource carries argument values, which are not repeated.
        why = outcome.errors[0].removeprefix(f"{rule.id}: ") if outcome.errors else ""
        yield f"resource must be {_any(own.resource)}" + (f", it cannot be tested ({why})" if why else "")


def _unmet_conditions(rule: CompiledRule, view: RequestView) -> Iterator[str]:
    """All conditions that fail, and not only the first. What cannot be tested fails in a rule that allows."""
    for condition in rule.conditions:
        try:
            if not condition.holds(view):
                yield condition.text
        except ConditionError as error:
            if not rule.strict:
                yield f"{condition.text}, it cannot be tested ({error})"


def _remedies(
    bundle: Bundle, view: RequestView, decision: Decision, matched: list[CompiledRule], near: list[_Miss]
) -> tuple[tuple[str, ...], tuple[Grantor, ...]]:
    if decision.verdict == "allow":
        return (), ()
    if decision.verdict == "ask" and decision.route is not None:
        route = decision.route
        people = [Grantor(who=one, how=f"approve it (route {route.name})") for one in route.approvers]
        return (f"{route.quorum} of {', '.join(route.approvers)} must approve it",), tuple(people)
    denying = [rule for rule in matched if rule.denies]
    needs = [_undone(rule) for rule in denying]
    grantors = [_owner(rule, "change") for rule in denying]
    if not denying and matched:
        needs.append(f"route {matched[0].rule.route!r} must have enough approvers besides the requester")
        grantors.append(_owner(matched[0], "add approvers for"))
    if not any(_grants(rule) for rule in matched):
        needs += [f"for {miss.rule.id}: {'; '.join(miss.needs)}" for miss in near]
        needs += [] if near else [f"a rule must allow or ask about tool {view.tool!r}: there is none that could"]
        grantors += [_owner(miss.rule, "extend") for miss in near] or _authors(bundle, view)
    once: dict[str, Grantor] = {}
    for grantor in grantors:
        once.setdefault(grantor.who, grantor)
    return tuple(needs), tuple(once.values())


def _undone(rule: CompiledRule) -> str:
    conditions = " and ".join(stated(condition.text) for condition in rule.conditions)
    if not conditions:
        return f"{rule.id} must not deny: it has no condition, only a change of the rule would do"
    return f"{rule.id} must not deny: it does while {conditions}"


def _owner(rule: CompiledRule, verb: str) -> Grantor:
    return Grantor(who=rule.rule.owner, how=f"{verb} {rule.id} ({rule.source})")


def _authors(bundle: Bundle, view: RequestView) -> list[Grantor]:
    """Owners of rules that let the agent do something; where there is none, of any that grants."""
    granting = [rule for rule in bundle.rules if _grants(rule)]
    own = [rule for rule in granting if rule.covers_agent(view)]
    return [Grantor(who=owner, how=f"add a rule in {file}") for owner, file in _places(own or granting)]


def _places(rules: Iterable[CompiledRule]) -> list[tuple[str, str]]:
    return sorted({(rule.rule.owner, rule.source.rpartition(":")[0]) for rule in rules})[:MAX_NEAR]


def _any(items: Iterable[str]) -> str:
    listed = [repr(item) for item in items]
    return " or ".join(listed[:_SHOWN]) + (" or …" if len(listed) > _SHOWN else "")
