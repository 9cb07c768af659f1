"""The policy in force: the files of a folder, reloaded when they change; the last good bundle stays."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from interlock.errors import PolicyError
from interlock.policy.bundle import Bundle
from interlock.policy.loader import SIGNATURE, load_bundle, policy_files
from interlock.policy.signature import Release, SignedOnly
from interlock.types.names import Digest

CHECK_EVERY_S: Final = 0.25
"""Least seconds between two looks at the files; a process that watches looks that often."""

SETTLE_S: Final = 0.5
"""Files that changed count as written once they have stayed as they are for so long."""

PATIENCE_S: Final = 10.0
"""How long a start waits for files that keep changing."""

_FRESH_S: Final = 1.0
"""Files changed less than this ago are read again at the next look: a second change may carry the same time."""

_CLOCK_SKEW_S: Final = 60.0
"""A file that changed later than this from now has a wrong time, and says nothing about how old it is."""

OnLoad = Callable[[Bundle], None]
Stamp = tuple[tuple[str, int, int, int, int], ...]

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True)
class PolicyState:
    """What a process can say about its policy."""

    bundle: Digest
    """The bundle in force."""
    rules: int
    since: datetime
    """When it came into force in this process."""
    problem: str = ""
    """Why the files as they are now are not in force; empty when they are."""
    release: Release | None = None
    """The signed release, where one is demanded."""

    def __str__(self) -> str:
        signed = f", release {self.release.serial} by {self.release.signer}" if self.release else ""
        if self.problem:
            return f"policy refused, {self.bundle} stays in force: {'; '.join(self.problem.splitlines())}"
        return f"policy in force: {self.bundle}, {self.rules} rules{signed}"


OnState = Callable[[PolicyState], None]


class PolicySource:
    """Reads `folder` and notices its changes. Safe to use from threads.

    Attributes:
        on_load: called with each new bundle *before* it is in force (`run/` stores it by its digest); if one
            raises, the bundle in force stays. Give the first ones to the constructor, so that they also see
            the first bundle.
        on_state: called whenever a bundle came into force or was refused; the log has the same.
        state: what is in force, and why the files are not, if they are not.
    """

    def __init__(
        self,
        folder: Path,
        on_load: Iterable[OnLoad] = (),
        *,
        signed: SignedOnly | None = None,
        on_state: Iterable[OnState] = (),
    ) -> None:
        """Load.

        Args:
            folder: permissions/.
            on_load: see above.
            signed: what to demand of signatures; None: an unsigned bundle will do.
            on_state: see above.

        Raises:
            PolicyError: the files are wrong or not signed as demanded, and there is no older bundle to keep.
        """
        self.folder = folder
        self.on_load: list[OnLoad] = list(on_load)
        self.on_state: list[OnState] = list(on_state)
        self._signed = signed
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._watched = False
        self._stamp, self._content, self._bundle = self._first()
        self._seen, self._seen_at = self._stamp, time.monotonic()
        self._fresh, self._checked = _is_fresh(self._stamp), self._seen_at
        self.state = self._take(self._bundle, new=True)
        self._tell(self.state)

    @property
    def problem(self) -> str:
        """Why the files as they are now are not in force; empty when they are."""
        return self.state.problem

    def current(self) -> Bundle:
        """The bundle in force. Where no thread watches, looks at the files first, at most a few times a second."""
        if not self._watched:
            self._glance()
        return self._bundle

    def _glance(self) -> None:
        if time.monotonic() - self._checked >= CHECK_EVERY_S and self._lock.acquire(blocking=False):
            try:
                self._refresh()
            finally:
                self._lock.release()

    def reload(self) -> Bundle:
        """Look at the files now, take them for written, and return the bundle in force."""
        with self._lock:
            self._refresh(settled=True)
        return self._bundle

    def watch(self) -> None:
        """Look from a thread of its own, so that a process which decides nothing notices changes too.

        The thread ends with `close()`, or once nobody holds this source.
        """
        self._watched = True  # from now on no decision waits for a new policy to be read
        arguments = (weakref.ref(self), self._ended)
        threading.Thread(target=_watch, args=arguments, name="policy", daemon=True).start()

    def close(self) -> None:
        """End the watching."""
        self._watched = False
        self._ended.set()

    def _first(self) -> tuple[Stamp, bytes, Bundle]:
        """Load once nobody writes; while somebody does, what is wrong may only be half of what is right."""
        end = time.monotonic() + PATIENCE_S
        while True:
            stamp, content = self._look(), self._fingerprint()
            settled = not -_CLOCK_SKEW_S < _age_s(stamp) < SETTLE_S
            if settled:
                bundle = load_bundle(self.folder)
                if self._fingerprint() == content:
                    return stamp, content, bundle
            if time.monotonic() > end:
                raise PolicyError(
                    f"the files in {self.folder} keep changing", next_step="start when they are written"
                )
            time.sleep(SETTLE_S / 5)

    def _refresh(self, *, settled: bool = False) -> None:
        stamp, now = self._look(), time.monotonic()
        if stamp != self._seen:
            self._seen, self._seen_at = stamp, now
        still = settled or now - self._seen_at >= SETTLE_S or _age_s(stamp) >= SETTLE_S
        if still and (stamp != self._stamp or self._fresh):
            self._fresh = _is_fresh(stamp)
            self._load(stamp)
        self._checked = now

    def _load(self, stamp: Stamp) -> None:
        content = self._fingerprint()
        if content == self._content:
            self._stamp = stamp
            return
        try:
            bundle = load_bundle(self.folder)
            if self._fingerprint() != content:
                return  # still being written: the next look reads it
            new = bundle.digest != self._bundle.digest
            state = self._take(bundle, new=new)
        except PolicyError as error:
            self._refuse(str(error))
        except Exception as error:  # a callback could not take it, or the folder went away: try again next time
            self._refuse(f"{type(error).__name__}: {error}")
            self._content = b""
            return
        else:
            if new:
                self._bundle = bundle
            if state != self.state:
                self.state = state
                self._tell(state)
        self._stamp, self._content = stamp, content

    def _take(self, bundle: Bundle, *, new: bool) -> PolicyState:
        """Check the signature and have the bundle kept; the state that follows if nothing objects."""
        release = self._signed.check(self.folder, bundle.digest) if self._signed is not None else None
        for callback in self.on_load if new else ():
            callback(bundle)
        if self._signed is not None and release is not None:
            self._signed.accept(release)
        since = datetime.now(UTC) if new else self.state.since
        return PolicyState(bundle.digest, len(bundle.rules), since, release=release)

    def _refuse(self, problem: str) -> None:
        if problem != self.state.problem:
            known = self.state
            self.state = PolicyState(known.bundle, known.rules, known.since, problem, known.release)
            self._tell(self.state)

    def _tell(self, state: PolicyState) -> None:
        _log.log(logging.WARNING if state.problem else logging.INFO, "%s", state)
        for callback in self.on_state:
            try:
                callback(state)
            except Exception:
                _log.exception("the policy's state could not be told")

    def _paths(self) -> list[Path]:
        # Files that were refused count too, so that removing one is seen; folders tell of removals.
        paths, _ = policy_files(self.folder)
        return [*sorted({self.folder, *(path.parent for path in paths)}), *paths, self.folder / SIGNATURE]

    def _look(self) -> Stamp:
        return tuple(_stamp(path) for path in self._paths())

    def _fingerprint(self) -> bytes:
        """Changes with every byte that counts, whatever the files' times say."""
        found = hashlib.sha256()
        for path in self._paths():
            try:
                data = b"" if path.is_dir() else path.read_bytes()
            except OSError as error:
                data = repr(error).encode()
            found.update(f"{path!r} {len(data)}\n".encode())
            found.update(data)
        found.update(repr(policy_files(self.folder)[1]).encode())
        return found.digest()


def _watch(source: weakref.ref[PolicySource], ended: threading.Event) -> None:
    while not ended.wait(CHECK_EVERY_S):
        watched = source()
        if watched is None:
            return
        try:
            watched._glance()
        except Exception:
            _log.exception("the policy's files could not be looked at")
        del watched


def _stamp(path: Path) -> tuple[str, int, int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return str(path), 0, 0, 0, 0
    return str(path), found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def _is_fresh(stamp: Stamp) -> bool:
    return -_CLOCK_SKEW_S < _age_s(stamp) < _FRESH_S


def _age_s(stamp: Stamp) -> float:
    """Seconds since the last change; less than nothing where the file system's clock is ahead."""
    return (time.time_ns() - max(changed for _, _, changed, _, _ in stamp)) / 1e9
