"""The policy in force, as each worker watches it."""

from __future__ import annotations

from typing import Any

from interlock.audit import Ledger
from interlock.policy import PolicySource
from interlock.policy.reports import reporter, reports_folder
from interlock.policy.signature import signed_only
from interlock.settings import Settings
from interlock.types.blobs import Blobs


def policy_source(settings: Settings, blobs: Blobs, *, ledger: Ledger | None = None) -> PolicySource:
    """The policy in force, watched; every bundle that ever is gets kept by its digest.

    Raises:
        PolicyError: the files are wrong, or not signed as the settings demand.
        Unreachable: a signed policy is demanded, and its public key is not there.
    """

    def keep(bundle: Any) -> None:
        blobs.put(bundle.to_bytes())
        if ledger is not None:
            ledger.remember_bundle(bundle.digest)

    source = PolicySource(
        settings.root / "permissions",
        [keep],
        signed=signed_only(settings, ledger),
        on_state=[reporter(reports_folder(settings), "graph" if ledger is None else "executor")],
    )
    source.watch()
    return source
