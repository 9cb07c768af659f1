"""What differs between two decisions about the same question, and which way."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Literal

from interlock.policy import Bundle
from interlock.policy.entries import Rule
from interlock.types.access import Decision, Limits, Verdict
from interlock.types.closed import Closed
from interlock.types.route import Route

Kind = Literal["newly allowed", "newly asks", "newly denied", "other terms"]
KINDS: Final[tuple[Kind, ...]] = ("newly allowed", "newly asks", "newly denied", "other terms")
"""In the order in which people are told."""

_KIND_OF: Final[dict[Verdict, Kind]] = {"allow": "newly allowed", "ask": "newly asks", "deny": "newly denied"}
_FREEDOM: Final[dict[Verdict, int]] = {"deny": 0, "ask": 1, "allow": 2}


class Terms(Closed):
    """How a call may run that is not denied: what the deciding rule obliges to."""

    route: Route | None = None
    profile: str = ""
    egress: tuple[str, ...] = ()
    """Each rule of the way out in words; empty: as the profile says."""
    credentials: tuple[str, ...] = ()
    limits: Limits | None = None
    redact: tuple[str, ...] = ()
    notify: tuple[str, ...] = ()


class Side(Closed):
    """One of the two decisions."""

    verdict: Verdict
    rule: str
    """Empty: no rule, the default denies."""
    source: str = ""
    """`file:line` of the rule; empty where its policy cannot be read."""
    terms: Terms | None = None
    """None: denied, or its policy cannot be read."""

    @property
    def words(self) -> str:
        """`ask by fixer_proposes (permissions/grants.yaml:36)`."""
        at = f" ({self.source})" if self.source else ""
        return f"{self.verdict} by {self.rule}{at}" if self.rule else f"{self.verdict} by default"


class Difference(Closed):
    """How the second decision differs from the first."""

    kind: Kind
    before: Side
    after: Side
    details: tuple[str, ...] = ()
    """For other terms: what differs, in words."""
    widened: bool
    """Whether something may happen now that could not, or with fewer people, or under looser obligations."""


def side_of(bundle: Bundle | None, verdict: Verdict, rule: str, *, tenant: str, requester: str) -> Side:
    """A decision of `bundle` as one side; None for a policy that cannot be read."""
    found = bundle.rule(rule) if bundle else None
    if bundle is None or found is None:
        return Side(verdict=verdict, rule=rule)
    terms = None if verdict == "deny" else _terms(bundle, found.rule, tenant, requester)
    return Side(verdict=verdict, rule=rule, source=found.source, terms=terms)


def side(bundle: Bundle, decision: Decision, *, tenant: str, requester: str) -> Side:
    """The same from a decision that was just made."""
    return side_of(bundle, decision.verdict, decision.rule, tenant=tenant, requester=requester)


def _terms(bundle: Bundle, own: Rule, tenant: str, requester: str) -> Terms:
    return Terms(
        route=bundle.route(own.route, tenant=tenant, requester=requester) if own.route else None,
        profile=own.profile or "",
        egress=tuple(rule.text for rule in own.egress or ()),
        credentials=own.credentials or (),
        limits=own.limits,
        redact=own.redact or (),
        notify=bundle.people.expand(own.notify or ()),
    )


def difference(before: Side, after: Side) -> Difference | None:
    """How `after` differs from `before`; None where both come to the same, by whatever rule."""
    if before.verdict != after.verdict:
        widened = _FREEDOM[after.verdict] > _FREEDOM[before.verdict]
        return Difference(kind=_KIND_OF[after.verdict], before=before, after=after, widened=widened)
    if before.terms is None or after.terms is None or before.terms == after.terms:
        return None
    tighter, looser = _compared(before.terms, after.terms)
    return Difference(
        kind="other terms", before=before, after=after, details=(*looser, *tighter), widened=bool(looser)
    )


def _compared(old: Terms, new: Terms) -> tuple[list[str], list[str]]:
    """What became tighter, or cannot be ranked; and what became looser."""
    tighter, looser = _people(old.route, new.route)
    if old.profile != new.profile:
        tighter.append(f"profile {new.profile or 'of the tool'} instead of {old.profile or 'of the tool'}")
    _sets("may reach", old.egress, new.egress, gain=looser, loss=tighter)
    _sets("may use", old.credentials, new.credentials, gain=looser, loss=tighter)
    _sets("redacts", old.redact, new.redact, gain=tighter, loss=looser)
    _sets("tells", old.notify, new.notify, gain=tighter, loss=looser)
    before, after = _numbers(old.limits), _numbers(new.limits)
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name), after.get(name)
        if was != now:
            more = now is None or (was is not None and now > was)
            (looser if more else tighter).append(f"limit {name} {_shown(now)} instead of {_shown(was)}")
    return tighter, looser


def _people(old: Route | None, new: Route | None) -> tuple[list[str], list[str]]:
    tighter: list[str] = []
    looser: list[str] = []
    if old is None or new is None:
        return tighter, looser
    if old.quorum != new.quorum:
        said = f"needs {new.quorum} of route {new.name} instead of {old.quorum} of route {old.name}"
        (looser if new.quorum < old.quorum else tighter).append(said)
    _sets("may be approved by", old.approvers, new.approvers, gain=looser, loss=tighter)
    if old.expires_after_s != new.expires_after_s:
        tighter.append(f"waits {new.expires_after_s} s instead of {old.expires_after_s} s")
    return tighter, looser


def _sets(verb: str, old: Collection[str], new: Collection[str], *, gain: list[str], loss: list[str]) -> None:
    if more := sorted(set(new) - set(old)):
        gain.append(f"{verb} {', '.join(more)} too")
    if fewer := sorted(set(old) - set(new)):
        loss.append(f"{verb} {', '.join(fewer)} no more")


def _numbers(limits: Limits | None) -> dict[str, int]:
    return {} if limits is None else {k: v for k, v in limits.model_dump().items() if v is not None}


def _shown(value: int | None) -> str:
    return "of the profile" if value is None else str(value)
