"""`interlock policy test`: the policy's cases."""

# ruff: noqa: PT028 (a command that is called `test`, not a test)

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from interlock.cli import say
from interlock.cli.options import AsJson
from interlock.cli.policy.check import Folder, folder_of
from interlock.cli.session import settings
from interlock.errors import InvalidInput

if TYPE_CHECKING:
    from interlock.policy import Bundle, CaseResult


def test(
    folder: Folder = None,
    to: Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Also write JUnit XML.")] = None,
    least: Annotated[
        float,
        typer.Option("--min-coverage", metavar="PERCENT", min=0, max=100, help="Rules that must decide a case."),
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Decide every case in permissions/cases/ and compare; say which rules decide no case.

    Exit 1: a case fails, or fewer rules than --min-coverage decide a case that passes.
    """
    from interlock.policy import load_bundle, run_cases

    own = folder_of(settings(), folder)
    bundle = load_bundle(own)
    results = run_cases(bundle, own / "cases")
    if to is not None:
        _write(to, results)
    percent = _tell(bundle, results, as_json=as_json)
    if percent < least or not all(result.passed for result in results):
        raise typer.Exit(1)


def _write(file: Path, results: list[CaseResult]) -> None:
    from interlock.cli.policy.junit import junit

    try:
        file.write_bytes(junit(results))
    except OSError as error:
        raise InvalidInput(f"--junit: {str(file)!r} cannot be written: {error.strerror}") from error


def _tell(bundle: Bundle, results: list[CaseResult], *, as_json: bool) -> float:
    """Print the results; the coverage in percent."""
    from interlock.policy import uncovered_rules

    uncovered = uncovered_rules(bundle, results)
    total, failed = len(bundle.rules), [result for result in results if not result.passed]
    covered = total - len(uncovered)
    percent = 100.0 * covered / total if total else 100.0
    if as_json:
        cases = [result.model_dump(mode="json") for result in results]
        bare = [{"source": problem.source, "message": problem.message} for problem in uncovered]
        say.document({"ok": not failed, "coverage": round(percent, 2), "uncovered": bare, "cases": cases})
        return percent
    for result in failed:
        say.line(f"{result.source}: {result.name}: {result.message}", style="red")
    for problem in uncovered:
        say.line(str(problem))
    counts = f"{len(results)} case(s), {len(failed)} failed; {covered} of {total} rules decide a case"
    say.line(f"{counts} ({percent:.0f} %)", style="bold")
    return percent
