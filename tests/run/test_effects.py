"""An effect happens once: a call whose result was lost is asked about, told by its key, or put to a person."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from support.effects import Together, World, acting
from support.hostile import Attack
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from interlock.digest import digest_of
from interlock.run.contracts import ExecuteInput
from interlock.run.executor import Executor
from interlock.run.executor_worker import make_executor
from interlock.run.idempotency import idempotency_key
from interlock.run.packing import shortened
from interlock.run.receipt import Receipt
from interlock.types.call import ToolCall

pytestmark = pytest.mark.temporal
CHIEF = {"sub": "user:dave", "about": "unknown"}


@pytest.fixture(scope="module")
async def stage(
    temporal_address: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Callable[[], Attack], World]]:
    async with acting(temporal_address, tmp_path_factory.mktemp("effects"), "effects") as found:
        yield found


@pytest.fixture
def attack(stage: tuple[Callable[[], Attack], World]) -> Attack:
    return stage[0]()


@pytest.fixture
def world(stage: tuple[Callable[[], Attack], World]) -> World:
    return stage[1]


def lost(attack: Attack, tool: str, text: str, times: int = 1) -> ToolCall:
    """A call whose result is lost after it has happened."""
    call = attack.start().propose(tool, text)
    attack.decide(call)
    attack.driver.lose[call.call_id] = times
    return call


def ran(attack: Attack) -> list[str]:
    """What ran for this run, by the last part of its id."""
    return [name.removeprefix(f"{attack.run}:") for name in attack.driver.ran if name.startswith(f"{attack.run}:")]


def receipt(attack: Attack, done: Any) -> Receipt:
    return Receipt.found(attack.runtime.executor.recorded.executor, attack.blobs, done.receipt)


# -- reconcile -------------------------------------------------------------------------------------------------


async def test_lost_effect_is_found_not_repeated(attack: Attack, world: World) -> None:
    call = lost(attack, "pay", "honest")
    done = await attack.execute(call)
    assert (done.outcome, done.status, done.start) == ("finished", "ok", "reconciled")
    assert ran(attack) == ["c1", "c1:reconcile2"]
    assert [words[1] for words in world.of("honest")] == [idempotency_key(call)]
    assert "found it" in attack.runtime.text(done.output)
    signed = receipt(attack, done)
    assert (signed.start, signed.attempt, signed.call) == ("reconciled", 2, digest_of(call.as_hashed()))


async def test_effect_that_did_not_happen_runs(attack: Attack, world: World) -> None:
    done = await attack.execute(lost(attack, "pay", "denied"))
    assert (done.outcome, done.status) == ("finished", "ok")
    assert ran(attack) == ["c1", "c1:reconcile2", "c1"]
    assert len(world.of("denied")) == 2  # the tool's word was wrong, and it is its author's trust
    assert receipt(attack, done).attempt == 3
    assert "reconcile said that it was not done" in attack.runtime.text(done.output)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("unsure", "the bank is closed"),
        ("raises", "the bank does not answer"),
        ("exits", "SystemExit"),
        ("garbage", "reconcile returned int"),
        ("misshapen", "expected str, got int"),
        ("huge", "bytes"),
    ],
)
async def test_doubtful_answer_goes_to_a_person(attack: Attack, world: World, text: str, told: str) -> None:
    call = lost(attack, "pay", text)
    done = await attack.execute(call)
    assert (done.outcome, done.receipt) == ("unknown", "")
    assert told in done.detail
    assert f"its idempotency key is {idempotency_key(call)}" in done.detail
    assert len(world.of(text)) == 1


async def test_settled_call_is_not_asked_about(attack: Attack, world: World) -> None:
    call = lost(attack, "pay", "unsure")
    assert (await attack.execute(call)).outcome == "unknown"
    before = ran(attack)
    token = attack.vote(attack.approval(call, attack.settling(call), **CHIEF))
    done = await attack.execute(call, settled=(token,))
    assert (done.outcome, receipt(attack, done).attempt) == ("finished", 3)
    assert ran(attack)[len(before) :] == ["c1"]


async def test_finished_call_is_not_asked_about(attack: Attack) -> None:
    call = lost(attack, "pay", "honest")
    first = await attack.execute(call)
    again = await attack.execute(call)
    assert (again.receipt, ran(attack)) == (first.receipt, ["c1", "c1:reconcile2"])


async def test_answer_counts_for_its_own_call_only(attack: Attack, world: World) -> None:
    """Two calls alike, of which one was paid and found: each has a key of its own."""
    first = lost(attack, "pay", "alike")
    assert (await attack.execute(first)).start == "reconciled"
    second = attack.propose("pay", "alike")
    attack.decide(second)
    assert idempotency_key(first) != idempotency_key(second)
    done = await attack.execute(second)
    assert (done.status, done.start, len(world.of("alike"))) == ("ok", "", 2)


async def test_two_executors_ask_once(attack: Attack) -> None:
    """Both find the same call in doubt at the same moment; the ledger lets one of them ask."""
    call = lost(attack, "pay", "raises", times=1)
    assert (await attack.execute(call)).outcome == "unknown"
    name = shortened(attack.run, call.call_id)
    barrier, value = asyncio.Barrier(2), ExecuteInput(call=name, events=attack.chain.batch())

    async def other(name: str) -> Any:
        one: Executor = replace(make_executor(attack.runtime.settings), name=name)
        one.driver = Together(attack.driver, barrier)
        environment = ActivityEnvironment()
        environment.info = replace(environment.info, workflow_id=attack.run, attempt=2)
        return await environment.run(one.execute_call, value)

    before = ran(attack)
    outcomes = await asyncio.gather(other("one"), other("two"), return_exceptions=True)
    refused = [one for one in outcomes if isinstance(one, ApplicationError)]
    assert [one.outcome for one in outcomes if one not in refused] == ["unknown"]
    assert ["taken over" in str(one) for one in refused] == [True]
    assert ran(attack)[len(before) :] == ["c1:reconcile3"]


# -- what may no longer run ------------------------------------------------------------------------------------


async def test_call_that_may_have_happened_is_not_refused(attack: Attack) -> None:
    """Its approval expires after it began: "not run" would have the agent propose it again."""
    call, request = attack.asked()
    claims = attack.approval(call, request, exp=int(datetime.now(UTC).timestamp()) + 4)
    token = attack.vote(claims)
    attack.driver.lose[call.call_id] = 1
    assert (await attack.execute(call, approvals=(token,))).outcome == "unknown"
    await asyncio.sleep(5)
    await attack.not_run(call, "has expired", outcome="unknown", approvals=(token,))
    await attack.not_run(call, "left no result", outcome="unknown", approvals=(token,))
    assert ran(attack) == ["c1"]


async def test_call_that_happened_is_not_refused(attack: Attack) -> None:
    call, request = attack.asked()
    token = attack.vote(attack.approval(call, request, exp=int(datetime.now(UTC).timestamp()) + 4))
    first = await attack.execute(call, approvals=(token,))
    await asyncio.sleep(5)
    again = await attack.execute(call, approvals=(token,))
    assert (again.outcome, again.receipt, ran(attack)) == ("finished", first.receipt, ["c1"])


# -- the key ---------------------------------------------------------------------------------------------------


async def test_every_attempt_has_the_same_key(attack: Attack, world: World) -> None:
    """Whatever the tool makes of its key, the next attempt gets the one that the call has."""
    call = lost(attack, "repeat", "again", times=1)
    assert (await attack.execute(call)).outcome == "finished"
    key = idempotency_key(call)
    assert world.of("again") == [["again", key, key]] * 2
    other = attack.propose("repeat", "again")
    attack.decide(other)
    await attack.execute(other)
    assert {words[1] for words in world.of("again")} == {key, idempotency_key(other)}
    assert key != idempotency_key(other)


async def test_key_is_not_for_an_agent_to_give(attack: Attack, world: World) -> None:
    call = attack.start().propose("pay", values={"text": "own", "idempotency_key": "mine"})
    await attack.refused(call, "idempotency_key", alarm=False)
    assert world.of("own") == []


async def test_key_is_no_part_of_the_schema(attack: Attack) -> None:
    schema = attack.runtime.manifest.tools["pay"].schema_
    assert list(schema.parameters["properties"]) == ["text"]  # type: ignore[call-overload, index]
    assert schema.reconcile
