"""One execution of one call: the sandbox runs it, the ledger takes the result once, the executor signs it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from temporalio import activity

from interlock.definitions import ToolEntry
from interlock.digest import canonical, parse
from interlock.errors import InvalidInput, SandboxUnavailable
from interlock.run.contracts import ExecuteOutput
from interlock.run.earlier_output import earlier_output
from interlock.run.fitting import fitted
from interlock.run.idempotency import idempotency_key
from interlock.run.obligations import redacted
from interlock.run.observing import CallObserver
from interlock.run.outside import all_requests, of_attempt
from interlock.run.receipt import Receipt
from interlock.run.rendering import render, shortened, with_artifacts
from interlock.run.threads import to_its_end
from interlock.sandbox import SandboxCall, SandboxResult
from interlock.types.access import Decision
from interlock.types.blobs import Blobs
from interlock.types.call import Artifact, ToolCall
from interlock.types.egress import EgressRecord, WayOut
from interlock.types.profile import Profile
from interlock.types.workspace import Tree

if TYPE_CHECKING:
    from interlock.run.executor import Executor

TREE_MAX_BYTES: Final = 64 * 1024 * 1024


@dataclass
class Live:
    """What is shown of a call while it runs; nothing before its sandbox is at work."""

    observer: CallObserver | None = None

    def details(self) -> tuple[dict[str, str | int | bool], ...]:
        """For a heartbeat."""
        return () if self.observer is None else (self.observer.live(),)


@dataclass
class Execution:
    """What is needed to run one admitted call."""

    executor: Executor
    call: ToolCall
    digest: str
    entry: ToolEntry
    arguments: dict[str, Any]
    decision: Decision
    nonces: tuple[str, ...]
    """Nonces of the approvals that it consumed."""
    attempt: int
    images: Mapping[str, str]
    """Image name → id, as the run pins them."""
    profile: Profile
    """Its limits; the rule's where they are tighter."""
    way_out: WayOut | None
    labels: tuple[str, ...]
    """Data labels that the run has taken on."""
    live: Live
    """Where whoever looks on finds what the call prints."""
    notes: tuple[str, ...] = ()
    """What the reader of the result should know of how it came about."""
    _asked: tuple[EgressRecord, ...] = ()

    @property
    def blobs(self) -> Blobs:
        """The content of the call's run."""
        return self.executor.blobs.of(self.call.run)

    async def run(self) -> ExecuteOutput:
        """Run, store, sign."""
        return await self.recorded(await self._sandboxed())

    async def resume(self, retake: Callable[[], int]) -> ExecuteOutput | None:
        """Take over what an earlier attempt left running, store, sign; None if it left nothing.

        Raises:
            Unreachable: another executor was quicker.
        """

        def fence() -> None:
            # From here on whoever was taken for dead, and may be alive, can no longer say how the call ended.
            self.attempt = retake()

        call, observer = self.sandbox_call(), self.observer(fence)
        found = await self.executor.driver.resume(call, self.blobs, observer)
        return None if found is None else await self.recorded(found)

    def asked_for(self, requests: tuple[EgressRecord, ...]) -> None:
        """Requests of this attempt that came to their end, though another attempt follows."""
        self._asked += of_attempt(requests, self.attempt)

    async def recorded(self, result: SandboxResult) -> ExecuteOutput:
        """Store and sign how the call ended."""
        result = result.model_copy(update={"notes": (*self.notes, *result.notes)})
        # What ran is on record, even if the call is cancelled in this moment.
        if self.entry.kind == "output":
            # The one file that it was given is no file of the run.
            result = result.model_copy(update={"workspace": self._tree})
        return await to_its_end(self._complete, fitted(self.entry, result, self._tree))

    def observer(self, taking: Callable[[], None] = lambda: None) -> CallObserver:
        """Who sees this attempt while it runs."""
        obliged = self.decision.obligations
        observer = CallObserver(self.executor.ledger, self.call.call_id, self.attempt, obliged, taking)
        self.live.observer = observer
        return observer

    def _image(self) -> str:
        profile = self.profile
        if profile.image not in self.images:
            raise SandboxUnavailable(
                f"profile {profile.name!r} needs image {profile.image!r}, which this run does not pin",
                next_step="interlock sandbox build, then start a new run",
            )
        return self.images[profile.image]

    @cached_property
    def _tree(self) -> Tree:
        if not self.call.workspace:
            return Tree()
        return Tree.from_hashed(parse(self.blobs.get(self.call.workspace)))

    async def _sandboxed(self) -> SandboxResult:
        """Run in the sandbox; a cancelled activity kills the call and is a result."""
        started = datetime.now(UTC)
        try:
            call = self.sandbox_call()
            return await self.executor.driver.run(call, self.blobs, self.observer())
        except asyncio.CancelledError:
            details = activity.cancellation_details()
            if details is None or not details.cancel_requested:
                raise  # this worker stops or lost the attempt: the next one takes the call over
            return self.ended("cancelled", "the call was cancelled and its container killed", started)
        except SandboxUnavailable:
            self.executor.not_started.add((self.call.call_id, self.attempt))
            raise
        except InvalidInput as error:
            return self.ended("error", str(error), started)

    def sandbox_call(self) -> SandboxCall:
        """What the sandbox is asked to run."""
        tree, use = self._tree, self.entry.schema_.workspace
        if self.entry.kind == "output":
            tree, use = earlier_output(self.executor.ledger, self.call, self.arguments), "read"
        return SandboxCall(
            call_id=self.call.call_id,
            run=self.call.run,
            tenant=self.call.tenant,
            labels=self.labels,
            kind=self.entry.kind,
            tool=self.call.tool,
            source=self.blobs.get(self.entry.source),
            path=self.entry.path,
            arguments=self.arguments,
            idempotency_key=idempotency_key(self.call),
            workspace=tree,
            workspace_use=use,
            profile=self.profile,
            image=self._image(),
            way_out=self.way_out,
        )

    def ended(self, status: Any, error: str, started: datetime | None = None) -> SandboxResult:
        """An end that no sandbox tells of; its files are those that it began with."""
        return SandboxResult(
            call_id=self.call.call_id,
            status=status,
            error=error,
            workspace=self._tree,
            started_at=started or datetime.now(UTC),
            ended_at=datetime.now(UTC),
        )

    def _shown(self, result: SandboxResult) -> tuple[str, tuple[Artifact, ...]]:
        """What the model reads, and the call's artifacts: with the whole text, where that is more."""
        text = redacted(render(result), self.decision.obligations.redact)
        names = [artifact.name for artifact in result.artifacts]
        number = self.call.call_id.rpartition(":")[2]
        if self.entry.kind != "python":
            text = with_artifacts(text, number, names)
        shown, name = shortened(text, number, names)
        if not name:
            return text, result.artifacts
        data = text.encode()
        whole = Artifact(name=name, digest=self.blobs.put(data), size=len(data), media_type="text/plain")
        return shown, (*result.artifacts, whole)

    def _complete(self, result: SandboxResult) -> ExecuteOutput:
        """What the ledger names is in the blob store before it does."""
        with self.executor.blobs.together():
            before, output = self._kept(result)
        stored = canonical(output.model_dump(mode="json"))
        after = output.workspace or ""
        self.executor.ledger.complete(self.call.call_id, self.attempt, stored, output.receipt, before, after)
        self.executor.results[self.call.call_id, self.digest] = output
        return output

    def _kept(self, result: SandboxResult) -> tuple[str, ExecuteOutput]:
        """The files before, and what came of the call, its content and receipt kept."""
        blobs = self.blobs
        before = after = self.executor.ledger.workspace(self.call.run)
        if result.workspace != self._tree:
            before = self.call.workspace
            after = blobs.put(canonical(result.workspace.as_hashed(), max_bytes=TREE_MAX_BYTES))
        # A first attempt that had no way out left nothing behind; an earlier one may have had one.
        once_and_closed = self.attempt == 1 and self.way_out is None
        noted = [] if once_and_closed else self.executor.ledger.left(self.call.call_id)
        requests = all_requests(noted, (*self._asked, *of_attempt(result.egress, self.attempt)))
        shown, artifacts = self._shown(result)
        receipt = Receipt(
            run=self.call.run,
            call_id=self.call.call_id,
            call=self.digest,
            rule=self.decision.rule,
            bundle=self.decision.bundle,
            request=self.decision.request,
            approvals=self.nonces,
            status=result.status,
            output=blobs.put(shown.encode()),
            workspace_before=self.call.workspace,
            workspace=after,
            artifacts=artifacts,
            egress=Receipt.egress_digest(requests),
            start=result.start,
            usage=result.usage,
            profile=self.profile.name,
            image=result.image,
            executor=self.executor.name,
            attempt=self.attempt,
            started_at=result.started_at,
            ended_at=result.ended_at,
        )
        output = ExecuteOutput(
            outcome="finished",
            status=result.status,
            output=receipt.output,
            workspace=after,
            artifacts=artifacts,
            start=result.start,
            usage=result.usage,
            egress=requests,
            # Among what is shared: it holds digests and no content, and still proves what ran once a run is erased.
            receipt=receipt.kept(self.executor.signer, self.executor.blobs),
        )
        return before, output
