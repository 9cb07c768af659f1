"""Reviewing a request for permission: the rule that it comes to, as a diff, and what that would change."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from interlock.errors import InvalidInput
from interlock.policy import Bundle, decide, load_bundle
from interlock.policy.loader import load_with
from interlock.policy.suggestion import Suggestion, suggest_rule
from interlock.policy.yaml_file import read_yaml
from interlock.run.impact import Impact, impact
from interlock.run.proposals import Proposal
from interlock.run.rehearsal import Answer, Bundles, Recorded, Unreadable


@dataclass(frozen=True)
class Review:
    """A proposed rule, ready to be read and to be put into its file."""

    suggestion: Suggestion
    path: Path
    before: str
    after: str
    """The file's text with the rule at its end."""
    bundle: Bundle
    """The policy as it is now."""
    candidate: Bundle
    """The policy with the rule."""
    still_denied: tuple[str, ...]
    """Why calls that were asked for would stay denied: the reasons of the decisions."""

    @property
    def diff(self) -> str:
        """The change, as a unified diff."""
        name = self.path.as_posix()
        lines = difflib.unified_diff(
            self.before.splitlines(keepends=True), self.after.splitlines(keepends=True), name, name
        )
        return "".join(lines)

    def apply(self) -> None:
        """Write the file, unless it changed since it was read.

        Raises:
            InvalidInput: it changed, or cannot be written.
        """
        if _text(self.path) != self.before:
            raise InvalidInput(f"{self.path} changed meanwhile", next_step="review it again")
        fresh = self.path.with_name(f".{self.path.name}.new")
        try:
            fresh.write_text(self.after, encoding="utf-8")
            os.replace(fresh, self.path)
        except OSError as error:
            raise InvalidInput(f"{self.path} cannot be written: {error.strerror}") from error


def review(
    proposal: Proposal,
    folder: Path,
    file: Path,
    *,
    effect: Literal["allow", "ask"],
    route: str,
    owner: str,
) -> Review:
    """The narrowest rule for the denied calls of a proposal, put at the end of `file`.

    Args:
        proposal: what an agent asked for.
        folder: the policy's files.
        file: one of them, or a new one.
        effect: allow such calls, or have people asked each time.
        route: who is asked.
        owner: the team that will answer for the rule.

    Raises:
        InvalidInput: nothing was denied, or the file cannot take a rule.
        PolicyError: the policy does not load with the rule.
    """
    if not proposal.denied:
        raise InvalidInput(f"no call of {proposal.tool!r} was denied to {proposal.agent} before it asked")
    if not file.resolve().is_relative_to(folder.resolve()):
        raise InvalidInput(f"--file: {file} is not in {folder}")
    bundle = load_bundle(folder)
    suggestion = suggest_rule(
        proposal.denied, bundle.people, effect=effect, route=route, owner=owner, taken=bundle.rule_by_id
    )
    before = _text(file)
    after = _appended(file, before, suggestion.yaml)
    candidate = load_with(folder, file, after)
    again = [decide(candidate, request) for request in proposal.denied]
    still = tuple(sorted({decision.reason for decision in again if decision.verdict == "deny"}))
    return Review(suggestion, file, before, after, bundle, candidate, still)


def consequences(
    found: Review, records: Iterable[Recorded | Unreadable], bundles: Bundles, answer: Answer
) -> Impact:
    """What the rule would change of everything on record, beside the policy as it is now."""
    return impact(found.candidate, records, bundles, answer=answer, instead_of=found.bundle)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8") if file.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file} cannot be read: {error}") from error


def _appended(file: Path, text: str, rule: str) -> str:
    if not text:
        return f"rules:\n{rule}"
    value = read_yaml(file, file.name).value
    if not isinstance(value, dict) or list(value)[-1] != "rules" or not value["rules"]:
        raise InvalidInput(
            f"--file: 'rules' is not the last list of {file}, so that a rule could be put at its end",
            next_step="name a file of rules, or a new one",
        )
    return f"{text.rstrip()}\n\n{rule}"
