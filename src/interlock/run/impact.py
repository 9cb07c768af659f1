"""What a candidate policy would have decided: recorded decisions again, differences grouped, and what they cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from interlock.errors import InvalidInput
from interlock.policy import Bundle, decide
from interlock.run.differences import Side, difference, side, side_of
from interlock.run.grouping import Group, Grouping, place_of
from interlock.run.rehearsal import Answer, Bundles, Recorded, Unreadable, as_recorded
from interlock.types.closed import Closed

MAX_UNDECIDED: Final = 10
"""Of decisions that could not be made again, so many are named."""


class Cost(Closed):
    """What people have to do."""

    asks: int = 0
    """Calls that wait for people."""
    approvals: int = 0
    """Approvals that these need: each call's quorum."""


class Undecided(Closed):
    """A decision that could not be made again, and why."""

    run: str
    call: str
    problem: str


class Impact(Closed):
    """What a candidate would change."""

    candidate: str
    """Digest of the candidate's bundle."""
    decisions: int
    """How many were decided again."""
    changed: int
    widened: int
    """How many of the changed ones permit more than before."""
    groups: tuple[Group, ...]
    """Newly allowed first, then newly asking, newly denied, other terms; the largest group first."""
    before: Cost
    after: Cost
    unknown_terms: int = 0
    """Decisions whose recorded policy cannot be read: for these only verdicts were compared."""
    undecided: int = 0
    """Decisions that could not be made again."""
    undecided_first: tuple[Undecided, ...] = ()

    @property
    def safe(self) -> bool:
        """Whether nothing was widened and everything could be decided."""
        return not self.widened and not self.undecided


def impact(
    candidate: Bundle,
    records: Iterable[Recorded | Unreadable],
    bundles: Bundles,
    *,
    answer: Answer = as_recorded,
    instead_of: Bundle | None = None,
) -> Impact:
    """Decide every record under `candidate`, and compare.

    Args:
        candidate: the policy that is not in force.
        records: what was decided.
        bundles: the policies under which it was decided.
        answer: what puts a question as a policy needs it.
        instead_of: compare with what this policy would decide, and not with what is on record.
    """
    counting = _Counting()
    for record in records:
        if isinstance(record, Unreadable):
            counting.skip(record.event.run, record.event.call_id, record.problem)
            continue
        try:
            after = _decided(candidate, record, answer)
            before = _decided(instead_of, record, answer) if instead_of else _as_decided(record, bundles)
        except InvalidInput as error:
            counting.skip(record.event.run, record.event.call_id, error.reason)
        else:
            counting.take(record, before, after)
    return counting.result(candidate)


def _decided(bundle: Bundle, record: Recorded, answer: Answer) -> Side:
    request = answer(bundle, record)
    decision = decide(bundle, request)
    return side(bundle, decision, tenant=request.tenant, requester=request.requester)


def _as_decided(record: Recorded, bundles: Bundles) -> Side:
    event, request = record.event, record.request
    bundle = bundles.get(event.bundle)
    return side_of(bundle, event.verdict, event.rule, tenant=request.tenant, requester=request.requester)


@dataclass
class _Counting:
    decisions: int = 0
    unknown_terms: int = 0
    before: list[int] = field(default_factory=list)
    after: list[int] = field(default_factory=list)
    """The quorum of each decision that asks."""
    grouping: Grouping = field(default_factory=Grouping)
    undecided: int = 0
    undecided_first: list[Undecided] = field(default_factory=list)

    def skip(self, run: str, call: str, problem: str) -> None:
        self.undecided += 1
        if len(self.undecided_first) < MAX_UNDECIDED:
            self.undecided_first.append(Undecided(run=run, call=call, problem=problem))

    def take(self, record: Recorded, before: Side, after: Side) -> None:
        self.decisions += 1
        self.unknown_terms += before.verdict != "deny" and before.terms is None
        self.before += _quorum(before)
        self.after += _quorum(after)
        if found := difference(before, after):
            self.grouping.take(found, place_of(record))

    def result(self, candidate: Bundle) -> Impact:
        groups = self.grouping.groups()
        return Impact(
            candidate=candidate.digest,
            decisions=self.decisions,
            changed=sum(group.count for group in groups),
            widened=sum(group.count for group in groups if group.widened),
            groups=groups,
            before=Cost(asks=len(self.before), approvals=sum(self.before)),
            after=Cost(asks=len(self.after), approvals=sum(self.after)),
            unknown_terms=self.unknown_terms,
            undecided=self.undecided,
            undecided_first=tuple(self.undecided_first),
        )


def _quorum(one: Side) -> list[int]:
    if one.verdict != "ask":
        return []
    return [one.terms.route.quorum if one.terms and one.terms.route else 1]
