"""`interlock policy diff`: what a change of the policy does, in decisions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interlock.cli import say
from interlock.cli.options import AsJson
from interlock.cli.policy.check import folder_of
from interlock.cli.policy.tools import known_tools
from interlock.cli.session import settings

if TYPE_CHECKING:
    from interlock.policy import Bundle, PolicyChange, Witness
    from interlock.run.differences import Difference
    from interlock.settings import Settings

_STYLES = {"newly allowed": "bold red", "newly asks": "yellow", "newly denied": "green"}


def diff(
    first: Annotated[str, typer.Argument(metavar="A", help="A folder, `git:REV`, or the digest of a bundle.")],
    second: Annotated[
        str, typer.Argument(metavar="[B]", help="Another; else permissions/ of this project.", show_default=False)
    ] = "",
    gate: Annotated[
        bool, typer.Option("--exit-code", help="Exit 1 if something is permitted more widely.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what each change from A to B newly allows, asks or denies, with a request that shows it.

    A folder is one like permissions/; `git:REV` is permissions/ of this project at a revision; a digest names a
    bundle that was in force here. A change for which no request was found is listed as such: look at it yourself.
    """
    from interlock.cli.policy.bundles import bundle_named
    from interlock.policy import policy_changes

    own = settings()
    with say.working("comparing", quiet=as_json):
        before = bundle_named(own, first)
        after = bundle_named(own, second or str(folder_of(own, None)))
        changes = policy_changes(before, after, seeds=_seeds(own, first, second), tools=known_tools(own))
        told = [(change, _differences(before, after, change)) for change in changes]
    widened = any(_widens(change, found) for change, found in told)
    if as_json:
        items = [_item(change, found) for change, found in told]
        say.document({"before": before.digest, "after": after.digest, "widened": widened, "changes": items})
    else:
        _tell(told)
    if gate and widened:
        raise typer.Exit(1)


def _seeds(own: Settings, *names: str) -> list[Any]:
    """Requests of the cases at hand; the policies are compared also where these cannot be read."""
    from interlock.errors import InterlockError
    from interlock.policy import read_cases

    found: list[Any] = []
    for folder in {Path(name) / "cases": None for name in names if name} | {own.root / "permissions/cases": None}:
        try:
            found += [sourced.case.request for sourced in read_cases(folder)] if folder.is_dir() else []
        except InterlockError as error:
            say.note(f"the cases in {folder} are not used: {error.reason}")
    return found


def _differences(before: Bundle, after: Bundle, change: PolicyChange) -> list[tuple[Witness, Difference]]:
    from interlock.run.differences import difference, side

    found = []
    for witness in change.witnesses:
        who = {"tenant": witness.request.tenant, "requester": witness.request.requester}
        seen = difference(side(before, witness.before, **who), side(after, witness.after, **who))
        found += [(witness, seen)] if seen is not None else []
    return found


def _widens(change: PolicyChange, found: list[tuple[Witness, Difference]]) -> bool:
    return any(seen.widened for _, seen in found) or change.looser


def _item(change: PolicyChange, found: list[tuple[Witness, Difference]]) -> dict[str, Any]:
    return {
        "section": change.section,
        "name": change.name,
        "change": change.kind,
        "source": change.source,
        "fields": list(change.fields),
        "widened": _widens(change, found),
        "effects": [
            {**seen.model_dump(mode="json"), "request": witness.case.model_dump(mode="json", exclude_defaults=True)}
            for witness, seen in found
        ],
    }


def _tell(told: list[tuple[PolicyChange, list[tuple[Witness, Difference]]]]) -> None:
    from interlock.policy import request_line

    for change, found in told:
        fields = f": {'; '.join(change.fields)}" if change.fields else ""
        at = f" ({change.source})" if change.source else ""
        say.line(f"{change.kind} {_one(change.section)} {change.name}{at}{fields}", style="bold")
        for witness, seen in found:
            details = f" ({'; '.join(seen.details)})" if seen.details else ""
            say.line(
                f"  {seen.kind}: {seen.after.words}; before: {seen.before.words}{details}",
                style=_STYLES.get(seen.kind, ""),
            )
            say.line(f"    {request_line(witness.case)}")
        if not found and change.section not in ("profiles", "prices"):
            say.line("  no request found that is decided otherwise")
    widened = sum(_widens(change, found) for change, found in told)
    say.line(
        f"{len(told)} change(s), {widened} permit(s) more" if told else "no change in what is decided", style="bold"
    )


def _one(section: str) -> str:
    return "person" if section == "people" else section.removesuffix("s")
