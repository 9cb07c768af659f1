"""Finds and removes containers that nobody waits for any more, and the folders that they saw."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from contextlib import closing
from typing import Any, Final

import docker

from interlock.errors import InterlockError
from interlock.sandbox import options
from interlock.sandbox.claim_files import ClaimFiles
from interlock.sandbox.engine import connect, engine_errors
from interlock.sandbox.engine_objects import remove
from interlock.sandbox.guest.host import SERVING_S
from interlock.sandbox.owner import is_dead
from interlock.sandbox.way_out_folder import remove_orphans
from interlock.settings import Settings

IDLE_NAME: Final = "interlock-idle-"
"""What the name of a container begins with that serves no call."""
TAKE_OVER_S: Final = SERVING_S + 15
"""A dead executor's call may be taken over for so long; its runner gives up before."""

_log = logging.getLogger(__name__)


def clean(settings: Settings, *, all: bool = False) -> list[str]:
    """Remove the containers whose owner is dead or whose time is up, also those whose call could be taken over.

    Args:
        settings: unused by the local engine; names where the engine is later.
        all: also those that still run for a living executor. Their calls end as `killed`.

    Returns:
        One line for each that was removed: its name, which is made from a call's id, and why.

    Raises:
        SandboxUnavailable: no engine answers.
    """
    return Sweep(take_over_s=0, all=all).sweep()


class Sweep:
    """Looks for what is left of the dead, again and again: it knows how long it has seen them dead."""

    def __init__(self, *, take_over_s: float, all: bool = False) -> None:
        """Args:
        take_over_s: how long a dead executor's call may wait for another to take it over.
        all: the living ones' too.
        """
        self._take_over_s = take_over_s
        self._all = all
        self._dead_since: dict[str, float] = {}

    def sweep(self) -> list[str]:
        """Remove what is to be removed; one line for each.

        Raises:
            SandboxUnavailable: no engine answers.
        """
        removed = []
        with closing(connect()) as api, engine_errors():
            # The low-level list: the high-level one inspects each container, and fails on one that has just gone.
            rows = api.containers(all=True, filters={"label": options.LABEL})
            taken_over = {_holds(row) for row in rows if not is_dead(row["Labels"][options.LABEL])}
            self._dead_since = {ident: at for ident, at in self._dead_since.items() if ident in _idents(rows)}
            files = ClaimFiles()
            claimed = files.held()
            for row in rows:
                why = "" if row["Id"] in taken_over else self._why(row, claimed)
                if why and _removed(api, row):
                    removed.append(_line(row, why))
            files.forget(lambda ident: ident not in _idents(rows))
            used = {row["Labels"].get(options.LABEL_WAY_OUT, "") for row in rows}
        return removed + [f"{folder}: no container sees it" for folder in remove_orphans(used)]

    def _why(self, row: dict[str, Any], claimed: set[str]) -> str:
        labels, ident = row["Labels"], row["Id"]
        expires = labels.get(options.LABEL_EXPIRES, "0")
        if is_dead(labels[options.LABEL]):
            seen = self._dead_since.setdefault(ident, time.monotonic())
            # One that a call has begun in may not have the call's name yet.
            waits = is_idle(row["Names"] or ()) and ident not in claimed
            if waits or row["State"] != "running" or time.monotonic() - seen >= self._take_over_s:
                return "its executor is dead"
        if not expires.isdigit() or int(expires) < time.time():
            return "its time is up"
        return "all were asked for" if self._all else ""


def is_idle(names: Iterable[str]) -> bool:
    """Whether a container of these names, as the engine tells them, has no call's."""
    return any(name.startswith(f"/{IDLE_NAME}") for name in names)


class Reaper:
    """Sweeps in the background."""

    def __init__(self, every_s: float) -> None:
        """Args:
        every_s: seconds between two looks; 0: never.
        """
        self._every_s = every_s
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self.removed = 0
        """How many it has removed."""
        self.error = ""
        """Why the last look failed; empty if it did not."""

    def start(self) -> None:
        """Begin, unless begun."""
        if self._thread is not None or not self._every_s:
            return
        with self._lock:
            if self._thread is None and not self._stopped.is_set():
                self._thread = threading.Thread(target=self._reap, name="sandbox-reaper", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """End, after a look that is under way."""
        with self._lock:
            self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _reap(self) -> None:
        sweep = Sweep(take_over_s=TAKE_OVER_S)
        while not self._stopped.wait(self._every_s):
            try:
                lines = sweep.sweep()
            except InterlockError as error:
                self.error = str(error)
                continue
            self.removed, self.error = self.removed + len(lines), ""
            for line in lines:
                _log.warning("removed %s", line)


def _idents(rows: list[dict[str, Any]]) -> set[str]:
    return {row["Id"] for row in rows}


def _holds(row: dict[str, Any]) -> str:
    found: str = row["Labels"].get(options.LABEL_HOLDS, "")
    return found


def _removed(api: docker.APIClient, row: dict[str, Any]) -> bool:
    if row["State"] == "paused":
        api.unpause(row["Id"])  # a paused process does not take the signal that kills it
    return remove(api, row["Id"])


def _line(row: dict[str, Any], why: str) -> str:
    # A container that is half gone may have lost its name.
    return f"{(row['Names'] or [row['Id'][:12]])[0].lstrip('/')}: {why}"
