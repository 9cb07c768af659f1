"""Recorded decisions, and the same questions put to another policy: nothing is run, nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby, islice
from typing import Final

from pydantic import ValidationError

from interlock.audit import Ledger, SqlBlobs
from interlock.digest import parse
from interlock.errors import InterlockError, InvalidInput
from interlock.events import CallDecided
from interlock.policy import Bundle, asks_for_labels, decide, questions_about
from interlock.types.access import AccessRequest, Decision
from interlock.types.blobs import Blobs, BlobStore
from interlock.types.names import Digest

_AT_ONCE: Final = 1_000


class Unanswered(InvalidInput):
    """A policy asks something about the run that the record of a decision does not answer."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A decision on record, and the question that it answers."""

    event: CallDecided
    request: AccessRequest


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A decision whose question is absent or altered: nobody can say how it would be decided."""

    event: CallDecided
    problem: str


Answer = Callable[[Bundle, Recorded], AccessRequest]
"""Puts a recorded question as a bundle needs it: answers about the run computed anew from its events.

Raises Unanswered where the record does not tell.
"""


def recorded(
    ledger: Ledger, blobs: SqlBlobs, *, runs: Sequence[str] | None = None, since: datetime | None = None
) -> Iterator[Recorded | Unreadable]:
    """Every recorded decision, its request read by digest; many at once, so that tens of thousands take seconds.

    Raises:
        IntegrityError: stored bytes are no event.
        LedgerUnavailable: ledger or blobs cannot be read.
    """
    events = ledger.decided(runs=runs, since=since)
    while page := list(islice(events, _AT_ONCE)):
        for run, of_run in groupby(page, key=lambda event: event.run):
            some = list(of_run)
            found = blobs.of(run).get_many(event.request for event in some)
            yield from (_read(event, found.get(event.request)) for event in some)


def recorded_call(events: Iterable[CallDecided], blobs: BlobStore) -> Iterator[Recorded | Unreadable]:
    """The same for a few events that are at hand."""
    for event in events:
        try:
            yield _read(event, blobs.of(event.run).get(event.request))
        except InterlockError as error:
            yield Unreadable(event, error.reason)


def _read(event: CallDecided, data: bytes | None) -> Recorded | Unreadable:
    if data is None:
        return Unreadable(event, f"its request {event.request} is absent, erased or was altered")
    try:
        return Recorded(event, AccessRequest.model_validate(parse(data)))
    except (InvalidInput, ValidationError) as error:
        return Unreadable(event, f"its request is none: {str(error).splitlines()[0]}")


def as_recorded(bundle: Bundle, record: Recorded) -> AccessRequest:
    """The request as it stands, if it answers whatever this bundle asks. The plain `Answer`.

    Raises:
        Unanswered: it does not; names what is missing.
    """
    request = record.request
    missing = [q.text for q in questions_about(bundle, request.tool) if q.text not in request.facts]
    if request.labels is None and asks_for_labels(bundle):
        missing.append("where its arguments came from")
    if missing:
        raise Unanswered(f"the record of {record.event.call_id} does not answer: {', '.join(missing)}")
    return request


def redecide(bundle: Bundle, record: Recorded, answer: Answer = as_recorded) -> Decision:
    """What `bundle` decides about a recorded question.

    Raises:
        Unanswered: it asks what the record does not tell.
        InvalidInput: the request has no canonical form.
    """
    return decide(bundle, answer(bundle, record))


@dataclass
class Bundles:
    """Bundles that were in force, each read once."""

    blobs: Blobs
    _known: dict[Digest, Bundle | None] = field(default_factory=dict)

    def get(self, digest: Digest) -> Bundle | None:
        """The bundle; None where it is absent, altered, or of semantics that this engine does not decide."""
        if digest not in self._known:
            try:
                self._known[digest] = Bundle.from_bytes(self.blobs.get(digest))
            except InterlockError:
                self._known[digest] = None
        return self._known[digest]
