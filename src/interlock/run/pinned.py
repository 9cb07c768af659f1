"""The evidence that events name only at second hand: what the manifest pins, and what receipts say was decided."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from interlock.audit import RunBlobs, SqlBlobs
from interlock.definitions import Manifest
from interlock.errors import Erased, IntegrityError
from interlock.events import CallFinished, Event
from interlock.run.receipt import Receipt
from interlock.signing import Verifier
from interlock.types.blobs import Blobs
from interlock.types.names import Digest

Named = tuple[Event, str, Digest]
"""An event, the place in what it names, and the blob's digest."""


def pinned(manifest: Manifest, start: Event) -> Iterator[Named]:
    """Every blob of a manifest, in its order; those of tools and agents that the run did not use as well."""
    for name, tool in manifest.tools.items():
        yield start, f"manifest.tools.{name}.source", tool.source
    for name, agent in manifest.agents.items():
        for field in ("source", "prompt", "graph", "playbook"):
            if digest := getattr(agent, field):
                yield start, f"manifest.agents.{name}.{field}", digest
    for name, workflow in manifest.workflows.items():
        yield start, f"manifest.workflows.{name}.source", workflow.source
    for name, document in manifest.boms.items():
        yield start, f"manifest.boms.{name}", document
    yield start, "manifest.policy", manifest.policy


def receipted(events: Sequence[Event], executor: Verifier, blobs: Blobs) -> Iterator[Named]:
    """The access request that the executor itself decided before each call. Receipts were verified before."""
    for event in events:
        if isinstance(event, CallFinished):
            yield event, "receipt.request", Receipt.found(executor, blobs, event.receipt).request


def problem(blobs: Blobs, digest: Digest) -> str:
    """What is wrong with a blob, read from the store itself; empty where nothing is."""
    if not blobs.has(digest):
        return f"blob {digest} is absent"
    try:
        blobs.get_stored(digest) if isinstance(blobs, SqlBlobs | RunBlobs) else blobs.get(digest)
    except (IntegrityError, Erased):
        return f"blob {digest} was altered: its bytes have another digest"
    return ""
