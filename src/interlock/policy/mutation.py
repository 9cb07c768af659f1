"""Whether the permission cases notice a mistake in the policy: each mutant must fail a case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from interlock.definitions import ToolSchema
from interlock.errors import InterlockError, PolicyError
from interlock.policy.bundle import Bundle
from interlock.policy.case_text import as_case, case_text
from interlock.policy.cases import SourcedCase, run_case
from interlock.policy.expected import TERMS, Expected, terms_of
from interlock.policy.mutants import Mutant, content_of, mutants
from interlock.policy.probes import Probes
from interlock.policy.universe import Universe
from interlock.policy.witness import touched, witness
from interlock.types.access import Decision
from interlock.types.closed import Closed


class Survivor(Closed):
    """A mistake that no case notices."""

    rule: str
    """Ids of the rules, joined by commas."""
    kind: str
    change: str
    """In words: `without the condition under on arguments.path`."""
    source: str
    """`file:line`."""
    case: str
    """A case, as YAML, that would notice it; empty: no request was found that tells it apart."""

    def __str__(self) -> str:
        """As it is told on a terminal."""
        return f"{self.source}: rule {self.rule} {self.change}"


class MutationReport(Closed):
    """What became of every mutant."""

    killed: int
    """Mutants that failed a case."""
    survivors: tuple[Survivor, ...]
    """Mutants that failed no case although a request tells them apart."""
    alike: tuple[Survivor, ...]
    """Mutants that no request tells apart, as far as one was looked for: in neither count."""

    @property
    def percent(self) -> float:
        """Killed, of those that can be told apart; 100 where there is none."""
        told_apart = self.killed + len(self.survivors)
        return 100.0 * self.killed / told_apart if told_apart else 100.0


def mutate(
    bundle: Bundle, cases: Sequence[SourcedCase], *, tools: Mapping[str, ToolSchema] | None = None
) -> MutationReport:
    """Make every mistake of `mutants` in memory, one at a time, and run the cases that it could touch.

    Args:
        bundle: the policy.
        cases: its cases.
        tools: schemas, so that the requests that are shown look like calls.

    Raises:
        PolicyError: a case fails already.
    """
    _check(bundle, cases)
    trial = _Trial(bundle, cases, tools)
    killed, survivors, alike = 0, list[Survivor](), list[Survivor]()
    for mutant in mutants(bundle):
        mutated = mutant.applied(trial.content)
        if trial.kills(mutant, mutated):
            killed += 1
            continue
        survivor = trial.survivor(mutant, mutated)
        (survivors if survivor.case else alike).append(survivor)
    return MutationReport(killed=killed, survivors=tuple(survivors), alike=tuple(alike))


def _check(bundle: Bundle, cases: Sequence[SourcedCase]) -> None:
    failing = [result for case in cases if not (result := run_case(bundle, case)).passed]
    if failing:
        raise PolicyError(
            f"{len(failing)} case(s) fail already, so that nothing can be said about mutants",
            problems=tuple(f"{result.source}: {result.name}: {result.message}" for result in failing),
            next_step="interlock policy test",
        )


class _Trial:
    """The policy as it should be, and its cases."""

    def __init__(
        self, bundle: Bundle, cases: Sequence[SourcedCase], tools: Mapping[str, ToolSchema] | None
    ) -> None:
        self.bundle, self.cases, self.content = bundle, cases, content_of(bundle)
        self.probes = Probes(bundle, Universe.of((bundle,), (case.case.request for case in cases), tools))

    def kills(self, mutant: Mutant, mutated: Bundle) -> bool:
        """Whether a case fails."""
        return any(self._is_touched(mutant, mutated, c) and not _passes(mutated, c) for c in self.cases)

    def _is_touched(self, mutant: Mutant, mutated: Bundle, case: SourcedCase) -> bool:
        return any(
            touched(bundle, bundle.rule_by_id.get(name), case.case.request)
            for name in mutant.rules
            for bundle in (self.bundle, mutated)
        )

    def survivor(self, mutant: Mutant, mutated: Bundle) -> Survivor:
        """The mutant with a case that would kill it, if one is found."""
        names = ", ".join(mutant.rules)
        found = witness(self.bundle, mutated, mutant.rules, probes=self.probes, least="rule")
        text = ""
        if found is not None:
            expected = _expected(found.before, found.after)
            text = case_text(as_case(found.case, expected, f"{names} {mutant.change}"))
        return Survivor(rule=names, kind=mutant.kind, change=mutant.change, source=mutant.source, case=text)


def _passes(bundle: Bundle, case: SourcedCase) -> bool:
    try:
        return run_case(bundle, case).passed
    except InterlockError:
        return False


def _expected(wanted: Decision, mistaken: Decision) -> Expected:
    """What to expect so that the mistaken decision fails: its terms only where they differ."""
    own, other = terms_of(wanted), terms_of(mistaken)
    same = (wanted.verdict, wanted.rule) == (mistaken.verdict, mistaken.rule)
    terms = {name: own[name] for name in TERMS if same and own[name] != other[name]}
    return Expected(verdict=wanted.verdict, rule=wanted.rule, **terms)
