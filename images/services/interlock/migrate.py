"""Brings both databases to the tables of this version, as their owner: no service has the rights to."""

from __future__ import annotations

import sys

from interlock.audit import Ledger, SqlBlobs
from interlock.errors import InterlockError
from interlock.settings import Settings


def main() -> int:
    """Open each store once: opening runs the migrations that it lacks."""
    settings = Settings()
    try:
        for store in (Ledger(settings.effective_ledger_url), SqlBlobs(settings.effective_blobs_url)):
            store.close()
    except InterlockError as error:
        print(f"migrate: {error}", file=sys.stderr)
        return error.exit_code
    print("migrate: ledger and blobs are up to date")
    return 0


if __name__ == "__main__":
    sys.exit(main())
