"""Somebody who can write to Temporal: starts workflows, sends updates, cancels, terminates and takes over ids. The
honest workers are real and serve honest runs at the same time, which come to no harm.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.hostile import Attack, Recording, attackers_worker, hostile_project, words
from support.runtime import Runtime, running, settings_for
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.exceptions import WorkflowAlreadyStartedError

from interlock.approval import ApprovalClaims, ControlClaims, RequesterClaims, lifetime
from interlock.audit import ApprovalRow
from interlock.digest import canonical, digest_bytes, parse
from interlock.events import GENESIS
from interlock.run.contracts import CommitInput, ControlInput, RunInput, RunOutcome, VoteInput
from interlock.run.histories import fetch_history
from interlock.run.packing import Batch, short
from interlock.run.steps import COMMIT
from interlock.signing import Signer, load_signer
from interlock.types.call import ToolCall

pytestmark = pytest.mark.temporal

LIFE = timedelta(hours=1)
SENDS = '[{"say": "one", "calls": [{"tool": "send", "arguments": {"text": "hello"}}]}, {"say": "done"}]'
ASKER = '''"""Asks a person."""

from interlock.workflow import Workflow, workflow


@workflow("asker", agents=["tester"])
class Asker(Workflow):
    """Asks."""

    async def steps(self, task):
        await self.ask("tester", "May I?")
'''


@dataclass
class World:
    """Honest workers, and what the attacker knows."""

    runtime: Runtime
    driver: Recording
    api: Signer

    async def waiting(self, workflow: str = "tester") -> tuple[str, ApprovalRow]:
        """An honest run that waits for a person."""
        run = await self.runtime.start(workflow, "go")
        return run, await self.runtime.approval(run)

    def approval(self, request: ApprovalRow, /, **said: Any) -> ApprovalClaims:
        fields = {
            "tenant": "default",
            "sub": "user:carol",
            "run": request.run,
            "request": request.request_id,
            "about": request.kind,
            "verdict": "approve",
            "call": request.call_digest,
            **lifetime(datetime.now(UTC), LIFE),
        }
        return ApprovalClaims(**{**fields, **said})

    def statement(self, run: str, verb: Any = "cancel", /, **said: Any) -> ControlClaims:
        fields = {"tenant": "default", "sub": "user:carol", "run": run, **lifetime(datetime.now(UTC), LIFE)}
        return ControlClaims(**{**fields, "verb": verb, **said})

    async def update(self, run: str, name: str, token: str) -> Any:
        """Send an update straight through Temporal."""
        value = VoteInput(token=token) if name == "vote" else ControlInput(token=token)
        return await self.runtime.client.handle(run).execute_update(name, value)

    async def refused(self, run: str, name: str, token: str, reason: str) -> None:
        """The workflow refuses, and nothing of it is written anywhere."""
        kinds = self.runtime.kinds(run)
        with pytest.raises(WorkflowUpdateFailedError) as failure:
            await self.update(run, name, token)
        assert reason in words(failure.value), words(failure.value)
        assert self.runtime.kinds(run) == kinds
        assert not self.ran(run)

    def ran(self, run: str) -> list[str]:
        return [call for call in self.driver.ran if call.startswith(f"{run}:")]

    async def unharmed(self, request: ApprovalRow) -> None:
        """The honest run goes on as if nothing had been tried: it is approved, runs once, and verifies."""
        await self.runtime.client.decide(request, "approve", approver="user:carol")
        assert (await self.runtime.client.wait(request.run)).status == "completed"
        assert self.ran(request.run) == [request.call_id]
        await self.verified(request.run)

    async def verified(self, run: str) -> None:
        runtime, history = self.runtime, await fetch_history(self.runtime.temporal, run)
        verdict = await runtime.verdict(run, history)
        assert verdict.verified, verdict.differences
        assert not verdict.open

    def input(self, run: str, signer: Signer | None = None, /, said: Any = None, **claimed: Any) -> RunInput:
        """What an honest start sends, with what the attacker claims in the token and says beside it."""
        value = {"agent": "tester", "task": "go"}
        blobs = self.runtime.blobs
        fields = {
            "tenant": "default",
            "sub": "user:alice",
            "run": run,
            "workflow": "agent_run",
            "manifest": blobs.put(canonical(self.runtime.manifest.as_hashed())),
            "input": blobs.put(canonical(value)),
            "workspace": "",
            **lifetime(datetime.now(UTC), LIFE),
        }
        claims = RequesterClaims(**{**fields, **claimed})
        stated = {
            "run": run,
            "tenant": "default",
            "workflow": "agent_run",
            "requester": "user:alice",
            "requester_token": claims.signed(signer or self.api),
            "manifest": fields["manifest"],
            "input": value,
        }
        return RunInput(**{**stated, **(said or {})})

    async def started(self, request: RunInput, *, workflow_id: str = "") -> RunOutcome:
        """Start a run straight through Temporal."""
        return await self.runtime.temporal.execute_workflow(
            request.workflow,
            request,
            id=workflow_id or request.run,
            task_queue=self.runtime.settings.graph_queue,
            result_type=RunOutcome,
        )

    async def never_starts(self, request: RunInput, reason: str, *, workflow_id: str = "") -> None:
        """No event of it gets into the ledger, nothing runs, and an alarm is kept."""
        with pytest.raises(WorkflowFailureError) as failure:
            await self.started(request, workflow_id=workflow_id)
        assert reason in words(failure.value), words(failure.value)
        assert self.runtime.ledger.head(request.run).count == 0
        assert not self.ran(request.run)
        assert self.runtime.ledger.alarms(workflow_id or request.run)  # at whoever speaks


@pytest.fixture(scope="module")
async def world(temporal_address: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    root = hostile_project(tmp_path_factory.mktemp("hostile-temporal") / "project")
    (root / "agents" / "tester.playbook.yaml").write_text(SENDS)
    (root / "workflows" / "asker.py").write_text(ASKER)
    settings = settings_for(root, temporal_address, name="hostile-temporal")
    async with running(settings) as runtime:
        driver = Recording(runtime.executor.driver)
        runtime.executor.driver = driver
        async with attackers_worker(runtime):
            yield World(runtime, driver, load_signer(settings.keys_folder, "api"))


# -- votes -----------------------------------------------------------------------------------------------------


async def test_vote_of_own_key(world: World, thief: Signer) -> None:
    run, request = await world.waiting()
    token = world.approval(request).signed(thief)
    await world.refused(run, "vote", token, "Signature verification failed")
    await world.unharmed(request)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"sub": "user:alice"}, "separation of duties"),
        ({"sub": "user:mallory"}, "not an approver"),
        ({"tenant": "other"}, "another tenant"),
        ({"run": "another"}, "the decision is about"),
        ({"call": digest_bytes(b"another call")}, "another call"),
        ({"about": "question"}, "another call"),
        ({"verdict": "respond", "message": "yes"}, "does not fit"),
        ({"iat": 0, "exp": 1}, "expired"),
        ({"request": "another:a1"}, "has no request"),
    ],
    ids=["requester", "nobody", "tenant", "run", "call", "kind", "verdict", "expired", "request"],
)
async def test_vote_that_does_not_fit(world: World, said: dict[str, Any], reason: str) -> None:
    """Truly signed by the API, each, for something else."""
    run, request = await world.waiting()
    await world.refused(run, "vote", world.approval(request, **said).signed(world.api), reason)
    await world.unharmed(request)


async def test_vote_of_another_run(world: World) -> None:
    """A token that was seen in the history of one run, sent to another that asks the very same."""
    (_, one), (run, other) = await world.waiting(), await world.waiting()
    await world.refused(run, "vote", world.approval(one).signed(world.api), "has no request")
    await world.unharmed(other)
    await world.unharmed(one)


@pytest.mark.parametrize("token", ["", "x.y.z", "null", "a" * 100_000], ids=["empty", "dots", "null", "long"])
async def test_vote_that_is_no_token(world: World, token: str) -> None:
    run, request = await world.waiting()
    await world.refused(run, "vote", token, "interlock-approval")
    await world.unharmed(request)


async def test_statements_of_other_kinds_are_no_votes(world: World) -> None:
    run, request = await world.waiting()
    requester = world.input(run).requester_token
    cancel = world.statement(run, "cancel").signed(world.api)
    for token in (requester, cancel):
        await world.refused(run, "vote", token, "is needed")
    await world.refused(run, "control", world.approval(request).signed(world.api), "is needed")
    await world.unharmed(request)


async def test_question_takes_no_approval(world: World) -> None:
    run, request = await world.waiting("asker")
    assert request.kind == "question"
    await world.refused(run, "vote", world.approval(request).signed(world.api), "does not fit a question")
    await world.runtime.client.decide(request, "respond", approver="user:carol", message="yes")
    assert (await world.runtime.client.wait(run)).status == "completed"
    await world.verified(run)


async def test_vote_sent_again_runs_nothing_again(world: World) -> None:
    run, request = await world.waiting()
    token = world.approval(request).signed(world.api)
    await world.update(run, "vote", token)
    with pytest.raises(Exception, match=r"update failed|not found|completed"):
        await world.update(run, "vote", token)
    assert (await world.runtime.client.wait(run)).status == "completed"
    assert world.ran(run) == [request.call_id]
    await world.verified(run)


# -- controls --------------------------------------------------------------------------------------------------


async def test_control_of_own_key(world: World, thief: Signer) -> None:
    run, request = await world.waiting()
    for verb in ("pause", "cancel"):
        token = world.statement(run, verb).signed(thief)
        await world.refused(run, "control", token, "Signature verification failed")
    await world.unharmed(request)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"run": "another"}, "the statement is about run"),
        ({"tenant": "other"}, "the statement is about run"),
        ({"iat": 0, "exp": 1}, "expired"),
        ({"verb": "resume"}, "not paused"),
    ],
    ids=["run", "tenant", "expired", "resume"],
)
async def test_control_that_does_not_fit(world: World, said: dict[str, Any], reason: str) -> None:
    run, request = await world.waiting()
    token = world.statement(run, **said).signed(world.api)
    await world.refused(run, "control", token, reason)
    await world.unharmed(request)


async def test_control_seen_in_history_is_not_used_again(world: World) -> None:
    run, request = await world.waiting()
    pause, resume = (world.statement(run, verb).signed(world.api) for verb in ("pause", "resume"))
    await world.update(run, "control", pause)
    await world.update(run, "control", resume)
    await world.refused(run, "control", pause, "was used before")
    await world.update(run, "control", world.statement(run, "pause").signed(world.api))
    await world.refused(run, "control", resume, "was used before")
    await world.update(run, "control", world.statement(run, "resume").signed(world.api))
    await world.unharmed(request)


async def test_resumption_kept_from_before_the_pause(world: World) -> None:
    """It was refused when it came, so that no history has it; whoever carried it has."""
    run, request = await world.waiting()
    kept = world.statement(run, "resume", iat=int(datetime.now(UTC).timestamp()) - 30).signed(world.api)
    await world.refused(run, "control", kept, "not paused")
    await world.update(run, "control", world.statement(run, "pause").signed(world.api))
    await world.refused(run, "control", kept, "before the run was paused")
    await world.update(run, "control", world.statement(run, "resume").signed(world.api))
    await world.unharmed(request)


# -- starts ----------------------------------------------------------------------------------------------------


async def test_start_in_somebodys_name(world: World, thief: Signer) -> None:
    await world.never_starts(world.input("stolen-name", thief), "Signature verification failed")


@pytest.mark.parametrize(
    ("claimed", "name"),
    [
        ({"run": "another"}, "run"),
        ({"tenant": "other"}, "tenant"),
        ({"sub": "user:carol"}, "requester"),
        ({"workflow": "asker"}, "workflow"),
        ({"input": digest_bytes(b"another input")}, "input"),
        ({"workspace": digest_bytes(b"other files")}, "workspace"),
    ],
    ids=["run", "tenant", "requester", "workflow", "input", "workspace"],
)
async def test_start_with_the_token_of_another(world: World, claimed: dict[str, Any], name: str) -> None:
    """A token seen in the history of an honest run that differs in one thing."""
    request = world.input(f"other-{name}", **claimed)
    await world.never_starts(request, f"{name}: the event says")


async def test_start_with_more_tools(world: World) -> None:
    """A manifest of the attacker's own, in the blob store, in which `reader` may send."""
    more = parse(canonical(world.runtime.manifest.as_hashed()))
    more["agents"]["reader"]["tools"] = ["note", "send"]
    digest = world.runtime.blobs.put(canonical(more))
    await world.never_starts(world.input("more-tools", said={"manifest": digest}), "manifest: the event says")


async def test_start_under_another_id(world: World) -> None:
    """The honest code, in the attacker's workflow, speaks for a run that it is not."""
    await world.never_starts(world.input("spoken-for"), "its proof says 'spoken-for'", workflow_id="the-speaker")


async def test_start_of_a_run_that_is_open(world: World) -> None:
    run, request = await world.waiting()
    with pytest.raises(WorkflowAlreadyStartedError):
        await world.started(world.input(run))
    await world.unharmed(request)


async def test_run_is_not_run_again(world: World) -> None:
    """The very input that Temporal's history holds, once the run has ended."""
    run, request = await world.waiting()
    await world.unharmed(request)
    head = world.runtime.ledger.head(run)
    with pytest.raises(WorkflowFailureError) as failure:
        await world.started(world.input(run))
    assert "is not the one that its workflow has" in words(failure.value)
    assert world.runtime.ledger.head(run) == head
    assert world.ran(run) == [request.call_id]
    assert [alarm.kind for alarm in world.runtime.ledger.alarms(run)][:1] == ["event.forged"]


# -- taking over -----------------------------------------------------------------------------------------------


async def test_id_taken_over_gives_no_approval(world: World, thief: Signer) -> None:
    """The honest workflow is terminated; the attacker's own has its id, and goes on from the recorded events."""
    run, request = await world.waiting()
    await world.runtime.client.handle(run).terminate()
    attack = Attack(world.runtime, world.driver, run=run)
    attack.chain.events = world.runtime.ledger.events(run)
    attack.chain.at = datetime.now(UTC)
    proposed = next(event for event in attack.chain.events if event.kind == "call.proposed")
    fields = proposed.model_dump(include={"call_id", "agent", "tool", "tool_digest", "arguments", "workspace"})
    call = ToolCall(tenant="default", run=run, **fields)
    await attack.not_run(call, "needs 1", outcome="ask")
    await attack.refused(call, "Signature verification failed", approvals=(world.approval(request).signed(thief),))
    attack.chain.add(type(proposed), **fields | {"call_id": f"{run}:c9"}, call_digest=proposed.call_digest)
    await attack.refused(call, "call_digest")
    assert not world.ran(run)


async def test_events_of_an_open_run_from_outside(world: World) -> None:
    """Another workflow commits an end for an honest run."""
    run, request = await world.waiting()
    attack = Attack(world.runtime, world.driver, run=run)
    value = CommitInput(events=Batch(head=short(GENESIS)), final=True).model_dump(mode="json")
    with pytest.raises(WorkflowFailureError) as failure:
        await attack.send(COMMIT, {**value, "run": run}, workflow_id=f"{run}-other")
    assert "run" in words(failure.value)
    assert await attack.send(COMMIT, value, workflow_id=f"{run}-third") == -1  # it speaks for itself alone
    await world.unharmed(request)


async def test_cancel_through_temporal_proves_nobody(world: World) -> None:
    run, _ = await world.waiting()
    await world.runtime.client.handle(run).cancel()
    assert (await world.runtime.client.wait(run)).status == "cancelled"
    (event,) = [event for event in world.runtime.ledger.events(run) if event.kind == "run.cancelled"]
    assert (event.by, event.token) == ("temporal", "")
    assert not world.ran(run)
    await world.verified(run)


async def test_honest_run_among_the_attacks(world: World) -> None:
    """After everything above: an honest run is as it always was, and no alarm is on its account."""
    run, request = await world.waiting()
    await world.unharmed(request)
    assert not world.runtime.ledger.alarms(run)
