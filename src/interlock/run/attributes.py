"""The policy information point: what an access request says of its tool, the run so far, and where values came
from. Graph worker, executor and `interlock replay` derive it by this code, each from its own copy of the facts.
"""

from __future__ import annotations

from collections.abc import Iterable
from threading import Lock
from typing import Any, Final

from cachetools import LRUCache, cached

from interlock.definitions import RESERVED_LABELS, Manifest, ToolEntry
from interlock.policy import Bundle, History, Output, PastCall, Source, asks_for_labels, questions_about, trace
from interlock.run.arguments import load_arguments
from interlock.run.contracts import CallSoFar, RunSoFar
from interlock.types.access import AccessRequest
from interlock.types.blobs import Blobs
from interlock.types.names import Digest

_KEPT_CHARACTERS: Final = 64 * 1024 * 1024


def complete(
    request: AccessRequest,
    entry: ToolEntry,
    so_far: RunSoFar,
    *,
    manifest: Manifest,
    bundle: Bundle,
    blobs: Blobs,
    edited: bool = False,
) -> AccessRequest:
    """The request with everything else that this bundle's rules may ask about.

    Args:
        request: the call, its arguments normalised.
        entry: its tool.
        so_far: the run before it.
        manifest: what the run pins, for the labels of earlier calls' tools.
        bundle: whose rules are asked; another bundle may ask other questions.
        blobs: holds arguments and outputs of earlier calls.
        edited: whether a person wrote the arguments.

    Raises:
        IntegrityError: arguments or an output of an earlier call are absent or altered.
    """
    schema = entry.schema_
    found: dict[str, Any] = {
        "flow": schema.flow,
        "emits": schema.emits,
        "declassifies": schema.declassifies,
        "destination": schema.destination,
        "events": so_far.events,
    }
    questions = questions_about(bundle, request.tool)
    if questions:
        own = PastCall(request.tool, request.arguments, request.time)
        past = [_past(call, blobs) for call in so_far.calls]
        found["facts"] = History(past, so_far.usage).answers(questions, own, bundle.prices)
    if asks_for_labels(bundle):
        outputs = [_output(call, manifest, blobs) for call in so_far.calls if call.output]
        found["seen"] = _united(output.labels for output in outputs)
        found["labels"] = trace(
            request.arguments,
            requester=[_source(blobs, so_far.input)] if so_far.input else [],
            approvers=_approvers(request, so_far, blobs, edited=edited),
            outputs=outputs,
        )
    return request.model_copy(update=found)


def carried(request: AccessRequest) -> tuple[str, ...]:
    """The labels of a call's arguments that its output takes over."""
    return tuple(label for label in _united((request.labels or {}).values()) if label not in RESERVED_LABELS)


def _past(call: CallSoFar, blobs: Blobs) -> PastCall:
    arguments = load_arguments(blobs, call.arguments)
    return PastCall(call.tool, arguments, call.proposed_at, call.status == "ok")


def _output(call: CallSoFar, manifest: Manifest, blobs: Blobs) -> Output:
    schema = manifest.tools[call.tool].schema_
    labels = _united([(*schema.emits, *call.carried)])
    kept = tuple(label for label in labels if label not in schema.declassifies)
    return Output(_source(blobs, call.output), kept)


def _approvers(request: AccessRequest, so_far: RunSoFar, blobs: Blobs, *, edited: bool) -> list[Source]:
    wrote = [_source(blobs, call.arguments) for call in so_far.calls if call.edited]
    return [*wrote, Source.of(str(request.arguments))] if edited else wrote


def _united(labels: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(sorted({label for some in labels for label in some}))


@cached(
    LRUCache(maxsize=_KEPT_CHARACTERS, getsizeof=lambda source: len(source.text)),
    key=lambda blobs, digest: digest,
    lock=Lock(),
)
def _source(blobs: Blobs, digest: Digest) -> Source:
    return Source.of(blobs.get(digest).decode("utf-8", "replace"))
