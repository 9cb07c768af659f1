"""Rules out of the record: the narrowest ones over calls that went well, and the rules that nobody used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from interlock.audit import Ledger, SqlBlobs
from interlock.events import ApprovalDecided, ApprovalRequested, CallFinished, Event
from interlock.policy import Bundle, Problem, decide, load_bundle
from interlock.policy.entries import OBLIGATIONS, Rule
from interlock.policy.loader import load_with
from interlock.policy.suggestion import Suggestion, suggest_rule, suggestions_file
from interlock.run.rehearsal import Bundles, Recorded, recorded

_FILE: Final = "suggested.yaml"
_PAGE: Final = 500


@dataclass(frozen=True)
class Suggested:
    """What the record suggests."""

    suggestions: tuple[Suggestion, ...]
    unused: tuple[Problem, ...]
    """Rules of the policy now that decided nothing on record, each with its place."""
    decisions: int
    """How many decisions were looked at."""
    good: int
    """How many of them went well: allowed or approved, and finished."""
    uncovered: tuple[str, ...]
    """Good calls that no suggested rule covers: `RUN CALL: why`."""

    @property
    def text(self) -> str:
        """A policy file with the suggested rules."""
        return suggestions_file(self.suggestions)


@dataclass
class _Kind:
    """Good calls that one rule is to cover."""

    like: Rule | None
    """The rule that decided the first of them."""
    records: list[Recorded] = field(default_factory=list)

    def problem(self, policy: Bundle) -> str:
        """Why no rule can be suggested for them under the policy as it is now; empty if one can."""
        first = self.records[0].event
        if first.verdict == "ask" and self.like is None:
            return f"nobody knows whom rule {first.rule!r} asked: its policy cannot be read"
        if self.like and self.like.route and self.like.route not in policy.routes:
            return f"route {self.like.route!r} is gone"
        if self.like and self.like.profile and self.like.profile not in policy.profiles:
            return f"profile {self.like.profile!r} is gone"
        return ""


def suggest(
    ledger: Ledger,
    blobs: SqlBlobs,
    folder: Path,
    *,
    runs: Sequence[str] | None = None,
    since: datetime | None = None,
) -> Suggested:
    """Look at recorded decisions, and suggest.

    Args:
        ledger: where they are.
        blobs: where their requests are.
        folder: the policy as it is now; the suggested rules must load beside it.
        runs: only these.
        since: only from then on.

    Raises:
        PolicyError: the policy does not load.
    """
    policy = load_bundle(folder)
    records = [one for one in recorded(ledger, blobs, runs=runs, since=since) if isinstance(one, Recorded)]
    well = frozenset(good_calls(ledger, sorted({one.event.run for one in records})))
    good = [one for one in records if one.event.verdict != "deny" and (one.event.run, one.event.call_id) in well]
    suggestions, uncovered = _suggested(_kinds(good, Bundles(blobs), policy), policy)
    return Suggested(
        suggestions=tuple(suggestions),
        unused=tuple(_unused(policy, {one.event.rule for one in records})),
        decisions=len(records),
        good=len(good),
        uncovered=(*uncovered, *_uncovered(good, suggestions, folder)),
    )


def good_calls(ledger: Ledger, runs: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Run and call id of each call that finished well, and of each question that people answered."""
    for run in runs:
        asked: dict[str, str] = {}
        for event in ledger.events(run):
            if isinstance(event, ApprovalRequested) and event.about != "call":
                asked[event.request_id] = event.call_id
            elif call_id := _went_well(event, asked):
                yield run, call_id


def _went_well(event: Event, asked: dict[str, str]) -> str:
    if isinstance(event, CallFinished):
        return event.call_id if event.status == "ok" else ""
    if isinstance(event, ApprovalDecided) and event.closes and event.verdict in ("approve", "respond"):
        return asked.get(event.request_id, "")
    return ""


def _kinds(good: list[Recorded], bundles: Bundles, policy: Bundle) -> list[_Kind]:
    """Good calls by agent, tool and what their rule obliged to; those of people who are gone are left out."""
    kinds: dict[tuple[object, ...], _Kind] = {}
    for record in good:
        event, request = record.event, record.request
        if policy.people.is_known(request.requester, request.tenant):
            decided = bundles.get(event.bundle) or policy
            found = decided.rule(event.rule)
            like = found.rule if found else None
            terms = tuple(str(getattr(like, key, None)) for key in ("route", *OBLIGATIONS, "notify"))
            kind = kinds.setdefault((request.agent, request.tool, event.verdict, terms), _Kind(like))
            kind.records.append(record)
    return [kind for _, kind in sorted(kinds.items(), key=lambda item: str(item[0]))]


def _suggested(kinds: list[_Kind], policy: Bundle) -> tuple[list[Suggestion], list[str]]:
    suggestions: list[Suggestion] = []
    problems: list[str] = []
    taken = set(policy.rule_by_id)
    for kind in kinds:
        first = kind.records[0].event
        if problem := kind.problem(policy):
            problems.append(f"{first.run} {first.call_id}: {problem}")
            continue
        requests = [record.request for record in kind.records]
        effect = "ask" if first.verdict == "ask" else "allow"
        made = suggest_rule(requests, policy.people, effect=effect, like=kind.like, taken=taken)  # type: ignore[arg-type]
        taken.add(made.rule.id)
        suggestions.append(made)
    return suggestions, problems


def _uncovered(good: list[Recorded], suggestions: list[Suggestion], folder: Path) -> Iterator[str]:
    """Load the suggested rules beside the policy, and see that they match what they were made from."""
    bundle = load_with(folder, folder / _FILE, suggestions_file(suggestions))
    own = {suggestion.rule.id for suggestion in suggestions}
    for record in good:
        decision = decide(bundle, record.request)
        if own.isdisjoint(decision.matched):
            yield f"{record.event.run} {record.event.call_id}: no suggested rule covers it; now: {decision.reason}"


def _unused(policy: Bundle, used: set[str]) -> list[Problem]:
    found = [
        Problem(rule.source, f"rule {rule.id!r} ({rule.rule.effect}, owner {rule.rule.owner}) decided nothing")
        for rule in policy.rules
        if rule.id not in used
    ]
    return sorted(found, key=lambda problem: problem.order)
