"""What a person typed, as what they mean: a run, a request, a person. Never a guess between two."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from interlock.errors import InvalidInput

if TYPE_CHECKING:
    from interlock.audit import ApprovalRow, Ledger
    from interlock.policy import Bundle

LAST: Final = "last"
_LOOKED_AT: Final = 10_000
"""Runs among which a beginning must be unique."""


def run_of(ledger: Ledger, text: str) -> str:
    """The id of a run: itself, a beginning that fits one run only (and the runs to which it handed work on), or
    `last`: the newest that nobody handed work on to.

    Raises:
        InvalidInput: none or several fit.
    """
    if text == LAST:
        return _newest(ledger)
    try:
        return ledger.run(text).run
    except InvalidInput as error:
        found = [row.run for row in ledger.runs(limit=_LOOKED_AT) if row.run.startswith(text)] if text else []
        found = [run for run in found if not any(run.startswith(f"{other}.s") for other in found)]
        if len(found) > 1:
            raise InvalidInput(f"{text!r} fits {_some(found)}", next_step="give more of the id") from error
        if not found:
            raise
        return found[0]


def _newest(ledger: Ledger) -> str:
    before = ""
    while rows := ledger.runs(limit=50, before=before):
        for row in rows:
            if ledger.origin(row.run) is None:
                return row.run
        before = rows[-1].cursor
    raise InvalidInput("there is no run yet", next_step="interlock run start NAME")


def request_of(ledger: Ledger, text: str) -> ApprovalRow:
    """An approval request: by id, by the end of its id (`a1`), or `last`. Open ones come before closed ones.

    Raises:
        InvalidInput: none or several fit.
    """
    waiting = ledger.approvals()
    if text == LAST:
        if not waiting:
            raise InvalidInput("no request waits for a decision", next_step="interlock approval list --all")
        return waiting[-1]
    for rows in (waiting, ledger.approvals(state=None)):
        found = [row for row in rows if row.request_id == text or row.request_id.endswith(f":{text}")]
        if len(found) == 1:
            return found[0]
        if found:
            ids = [row.request_id for row in found]
            raise InvalidInput(f"{text!r} fits {_some(ids)}", next_step="give the whole id")
    return ledger.approval(text)


def person_of(bundle: Bundle, tenant: str, text: str) -> str:
    """A person whom the policy knows in this tenant.

    Raises:
        InvalidInput: none was named, or nobody is called that.
    """
    known = sorted(name for name in bundle.people.tenants if bundle.people.is_known(name, tenant))
    if not text:
        raise InvalidInput("--as: who does this?", next_step="--as user:NAME, or set INTERLOCK_USER")
    if text in known:
        return text
    close = get_close_matches(text if text.startswith("user:") else f"user:{text}", known, 1, 0.5)
    hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known) or 'nobody'}"
    raise InvalidInput(f"--as: the policy knows no person {text!r} in tenant {tenant!r}", next_step=hint)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
