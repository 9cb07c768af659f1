"""Recorded questions as another policy needs them: what it asks of the run is answered anew from its events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from interlock.audit import Ledger
from interlock.definitions import Manifest, ToolEntry
from interlock.digest import parse
from interlock.errors import InterlockError, InvalidInput
from interlock.events import CallDecided, CallProposed, Event, RunStarted
from interlock.policy import Bundle, questions_about
from interlock.run.attributes import carried, complete
from interlock.run.catalogue import built_in, load_manifest
from interlock.run.contracts import BUILT_IN_TOOLS
from interlock.run.rehearsal import Recorded, Unanswered, as_recorded
from interlock.run.so_far import SoFar
from interlock.types.access import AccessRequest
from interlock.types.blobs import Blobs, BlobStore

_AMISS: Final = (InterlockError, ValueError, KeyError)


@dataclass
class Renewal:
    """An `Answer`: takes a request as it stands where it tells enough, and else reads the run's events.

    Records of one run are best asked about one after the other: the last run is kept.
    """

    ledger: Ledger
    blobs: BlobStore
    _kept: tuple[str, str] = ("", "")
    """The run that was read last, and for which bundle."""
    _requests: dict[int, AccessRequest] = field(default_factory=dict)
    """Its questions as that bundle needs them, by the decision's place."""
    _problem: str = ""
    """Why there are no more of them."""
    _last: int = -1
    """The event up to which the run was read; it may have gone on since."""

    def __call__(self, bundle: Bundle, record: Recorded) -> AccessRequest:
        """The request with answers to whatever `bundle` asks about this tool.

        Raises:
            Unanswered: the run's events or what they name cannot be read.
        """
        event = record.event
        try:
            if not _depends_on_prices(bundle, record):
                return as_recorded(bundle, record)
        except Unanswered:
            pass
        if self._kept != (event.run, bundle.digest) or event.seq > self._last:
            self._read(bundle, event)
        if event.seq not in self._requests:
            said = self._problem or "no call that was proposed is decided there"
            raise Unanswered(f"what is asked about the run of {event.call_id} cannot be told: {said}"[:500])
        return self._requests[event.seq]

    def _read(self, bundle: Bundle, event: CallDecided) -> None:
        """Read the run once, also where it cannot be read."""
        self._kept, self._requests, self._problem, self._last = (event.run, bundle.digest), {}, "", event.seq
        try:
            events = self.ledger.events(event.run)
            self._last = max(event.seq, events[-1].seq if events else 0)
            for place, request in _requests(events, bundle, self.blobs.of(event.run)):
                self._requests[place] = request
        except _AMISS as error:
            self._problem = error.reason if isinstance(error, InterlockError) else str(error)


def _depends_on_prices(bundle: Bundle, record: Recorded) -> bool:
    """Whether an answer on record was computed with prices that may be others here."""
    kinds = {question.kind for question in questions_about(bundle, record.request.tool)}
    return "cost" in kinds and bundle.digest != record.event.bundle


def _requests(events: list[Event], bundle: Bundle, blobs: Blobs) -> Iterator[tuple[int, AccessRequest]]:
    """Every question of a run, in order, as `bundle` needs it."""
    so_far, proposals, manifest = SoFar(), dict[str, CallProposed](), None
    for event in events:
        if isinstance(event, RunStarted):
            manifest = load_manifest(blobs, event.manifest)
        elif isinstance(event, CallProposed):
            proposals[event.call_digest] = event
        elif isinstance(event, CallDecided) and manifest and (proposal := proposals.get(event.call_digest)):
            request = _completed(event, proposal, so_far, bundle, manifest, blobs)
            so_far.carry(event.call_digest, carried(request))
            yield event.seq, request
        so_far.feed(event)


def _completed(
    event: CallDecided, proposal: CallProposed, so_far: SoFar, bundle: Bundle, manifest: Manifest, blobs: Blobs
) -> AccessRequest:
    stated = AccessRequest.model_validate(parse(blobs.get(event.request)))
    # Records of before questions were asked say nothing: there, all that came before the decision counts.
    enough = so_far.others_before(proposal.seq) <= stated.events <= event.seq
    covered = stated.events if enough and stated.events else event.seq
    return complete(
        stated,
        _entry(manifest, stated.tool),
        so_far.at(covered, proposal.seq),
        manifest=manifest,
        bundle=bundle,
        blobs=blobs,
        edited=bool(proposal.edited_from),
    )


def _entry(manifest: Manifest, tool: str) -> ToolEntry:
    if tool in BUILT_IN_TOOLS:
        return built_in(tool)
    if tool not in manifest.tools:
        raise InvalidInput(f"its manifest has no tool {tool!r}")
    return manifest.tools[tool]
