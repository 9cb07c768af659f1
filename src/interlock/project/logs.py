"""Real work for agent `triage`: a workspace of this machine's own logs."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from interlock.errors import Conflict, InvalidInput

LARGEST_LOG: Final = 200_000
LOGS: Final = ("dpkg.log", "alternatives.log", "bootstrap.log", "apt/history.log", "apt/term.log", "fontconfig.log")
"""Below /var/log: logs of package management, which hold no secrets and that every Debian machine has some of."""


def prepare_logs(into: Path, logs: Path = Path("/var/log")) -> list[Path]:
    """Copy this machine's logs of package management to `into/logs`; of a long one, the last lines.

    Returns:
        The copies, relative to `into`.

    Raises:
        Conflict: `into` has something in it.
        InvalidInput: there is no such log.
    """
    if into.exists() and any(into.iterdir()):
        raise Conflict(f"{str(into)!r} is not empty; nothing was changed", next_step="name another folder")
    copied = []
    for name in LOGS:
        try:
            data = (logs / name).read_bytes()
        except OSError:
            continue
        if data and b"\0" not in data:
            place = into / "logs" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data if len(data) <= LARGEST_LOG else data[-LARGEST_LOG:].split(b"\n", 1)[-1])
            copied.append(place.relative_to(into))
    if not copied:
        raise InvalidInput(f"{str(logs)!r} holds none of {', '.join(LOGS)}", next_step="give a folder that does")
    return copied
