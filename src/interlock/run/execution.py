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
from interlock.run.obligations import redacted
from interlock.run.observing import CallObserver
from interlock.run.receipt import Receipt
from interlock.run.rendering import render, shortened, with_artifacts
from interlock.run.threads import to_its_end
from interlock.sandbox import SandboxCall, SandboxResult
from interlock.types.access import Decision
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

    async def run(self) -> ExecuteOutput:
        """Run, store, sign."""
        return await self._recorded(await self._sandboxed())

    async def resume(self, retake: Callable[[], int]) -> ExecuteOutput | None:
        """Take over what an earlier attempt left running, store, sign; None if it left nothing.

        Raises:
            Unreachable: another executor was quicker.
        """

        def fence() -> None:
            # From here on whoever was taken for dead, and may be alive, can no longer say how the call ended.
            self.attempt = retake()

        call, observer = self._sandbox_call(), self._observer(fence)
        found = await self.executor.driver.resume(call, self.executor.blobs, observer)
        return None if found is None else await self._recorded(found)

    async def _recorded(self, result: SandboxResult) -> ExecuteOutput:
        # What ran is on record, even if the call is cancelled in this moment.
        if self.entry.kind == "output":
            # The one file that it was given is no file of the run.
            result = result.model_copy(update={"workspace": self._tree})
        return await to_its_end(self._complete, fitted(self.entry, result, self._tree))

    def _observer(self, taking: Callable[[], None] = lambda: None) -> CallObserver:
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
        return Tree.from_hashed(parse(self.executor.blobs.get(self.call.workspace)))

    async def _sandboxed(self) -> SandboxResult:
        """Run in the sandbox; a cancelled activity kills the call and is a result."""
        started = datetime.now(UTC)
        try:
            call = self._sandbox_call()
            return await self.executor.driver.run(call, self.executor.blobs, self._observer())
        except asyncio.CancelledError:
            details = activity.cancellation_details()
            if details is None or not details.cancel_requested:
                raise  # this worker stops or lost the attempt: the next one takes the call over
            return self._ended("cancelled", "the call was cancelled and its container killed", started)
        except SandboxUnavailable:
            self.executor.not_started.add((self.call.call_id, self.attempt))
            raise
        except InvalidInput as error:
            return self._ended("error", str(error), started)

    def _sandbox_call(self) -> SandboxCall:
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
            source=self.executor.blobs.get(self.entry.source),
            path=self.entry.path,
            arguments=self.arguments,
            workspace=tree,
            workspace_use=use,
            profile=self.profile,
            image=self._image(),
            way_out=self.way_out,
        )

    def _ended(self, status: Any, error: str, started: datetime) -> SandboxResult:
        return SandboxResult(
            call_id=self.call.call_id,
            status=status,
            error=error,
            workspace=self._tree,
            started_at=started,
            ended_at=datetime.now(UTC),
        )

    def _requests(self, result: SandboxResult) -> tuple[EgressRecord, ...]:
        """Every request on record: those whose end this attempt saw as they ended, all others (of earlier attempts,
        of a call that was cancelled) as cut off."""
        seen = {one.number: one.model_copy(update={"attempt": self.attempt}) for one in result.egress}
        noted = self.executor.ledger.left(self.call.call_id)
        others = [_cut_off(one) for one in noted if one.attempt != self.attempt or one.number not in seen]
        return tuple(sorted([*others, *seen.values()], key=lambda one: (one.attempt, one.number)))

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
        whole = Artifact(name=name, digest=self.executor.blobs.put(data), size=len(data), media_type="text/plain")
        return shown, (*result.artifacts, whole)

    def _complete(self, result: SandboxResult) -> ExecuteOutput:
        blobs = self.executor.blobs
        before = after = self.executor.ledger.workspace(self.call.run)
        if result.workspace != self._tree:
            before = self.call.workspace
            after = blobs.put(canonical(result.workspace.as_hashed(), max_bytes=TREE_MAX_BYTES))
        requests = self._requests(result)
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
            receipt=receipt.signed(self.executor.signer),
        )
        stored = canonical(output.model_dump(mode="json"))
        self.executor.ledger.complete(self.call.call_id, self.attempt, stored, output.receipt, before, after)
        return output


def _cut_off(record: EgressRecord) -> EgressRecord:
    if record.verdict != "sent":
        return record
    reason = "no answer was on record when the call ended; it may have arrived"
    return record.model_copy(update={"verdict": "failed", "reason": reason})
