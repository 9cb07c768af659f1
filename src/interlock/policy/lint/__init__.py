"""Lint: what a policy that loads still gets wrong. One file a family of findings."""

from interlock.policy.lint.finding import KINDS, LintFinding
from interlock.policy.lint.linting import lint, references_to
from interlock.policy.lint.silences import comments_of
from interlock.policy.lint.surroundings import Surroundings

__all__ = ["KINDS", "LintFinding", "Surroundings", "comments_of", "lint", "references_to"]
