"""The lint: every family of findings over one bundle."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from interlock.policy.bundle import Bundle
from interlock.policy.lint.breadth import breadth
from interlock.policy.lint.contradiction import contradictions
from interlock.policy.lint.finding import LintFinding, finding
from interlock.policy.lint.grants import grants
from interlock.policy.lint.leftovers import buckets, leftovers
from interlock.policy.lint.people import people
from interlock.policy.lint.shadows import shadows
from interlock.policy.lint.silences import Comments, silenced
from interlock.policy.lint.surroundings import Surroundings
from interlock.policy.lint.upkeep import upkeep
from interlock.policy.problems import Problem
from interlock.policy.references import check_references, route_problems


def lint(
    bundle: Bundle, today: date, project: Surroundings | None = None, comments: Comments | None = None
) -> list[LintFinding]:
    """Everything in a sound bundle that is hardly meant, by file and line.

    Args:
        bundle: whose rules.
        today: the day from which rules are expired or soon will be. A decision has no clock; a lint may.
        project: what the rules are compared with; None: only with each other.
        comments: of all files that findings may name; a comment may leave a finding be.
    """
    found = [
        *contradictions(bundle),
        *shadows(bundle),
        *breadth(bundle, project),
        *upkeep(bundle, today),
        *people(bundle),
        *leftovers(bundle, project),
        *buckets(bundle),
        *_references(bundle, project),
        *(grants(bundle, project, today) if project else ()),
    ]
    return sorted(silenced(dict.fromkeys(found), comments or {}), key=lambda one: one.order)


def references_to(bundle: Bundle, project: Surroundings | None) -> list[Problem]:
    """What `policy check` finds in a bundle that loads; without a project, what shows without one."""
    if project is None:
        return route_problems(bundle)
    return check_references(
        bundle,
        agents=project.agents.keys(),
        tools=project.tools,
        images=project.images,
        workflows=project.workflows,
        places=project.places,
    )


def _references(bundle: Bundle, project: Surroundings | None) -> Iterator[LintFinding]:
    by_source = {source: entry for entry, source in bundle.sources.items()}
    for problem in references_to(bundle, project):
        entry = by_source.get(problem.source, "")
        step = "Correct it, as interlock policy check says."
        yield finding(problem.code, problem.source, f"{problem.message}.", step, entry=entry)
