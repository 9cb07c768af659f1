"""The graph worker's local activities: open a run, and decide a call with the policy in force."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import JsonValue
from temporalio import activity
from temporalio.exceptions import ApplicationError

from interlock.definitions import Manifest
from interlock.digest import canonical, digest_of
from interlock.errors import InterlockError, InvalidInput, Unreachable
from interlock.graph import Asking, ProposedCall
from interlock.policy import Bundle, PolicySource, asks_for_labels, decide, questions_about
from interlock.run.arguments import load_arguments
from interlock.run.attributes import carried, complete
from interlock.run.catalogue import Scope, access_request, built_in_source, hand_off_meant, load_manifest
from interlock.run.contracts import (
    BUILT_IN_TOOLS,
    AgentFacts,
    DecideInput,
    DecideOutput,
    OpenRun,
    RunFacts,
    RunSoFar,
)
from interlock.run.earlier_calls import whole
from interlock.run.packing import short
from interlock.run.steps import DECIDE, KEEP, OPEN_RUN
from interlock.run.told import Told
from interlock.types.access import canonical_request
from interlock.types.blobs import Blobs, BlobStore
from interlock.types.call import ToolCall
from interlock.types.names import Digest


def failure(error: InterlockError) -> ApplicationError:
    """An engine error as Temporal carries it: only an unreachable part is worth a retry.

    Raise it `from None`: with its causes Temporal cuts a failure of which it keeps a copy while it tries again,
    and then nobody can see why a run waits.
    """
    return ApplicationError(str(error), type=type(error).__name__, non_retryable=not isinstance(error, Unreachable))


@dataclass
class Deciding:
    """Decides calls on a graph worker. It holds no key: the executor decides again."""

    policy: PolicySource
    blobs: BlobStore
    events_an_execution: int = 450
    """See `RunFacts`."""

    def activities(self) -> list[Callable[..., Any]]:
        """What the worker registers."""
        return [self.open_run, self.keep, self.decide]

    @activity.defn(name=OPEN_RUN)
    async def open_run(self, request: OpenRun) -> RunFacts:
        """Load the pinned manifest and keep the input by its digest."""
        try:
            manifest = load_manifest(self.blobs, request.manifest)
            scope = Scope.of(manifest, request.workflow, request.input)
            self._own().put(canonical(request.input))
            for tool in BUILT_IN_TOOLS:
                self.blobs.put(built_in_source(tool))
        except InterlockError as error:
            raise failure(error) from None
        agents = {name: manifest.agents[name] for name in scope.agents}
        return RunFacts(
            agents={
                name: AgentFacts(
                    model=entry.model,
                    max_steps=entry.max_steps,
                    max_tokens=entry.max_tokens,
                    context=entry.context,
                )
                for name, entry in agents.items()
            },
            writers=tuple(n for n, tool in manifest.tools.items() if tool.schema_.workspace == "write"),
            signals=dict(scope.signals),
            events_an_execution=self.events_an_execution,
        )

    @activity.defn(name=KEEP)
    async def keep(self, value: JsonValue) -> str:
        """Store a value by its digest."""
        try:
            return self._own().put(canonical(value))
        except InterlockError as error:
            raise failure(error) from None

    @activity.defn(name=DECIDE)
    async def decide(self, request: DecideInput) -> Told:
        """Normalise the arguments and decide; a call that fits no tool is an answer, not an error."""
        try:
            bundle = self.policy.current()
            manifest = load_manifest(self.blobs, request.manifest)
        except InterlockError as error:
            raise failure(error) from None
        try:
            return Told.of(request, self._decide(request, bundle, manifest))
        except InvalidInput as error:
            return Told.of(request, DecideOutput(invalid=str(error)))
        except InterlockError as error:
            raise failure(error) from None

    def at_once(self, agent: str, manifest: Digest, call: ProposedCall, asking: Asking) -> JsonValue:
        """What is decided of a call where its model proposed it. None where that takes more than is known there: a
        rule asks about the run so far, or something is wrong, of which the activity that decides will tell.
        """
        bundle = self.policy.current()
        if asks_for_labels(bundle) or questions_about(bundle, call.tool):
            return None
        request = DecideInput(
            run=str(activity.info().workflow_id),
            tenant=asking.tenant,
            workflow=asking.workflow,
            requester=asking.requester,
            manifest=manifest,
            call_id="",
            agent=agent,
            delegators=asking.delegators,
            tool=call.tool,
            arguments=call.arguments,
            workspace=manifest,  # stands for the run's files, whichever they are
            so_far=RunSoFar(events=asking.events),
            time=datetime.now(UTC).isoformat(),
        )
        try:
            pinned = load_manifest(self.blobs, manifest)
            if hand_off_meant(pinned, agent, call.tool)[0] != call.tool:
                return None
            answer = self._decide(request, bundle, pinned)
        except InterlockError:
            return None
        told = Told.of(_known(request, answer, asking), answer).model_copy(update={"events": asking.events})
        said: JsonValue = told.model_dump(mode="json")
        return said

    def _decide(self, request: DecideInput, bundle: Bundle, manifest: Manifest) -> DecideOutput:
        # The run's own input limits its agents; the workflow checked that already, and the executor will.
        scope, blobs, kept = Scope(manifest, (request.agent,)), self.blobs.of(request.run), request.arguments
        tool, receiver = hand_off_meant(manifest, request.agent, request.tool)
        try:
            entry = scope.tool(request.agent, tool)
        except InvalidInput as error:
            return DecideOutput(invalid=str(error), unknown_tool=True)
        raw = receiver | (kept if isinstance(kept, dict) else load_arguments(blobs, kept))
        access = access_request(
            entry,
            raw,
            tenant=request.tenant,
            agent=request.agent,
            delegators=request.delegators,
            requester=request.requester,
            run=request.run,
            workflow=request.workflow,
            time=datetime.fromisoformat(request.time),
        )
        access = complete(
            access,
            entry,
            whole(request.so_far, blobs),
            manifest=manifest,
            bundle=bundle,
            blobs=blobs,
            edited=request.edited,
        )
        arguments = blobs.put(canonical(access.arguments))
        blobs.put(canonical(canonical_request(access)))
        call = ToolCall(
            tenant=request.tenant,
            run=request.run,
            call_id=request.call_id,
            agent=access.agent,
            tool=access.tool,
            tool_digest=entry.source,
            arguments=arguments,
            workspace=request.workspace if entry.schema_.workspace != "none" else "",
        )
        decision = decide(bundle, access)
        assert decision.request == digest_of(canonical_request(access))
        return DecideOutput(call=call, decision=decision, carried=carried(access))

    def _own(self) -> Blobs:
        """Content of the run whose activity this is."""
        run = activity.info().workflow_id
        assert run is not None, "a workflow schedules these"
        return self.blobs.of(run)


def _known(request: DecideInput, answer: DecideOutput, asking: Asking) -> DecideInput:
    """With what the workflow knows already."""
    known: dict[str, str] = {}
    if answer.call is not None and request.tool in asking.tools and answer.call.tool == request.tool:
        known["tool_digest"] = answer.call.tool_digest
    if answer.decision is not None and short(answer.decision.bundle)[:8] == asking.bundle:
        known["bundle"] = answer.decision.bundle
    return request.model_copy(update=known)
