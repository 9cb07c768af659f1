"""Standing grants, on the executor: it finds one that lets a call run and counts the use before the call may, and
ends one when somebody who may says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from temporalio import activity

from interlock.approval.grants import GrantClaims, RevocationClaims
from interlock.digest import digest_of
from interlock.errors import Conflict, InterlockError, Refused, TokenRejected
from interlock.policy import decide
from interlock.run.contracts import UseGrantInput, UseGrantOutput
from interlock.run.deciding import failure
from interlock.run.executor import Executor, speaking
from interlock.run.grants import lets_run
from interlock.run.packing import restored
from interlock.run.proof import RunProof
from interlock.run.revoke_workflow import REVOKE, RevokeInput, RevokeOutput, workflow_of
from interlock.run.standing_grants import stated
from interlock.run.steps import USE_GRANT
from interlock.types.call import ToolCall


@dataclass(frozen=True)
class Granting:
    """Uses and ends grants with what an executor has: the ledger and the policy in force."""

    executor: Executor

    def activities(self) -> list[Callable[..., Any]]:
        """What the worker registers."""
        return [self.use_grant, self.revoke_grant]

    @activity.defn(name=USE_GRANT)
    async def use_grant(self, request: UseGrantInput) -> UseGrantOutput:
        """Commit the pending events, and count one use of a grant that lets the call run; without one, nothing."""
        run = speaking()
        try:
            proof = await self.executor.commit(run, request.events)
            call = proof.proposed(restored(run, request.call))
            return await asyncio.to_thread(self._used, proof, call)
        except InterlockError as error:
            raise await self.executor.alarmed(run, error) from None

    @activity.defn(name=REVOKE)
    async def revoke_grant(self, request: RevokeInput) -> RevokeOutput:
        """End a grant, once somebody who may has said so."""
        try:
            if activity.info().workflow_id != workflow_of(request.grant):
                raise Refused(f"another workflow would end grant {request.grant!r}")
            return await asyncio.to_thread(self._revoked, request)
        except InterlockError as error:
            raise failure(error) from None

    def _used(self, proof: RunProof, call: ToolCall) -> UseGrantOutput:
        now, digest, bundle = datetime.now(UTC), digest_of(call.as_hashed()), self.executor.policy.current()
        proposal = proof.proposals[digest]
        access = proof.question(proposal, now, bundle)
        decision = decide(bundle, access)
        if decision.verdict != "ask" or decision.route is None or decision.route.grants is None:
            return UseGrantOutput()
        for claims, token in self._grants(call):
            if lets_run(claims, call, access, decision, bundle, now):
                continue
            number = self.executor.ledger.use_grant(claims.jti, call.call_id, claims.uses)
            if number is not None:
                return UseGrantOutput(grant=claims.jti, number=number, token=token)
        return UseGrantOutput()

    def _grants(self, call: ToolCall) -> Iterator[tuple[GrantClaims, str]]:
        """Those that nobody revoked, each signed; a row that the API did not sign raises an alarm and lets nothing
        run. One that the call used already comes first."""
        ledger = self.executor.ledger
        used, rows = ledger.grant_used_by(call.call_id), ledger.grants_for(call.tenant, call.agent, call.tool)
        for row in sorted(rows, key=lambda row: used is None or row.grant != used.grant):
            try:
                yield stated(row, self.executor.recorded.api).claims, row.token
            except TokenRejected as error:
                ledger.alarm(call.run, "grant.forged", f"grant {row.grant!r}: {error}")

    def _revoked(self, request: RevokeInput) -> RevokeOutput:
        claims = RevocationClaims.read(self.executor.recorded.api, request.token, now=None)
        if claims.grant != request.grant:
            raise TokenRejected(f"a statement about grant {claims.grant!r} was given for {request.grant!r}")
        row = self.executor.ledger.grant(request.grant)
        if row.revoked_by:
            if row.revoked_by == claims.sub:  # this activity was tried before
                return RevokeOutput(grant=row.grant, by=row.revoked_by, at=row.revoked_at, used=row.used)
            raise Conflict(f"grant {row.grant!r} was revoked by {row.revoked_by} at {row.revoked_at}")
        self._check_may_revoke(claims, stated(row, self.executor.recorded.api).claims)
        done = self.executor.ledger.revoke_grant(
            row.grant, by=claims.sub, token=request.token, reason=claims.reason
        )
        return RevokeOutput(grant=done.grant, by=done.revoked_by, at=done.revoked_at, used=done.used)

    def _check_may_revoke(self, claims: RevocationClaims, grant: GrantClaims) -> None:
        """Raises unless this is who gave it, for whom it was given, or an approver of its route now."""
        if datetime.now(UTC).timestamp() >= claims.exp:
            raise TokenRejected(f"the statement of {claims.sub} about grant {grant.jti!r} has expired")
        bundle = self.executor.policy.current()
        known = bundle.routes.get(grant.route)
        approvers = bundle.route(grant.route, tenant=grant.tenant).approvers if known else ()
        if claims.tenant != grant.tenant or claims.sub not in (grant.sub, grant.requester, *approvers):
            raise Refused(
                f"{claims.sub} may not revoke grant {grant.jti!r}",
                next_step=f"ask {grant.sub}, who gave it, or an approver of route {grant.route!r}",
            )
