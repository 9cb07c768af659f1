"""A candidate policy beside the one in force: it sees what is decided, and nobody ever asks it for permission.

The executor hands over each decision that it put on record and goes on. A thread of its own decides again, keeps
what differs, and keeps every failure to itself: nothing that comes back from here reaches a call.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from interlock.audit import Ledger
from interlock.errors import InterlockError
from interlock.events import CallDecided, Event
from interlock.policy import Bundle, decide
from interlock.run import candidate as candidate_
from interlock.run.candidate import Candidate
from interlock.run.differences import difference, side, side_of
from interlock.run.grouping import place_of
from interlock.run.rehearsal import Bundles, Unreadable, recorded_call
from interlock.run.renewal import Renewal
from interlock.run.shadow_store import Seen, ShadowStore, Watched
from interlock.settings import Settings
from interlock.types.blobs import BlobStore

ARMED: Final = "shadow"
"""File in the state folder: holds the candidate's folder."""
STORE: Final = "shadow.db"

WAITING: Final = 2_000
"""So many decisions wait to be made again; more are counted and passed over."""
_TOGETHER: Final = 200


class Shadow:
    """The candidate of one executor process. It costs a call the time to put an event into a queue."""

    def __init__(self, settings: Settings, ledger: Ledger, blobs: BlobStore) -> None:
        """Nothing is read or started before there is a candidate.

        Args:
            settings: name the candidate's folder; else the file that `interlock policy shadow DIR` writes does.
            ledger: for what a candidate asks of a run.
            blobs: where requests and bundles are.
        """
        self.failed = 0
        """Decisions that were passed over or could not be kept."""
        self._settings = settings
        self._ledger, self._blobs = ledger, blobs
        self._queue: queue.Queue[CallDecided | None] = queue.Queue(WAITING)
        self._thread: threading.Thread | None = None
        self._looked = 0.0
        self._folder: Path | None = None

    def observe(self, events: Iterable[Event]) -> None:
        """Take note of decisions on record. Returns at once, never raises, changes nothing."""
        try:
            decided = [event for event in events if isinstance(event, CallDecided)]
            if decided and self._candidate() is not None:
                self._start()
                for event in decided:
                    self._queue.put_nowait(event)
        except Exception:
            self.failed += 1

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until everything that was observed is decided; whether it is."""
        end = time.monotonic() + timeout_s
        while self._queue.unfinished_tasks and time.monotonic() < end:
            time.sleep(0.01)
        return not self._queue.unfinished_tasks

    def close(self) -> None:
        """Let the thread end after what waits."""
        if self._thread is not None and self._thread.is_alive():
            self._queue.put(None)
            self._thread.join(10)

    def _candidate(self) -> Path | None:
        """The folder, looked up at most once a second."""
        now = time.monotonic()
        if now - self._looked >= candidate_.LOOK_S or not self._looked:
            self._looked, self._folder = now, armed(self._settings)
        return self._folder

    def _start(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._work, name="policy-shadow", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        asking = _Asking(self._ledger, self._blobs)
        while True:
            batch = self._batch()
            try:
                if (folder := self._candidate()) is not None:
                    asking.ask(folder, [event for event in batch if event is not None], self._settings)
            except Exception:
                self.failed += len(batch)
            finally:
                for _ in batch:
                    self._queue.task_done()
            if None in batch:
                asking.close()
                return

    def _batch(self) -> list[CallDecided | None]:
        batch = [self._queue.get()]
        try:
            while batch[-1] is not None and len(batch) < _TOGETHER:
                batch.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        return batch


@dataclass
class _Asking:
    """What the thread holds: the candidate as it was last read, and the record."""

    ledger: Ledger
    blobs: BlobStore
    candidate: Candidate = field(default_factory=Candidate)
    store: ShadowStore | None = None
    bundles: Bundles = field(init=False)
    renewal: Renewal = field(init=False)

    def __post_init__(self) -> None:
        self.bundles, self.renewal = Bundles(self.blobs), Renewal(self.ledger, self.blobs)

    def close(self) -> None:
        """Close the record."""
        if self.store is not None:
            self.store.close()

    def ask(self, folder: Path, events: list[CallDecided], settings: Settings) -> None:
        """Have the candidate decide these, and keep what differs."""
        if not events:
            return
        bundle = self.candidate.current(folder)
        seen: list[Seen] = []
        undecided, problem = 0, self.candidate.problem
        for event in events:
            try:
                found = self._compared(bundle, event) if bundle else None
                seen += [found] if found else []
                undecided += bundle is None
            except Exception as error:  # whatever a candidate does, it does it here
                undecided, problem = undecided + 1, f"{type(error).__name__}: {error}"[:500]
        counted = Watched(
            candidate=bundle.digest if bundle else "",
            folder=str(folder),
            decisions=len(events) - undecided,
            undecided=undecided,
            problem=problem,
            first=events[0].time.isoformat(),
            last=events[-1].time.isoformat(),
        )
        self.store = self.store or ShadowStore(settings.state_folder / STORE)
        self.store.add(seen, [counted])

    def _compared(self, bundle: Bundle, event: CallDecided) -> Seen | None:
        (record,) = recorded_call([event], self.blobs)
        if isinstance(record, Unreadable):
            raise InterlockError(record.problem)
        request = self.renewal(bundle, record)
        who = {"tenant": request.tenant, "requester": request.requester}
        before = side_of(self.bundles.get(event.bundle), event.verdict, event.rule, **who)
        found = difference(before, side(bundle, decide(bundle, request), **who))
        if found is None:
            return None
        return Seen(
            candidate=bundle.digest,
            run=event.run,
            seq=event.seq,
            time=event.time.isoformat(),
            place=place_of(record),
            difference=found,
        )


def armed(settings: Settings) -> Path | None:
    """The candidate's folder; None where there is none."""
    if named := settings.policy_shadow:
        return (settings.root / named).resolve()
    try:
        text = (settings.state_folder / ARMED).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return Path(text) if text else None


def arm(settings: Settings, folder: Path | None) -> None:
    """Name the candidate for every executor of this state folder, also while they run; None: no more.

    Raises:
        OSError: the state folder cannot be written.
    """
    place = settings.state_folder / ARMED
    if folder is None:
        place.unlink(missing_ok=True)
        return
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = place.with_name(f".{ARMED}.new")
    fresh.write_text(f"{folder.resolve()}\n", "utf-8")
    fresh.replace(place)
