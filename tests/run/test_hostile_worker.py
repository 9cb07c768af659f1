"""A hostile graph worker: it forges decisions, approvals, requester, events and receipts. The executor, which is
real and reached through a real Temporal server, runs nothing for it, says why, and raises an alarm.

The attacker has what a graph worker has and more: the blob store, the policy files, public keys, write access to
Temporal, every token it ever saw. It has no private key.
"""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from support.events import ChainBuilder
from support.runtime import Runtime, running, settings_for
from support.small import small_project
from temporalio import workflow
from temporalio.client import WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from interlock.approval import ApprovalClaims, ControlClaims, RequesterClaims, lifetime
from interlock.digest import canonical, digest_bytes, digest_of
from interlock.events import (
    ApprovalDecided,
    ApprovalRequested,
    CallDecided,
    CallFinished,
    CallProposed,
    RunCancelled,
    RunEnded,
    RunPaused,
    RunStarted,
)
from interlock.policy import Bundle, decide, load_bundle
from interlock.run.catalogue import access_request
from interlock.run.contracts import CommitInput, ExecuteInput, ExecuteOutput
from interlock.run.receipt import Receipt
from interlock.run.steps import COMMIT, EXECUTE
from interlock.run.worker import executor_worker
from interlock.signing import Signer, create_keys, load_signer
from interlock.types.access import Decision, canonical_request
from interlock.types.call import ToolCall

NUMBERS = itertools.count(1)
LIFE = timedelta(hours=1)


@workflow.defn
class Hostile:
    """Schedules whatever it is told on the executor's queue."""

    @workflow.run
    async def run(self, queue: str, name: str, value: dict[str, Any]) -> Any:
        return await workflow.execute_activity(
            name,
            value,
            task_queue=queue,
            start_to_close_timeout=timedelta(seconds=20),
            retry_policy=RetryPolicy(maximum_attempts=2, initial_interval=timedelta(milliseconds=50)),
        )


class Recording:
    """A driver that says what ran."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.ran = inner, list[str]()

    async def run(self, call: Any, blobs: Any) -> Any:
        self.ran.append(call.call_id)
        return await self.inner.run(call, blobs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@dataclass
class Attack:
    """One run in the hands of the attacker: an honest beginning, then whatever it likes."""

    runtime: Runtime
    driver: Recording
    run: str = field(default_factory=lambda: f"hostile-{next(NUMBERS)}")
    calls: int = 0

    def __post_init__(self) -> None:
        self.blobs = self.runtime.blobs
        self.api = load_signer(self.runtime.settings.keys_folder, "api")  # stands for the honest API, not for theft
        self.chain = ChainBuilder(self.run)
        self.claims = RequesterClaims(
            tenant="default",
            sub="user:alice",
            run=self.run,
            workflow="agent_run",
            manifest=self.blobs.put(canonical(self.runtime.manifest.as_hashed())),
            input=self.blobs.put(canonical({"agent": "tester", "task": "go"})),
            workspace="",
            **lifetime(datetime.now(UTC), LIFE),
        )

    def start(self, token: str = "", **said: Any) -> Attack:
        claims = self.claims
        fields = {name: getattr(claims, name) for name in ("tenant", "workflow", "manifest", "input", "workspace")}
        token = token or claims.signed(self.api)
        self.chain.add(RunStarted, **{**fields, "requester": claims.sub, "requester_token": token, **said})
        return self

    def propose(self, tool: str, text: str, **said: Any) -> ToolCall:
        self.calls += 1
        entry = self.runtime.manifest.tools[tool]
        fields = {
            "call_id": f"{self.run}:c{self.calls}",
            "agent": "agent:tester",
            "tool": tool,
            "tool_digest": entry.source,
            "arguments": self.blobs.put(canonical({"text": text})),
            "workspace": "",
        }
        call = ToolCall(tenant="default", run=self.run, **{**fields, **said})
        self.chain.add(CallProposed, **{**fields, **said}, call_digest=digest_of(call.as_hashed()))
        return call

    def decision(self, call: ToolCall, bundle: Bundle | None = None) -> Decision:
        request = access_request(
            self.runtime.manifest.tools[call.tool],
            {"text": self.text_of(call)},
            tenant="default",
            agent="tester",
            requester="user:alice",
            run=self.run,
            workflow="agent_run",
            time=datetime.now(UTC),
        )
        self.blobs.put(canonical(canonical_request(request)))
        return decide(bundle or self.runtime.executor.policy.current(), request)

    def text_of(self, call: ToolCall) -> str:
        text: str = json.loads(self.blobs.get(call.arguments))["text"]
        return text

    def decide(self, call: ToolCall, bundle: Bundle | None = None, **said: Any) -> Decision:
        decision = self.decision(call, bundle)
        fields = {
            "verdict": decision.verdict,
            "rule": decision.rule,
            "request": decision.request,
            "bundle": decision.bundle,
            "nearest": decision.nearest,
            "condition_errors": decision.condition_errors,
        }
        digest = digest_of(call.as_hashed())
        self.chain.add(CallDecided, call_id=call.call_id, call_digest=digest, **{**fields, **said})
        return decision

    def ask(self, call: ToolCall, decision: Decision, **said: Any) -> str:
        assert decision.route is not None
        number = sum(isinstance(event, ApprovalRequested) for event in self.chain.events) + 1
        request_id = f"{self.run}:a{number}"
        at = self.chain.events[-1].time + timedelta(seconds=1)
        fields = {
            "about": "call",
            "call_id": call.call_id,
            "agent": call.agent,
            "tool": call.tool,
            "call_digest": digest_of(call.as_hashed()),
            "subject": call.arguments,
            "rule": decision.rule,
            "reason": decision.reason,
            "route": decision.route.name,
            "approvers": decision.route.approvers,
            "quorum": decision.route.quorum,
            "expires_at": at + timedelta(seconds=decision.route.expires_after_s),
        }
        self.chain.add(ApprovalRequested, request_id=request_id, **{**fields, **said})
        return request_id

    def approval(self, proposed: ToolCall, request_id: str, **said: Any) -> ApprovalClaims:
        fields = {
            "tenant": "default",
            "sub": "user:carol",
            "run": self.run,
            "request": request_id,
            "about": "call",
            "verdict": "approve",
            "call": digest_of(proposed.as_hashed()),
            **lifetime(datetime.now(UTC), LIFE),
        }
        return ApprovalClaims(**{**fields, **said})

    def vote(self, claims: ApprovalClaims, token: str) -> None:
        self.chain.add(
            ApprovalDecided,
            request_id=claims.request,
            verdict=claims.verdict,
            approver=claims.sub,
            token=token,
            message=claims.message,
            closes=True,
        )

    async def execute(self, call: ToolCall, *, workflow_id: str = "", **said: Any) -> ExecuteOutput:
        events = said.pop("events", None)
        raw = [e.model_dump(mode="json") for e in self.chain.events] if events is None else events
        value = ExecuteInput(call=call, events=raw, **said).model_dump(mode="json")
        return ExecuteOutput.model_validate(await self.send(EXECUTE, value, workflow_id))

    async def commit(self) -> Any:
        raw = [e.model_dump(mode="json") for e in self.chain.events]
        return await self.send(COMMIT, CommitInput(run=self.run, events=raw).model_dump(mode="json"))

    async def send(self, name: str, value: dict[str, Any], workflow_id: str = "") -> Any:
        settings = self.runtime.settings
        return await self.runtime.temporal.execute_workflow(
            Hostile.run,
            args=[settings.executor_queue, name, value],
            id=workflow_id or self.run,
            task_queue=settings.graph_queue,
        )

    async def refused(self, call: ToolCall, *reasons: str, alarm: bool = True, **said: Any) -> None:
        """The executor fails the call, says why, and nothing ran."""
        before = list(self.driver.ran)
        with pytest.raises(WorkflowFailureError) as failure:
            await self.execute(call, **said)
        words = _words(failure.value)
        assert any(reason in words for reason in reasons), words
        assert self.driver.ran == before
        if alarm:
            assert self.runtime.ledger.alarms(self.run)


def _words(error: BaseException | None) -> str:
    words = []
    while error is not None:
        words.append(str(getattr(error, "message", error)))
        error = getattr(error, "cause", None)
    return " ".join(words)


@pytest.fixture(scope="module")
async def hostile(
    temporal_address: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Callable[[], Attack]]:
    root = small_project(tmp_path_factory.mktemp("hostile") / "project", [{"say": "done"}])
    settings = settings_for(root, temporal_address, name="hostile")
    async with running(settings, workers=False) as runtime:
        driver = Recording(runtime.executor.driver)
        runtime.executor.driver = driver
        graph = Worker(
            runtime.temporal,
            task_queue=settings.graph_queue,
            workflows=[Hostile],
            workflow_runner=UnsandboxedWorkflowRunner(),
        )
        async with graph, executor_worker(runtime.temporal, settings, runtime.executor):
            yield lambda: Attack(runtime, driver)


@pytest.fixture
def attack(hostile: Callable[[], Attack]) -> Attack:
    return hostile()


@pytest.fixture
def thief(tmp_path: Path) -> Signer:
    """A key of the attacker's own, for the role of the API."""
    create_keys(tmp_path / "own")
    return load_signer(tmp_path / "own", "api")


async def test_honest_call_runs_once(attack: Attack) -> None:
    """The yardstick: what every attack below changes one thing of."""
    call = attack.start().propose("note", "fine")
    attack.decide(call)
    done = await attack.execute(call)
    assert (done.outcome, done.status) == ("finished", "ok")
    assert attack.driver.ran.count(call.call_id) == 1
    assert not attack.runtime.ledger.alarms(attack.run)


async def test_honest_approved_call_runs_once(attack: Attack) -> None:
    call = attack.start().propose("send", "fine")
    request = attack.ask(call, attack.decide(call))
    claims = attack.approval(call, request)
    token = claims.signed(attack.api)
    attack.vote(claims, token)
    assert (await attack.execute(call, approvals=(token,))).outcome == "finished"
    assert attack.driver.ran.count(call.call_id) == 1


# -- decisions -----------------------------------------------------------------------------------------------


async def test_forged_allow_of_denied_call(attack: Attack) -> None:
    call = attack.start().propose("note", "a secret")
    attack.decide(call, verdict="allow", rule="notes")
    await attack.refused(call, "verdict")


async def test_forged_allow_of_asking_call(attack: Attack) -> None:
    call = attack.start().propose("send", "x")
    attack.decide(call, verdict="allow", rule="notes")
    await attack.refused(call, "verdict")


async def test_decision_left_out_is_made_anyway(attack: Attack) -> None:
    denied = attack.start().propose("note", "a secret")
    done = await attack.execute(denied)
    assert (done.outcome, done.decision and done.decision.rule) == ("refused", "no_secrets")
    assert denied.call_id not in attack.driver.ran


async def test_question_left_out_is_asked_anyway(attack: Attack) -> None:
    call = attack.start().propose("send", "x")
    attack.decide(call)
    assert (await attack.execute(call)).outcome == "ask"
    assert call.call_id not in attack.driver.ran


async def test_decision_under_own_bundle(attack: Attack, tmp_path: Path) -> None:
    """A permissive bundle put among the blobs was never in force on an executor."""
    folder = tmp_path / "permissions"
    shutil.copytree(attack.runtime.settings.root / "permissions", folder)
    rules = folder / "rules.yaml"
    rules.write_text("\n".join(line for line in rules.read_text().splitlines() if "no_secrets" not in line))
    own = load_bundle(folder)
    attack.blobs.put(own.to_bytes())
    call = attack.start().propose("note", "a secret")
    assert attack.decide(call, own).verdict == "allow"
    await attack.refused(call, "never in force", alarm=False)


async def test_decision_about_another_request(attack: Attack) -> None:
    call = attack.start().propose("note", "a secret")
    harmless = attack.propose("note", "fine")
    attack.decide(call, request=attack.decision(harmless).request, verdict="allow", rule="notes")
    await attack.refused(call, "request")


# -- the requester ---------------------------------------------------------------------------------------------


async def test_requester_token_of_own_key(attack: Attack, thief: Signer) -> None:
    call = attack.start(attack.claims.signed(thief)).propose("note", "x")
    await attack.refused(call, "Signature verification failed")


@pytest.mark.parametrize(
    ("name", "value"), [("requester", "user:carol"), ("tenant", "other"), ("workflow", "fix_issue")]
)
async def test_start_says_other_than_its_token(attack: Attack, name: str, value: str) -> None:
    call = attack.start(**{name: value}).propose("note", "x")
    await attack.refused(call, name)


async def test_requester_token_of_another_run(attack: Attack, hostile: Callable[[], Attack]) -> None:
    other = hostile()
    call = attack.start(other.claims.signed(other.api)).propose("note", "x")
    await attack.refused(call, "run")


async def test_manifest_of_ones_own(attack: Attack) -> None:
    """More tools for the agent, or another source under a tool's name: the token pins the honest manifest."""
    own = attack.runtime.manifest.model_copy(update={"project": "mine"})
    digest = attack.blobs.put(canonical(own.as_hashed()))
    call = attack.start(manifest=digest).propose("note", "x")
    await attack.refused(call, "manifest")


async def test_expired_request(attack: Attack) -> None:
    attack.claims = attack.claims.model_copy(update={"exp": attack.claims.iat - 1})
    call = attack.start().propose("note", "x")
    await attack.refused(call, "has expired")


async def test_unsigned_requester(attack: Attack) -> None:
    claims = {**attack.claims.model_dump(mode="json"), "iss": "api"}
    call = attack.start(jwt.encode(claims, "", "none", {"typ": "interlock-requester"})).propose("note", "x")
    await attack.refused(call, "interlock-requester")


# -- approvals -------------------------------------------------------------------------------------------------


async def _asked(attack: Attack) -> tuple[ToolCall, str]:
    call = attack.start().propose("send", "x")
    return call, attack.ask(call, attack.decide(call))


async def test_approval_of_own_key(attack: Attack, thief: Signer) -> None:
    call, request = await _asked(attack)
    claims = attack.approval(call, request)
    attack.vote(claims, claims.signed(thief))
    await attack.refused(call, "Signature verification failed", approvals=(claims.signed(thief),))


async def test_approval_of_own_key_outside_the_chain(attack: Attack, thief: Signer) -> None:
    call, request = await _asked(attack)
    done = await attack.execute(call, approvals=(attack.approval(call, request).signed(thief),))
    assert done.outcome == "refused"
    assert call.call_id not in attack.driver.ran


@pytest.mark.parametrize(
    "said",
    [
        {"sub": "user:alice"},
        {"sub": "user:mallory"},
        {"run": "another-run"},
        {"tenant": "other"},
        {"verdict": "reject", "message": "no"},
        {"about": "unknown"},
        {"call": digest_bytes(b"another call")},
        {"exp": 1, "iat": 0},
    ],
    ids=[
        "the requester",
        "nobody",
        "other run",
        "other tenant",
        "a rejection",
        "other kind",
        "other call",
        "expired",
    ],
)
async def test_signed_decision_that_is_no_approval(attack: Attack, said: dict[str, Any]) -> None:
    """Each is truly signed by the API, and none of them lets this call run."""
    call, request = await _asked(attack)
    token = attack.approval(call, request, **said).signed(attack.api)
    done = await attack.execute(call, approvals=(token,))
    assert done.outcome == "refused"
    assert call.call_id not in attack.driver.ran


async def test_requester_token_as_approval(attack: Attack) -> None:
    call, _ = await _asked(attack)
    done = await attack.execute(call, approvals=(attack.claims.signed(attack.api),))
    assert done.outcome == "refused"
    assert "interlock-approval" in done.detail


async def test_vote_event_says_other_approver(attack: Attack) -> None:
    call, request = await _asked(attack)
    claims = attack.approval(call, request)
    token = claims.signed(attack.api)
    attack.vote(claims.model_copy(update={"sub": "user:dave"}), token)
    await attack.refused(call, "approver", approvals=(token,))


async def test_approval_is_used_for_one_call(attack: Attack) -> None:
    call, request = await _asked(attack)
    claims = attack.approval(call, request)
    token = claims.signed(attack.api)
    attack.vote(claims, token)
    assert (await attack.execute(call, approvals=(token,))).outcome == "finished"
    second = attack.propose("send", "x")
    attack.decide(second)
    done = await attack.execute(second, approvals=(token,))
    assert done.outcome == "refused"
    assert second.call_id not in attack.driver.ran


async def test_same_call_again_gives_the_first_result(attack: Attack) -> None:
    call = attack.start().propose("note", "once")
    attack.decide(call)
    first, second = await attack.execute(call), await attack.execute(call)
    assert first.receipt == second.receipt
    assert attack.driver.ran.count(call.call_id) == 1


async def test_softened_route(attack: Attack) -> None:
    """The request names the attacker's friend as approver."""
    call = attack.start().propose("send", "x")
    attack.ask(call, attack.decide(call), approvers=("user:mallory",))
    await attack.refused(call, "approvers")


async def test_request_without_a_decision_that_asked(attack: Attack) -> None:
    call = attack.start().propose("note", "x")
    decision = attack.decide(call)
    sends = attack.propose("send", "x")
    asked = attack.decision(sends)
    attack.ask(call, asked, rule=decision.rule)
    await attack.refused(call, "asked nobody")


# -- the call --------------------------------------------------------------------------------------------------


async def test_other_arguments_than_proposed(attack: Attack) -> None:
    call = attack.start().propose("note", "fine")
    attack.decide(call)
    swapped = call.model_copy(update={"arguments": attack.blobs.put(canonical({"text": "a secret"}))})
    await attack.refused(swapped, "digests differ")


async def test_tool_of_own_source(attack: Attack) -> None:
    source = attack.blobs.put(b"import os")
    call = attack.start().propose("note", "x", tool_digest=source)
    await attack.refused(call, "tool_digest")


async def test_agent_that_has_no_part(attack: Attack) -> None:
    call = attack.start().propose("note", "x", agent="agent:admin")
    await attack.refused(call, "no part in this run")


@pytest.mark.parametrize("tool", ["interlock.ask", "interlock.settle"])
async def test_built_in_call_is_not_executed(attack: Attack, tool: str) -> None:
    from interlock.run.catalogue import built_in

    call = attack.start().propose("note", "x")
    fields = call.model_dump() | {"tool": tool, "tool_digest": built_in(tool).source, "call_id": f"{attack.run}:c9"}
    forged = ToolCall(**fields)
    digest = digest_of(forged.as_hashed())
    attack.chain.add(CallProposed, **forged.model_dump(exclude={"tenant", "run"}), call_digest=digest)
    await attack.refused(forged, "runs nothing", alarm=False)


async def test_call_for_another_run(attack: Attack) -> None:
    """One workflow speaks for another run: Temporal's server says who scheduled the activity."""
    call = attack.start().propose("note", "x")
    attack.decide(call)
    await attack.refused(call, "speaks for run", workflow_id=f"{attack.run}-impostor")


async def test_forged_tenant_in_call(attack: Attack) -> None:
    call = attack.start().propose("note", "x")
    attack.decide(call)
    await attack.refused(call.model_copy(update={"tenant": "other"}), "digests differ")


# -- the chain -------------------------------------------------------------------------------------------------


async def test_history_rewritten_after_commit(attack: Attack, hostile: Callable[[], Attack]) -> None:
    call = attack.start().propose("note", "fine")
    attack.decide(call)
    await attack.execute(call)
    forger = hostile()
    forger.run, forger.claims = attack.run, attack.claims
    forger.chain = ChainBuilder(attack.run)
    other = forger.start().propose("note", "another")
    forger.decide(other)
    await forger.refused(other, "holds another event", "digests differ")


async def test_gap_in_the_chain(attack: Attack) -> None:
    call = attack.start().propose("note", "x")
    attack.decide(call)
    raw = [event.model_dump(mode="json") for event in attack.chain.events]
    await attack.refused(call, "expected event", events=[raw[0], *raw[2:]])


async def test_start_twice(attack: Attack) -> None:
    attack.start()
    call = attack.start().propose("note", "x")
    await attack.refused(call, "only once")


async def test_event_of_no_known_kind(attack: Attack) -> None:
    call = attack.start().propose("note", "x")
    raw = [event.model_dump(mode="json") for event in attack.chain.events]
    await attack.refused(call, "not an event", events=[*raw, {**raw[-1], "kind": "call.blessed"}])


async def test_receipt_for_a_call_that_never_ran(attack: Attack, thief: Signer) -> None:
    call = attack.start().propose("note", "x")
    digest = digest_of(call.as_hashed())
    now = datetime.now(UTC)
    output = attack.blobs.put(b"done, believe me")
    receipt = Receipt(
        run=attack.run,
        call_id=call.call_id,
        call=digest,
        rule="notes",
        bundle=digest,
        request=digest,
        approvals=(),
        status="ok",
        output=output,
        workspace_before="",
        workspace="",
        profile="default",
        image="",
        executor="me",
        attempt=1,
        started_at=now,
        ended_at=now,
    )
    token = Signer("executor", thief.private_key).sign("interlock-receipt", receipt.model_dump(mode="json"))
    said = {"status": "ok", "output": output, "workspace": "", "receipt": token}
    attack.chain.add(CallFinished, call_id=call.call_id, call_digest=digest, **said)
    await attack.refused(call, "Signature verification failed")


async def test_cancel_in_somebodys_name(attack: Attack, thief: Signer) -> None:
    call = attack.start().propose("note", "x")
    claims = ControlClaims(
        tenant="default", sub="user:carol", run=attack.run, verb="cancel", **lifetime(datetime.now(UTC), LIFE)
    )
    attack.chain.add(RunCancelled, by="user:carol", token=claims.signed(thief))
    await attack.refused(call, "Signature verification failed")


async def test_ended_run_runs_nothing(attack: Attack) -> None:
    call = attack.start().propose("note", "x")
    attack.decide(call)
    attack.chain.add(RunEnded, status="completed", result="", workspace="", count=len(attack.chain.events) + 1)
    await attack.refused(call, "has ended", alarm=False)


async def test_paused_run_runs_nothing(attack: Attack) -> None:
    call = attack.start().propose("note", "x")
    attack.decide(call)
    claims = ControlClaims(
        tenant="default", sub="user:carol", run=attack.run, verb="pause", **lifetime(datetime.now(UTC), LIFE)
    )
    attack.chain.add(RunPaused, by="user:carol", token=claims.signed(attack.api))
    await attack.refused(call, "is paused", alarm=False)


async def test_bad_events_are_not_committed(attack: Attack, thief: Signer) -> None:
    """`commit_events` judges as `execute_call` does."""
    attack.start(attack.claims.signed(thief))
    with pytest.raises(WorkflowFailureError) as failure:
        await attack.commit()
    assert "Signature verification failed" in _words(failure.value)
    assert attack.runtime.ledger.head(attack.run).count == 0
    assert [alarm.kind for alarm in attack.runtime.ledger.alarms(attack.run)][:1] == ["event.forged"]
