"""The policy information point: what an access request says of its tool, the run so far, and where values came
from. Graph worker, executor and `interlock replay` derive it by this code, each from its own copy of the facts.
"""

from __future__ import annotations

from collections.abc import Iterable
from threading import Lock
from typing import Any, Final

from cachetools import TTLCache, cached

from interlock.definitions import RESERVED_LABELS, Manifest, ToolEntry
from interlock.policy import Bundle, History, Output, PastCall, Source, asks_for_labels, questions_about, trace
from interlock.policy.origins import MODEL
from interlock.run.arguments import load_arguments
from interlock.run.contracts import HAND_OFF_TOOL, CallSoFar, RunSoFar
from interlock.types.access import AccessRequest
from interlock.types.blobs import Blobs
from interlock.types.names import Digest

_KEPT_CHARACTERS: Final = 64 * 1024 * 1024
_KEPT_S: Final = 30.0


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
        outputs = [*_handed_on(so_far, blobs), *(_output(c, manifest, blobs) for c in so_far.calls if c.output)]
        found["seen"] = seen(so_far, manifest)
        found["labels"] = trace(
            request.arguments,
            requester=_said(so_far, blobs, requester=True),
            senders=_said(so_far, blobs, requester=False),
            approvers=_approvers(request, so_far, blobs, edited=edited),
            outputs=outputs,
        )
    return request.model_copy(update=found)


def carried(request: AccessRequest) -> tuple[str, ...]:
    """The labels of a call's arguments that its output takes over."""
    return tuple(label for label in _united((request.labels or {}).values()) if label not in RESERVED_LABELS)


def seen(so_far: RunSoFar, manifest: Manifest) -> tuple[str, ...]:
    """Labels of all data that the run has seen, sorted."""
    return _united([so_far.inherited, *(_labels(call, manifest) for call in so_far.calls if call.output)])


def _past(call: CallSoFar, blobs: Blobs) -> PastCall:
    arguments = load_arguments(blobs, call.arguments)
    return PastCall(call.tool, arguments, call.proposed_at, call.status == "ok")


def _labels(call: CallSoFar, manifest: Manifest) -> tuple[str, ...]:
    """Labels of what a call returned."""
    if call.tool == HAND_OFF_TOOL:
        return call.carried
    schema = manifest.tools[call.tool].schema_
    labels = _united([(*schema.emits, *call.carried)])
    return tuple(label for label in labels if label not in schema.declassifies)


def _output(call: CallSoFar, manifest: Manifest, blobs: Blobs) -> Output:
    # What another agent gives back is a model's word, whatever data it is made of.
    own = (MODEL,) if call.tool == HAND_OFF_TOOL else ()
    return Output(_source(blobs, call.output), (*_labels(call, manifest), *own))


def _handed_on(so_far: RunSoFar, blobs: Blobs) -> list[Output]:
    """The task, where another agent handed it on: the word of a model that may have read anything labelled so."""
    if not (so_far.handed_on and so_far.input):
        return []
    return [Output(_source(blobs, so_far.input), (*so_far.inherited, MODEL))]


def _said(so_far: RunSoFar, blobs: Blobs, *, requester: bool) -> list[Source]:
    """What the requester said, at the start and in signals; or what others sent."""
    first = [so_far.input] if requester and so_far.input and not so_far.handed_on else []
    return [
        _source(blobs, digest)
        for digest in (*first, *(one.value for one in so_far.signals if one.requester == requester))
    ]


def _approvers(request: AccessRequest, so_far: RunSoFar, blobs: Blobs, *, edited: bool) -> list[Source]:
    wrote = [_source(blobs, call.arguments) for call in so_far.calls if call.edited]
    return [*wrote, Source.of(str(request.arguments))] if edited else wrote


def _united(labels: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(sorted({label for some in labels for label in some}))


# By run: content of one run is no other's, also where both have the same; and an erased run's leaves memory.
@cached(
    TTLCache(maxsize=_KEPT_CHARACTERS, ttl=_KEPT_S, getsizeof=lambda source: len(source.text)),
    key=lambda blobs, digest: (getattr(blobs, "run", ""), digest),
    lock=Lock(),
)
def _source(blobs: Blobs, digest: Digest) -> Source:
    return Source.of(blobs.get(digest).decode("utf-8", "replace"))
