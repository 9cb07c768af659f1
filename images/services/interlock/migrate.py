"""Brings both databases to the tables of this version, as their owner: no service has the rights to."""

from __future__ import annotations

import sys
from typing import Final

from sqlalchemy import text

from interlock.audit import Ledger, SqlBlobs
from interlock.errors import InterlockError
from interlock.settings import Settings

EXECUTORS: Final = ("UPDATE ON run_keys, run_blobs", "DELETE ON run_blobs")
"""Executors alone erase runs and wrap their keys anew; they also put bytes right that belie their digest."""


def main() -> int:
    """Open each store once: opening runs the migrations that it lacks. Then give what roles.sh, which runs before
    there are tables, cannot."""
    settings = Settings()
    try:
        Ledger(settings.effective_ledger_url).close()
        blobs = SqlBlobs(settings.effective_blobs_url)
        with blobs.store.write() as connection:
            for right in EXECUTORS:
                connection.execute(text(f"GRANT {right} TO interlock_executor"))
        blobs.close()
    except InterlockError as error:
        print(f"migrate: {error}", file=sys.stderr)
        return error.exit_code
    print("migrate: ledger and blobs are up to date")
    return 0


if __name__ == "__main__":
    sys.exit(main())
