"""An erased run: what proves the erasure, and how its content answers whoever still asks for it."""

from __future__ import annotations

from dataclasses import dataclass

from interlock.approval import ErasureClaims
from interlock.audit import Ledger
from interlock.errors import Erased
from interlock.events import RunErased
from interlock.run.votes import same
from interlock.signing import Verifier
from interlock.types.blobs import Blobs, BlobStore
from interlock.types.names import Digest


def check_erasure(event: RunErased, api: Verifier, tenant: str) -> None:
    """Check that the person whom an erasure names asked for it.

    Raises:
        TokenRejected: the API did not sign their statement, or it had expired.
        InvalidInput: it says something else.
    """
    claims = ErasureClaims.read(api, event.token, now=event.time)
    for name, said, found in (
        ("run", event.run, claims.run),
        ("tenant", tenant, claims.tenant),
        ("by", event.by, claims.sub),
        ("reason", event.reason, claims.reason),
    ):
        same(name, said, found)


def told(event: RunErased) -> str:
    """By whom, when and why."""
    return f"erased by {event.by} at {event.time:%Y-%m-%d %H:%M:%SZ}: {event.reason}"


def content_of(ledger: Ledger, blobs: BlobStore, run: str) -> Blobs:
    """The content of a run, for people; that of an erased one says so, also where somebody restored its key."""
    event = ledger.erasure(run)
    return blobs.of(run) if event is None else ErasedContent(event, blobs)


@dataclass(frozen=True)
class ErasedContent:
    """Implements `interlock.types.Blobs`: what is shared, and nothing of the run's own."""

    event: RunErased
    shared: Blobs

    def put(self, data: bytes) -> Digest:
        """Refuse."""
        raise self._erased()

    def get(self, digest: Digest) -> bytes:
        """What is shared. Raises Erased for all else: by whom, when and why."""
        if not self.shared.has(digest):
            raise self._erased()
        return self.shared.get(digest)

    def has(self, digest: Digest) -> bool:
        """Whether it is shared."""
        return self.shared.has(digest)

    def _erased(self) -> Erased:
        return Erased(self.event.run, f"the content of run {self.event.run!r} was {told(self.event)}")
