"""Signals from outside: kept, given once and in order, on record, and refused where nobody declared them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.runtime import Runtime, running, settings_for
from support.scenario import ASKS, Tool, allow, call, playbook, project
from support.verifying import verified

from interlock.digest import digest_of, parse
from interlock.errors import Conflict, InvalidInput

pytestmark = pytest.mark.temporal

TOOLS = {"note": Tool("return f'noted {text}'", 'action="read"')}
RULES = [allow("note"), ASKS]
AGENTS: dict[str, Any] = {"noter": playbook(call("note", text="a"))}
WORKFLOWS = {
    "gather": '''"""Waits for three numbers, gives them back in the order in which it got them."""

from pydantic import BaseModel, Field

from interlock.workflow import AgentOutcome, Workflow, workflow


class Paid(BaseModel, extra="forbid"):
    """A payment."""

    amount: int = Field(gt=0)


@workflow("gather", agents=["noter"], signals={"paid": Paid, "word": None})
class Gather(Workflow):
    """Waits."""

    async def steps(self, task):
        first = [(await self.signal("paid")).amount for _ in range(3)]
        words = await self.all(self.signal("word"), self.signal("word"))
        return await self.agent("noter", {"amounts": first, "words": words})
''',
    "hasty": '''"""Waits a second for a signal."""

from interlock.errors import TimedOut
from interlock.workflow import Workflow, workflow


@workflow("hasty", agents=["noter"], signals={"go": None})
class Hasty(Workflow):
    """Waits, not for long."""

    async def steps(self, task):
        try:
            await self.signal("go", timeout_s=1)
        except TimedOut as late:
            return await self.agent("noter", str(late))
''',
    "deaf": '''"""Asks for what it does not declare."""

from interlock.workflow import Workflow, workflow


@workflow("deaf", agents=["noter"])
class Deaf(Workflow):
    """Listens to nothing."""

    async def steps(self, task):
        await self.signal("go")
''',
}


@pytest.fixture(scope="module", params=[450, 15], ids=["one execution", "many executions"])
async def runtime(
    temporal_address: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncIterator[Runtime]:
    """With `many`, runs go on in a new execution of their workflow after a few steps."""
    root = project(tmp_path_factory.mktemp("signals") / "project", TOOLS, AGENTS, RULES)
    for name, source in WORKFLOWS.items():
        (root / "workflows" / f"{name}.py").write_text(source)
    options = {"name": f"signals-{request.param}", "events_an_execution": request.param}
    async with running(settings_for(root, temporal_address, **options)) as found:
        yield found


def received(runtime: Runtime, run: str) -> list[Any]:
    return [event for event in runtime.ledger.events(run) if event.kind == "signal.received"]


def task(runtime: Runtime, run: str) -> Any:
    """What the run's agent was given to do."""
    (event,) = [event for event in runtime.ledger.events(run) if event.kind == "agent.started"]
    return parse(
        runtime.blobs.of(run).get(event.task) if hasattr(runtime.blobs, "of") else runtime.blobs.get(event.task)
    )


async def test_signals_are_given_once_and_in_order(runtime: Runtime) -> None:
    """Some come before the workflow asks for them, and those for another name do not get in their way."""
    run = await runtime.start("gather", None)
    await runtime.client.signal(run, "word", "early", by="user:dave")
    for amount in (30, 10, 20):
        await runtime.client.signal(run, "paid", {"amount": amount}, by="user:carol")
    await runtime.client.signal(run, "word", "late", by="user:dave")
    assert (await runtime.client.wait(run)).status == "completed"
    assert task(runtime, run) == {"amounts": [30, 10, 20], "words": ["early", "late"]}
    await verified(runtime, run)


async def test_signal_is_on_record_with_its_sender(runtime: Runtime) -> None:
    run = await runtime.start("gather", None)
    became = await runtime.client.signal(run, "paid", {"amount": 7}, by="user:carol")
    (event,) = received(runtime, run)
    assert (event.name, event.by, event.value) == ("paid", "user:carol", digest_of({"amount": 7}))
    assert became.events == event.seq + 1
    await runtime.client.control(run, "cancel", by="user:alice")
    await runtime.client.wait(run)
    await verified(runtime, run)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("payed", {"amount": 1}, "did you mean 'paid'"),
        ("paid", {"amount": 0}, "amount: 0 is less than or equal to the minimum"),
        ("paid", {"amount": 1, "note": "x"}, "value: Additional properties are not allowed"),
        ("word", "x" * 300_000, "a signal carries at most"),
        ("word", 1.5, "float"),
    ],
    ids=["name", "too small", "more", "large", "float"],
)
async def test_signal_that_fits_nothing_is_refused(runtime: Runtime, name: str, value: Any, reason: str) -> None:
    run = await runtime.start("gather", None)
    await runtime.client.signal(run, "paid", {"amount": 7}, by="user:carol")
    with pytest.raises(InvalidInput, match=reason):
        await runtime.client.signal(run, name, value, by="user:carol")
    await runtime.client.control(run, "cancel", by="user:alice")
    await runtime.client.wait(run)
    assert len(received(runtime, run)) == 1


async def test_signal_that_does_not_come_in_time(runtime: Runtime) -> None:
    run = await runtime.start("hasty", None)
    assert (await runtime.client.wait(run)).status == "completed"
    assert task(runtime, run) == "no signal 'go' came within 1 s"
    await verified(runtime, run)


async def test_undeclared_signal_fails_the_run(runtime: Runtime) -> None:
    run = await runtime.start("deaf", None)
    ended = await runtime.client.wait(run)
    assert (ended.status, ended.detail) == ("failed", "workflow 'deaf' declares no signal 'go'; it declares none")
    await verified(runtime, run)


async def test_signal_after_the_end_is_refused(runtime: Runtime) -> None:
    run = await runtime.start("hasty", None)
    await runtime.client.wait(run)
    with pytest.raises(Conflict, match="is not open"):
        await runtime.client.signal(run, "go", None, by="user:carol")
    assert received(runtime, run) == []


async def test_cancel_ends_a_wait_for_a_signal(runtime: Runtime) -> None:
    run = await runtime.start("gather", None)
    await runtime.client.signal(run, "paid", {"amount": 7}, by="user:carol")
    await runtime.client.control(run, "cancel", by="user:alice", reason="enough")
    assert (await runtime.client.wait(run)).status == "cancelled"
    assert runtime.kinds(run)[-2:] == ["run.cancelled", "run.ended"]
    await verified(runtime, run)


async def test_signals_sent_side_by_side_all_arrive(runtime: Runtime) -> None:
    run = await runtime.start("gather", None)
    await asyncio.gather(*(runtime.client.signal(run, "word", n, by="user:dave") for n in range(8)))
    assert sorted(e.value for e in received(runtime, run)) == sorted(digest_of(n) for n in range(8))
    for _ in range(3):
        await runtime.client.signal(run, "paid", {"amount": 1}, by="user:carol")
    assert (await runtime.client.wait(run)).status == "completed"
    order = {digest_of(n): n for n in range(8)}
    first = [order[e.value] for e in received(runtime, run) if e.name == "word"][:2]
    assert task(runtime, run) == {"amounts": [1, 1, 1], "words": first}
    await verified(runtime, run)


async def test_names_are_in_the_manifest(runtime: Runtime) -> None:
    signals = runtime.manifest.workflows["gather"].signals
    assert set(signals) == {"paid", "word"}
    assert signals["word"] == {}
    assert signals["paid"]["additionalProperties"] is False
    assert runtime.manifest.workflows["deaf"].signals == {}
