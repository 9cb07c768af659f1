"""What people do with runs, from outside: start, watch, decide, control. Holds the API's signing key.

In the embedded setup the command line is the API: who may read the key may speak for everyone whom the
policy's people file names.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeVar

from pydantic import JsonValue
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowUpdateFailedError,
)
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from interlock.approval import (
    CONTROL_LIFE,
    REQUESTER_LIFE,
    AmendClaims,
    ApprovalClaims,
    ControlClaims,
    ErasureClaims,
    RequesterClaims,
    lifetime,
    lifetime_until,
)
from interlock.approval.grants import GrantClaims, RevocationClaims
from interlock.audit import ApprovalRow
from interlock.definitions import Manifest
from interlock.digest import canonical, digest_of
from interlock.errors import Conflict, InterlockError, InvalidInput, Refused, TokenRejected, Unreachable
from interlock.policy.fitting_arguments import argument_conditions
from interlock.run.asked_for import asked_for
from interlock.run.contracts import (
    AmendInput,
    ControlInput,
    GrantInput,
    GrantOutput,
    RunInput,
    RunOutcome,
    RunState,
    SignalOutput,
    VoteInput,
    VoteOutput,
)
from interlock.run.erase_workflow import ERASE_WORKFLOW, EraseInput, EraseOutput
from interlock.run.erase_workflow import workflow_of as erasing_of
from interlock.run.executor_asking import done_by_executors
from interlock.run.revoke_workflow import REVOKE_WORKFLOW, RevokeInput, RevokeOutput
from interlock.run.revoke_workflow import workflow_of as revoking_of
from interlock.run.sending import send, statement
from interlock.settings import Settings
from interlock.signing import Signer
from interlock.types.approval import ApprovalVerdict
from interlock.types.blobs import BlobStore
from interlock.types.signature import DecisionSignature

T = TypeVar("T")

_ERRORS: dict[str, type[InterlockError]] = {
    kind.__name__: kind for kind in (Conflict, InvalidInput, Refused, TokenRejected, Unreachable)
}


def new_run(workflow: str) -> str:
    """An id for a run that is about to start: its content, such as its files, is kept under it."""
    return f"{workflow}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}".replace("_", "-")


@dataclass
class RunClient:
    """Acts on runs for authenticated people."""

    temporal: Client
    settings: Settings
    blobs: BlobStore
    api: Signer

    async def start(
        self,
        manifest: Manifest,
        workflow: str,
        value: JsonValue,
        *,
        requester: str,
        workspace: str = "",
        run: str = "",
    ) -> str:
        """Start a run of a workflow, or of an agent (`workflow` then names it); returns the run's id.

        Raises:
            InvalidInput: no such workflow or agent, or the input does not fit.
            Conflict: a run with this id exists.
        """
        workflow, value = asked_for(manifest, workflow, value)
        run = run or new_run(workflow)
        digest = self.blobs.put(canonical(manifest.as_hashed()))
        claims = RequesterClaims(
            tenant=self.settings.tenant,
            sub=requester,
            run=run,
            workflow=workflow,
            manifest=digest,
            input=self.blobs.of(run).put(canonical(value)),
            workspace=workspace,
            **lifetime(datetime.now(UTC), REQUESTER_LIFE),
        )
        request = RunInput(
            run=run,
            tenant=claims.tenant,
            workflow=workflow,
            requester=requester,
            requester_token=claims.signed(self.api),
            manifest=digest,
            input=value,
            workspace=workspace,
        )
        await self._started(workflow, request)
        return run

    async def _started(self, workflow: str, request: RunInput) -> None:
        try:
            await self.temporal.start_workflow(
                workflow, request, id=request.run, task_queue=self.settings.graph_queue, result_type=RunOutcome
            )
        except WorkflowAlreadyStartedError as error:
            raise Conflict(f"a run {request.run!r} exists already") from error
        except RPCError as error:
            raise Unreachable(f"Temporal did not start the run: {error.message}") from error

    def handle(self, run: str) -> WorkflowHandle[Any, RunOutcome]:
        """Temporal's handle of a run."""
        return self.temporal.get_workflow_handle(run, result_type=RunOutcome)

    async def state(self, run: str) -> RunState:
        """Where an open run stands, by asking its workflow."""
        return await asked(self.handle(run).query("state", result_type=RunState), run)

    async def obstacles(self, run: str) -> list[str]:
        """Why an open run does not go on; see `interlock.run.obstacles`."""
        from interlock.run.obstacles import obstacles

        return await obstacles(self.temporal, run)

    async def wait(self, run: str) -> RunOutcome:
        """Wait for the end of a run; a failed or cancelled one is an outcome too."""
        try:
            return await asked(self.handle(run).result(), run)
        except WorkflowFailureError as error:
            cause = error.cause
            if isinstance(cause, ApplicationError) and cause.type == "RunFailed":
                return RunOutcome.model_validate(cause.details[0])
            status = (await self.handle(run).describe()).status
            ended: Literal["cancelled", "failed"]
            ended = "cancelled" if status == WorkflowExecutionStatus.CANCELED else "failed"
            detail = "" if ended == "cancelled" else str(getattr(cause, "cause", None) or cause)
            empty = digest_of(None)
            return RunOutcome(run=run, status=ended, detail=detail, events=0, head=empty)

    async def decide(
        self,
        request: ApprovalRow,
        verdict: ApprovalVerdict,
        *,
        approver: str,
        message: str = "",
        edited: dict[str, JsonValue] | None = None,
        bundle: str = "",
        seat: str = "",
        deputy: str = "",
        emergency: bool = False,
        signature: DecisionSignature | None = None,
    ) -> VoteOutput:
        """Take a person's decision on a request, at the stage that the row names.

        Args:
            request: as it was shown.
            verdict: theirs.
            approver: the authenticated person.
            message: what the agent reads; for an emergency: why.
            edited: for `edit`: the new arguments.
            bundle: the policy under which they were asked.
            seat: the approver for whom they decide; empty: for themselves.
            deputy: that approver's statement that they may; empty: this one decision was handed to them.
            signature: what their passkey signed of it.
            emergency: break the glass: the call runs on their word alone, and others review it.

        Raises:
            Refused: they may not decide on it. Conflict: it was decided, by whom and when.
            InvalidInput: the verdict does not fit.
        """
        claims = ApprovalClaims(
            tenant=self.settings.tenant,
            sub=approver,
            run=request.run,
            request=request.request_id,
            about=request.kind,
            verdict=verdict,
            call=request.call_digest,
            bundle=bundle,
            edited=self.blobs.of(request.run).put(canonical(edited)) if edited is not None else "",
            message=message,
            stage="" if emergency else request.stage,
            seat=seat,
            deputy=deputy,
            emergency=emergency,
            signature=signature,
            **lifetime_until(datetime.now(UTC), request.ends_at),
        )
        vote = VoteInput(token=claims.signed(self.api))
        return await asked(
            self.handle(request.run).execute_update("vote", vote, result_type=VoteOutput), request.run
        )

    async def withdraw(self, request: ApprovalRow, *, by: str, reason: str) -> VoteOutput:
        """Withdraw a request: the call that it is about does not run.

        Raises:
            Refused: somebody else started the run. Conflict: it was decided.
        """
        return await self._amended(request, AmendClaims(verb="withdraw", **self._amendment(request, by, reason)))

    async def reassign(self, request: ApprovalRow, *, by: str, to: str, reason: str) -> VoteOutput:
        """Hand a decision on to another person, whom the route lets stand in.

        Raises:
            Refused: there is none to hand on, or not to that person. Conflict: it was decided.
        """
        return await self._amended(
            request, AmendClaims(verb="reassign", to=to, **self._amendment(request, by, reason))
        )

    def _amendment(self, request: ApprovalRow, by: str, reason: str) -> dict[str, Any]:
        about = {"tenant": self.settings.tenant, "sub": by, "run": request.run, "request": request.request_id}
        return {**about, "reason": reason, **lifetime(datetime.now(UTC), CONTROL_LIFE)}

    async def _amended(self, request: ApprovalRow, claims: AmendClaims) -> VoteOutput:
        said = AmendInput(token=claims.signed(self.api))
        handle = self.handle(request.run)
        return await asked(handle.execute_update("amend", said, result_type=VoteOutput), request.run)

    async def erase(self, run: str, *, by: str, reason: str) -> EraseOutput:
        """Have the content of an ended run erased.

        Raises:
            Conflict: it has not ended, or was erased before: by whom, when and why.
            Refused: this person may not.
        """
        claims = ErasureClaims(
            tenant=self.settings.tenant,
            sub=by,
            run=run,
            reason=reason,
            **lifetime(datetime.now(UTC), CONTROL_LIFE),
        )
        return await done_by_executors(
            self.temporal,
            ERASE_WORKFLOW,
            EraseInput(run=run, token=claims.signed(self.api)),
            workflow_id=erasing_of(run),
            queue=self.settings.executor_queue,
            answer=EraseOutput,
            what=f"run {run!r} is being erased",
        )

    async def grant(
        self,
        request: ApprovalRow,
        *,
        by: str,
        lasts: timedelta,
        uses: int,
        reason: str,
        when: tuple[dict[str, JsonValue], ...] = (),
    ) -> GrantOutput:
        """Give a standing grant on a request's card: for exactly its arguments, or for those that `when` fits.

        Raises:
            Refused: the route does not let this person, or not so widely. Conflict: the request is closed.
            InvalidInput: `when` are no conditions on arguments.
        """
        argument_conditions(when)
        claims = GrantClaims(
            tenant=self.settings.tenant,
            sub=by,
            run=request.run,
            request=request.request_id,
            call=request.call_digest,
            route=request.route,
            agent=request.agent,
            requester=request.requester,
            tool=request.tool,
            arguments="" if when else request.subject,
            when=when,
            uses=uses,
            reason=reason,
            **lifetime(datetime.now(UTC), lasts),
        )
        given = GrantInput(token=claims.signed(self.api))
        handle = self.handle(request.run)
        return await asked(handle.execute_update("grant", given, result_type=GrantOutput), request.run)

    async def revoke(self, grant: str, *, by: str, reason: str) -> RevokeOutput:
        """End a standing grant.

        Raises:
            InvalidInput: there is none of this id. Conflict: it was revoked before. Refused: this person may not.
        """
        claims = RevocationClaims(
            tenant=self.settings.tenant,
            sub=by,
            grant=grant,
            reason=reason,
            **lifetime(datetime.now(UTC), CONTROL_LIFE),
        )
        return await done_by_executors(
            self.temporal,
            REVOKE_WORKFLOW,
            RevokeInput(grant=grant, token=claims.signed(self.api)),
            workflow_id=revoking_of(grant),
            queue=self.settings.executor_queue,
            answer=RevokeOutput,
            what=f"grant {grant!r} is being revoked",
        )

    async def control(
        self, run: str, verb: Literal["pause", "resume", "cancel"], *, by: str, reason: str = ""
    ) -> RunState:
        """Pause, resume or cancel a run.

        Raises:
            Conflict: it is paused, running or being cancelled already, or has ended.
        """
        claims = ControlClaims(
            tenant=self.settings.tenant,
            sub=by,
            run=run,
            verb=verb,
            reason=reason,
            **lifetime(datetime.now(UTC), CONTROL_LIFE),
        )
        request = ControlInput(token=claims.signed(self.api))
        return await asked(self.handle(run).execute_update("control", request, result_type=RunState), run)

    async def signal(self, run: str, name: str, value: JsonValue, *, by: str) -> SignalOutput:
        """Send a signal to a run; it is on record when this returns.

        Raises:
            InvalidInput: its workflow declares no such signal, or the value does not fit.
            Conflict: the run has ended, or keeps as many signals as it may.
        """
        signed = statement(self.api, tenant=self.settings.tenant, by=by, run=run, name=name, value=value)
        return await asked(send(self.handle(run), signed), run)


async def asked(awaitable: Awaitable[T], run: str) -> T:
    """Await a call to Temporal; what the workflow refused becomes the engine's own error again."""
    try:
        return await awaitable
    except WorkflowUpdateFailedError as error:
        cause = error.cause
        kind = _ERRORS.get(getattr(cause, "type", None) or "", Refused)
        raise kind(getattr(cause, "message", str(cause))) from error
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            raise Conflict(f"run {run!r} is not open (it ended, or never was)") from error
        raise Unreachable(
            f"Temporal did not answer: {error.message}", next_step="are the workers running? interlock doctor"
        ) from error
