"""`interlock policy shadow`: a candidate beside the policy in force."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from interlock.cli import say
from interlock.cli.options import AsJson
from interlock.cli.session import settings
from interlock.errors import InvalidInput

if TYPE_CHECKING:
    from interlock.run.grouping import Group
    from interlock.run.shadow_store import Watched
    from interlock.settings import Settings


def shadow(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="A folder like permissions/: the candidate.")
    ] = None,
    report: Annotated[bool, typer.Option("--report", help="Show where it decided otherwise.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Have no candidate any more; the record stays.")] = False,
    as_json: AsJson = False,
) -> None:
    """Have a candidate policy decide beside the one in force. It never changes an outcome; differences are kept.

    Running executors take it up within a second. Exit 1 of --report: it would permit what the policy does not.
    """
    if (folder is not None) + report + stop != 1:
        raise InvalidInput("give DIR, --report or --stop", next_step="interlock policy shadow --help")
    own = settings()
    if report:
        _report(own, as_json=as_json)
    elif folder is not None:
        _arm(own, folder, as_json=as_json)
    else:
        _stop(own, as_json=as_json)


def _arm(own: Settings, folder: Path, *, as_json: bool) -> None:
    from interlock.policy import load_bundle
    from interlock.run.shadow import arm

    _must_be_ours(own)
    candidate = load_bundle(folder)
    try:
        arm(own, folder)
    except OSError as error:
        raise InvalidInput(f"{own.state_folder} cannot be written: {error.strerror}") from error
    if as_json:
        say.document({"candidate": candidate.digest, "folder": str(folder.resolve())})
        return
    say.line(f"candidate {candidate.digest}, {len(candidate.rules)} rules, decides beside the policy in force")
    say.note("next: interlock policy shadow --report")


def _stop(own: Settings, *, as_json: bool) -> None:
    from interlock.run.shadow import arm

    _must_be_ours(own)
    arm(own, None)
    if as_json:
        say.document({"candidate": "", "folder": ""})
    else:
        say.line("no candidate decides any more")


def _must_be_ours(own: Settings) -> None:
    if own.policy_shadow:
        raise InvalidInput(
            f"the setting policy_shadow names {own.policy_shadow!r}, and that counts first",
            next_step="unset INTERLOCK_POLICY_SHADOW, or take it out of [tool.interlock]",
        )


def _report(own: Settings, *, as_json: bool) -> None:
    watched, groups = _read(own)
    widened = sum(group.count for group in groups if group.widened)
    if as_json:
        shown = [group.model_dump(mode="json") for group in groups]
        latest = watched[0].model_dump(mode="json") if watched else None
        earlier = [one.model_dump(mode="json") for one in watched[1:]]
        say.document({"candidate": latest, "groups": shown, "widened": widened, "earlier": earlier})
    elif not watched:
        say.line("no candidate was asked yet")
    else:
        _tell(watched[0], groups, widened)
    if widened:
        raise typer.Exit(1)


def _read(own: Settings) -> tuple[list[Watched], tuple[Group, ...]]:
    """Every candidate, and the differences of the one that was asked last."""
    from contextlib import closing

    from interlock.run.grouping import Grouping
    from interlock.run.shadow import STORE
    from interlock.run.shadow_store import ShadowStore

    path = own.state_folder / STORE
    if not path.exists():
        return [], ()
    grouping = Grouping()
    with closing(ShadowStore(path)) as store:
        watched = store.watched()
        for seen in store.seen(watched[0].candidate) if watched else []:
            grouping.take(seen.difference, seen.place)
    return watched, grouping.groups()


def _tell(one: Watched, groups: tuple[Group, ...], widened: int) -> None:
    from interlock.cli.policy.impact import tell_groups

    tell_groups(groups)
    if one.problem:
        say.line(f"last problem: {one.problem}", style="red")
    changed = sum(group.count for group in groups)
    undecided = f"; {one.undecided} it could not decide" if one.undecided else ""
    say.line(f"{one.decisions} decided beside: {changed} differ, {widened} of them widen{undecided}", style="bold")
    name = one.candidate or "none that loads"
    say.line(f"candidate {name} in {one.folder}, from {one.first} to {one.last}")
