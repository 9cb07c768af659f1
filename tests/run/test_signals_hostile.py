"""Signals from somebody who can write to Temporal, and from a graph worker that lies about them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.hostile import words
from support.runtime import Runtime, running, settings_for
from support.scenario import ASKS, Tool, allow, call, playbook, project
from support.verifying import verified
from temporalio.client import WorkflowUpdateFailedError

from interlock.approval import ControlClaims, SignalClaims, lifetime
from interlock.digest import canonical, digest_of
from interlock.errors import EventForged
from interlock.events import Event, RunStarted, SignalReceived, sealed
from interlock.run.contracts import SignalInput
from interlock.run.mailbox import MOST_KEPT
from interlock.run.proof import RunProof
from interlock.signing import Signer, load_signer

pytestmark = pytest.mark.temporal

TOOLS = {"note": Tool("return f'noted {text}'", 'action="read"')}
AGENTS: dict[str, Any] = {"noter": playbook(call("note", text="a"))}
WAITER = '''"""Waits for a word to go on."""

from interlock.workflow import Workflow, workflow


@workflow("waiter", agents=["noter"], signals={"go": None, "word": None})
class Waiter(Workflow):
    """Waits."""

    async def steps(self, task):
        await self.signal("go")
        return await self.agent("noter", "go")
'''


@dataclass
class World:
    """A run that waits, and what the attacker knows."""

    runtime: Runtime
    api: Signer

    async def waiting(self) -> str:
        run = await self.runtime.start("waiter", None)
        await self.runtime.client.signal(run, "word", "first", by="user:carol")
        return run

    def claims(self, run: str, value: Any = None, /, **said: Any) -> SignalClaims:
        fields = {"tenant": "default", "sub": "user:carol", "run": run, "name": "go", "value": digest_of(value)}
        return SignalClaims(**{**fields, **lifetime(datetime.now(UTC), timedelta(minutes=5)), **said})

    async def update(self, run: str, token: str, value: Any = None) -> Any:
        """Straight through Temporal."""
        handle = self.runtime.client.handle(run)
        return await handle.execute_update("signal", SignalInput(token=token, value=value))

    async def refused(self, run: str, token: str, reason: str, value: Any = None) -> None:
        """The workflow refuses, and nothing of it is written anywhere."""
        kinds = self.runtime.kinds(run)
        with pytest.raises(WorkflowUpdateFailedError) as failure:
            await self.update(run, token, value)
        assert reason in words(failure.value), words(failure.value)
        assert self.runtime.kinds(run) == kinds

    async def unharmed(self, run: str) -> None:
        await self.runtime.client.signal(run, "go", None, by="user:carol")
        assert (await self.runtime.client.wait(run)).status == "completed"
        await verified(self.runtime, run)


@pytest.fixture(scope="module")
async def world(temporal_address: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    root = project(tmp_path_factory.mktemp("signals") / "project", TOOLS, AGENTS, [allow("note"), ASKS])
    (root / "workflows" / "waiter.py").write_text(WAITER)
    settings = settings_for(root, temporal_address, name="hostile-signals")
    async with running(settings) as runtime:
        yield World(runtime, load_signer(settings.keys_folder, "api"))


async def test_signal_of_own_key(world: World, thief: Signer) -> None:
    run = await world.waiting()
    await world.refused(run, world.claims(run).signed(thief), "Signature verification failed")
    await world.unharmed(run)


@pytest.mark.parametrize(
    ("said", "value", "reason"),
    [
        ({"run": "another"}, None, "the signal is for run"),
        ({"tenant": "other"}, None, "the signal is for run"),
        ({"iat": 0, "exp": 1}, None, "expired"),
        ({"name": "gone"}, None, "did you mean 'go'"),
        ({}, "another value", "digests differ"),
        ({}, "x" * 300_000, "a signal carries at most"),
    ],
    ids=["run", "tenant", "expired", "name", "value", "large"],
)
async def test_signal_that_does_not_fit(world: World, said: dict[str, Any], value: Any, reason: str) -> None:
    """Truly signed by the API, each, for something else."""
    run = await world.waiting()
    await world.refused(run, world.claims(run, **said).signed(world.api), reason, value)
    await world.unharmed(run)


@pytest.mark.parametrize("token", ["", "x.y.z", "null"], ids=["empty", "dots", "null"])
async def test_signal_that_is_no_statement(world: World, token: str) -> None:
    run = await world.waiting()
    await world.refused(run, token, "interlock-signal")
    await world.unharmed(run)


async def test_statement_of_another_kind_is_no_signal(world: World) -> None:
    run = await world.waiting()
    life = lifetime(datetime.now(UTC), timedelta(minutes=5))
    pause = ControlClaims(tenant="default", sub="user:carol", run=run, verb="pause", **life)
    await world.refused(run, pause.signed(world.api), "is needed")
    await world.unharmed(run)


async def test_signal_seen_in_history_is_not_used_again(world: World) -> None:
    run = await world.waiting()
    token = world.claims(run, "again", name="word").signed(world.api)
    await world.update(run, token, "again")
    await world.refused(run, token, "was used before", "again")
    other = await world.waiting()
    await world.refused(other, token, "the signal is for run", "again")
    await world.unharmed(run)
    await world.unharmed(other)


async def test_same_signal_sent_at_once_counts_once(world: World) -> None:
    run = await world.waiting()
    token = world.claims(run, "twin", name="word").signed(world.api)
    became = await asyncio.gather(*(world.update(run, token, "twin") for _ in range(3)), return_exceptions=True)
    assert sum(isinstance(one, Exception) for one in became) == 2
    assert world.runtime.kinds(run).count("signal.received") == 2
    await world.unharmed(run)


# -- what the executor says of events --------------------------------------------------------------------------


def proof_of(world: World, run: str) -> tuple[RunProof, list[Event]]:
    """The run's record so far, verified."""
    proof, events = RunProof(run, world.runtime.executor.recorded), world.runtime.ledger.events(run)
    for event in events:
        proof.feed(event)
    return proof, events


def received(world: World, run: str, after: list[Event], claims: SignalClaims, token: str, **said: Any) -> Event:
    fields = {"name": claims.name, "value": claims.value, "by": claims.sub, "token": token, **said}
    last = after[-1]
    draft = SignalReceived(run=run, seq=last.seq + 1, prev=last.hash, time=datetime.now(UTC), **fields)
    return sealed(draft)


@pytest.mark.parametrize(
    ("said", "stated", "reason"),
    [
        ({"run": "another"}, {}, "the signal is for run"),
        ({"name": "gone"}, {}, "unknown signal"),
        ({"iat": 0, "exp": 1}, {}, "expired"),
        ({}, {"by": "user:dave"}, "by: the event says"),
        ({}, {"name": "word"}, "name: the event says"),
        ({}, {"value": digest_of("other")}, "value: the event says"),
        ({"value": digest_of("nowhere")}, {}, "absent"),
    ],
    ids=["run", "unknown", "expired", "by", "name", "value", "absent"],
)
async def test_event_of_a_signal_that_nobody_sent(
    world: World, said: dict[str, Any], stated: dict[str, Any], reason: str
) -> None:
    run = await world.waiting()
    proof, events = proof_of(world, run)
    world.runtime.blobs.of(run).put(canonical(None))
    claims = world.claims(run, **said)
    with pytest.raises(EventForged, match=reason):
        proof.feed(received(world, run, events, claims, claims.signed(world.api), **stated))
    await world.unharmed(run)


async def test_event_of_a_signal_said_twice(world: World, thief: Signer) -> None:
    run = await world.waiting()
    proof, events = proof_of(world, run)
    world.runtime.blobs.of(run).put(canonical(None))
    claims = world.claims(run)
    with pytest.raises(EventForged, match="Signature verification failed"):
        proof.feed(received(world, run, events, claims, claims.signed(thief)))
    first = received(world, run, events, claims, claims.signed(world.api))
    proof.feed(first)
    with pytest.raises(EventForged, match="was used before"):
        proof.feed(received(world, run, [*events, first], claims, claims.signed(world.api)))
    assert isinstance(events[0], RunStarted)
    await world.unharmed(run)


# -- floods ----------------------------------------------------------------------------------------------------


def test_flood_is_not_kept() -> None:
    """Ten thousand signals that nobody asks for: a thousand are kept, the others are told to come later."""
    from interlock.errors import Conflict
    from interlock.run.mailbox import KeptSignal, Mailbox

    box, turned_away = Mailbox(), 0
    for number in range(10_000):
        try:
            box.check_room(10)
            box.kept.append(KeptSignal(name="go", value=number, size=10))
        except Conflict:
            turned_away += 1
    assert (len(box.kept), turned_away) == (MOST_KEPT, 10_000 - MOST_KEPT)
    assert [box.next("go") for _ in range(3)] == [0, 1, 2]
    with pytest.raises(Conflict, match="are not kept"):
        box.check_room(5 * 1024 * 1024)
