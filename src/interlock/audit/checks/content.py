"""The content: every digest that an event names is a blob with those bytes, and call digests can be derived."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from pydantic import ValidationError

from interlock.audit.blobs import SqlBlobs
from interlock.audit.rows import Finding
from interlock.audit.run_blobs import RunBlobs
from interlock.digest import digest_of, parse
from interlock.errors import Erased, IntegrityError, InterlockError
from interlock.events import (
    ApprovalRequested,
    CallDecided,
    CallFinished,
    CallProposed,
    CallUnknown,
    EgressRequested,
    Event,
    RunStarted,
)
from interlock.types.blobs import Blobs
from interlock.types.call import ToolCall
from interlock.types.workspace import Tree

NOT_BLOBS: Final = frozenset({"prev", "hash", "call_digest"})
"""Digests that are derived from other fields."""
_NAMES_A_CALL = CallProposed | CallDecided | EgressRequested | CallFinished | CallUnknown | ApprovalRequested


def digest_fields(event: Event) -> Iterator[tuple[str, str]]:
    """Field and digest of every blob that an event names; an artifact's field is `artifacts.NAME`."""
    for name in type(event).model_fields:
        value = getattr(event, name)
        if name not in NOT_BLOBS and isinstance(value, str) and value.startswith("sha256:"):
            yield name, value
    if isinstance(event, CallFinished):
        for artifact in event.artifacts:
            yield f"artifacts.{artifact.name}", artifact.digest


class ContentCheck:
    """Checks blobs, each digest once. Of an erased run, none of its own may be left."""

    def __init__(self, blobs: Blobs, findings: list[Finding], *, shared: Blobs, erased: bool = False) -> None:
        self._blobs, self._shared, self._erased = blobs, shared, erased
        self._get = blobs.get_stored if isinstance(blobs, SqlBlobs | RunBlobs) else blobs.get
        self._findings = findings
        self._known: dict[str, str] = {}

    def check(self, events: Sequence[Event]) -> None:
        """Add a finding for each field whose blob is absent or altered."""
        for event in events:
            for field, digest in digest_fields(event):
                problem = self._problem(digest, tree=field == "workspace")
                if problem:
                    self._findings.append(Finding(event.seq, event.kind, field, problem))

    def _problem(self, digest: str, *, tree: bool) -> str:
        if digest not in self._known:
            self._known[digest] = self._look(digest)
        if self._known[digest] or not tree:
            return self._known[digest]
        key = f"tree {digest}"
        if key not in self._known:
            self._known[key] = self._look_inside(digest)
        return self._known[key]

    def _look(self, digest: str) -> str:
        if self._erased and not self._shared.has(digest):
            return self._look_for_rest(digest)
        try:
            self._get(digest)
        except Erased:
            return f"blob {digest} cannot be read: the run's data key was erased, and no event says so"
        except IntegrityError:
            if not self._blobs.has(digest):
                return f"blob {digest} is absent"
            return f"blob {digest} was altered: its bytes have another digest"
        return ""

    def _look_for_rest(self, digest: str) -> str:
        try:
            self._get(digest)
        except (Erased, IntegrityError):
            return ""
        return f"blob {digest} can be read, although the run was erased: executors erase it again within a minute"

    def _look_inside(self, digest: str) -> str:
        try:
            tree = Tree.from_hashed(parse(self._get(digest)))
        except Erased:
            return ""
        except IntegrityError as error:
            return "" if self._erased else error.reason
        except (InterlockError, ValidationError, KeyError, TypeError, ValueError):
            return f"blob {digest} is not a workspace tree"
        for path, entry in tree.files.items():
            if problem := self._problem(entry.digest, tree=False):
                return f"file {path!r}: {problem}"
        return ""


def check_calls(events: Sequence[Event], findings: list[Finding]) -> None:
    """Derive each call digest again, and compare it wherever the call is named."""
    tenant = next((event.tenant for event in events if isinstance(event, RunStarted)), "")
    derived: dict[str, str] = {}
    for event in events:
        if isinstance(event, CallProposed):
            if event.call_id in derived:
                findings.append(Finding(event.seq, event.kind, "call_id", f"{event.call_id!r} was proposed before"))
            derived[event.call_id] = _call_digest(event, tenant)
        if not isinstance(event, _NAMES_A_CALL) or (isinstance(event, ApprovalRequested) and event.about != "call"):
            continue
        if event.call_id not in derived:
            findings.append(Finding(event.seq, event.kind, "call_id", f"{event.call_id!r} was never proposed"))
        elif event.call_digest != derived[event.call_id]:
            message = f"it is not the digest of call {event.call_id!r}, which is {derived[event.call_id]}"
            findings.append(Finding(event.seq, event.kind, "call_digest", message))


def _call_digest(event: CallProposed, tenant: str) -> str:
    call = ToolCall.model_construct(
        tenant=tenant,
        run=event.run,
        call_id=event.call_id,
        agent=event.agent,
        tool=event.tool,
        tool_digest=event.tool_digest,
        arguments=event.arguments,
        workspace=event.workspace,
    )
    return digest_of(call.as_hashed())
