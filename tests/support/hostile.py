"""A hostile graph worker: an honest beginning of a run, then whatever the attacker likes.

The attacker has what a graph worker has and more: the blob store, the policy files, public keys, write access to
Temporal, every token it ever saw. It has no private key: where a test signs with the API's key, that stands for a
person who said this to the honest API.
"""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.runtime import Runtime, running, settings_for
from support.small import small_project
from temporalio import workflow
from temporalio.client import WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from interlock.approval import ApprovalClaims, ControlClaims, RequesterClaims, lifetime
from interlock.definitions import ToolEntry
from interlock.digest import canonical, digest_of
from interlock.events import (
    GENESIS,
    ApprovalDecided,
    ApprovalRequested,
    CallDecided,
    CallFinished,
    CallProposed,
    Event,
    EventBase,
    RunCancelled,
    RunPaused,
    RunResumed,
    RunStarted,
    sealed,
)
from interlock.policy import Bundle, decide
from interlock.run.attributes import complete
from interlock.run.catalogue import access_request, built_in
from interlock.run.contracts import ASK_TOOL, BUILT_IN_TOOLS, SETTLE_TOOL, CommitInput, ExecuteInput, ExecuteOutput
from interlock.run.executor_worker import executor_worker
from interlock.run.packing import ENVELOPE, Batch, short, shortened
from interlock.run.so_far import SoFar
from interlock.run.steps import COMMIT, EXECUTE
from interlock.signing import load_signer
from interlock.types.access import AccessRequest, Decision, canonical_request
from interlock.types.call import ToolCall

NUMBERS = itertools.count(1)
LIFE = timedelta(hours=1)
CONTROLS: dict[str, type[EventBase]] = {"pause": RunPaused, "resume": RunResumed, "cancel": RunCancelled}

RULES = """
rules:
  - {id: notes, effect: allow, owner: tests, agent: "agent:*", tool: [note, save, charge]}
  - {id: sends, effect: ask, owner: tests, agent: agent:tester, tool: send, route: seniors}
  - {id: spends, effect: ask, owner: tests, agent: agent:tester, tool: spend, route: staged}
  - {id: signs, effect: ask, owner: tests, agent: agent:tester, tool: sign, route: pairs}
  - {id: no_secrets, effect: deny, owner: tests, tool: note, when: [{argument: text, contains: secret}]}
  - {id: asks, effect: ask, owner: tests, agent: agent:tester, tool: interlock.ask, route: seniors}
  - {id: settles, effect: ask, owner: tests, agent: agent:tester, tool: interlock.settle, route: chiefs}
"""
ROUTES = """
routes:
  - {name: seniors, approvers: [user:alice, user:carol, user:dave], quorum: 1, expires_after: 1h}
  - {name: pairs, approvers: [user:carol, user:dave, user:erin], quorum: 2, expires_after: 1h}
  - {name: chiefs, approvers: [user:dave], quorum: 1, expires_after: 1h}
  - name: staged
    stages:
      - {name: team, approvers: [user:carol, user:dave], expires_after: 10m, at_deadline: escalate}
      - {name: lead, approvers: [user:erin], expires_after: 10m, only_escalated: true}
      - {name: last, approvers: [user:dave, user:erin], expires_after: 10m}
    stand_ins: [user:erin]
    emergency: {approvers: [user:erin], reviewers: [user:carol], review_within: 1h}
"""
SIGN = '''from interlock import tool

@tool(action="publish")
def sign(text: str) -> str:
    """Do sign."""
    return f"signed {text}"
'''
READER = 'from interlock import agent\n\nreader = agent("reader", prompt="Test.", tools=["note"])\n'


HELPER = 'from interlock import agent\n\nhelper = agent("helper", prompt="Test.", tools=["note", "send"])\n'


def hostile_project(root: Path) -> Path:
    """Agents `tester` (every tool; hands work on to `helper`), `helper` (`note`, `send`), `reader` (only `note`);
    people who approve, sign in pairs, spend in stages, and settle."""
    small_project(root, [{"say": "done"}])
    (root / "tools" / "sign.py").write_text(SIGN)
    (root / "tools" / "spend.py").write_text(SIGN.replace("sign", "spend"))
    tester = root / "agents" / "tester.py"
    tester.write_text(tester.read_text().replace("tools=[", "hand_off=['helper'], tools=['sign', 'spend', "))
    (root / "agents" / "helper.py").write_text(HELPER)
    (root / "agents" / "helper.playbook.yaml").write_text('[{"say": "done"}]')
    (root / "agents" / "reader.py").write_text(READER)
    (root / "agents" / "reader.playbook.yaml").write_text('[{"say": "done"}]')
    (root / "permissions" / "rules.yaml").write_text(RULES)
    (root / "permissions" / "routes.yaml").write_text(ROUTES)
    people = root / "permissions" / "people.yaml"
    people.write_text(people.read_text() + "  - {name: erin, tenants: default}\n")
    return root


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
    """A driver that says what ran, and loses the result of the calls in `lose`: the executor died after the effect.

    Attributes:
        lose: call id → how many times still.
    """

    def __init__(self, inner: Any) -> None:
        self.inner, self.ran, self.lose = inner, list[str](), dict[str, int]()

    async def run(self, call: Any, *more: Any) -> Any:
        self.ran.append(call.call_id)
        result = await self.inner.run(call, *more)
        if self.lose.get(call.call_id):
            self.lose[call.call_id] -= 1
            raise ConnectionResetError("the executor died here")
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class Chain:
    """Makes sealed events that follow one another, a second apart, from an hour ago; `at` may be set at will."""

    def __init__(self, run: str) -> None:
        self.run, self.events, self.at = run, list[Event](), datetime.now(UTC) - LIFE

    def add(self, kind: type[EventBase], **fields: Any) -> Any:
        prev = self.events[-1].hash if self.events else GENESIS
        fields = {"run": self.run, "seq": len(self.events), "prev": prev, "time": self.at, **fields}
        event = sealed(kind(**fields))  # type: ignore[arg-type]
        self.events.append(event)
        self.at += timedelta(seconds=1)
        return event

    def rows(self) -> list[dict[str, Any]]:
        """As they travel, each stating every field of its own."""
        return [event.model_dump(mode="json", exclude=set(ENVELOPE)) for event in self.events]

    def batch(self, rows: list[dict[str, Any]] | None = None) -> Batch:
        """All of them, or others that the sender calls its chain."""
        return Batch(head=short(self.events[-1].hash), rows=tuple(self.rows() if rows is None else rows))


@dataclass
class Attack:
    """One run in the hands of the attacker."""

    runtime: Runtime
    driver: Recording
    run: str = field(default_factory=lambda: f"hostile-{next(NUMBERS)}")
    calls: int = 0
    agent: str = "tester"
    delegators: tuple[str, ...] = ()
    """Who handed the run's work on."""

    def __post_init__(self) -> None:
        self.blobs = self.runtime.blobs
        self.api = load_signer(self.runtime.settings.keys_folder, "api")
        self.chain = Chain(self.run)
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

    # -- what it says --------------------------------------------------------------------------------------

    def start(self, token: str = "", **said: Any) -> Attack:
        claims = self.claims
        fields = {name: getattr(claims, name) for name in ("tenant", "workflow", "manifest", "input", "workspace")}
        token = token or claims.signed(self.api)
        self.chain.add(RunStarted, **{**fields, "requester": claims.sub, "requester_token": token, **said})
        return self

    def propose(self, tool: str, text: str = "", *, edited_from: str = "", **said: Any) -> ToolCall:
        self.calls += 1
        arguments = said.pop("values", {"text": text})
        fields = {
            "call_id": f"{self.run}:c{self.calls}",
            "agent": f"agent:{self.agent}",
            "tool": tool,
            "tool_digest": self.entry(tool).source,
            "arguments": self.blobs.put(canonical(arguments)),
            "workspace": "",
        }
        call = ToolCall(tenant="default", run=self.run, **{**fields, **said})
        digest = digest_of(call.as_hashed())
        self.chain.add(CallProposed, **{**fields, **said}, call_digest=digest, edited_from=edited_from)
        return call

    def entry(self, tool: str) -> ToolEntry:
        return built_in(tool) if tool in BUILT_IN_TOOLS else self.runtime.manifest.tools[tool]

    def decision(self, call: ToolCall, bundle: Bundle | None = None, events: int | None = None) -> Decision:
        request = access_request(
            self.entry(call.tool),
            json.loads(self.blobs.get(call.arguments)),
            tenant="default",
            agent=self.agent,
            delegators=self.delegators,
            requester="user:alice",
            run=self.run,
            workflow="agent_run",
            time=datetime.now(UTC),
        )
        bundle = bundle or self.runtime.executor.policy.current()
        request = self.completed(request, call, bundle, events)
        self.blobs.put(canonical(canonical_request(request)))
        return decide(bundle, request)

    def completed(
        self, request: AccessRequest, call: ToolCall, bundle: Bundle, events: int | None = None
    ) -> AccessRequest:
        """The request with all that the run's events tell so far, or only the first ones."""
        so_far = SoFar()
        for event in self.chain.events:
            so_far.feed(event)
        before = next(e.seq for e in self.chain.events if isinstance(e, CallProposed) and e.call_id == call.call_id)
        return complete(
            request,
            self.entry(call.tool),
            so_far.at(so_far.events if events is None else events, before),
            manifest=self.runtime.manifest,
            bundle=bundle,
            blobs=self.blobs,
        )

    def decide(
        self, call: ToolCall, bundle: Bundle | None = None, *, events: int | None = None, **said: Any
    ) -> Decision:
        decision = self.decision(call, bundle, events)
        names = ("verdict", "rule", "request", "bundle", "nearest", "condition_errors")
        fields = {name: getattr(decision, name) for name in names}
        fields |= {"call_id": call.call_id, "call_digest": digest_of(call.as_hashed())}
        self.chain.add(CallDecided, **{**fields, **said})
        return decision

    def ask(self, call: ToolCall, decision: Decision, **said: Any) -> str:
        assert decision.route is not None
        stage = decision.route.stages[0]
        number = sum(isinstance(event, ApprovalRequested) for event in self.chain.events) + 1
        request_id = f"{self.run}:a{number}"
        fields = {
            "about": "question" if call.tool == ASK_TOOL else "call",
            "call_id": call.call_id,
            "agent": call.agent,
            "tool": call.tool,
            "call_digest": digest_of(call.as_hashed()),
            "subject": call.arguments,
            "rule": decision.rule,
            "reason": decision.reason,
            "route": decision.route.name,
            "stage": stage.name,
            "approvers": stage.approvers,
            "quorum": stage.quorum,
            "expires_at": stage.deadline(self.chain.at),
            "ends_at": decision.route.last_moment(self.chain.at),
        }
        self.chain.add(ApprovalRequested, request_id=request_id, **{**fields, **said})
        return request_id

    def asked(self, tool: str = "send") -> tuple[ToolCall, str]:
        """A run with one call on which people were honestly asked."""
        call = self.start().propose(tool, "x")
        return call, self.ask(call, self.decide(call))

    def settling(self, call: ToolCall, reason: str = "lost", **said: Any) -> str:
        """People are asked whether a call of unknown outcome may run again; the request's id."""
        values = {"call_id": call.call_id, "tool": call.tool, "reason": reason, **said}
        decision = self.decide(self.propose(SETTLE_TOOL, values=values))
        return self.ask(call, decision, about="unknown")

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

    def vote(self, claims: ApprovalClaims, token: str = "", **said: Any) -> str:
        """Put a decision on record; returns its token, signed by the honest API unless one is given."""
        token = token or claims.signed(self.api)
        fields = {
            "verdict": claims.verdict,
            "approver": claims.sub,
            "message": claims.message,
            "edited": claims.edited,
            "closes": True,
            "stage": claims.stage,
            "seat": claims.seat,
            "emergency": claims.emergency,
        }
        self.chain.add(ApprovalDecided, request_id=claims.request, token=token, **{**fields, **said})
        return token

    def statement(self, verb: Any, **said: Any) -> ControlClaims:
        """What a person says of the run's course."""
        fields = {"tenant": "default", "sub": "user:carol", "run": self.run, **lifetime(datetime.now(UTC), LIFE)}
        return ControlClaims(**{**fields, "verb": verb, **said})

    def control(self, claims: ControlClaims, token: str = "", *, kind: str = "", **said: Any) -> str:
        """Put such a statement on record."""
        token = token or claims.signed(self.api)
        self.chain.add(CONTROLS[kind or claims.verb], **{"by": claims.sub, "token": token, **said})
        return token

    def finished(self, call: ToolCall, done: ExecuteOutput, **said: Any) -> None:
        """Put a call's end on record, as the executor's receipt says."""
        names = ("status", "output", "workspace", "artifacts", "start", "usage", "child", "receipt")
        fields = {name: getattr(done, name) for name in names}
        if done.workspace is None:
            ended = [event.workspace for event in self.chain.events if isinstance(event, CallFinished)]
            fields["workspace"] = ended[-1] if ended else self.claims.workspace
        digest = digest_of(call.as_hashed())
        self.chain.add(CallFinished, call_id=call.call_id, call_digest=digest, **{**fields, **said})

    # -- what it sends -------------------------------------------------------------------------------------

    async def execute(self, call: ToolCall, *, workflow_id: str = "", **said: Any) -> ExecuteOutput:
        """Ask for a call by its id; `rows` or `batch` in place of the chain's."""
        batch = said.pop("batch", None) or self.chain.batch(said.pop("rows", None))
        name = shortened(self.run, call.call_id)
        value = ExecuteInput(call=name, events=batch, **said).model_dump(mode="json")
        return ExecuteOutput.model_validate(await self.send(EXECUTE, value, workflow_id))

    async def commit(self, *, final: bool = False, rows: list[dict[str, Any]] | None = None) -> Any:
        value = CommitInput(events=self.chain.batch(rows), final=final)
        return await self.send(COMMIT, value.model_dump(mode="json"))

    async def send(self, name: str, value: Any, workflow_id: str = "") -> Any:
        settings = self.runtime.settings
        return await self.runtime.temporal.execute_workflow(
            Hostile.run,
            args=[settings.executor_queue, name, value],
            id=workflow_id or self.run,
            task_queue=attackers_queue(settings.name),
        )

    # -- what must come of it ------------------------------------------------------------------------------

    async def refused(self, call: ToolCall, reason: str, *, alarm: bool = True, **said: Any) -> None:
        """The executor fails the call and says why; nothing ran; what was forged raised an alarm."""
        before, alarms = list(self.driver.ran), len(self.runtime.ledger.alarms(self.run))
        with pytest.raises(WorkflowFailureError) as failure:
            await self.execute(call, **said)
        assert reason in words(failure.value), words(failure.value)
        assert self.driver.ran == before
        assert (len(self.runtime.ledger.alarms(self.run)) > alarms) == alarm

    async def not_run(self, call: ToolCall, reason: str, *, outcome: str = "refused", **said: Any) -> None:
        """The executor answers in words, and nothing ran."""
        before = list(self.driver.ran)
        done = await self.execute(call, **said)
        assert (done.outcome, done.receipt) == (outcome, "")
        assert reason in done.detail, done.detail
        assert self.driver.ran == before

    async def uncommitted(self, reason: str, **said: Any) -> None:
        """`commit_events` refuses, and the ledger is as before."""
        head = self.runtime.ledger.head(self.run)
        with pytest.raises(WorkflowFailureError) as failure:
            await self.commit(**said)
        assert reason in words(failure.value), words(failure.value)
        assert self.runtime.ledger.head(self.run) == head
        assert self.runtime.ledger.alarms(self.run)


def words(error: BaseException | None) -> str:
    """Everything that an error and its causes say."""
    said = []
    while error is not None:
        said.append(str(getattr(error, "message", error)))
        error = getattr(error, "cause", None)
    return " ".join(said)


def attackers_queue(name: str) -> str:
    return f"{name}-attacker"


@asynccontextmanager
async def attackers_worker(runtime: Runtime) -> AsyncIterator[None]:
    """A worker of the attacker's own, which runs `Hostile`."""
    queue = attackers_queue(runtime.settings.name)
    runner = UnsandboxedWorkflowRunner()
    async with Worker(runtime.temporal, task_queue=queue, workflows=[Hostile], workflow_runner=runner):
        yield


@asynccontextmanager
async def under_attack(
    temporal_address: str, root: Path, name: str, *, rules: str = ""
) -> AsyncIterator[Callable[[], Attack]]:
    """A real executor, and a hostile worker instead of the graph worker; gives a factory of attacks."""
    hostile_project(root)
    with (root / "permissions" / "rules.yaml").open("a") as file:
        file.write(rules.lstrip("\n"))
    settings = settings_for(root, temporal_address, name=name)
    async with running(settings, workers=False) as runtime:
        driver = Recording(runtime.executor.driver)
        runtime.executor.driver = driver
        async with attackers_worker(runtime), executor_worker(runtime.temporal, settings, runtime.executor):
            yield lambda: Attack(runtime, driver)


def write_blob(runtime: Runtime, digest: str, data: bytes | None) -> None:
    """Change the blob store as somebody could who may write to its database; None deletes.

    The executor then reads as one that has only just started.
    """
    with closing(sqlite3.connect(runtime.settings.state_folder / "blobs.db", isolation_level=None)) as database:
        for (trigger,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f'DROP TRIGGER "{trigger}"')
        changed = 0
        for table in ("blobs", "run_blobs"):
            if data is None:
                changed += database.execute(f"DELETE FROM {table} WHERE digest = ?", (digest,)).rowcount
            else:
                update = f"UPDATE {table} SET data = ? WHERE digest = ?"
                changed += database.execute(update, (data, digest)).rowcount
    assert changed
    runtime.blobs._cache.clear()
    runtime.blobs._of_runs.clear()
