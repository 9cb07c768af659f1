"""How approving goes: how long people take, what they say, what is left to expire, and what could be asked less.

It reads the ledger's read models as they are; nothing is decided by it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final, Literal

from interlock.audit import Ledger
from interlock.audit.approval_statistics import Repeated, VoteFact
from interlock.types.closed import Closed

AT_LEAST: Final = 10
"""So many decisions or identical approvals before anything is suggested."""
QUICK_S: Final = 10.0
"""Whoever decides faster than this half of the time has hardly read the card."""


class Deciding(Closed):
    """What people said, and how long requests waited for it."""

    decided: int
    approved: int
    edited: int
    rejected: int
    responded: int
    p50_s: float | None
    """Half of the decisions came within so many seconds of the request; None: there was none."""
    p95_s: float | None


class RuleStats(Closed):
    """The requests of one rule."""

    rule: str
    requests: int
    pending: int
    expired: int
    withdrawn: int
    deciding: Deciding


class ApproverStats(Closed):
    """One person under one rule."""

    rule: str
    approver: str
    let_expire: int
    """Requests that expired although this person could have decided."""
    deciding: Deciding


class Suggestion(Closed):
    """Something that people may want to change in the policy, or talk about."""

    kind: Literal["grant", "unread", "unanswered"]
    """grant: the same call is approved again and again. unread: approvals come faster than a card can be read.
    unanswered: most requests of a rule expire."""
    text: str
    rule: str
    count: int
    tool: str = ""
    approver: str = ""
    request: str = ""
    """A request to look at, as an example."""


class ApprovalStats(Closed):
    """All of it, for one tenant."""

    tenant: str
    since: datetime
    until: datetime
    requests: int
    deciding: Deciding
    rules: tuple[RuleStats, ...]
    approvers: tuple[ApproverStats, ...]
    suggestions: tuple[Suggestion, ...]


def approval_stats(ledger: Ledger, tenant: str, *, since: datetime, until: datetime) -> ApprovalStats:
    """What the requests of a tenant since some time say.

    Raises:
        IntegrityError: a row of the read models was altered.
        LedgerUnavailable: the ledger cannot be read.
    """
    facts = ledger.approval_facts(tenant, since, AT_LEAST)
    rules = tuple(_rules(facts.counts, facts.votes))
    approvers = tuple(_approvers(facts.votes, facts.let_expire))
    days = max(1, round((until - since).total_seconds() / 86_400))
    return ApprovalStats(
        tenant=tenant,
        since=since,
        until=until,
        requests=sum(facts.counts.values()),
        deciding=_deciding(facts.votes),
        rules=rules,
        approvers=approvers,
        suggestions=(*_grants(facts.repeated, days), *_unread(approvers), *_unanswered(rules)),
    )


def _rules(counts: dict[tuple[str, str], int], votes: Sequence[VoteFact]) -> Iterator[RuleStats]:
    by_rule: dict[str, list[VoteFact]] = defaultdict(list)
    for vote in votes:
        by_rule[vote.rule].append(vote)
    for rule in sorted({rule for rule, _ in counts}):
        yield RuleStats(
            rule=rule,
            requests=sum(count for (one, _), count in counts.items() if one == rule),
            pending=counts.get((rule, "pending"), 0),
            expired=counts.get((rule, "expired"), 0),
            withdrawn=counts.get((rule, "withdrawn"), 0),
            deciding=_deciding(by_rule[rule]),
        )


def _approvers(votes: Sequence[VoteFact], silent: Counter[tuple[str, str]]) -> Iterator[ApproverStats]:
    pairs: dict[tuple[str, str], list[VoteFact]] = defaultdict(list)
    for vote in votes:
        pairs[vote.rule, vote.approver].append(vote)
    for rule, approver in sorted({*pairs, *silent}):
        yield ApproverStats(
            rule=rule,
            approver=approver,
            let_expire=silent[rule, approver],
            deciding=_deciding(pairs.get((rule, approver), [])),
        )


def _deciding(votes: Sequence[VoteFact]) -> Deciding:
    said = Counter(vote.verdict for vote in votes)
    waited = sorted(vote.waited_s for vote in votes)
    return Deciding(
        decided=len(votes),
        approved=said["approve"],
        edited=said["edit"],
        rejected=said["reject"],
        responded=said["respond"],
        p50_s=_percentile(waited, 50),
        p95_s=_percentile(waited, 95),
    )


def _percentile(ordered: Sequence[float], percent: int) -> float | None:
    """The nearest rank: a value that did occur."""
    if not ordered:
        return None
    return round(ordered[max(0, -(-len(ordered) * percent // 100) - 1)], 1)


def _grants(repeated: Iterable[Repeated], days: int) -> Iterator[Suggestion]:
    for one in repeated:
        if not one.other:
            yield Suggestion(
                kind="grant",
                text=f"{one.approved} identical approvals of {one.tool} in {days} days, and none that was refused: "
                f"offer an 8-hour grant for this target (rule {one.rule})",
                rule=one.rule,
                count=one.approved,
                tool=one.tool,
                request=one.latest,
            )


def _unread(approvers: Iterable[ApproverStats]) -> Iterator[Suggestion]:
    for one in approvers:
        said = one.deciding
        if said.approved >= AT_LEAST and said.approved == said.decided and (said.p50_s or 0.0) < QUICK_S:
            yield Suggestion(
                kind="unread",
                text=f"{one.approver} approved all {said.decided} requests of rule {one.rule}, half of them within "
                f"{said.p50_s} s: ask whether the cards are read, and whether the rule needs a person",
                rule=one.rule,
                count=said.decided,
                approver=one.approver,
            )


def _unanswered(rules: Iterable[RuleStats]) -> Iterator[Suggestion]:
    for one in rules:
        closed = one.requests - one.pending
        if closed >= AT_LEAST and one.expired * 2 > closed:
            yield Suggestion(
                kind="unanswered",
                text=f"{one.expired} of {closed} requests of rule {one.rule} expired: name more approvers in its "
                "route, or give them longer",
                rule=one.rule,
                count=one.expired,
            )
