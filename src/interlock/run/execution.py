"""One execution of one call: the sandbox runs it, the ledger takes the result once, the executor signs it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from temporalio import activity

from interlock.definitions import ToolEntry
from interlock.digest import canonical, parse
from interlock.errors import InvalidInput, SandboxUnavailable
from interlock.run.contracts import ExecuteOutput
from interlock.run.obligations import redacted, tightened
from interlock.run.receipt import Receipt
from interlock.run.rendering import render
from interlock.run.threads import to_its_end
from interlock.sandbox import SandboxCall, SandboxResult
from interlock.types.access import Decision
from interlock.types.call import ToolCall
from interlock.types.profile import Profile
from interlock.types.workspace import Tree

if TYPE_CHECKING:
    from interlock.run.executor import Executor

TREE_MAX_BYTES: Final = 64 * 1024 * 1024


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

    async def run(self) -> ExecuteOutput:
        """Run, store, sign."""
        profile, tree = self._profile(), self._tree()
        result = await self._sandboxed(profile, tree)
        # What ran is on record, even if the call is cancelled in this moment.
        return await to_its_end(self._complete, profile, tree, result)

    def _profile(self) -> Profile:
        name = self.decision.profile or self.entry.schema_.profile
        profiles = self.executor.policy.current().profiles
        if name not in profiles:
            raise SandboxUnavailable(f"no sandbox profile {name!r} in the policy in force")
        return tightened(profiles[name], self.decision.obligations.limits)

    def _image(self, profile: Profile) -> str:
        if profile.image not in self.images:
            raise SandboxUnavailable(
                f"profile {profile.name!r} needs image {profile.image!r}, which this run does not pin",
                next_step="interlock sandbox build, then start a new run",
            )
        return self.images[profile.image]

    def _tree(self) -> Tree:
        if not self.call.workspace:
            return Tree()
        return Tree.from_hashed(parse(self.executor.blobs.get(self.call.workspace)))

    async def _sandboxed(self, profile: Profile, tree: Tree) -> SandboxResult:
        """Run in the sandbox; a cancelled activity kills the call and is a result."""
        started = datetime.now(UTC)
        try:
            return await self.executor.driver.run(self._sandbox_call(profile, tree), self.executor.blobs)
        except asyncio.CancelledError:
            details = activity.cancellation_details()
            if details is None or not details.cancel_requested:
                raise  # this worker stops or lost the attempt: the next one takes the call over
            return self._ended("cancelled", "the call was cancelled and its container killed", started, tree)
        except SandboxUnavailable:
            self.executor.not_started.add((self.call.call_id, self.attempt))
            raise
        except InvalidInput as error:
            return self._ended("error", str(error), started, tree)

    def _sandbox_call(self, profile: Profile, tree: Tree) -> SandboxCall:
        return SandboxCall(
            call_id=self.call.call_id,
            run=self.call.run,
            tool=self.call.tool,
            source=self.executor.blobs.get(self.entry.source),
            path=self.entry.path,
            arguments=self.arguments,
            workspace=tree,
            workspace_use=self.entry.schema_.workspace,
            profile=profile,
            image=self._image(profile),
        )

    def _ended(self, status: Any, error: str, started: datetime, tree: Tree) -> SandboxResult:
        return SandboxResult(
            call_id=self.call.call_id,
            status=status,
            error=error,
            workspace=tree,
            started_at=started,
            ended_at=datetime.now(UTC),
        )

    def _complete(self, profile: Profile, tree: Tree, result: SandboxResult) -> ExecuteOutput:
        blobs = self.executor.blobs
        before = after = self.executor.ledger.workspace(self.call.run)
        if result.workspace != tree:
            before = self.call.workspace
            after = blobs.put(canonical(result.workspace.as_hashed(), max_bytes=TREE_MAX_BYTES))
        receipt = Receipt(
            run=self.call.run,
            call_id=self.call.call_id,
            call=self.digest,
            rule=self.decision.rule,
            bundle=self.decision.bundle,
            request=self.decision.request,
            approvals=self.nonces,
            status=result.status,
            output=blobs.put(redacted(render(result), self.decision.obligations.redact).encode()),
            workspace_before=self.call.workspace,
            workspace=after,
            artifacts=result.artifacts,
            profile=profile.name,
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
            artifacts=result.artifacts,
            receipt=receipt.signed(self.executor.signer),
        )
        stored = canonical(output.model_dump(mode="json"))
        self.executor.ledger.complete(self.call.call_id, self.attempt, stored, output.receipt, before, after)
        return output
