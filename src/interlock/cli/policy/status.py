"""`interlock policy status`: which policy the files are, who signed it, and which one runs where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from interlock.cli import say
from interlock.cli.options import AsJson
from interlock.cli.session import opened, settings
from interlock.errors import InterlockError, PolicyError

if TYPE_CHECKING:
    from interlock.policy.reports import PolicyReport
    from interlock.settings import Settings

_SHOWN = 5


def status(as_json: AsJson = False) -> None:
    """Show the digest of the policy's files, their signature, what each worker here runs, and earlier ones.

    Exit 1 if the files would be refused, or a worker runs another policy than they are.
    """
    from interlock.policy.reports import read_reports, reports_folder

    own = settings()
    files = _files(own)
    workers = read_reports(reports_folder(own))
    known, record = _known(own)
    ok = not files["problem"] and all(w.bundle == files["bundle"] and not w.problem for w in workers)
    if as_json:
        shown = [worker.model_dump(mode="json") for worker in workers]
        say.document({"ok": ok, "files": files, "workers": shown, "known": known, "record": record})
    else:
        _tell(files, workers, known, record)
    if not ok:
        raise typer.Exit(1)


def _files(own: Settings) -> dict[str, Any]:
    from interlock.policy import load_bundle
    from interlock.policy.signature import signed_only

    found: dict[str, Any] = {"bundle": "", "rules": 0, "signature": "not demanded", "release": None, "problem": ""}
    folder = own.root / "permissions"
    try:
        bundle = load_bundle(folder)
        found |= {"bundle": bundle.digest, "rules": len(bundle.rules)}
        with_ledger = _newest(own)
        demanded = signed_only(own, with_ledger)
        if demanded is not None:
            found["signature"] = "refused"
            found["release"] = demanded.check(folder, bundle.digest).model_dump(
                mode="json", exclude={"bundle", "iss"}
            )
            found["signature"] = "good"
    except InterlockError as error:
        more = "" if not isinstance(error, PolicyError) or len(error.problems) < 2 else " (interlock policy check)"
        found["problem"] = str(error).partition("\n")[0] + more
    return found


class _Newest:
    """The newest release, as the ledger had it when it was read."""

    def __init__(self, newest: tuple[int, str] | None) -> None:
        self.newest = newest

    def newest_release(self) -> tuple[int, str] | None:
        return self.newest

    def remember_release(self, serial: int, bundle: str) -> None:
        raise AssertionError("looking changes nothing")


def _newest(own: Settings) -> _Newest | None:
    try:
        with opened(own) as (ledger, _):
            return _Newest(ledger.newest_release())
    except InterlockError:
        return None


def _known(own: Settings) -> tuple[list[dict[str, str]], str]:
    """Bundles that an executor had in force, newest first; and why the record does not open, if it does not."""
    try:
        with opened(own) as (ledger, _):
            bundles = ledger.bundles()
    except InterlockError as error:
        return [], error.reason
    return [
        {"bundle": b.digest, "first_at": b.first_at.isoformat(timespec="seconds")} for b in reversed(bundles)
    ], ""


def _tell(files: dict[str, Any], workers: list[PolicyReport], known: list[dict[str, str]], record: str) -> None:
    say.line(f"files      {files['bundle'] or 'do not load'}, {files['rules']} rules", style="bold")
    release = files["release"]
    by = f", release {release['serial']} by {release['signer']} at {release['signed_at']}" if release else ""
    say.line(f"signature  {files['signature']}{by}")
    if files["problem"]:
        say.line(f"problem    {files['problem']}", style="red")
    for worker in workers:
        same = "the same" if worker.bundle == files["bundle"] else worker.bundle
        since = worker.since.isoformat(timespec="seconds")
        say.line(f"{worker.role:<10} {same} since {since} (process {worker.pid})")
        if worker.problem:
            say.line(f"           refuses the files: {worker.problem.partition(chr(10))[0]}", style="red")
    if not workers:
        say.line("workers    none on this machine reports; elsewhere, their logs say it")
    for one in known[:_SHOWN]:
        say.line(f"in force   {one['bundle']} first at {one['first_at']}")
    if record or len(known) > _SHOWN:
        say.line(f"           {record or f'and {len(known) - _SHOWN} before (--json shows all)'}")
