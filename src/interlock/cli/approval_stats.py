"""`interlock approval stats`: how approving goes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from interlock.cli import say
from interlock.cli.options import AsJson
from interlock.cli.policy.record import moment
from interlock.cli.session import opened, settings

if TYPE_CHECKING:
    from interlock.run.approver_stats import Deciding

_RULES = ("rule", "requests", "pending", "expired", "approve", "edit", "reject", "respond", "p50", "p95")
_APPROVERS = ("rule", "approver", "decided", "let expire", "approve", "edit", "reject", "respond", "p50", "p95")
_DEFAULT = "30d"


def stats(
    since: Annotated[
        str, typer.Option(metavar="30d|DATE", help="Requests of the last 12h or 7d, or since a day.")
    ] = _DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Say how long approvers take, what they decide, what expires, and what could be asked less often."""
    from interlock.run.approver_stats import approval_stats

    own, now = settings(), datetime.now(UTC)
    begin = moment(since or _DEFAULT)
    assert begin is not None, "a text that is not empty is a time"
    with opened(own) as (ledger, _):
        found = approval_stats(ledger, own.tenant, since=begin, until=now)
    if as_json:
        say.document(found.model_dump(mode="json"))
        return
    if not found.requests:
        say.line(f"no requests since {begin.isoformat(timespec='seconds')}")
        return
    rules = [
        (one.rule, str(one.requests), str(one.pending), str(one.expired), *_said(one.deciding))
        for one in found.rules
    ]
    say.table(_RULES, rules)
    say.line()
    people = [
        (one.rule, one.approver, str(one.deciding.decided), str(one.let_expire), *_said(one.deciding))
        for one in found.approvers
    ]
    if people:
        say.table(_APPROVERS, people)
    for suggestion in found.suggestions:
        example = f"; look at: interlock approval show {suggestion.request}" if suggestion.request else ""
        say.line(f"suggestion: {suggestion.text}{example}")


def _said(deciding: Deciding) -> tuple[str, ...]:
    shares = (deciding.approved, deciding.edited, deciding.rejected, deciding.responded)
    return (*(_share(count, deciding.decided) for count in shares), _span(deciding.p50_s), _span(deciding.p95_s))


def _share(count: int, of: int) -> str:
    return f"{100 * count / of:.0f}%" if of else ""


def _span(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds:.1f} s" if seconds < 60 else say.left(seconds)


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(stats)
