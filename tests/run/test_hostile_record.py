"""A hostile graph worker and the record: it bends events, blobs and the bytes on the wire. What it says is
committed only if it holds; what somebody did to the blob store is found before anything runs on it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from support.hostile import Attack, Chain, under_attack, words, write_blob
from temporalio.client import WorkflowFailureError

from interlock.digest import canonical, digest_of, parse
from interlock.events import CallFinished, EgressRequested, RunEnded
from interlock.run.contracts import ExecuteInput
from interlock.run.steps import COMMIT, EXECUTE
from interlock.types import Tree
from interlock.types.call import ToolCall, Usage
from interlock.types.egress import EgressRecord

pytestmark = pytest.mark.temporal


@pytest.fixture(scope="module")
async def hostile(
    temporal_address: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Callable[[], Attack]]:
    root = tmp_path_factory.mktemp("hostile-record") / "project"
    async with under_attack(temporal_address, root, "hostile-record") as found:
        yield found


@pytest.fixture
def attack(hostile: Callable[[], Attack]) -> Attack:
    return hostile()


def noted(attack: Attack, text: str = "x", **said: Any) -> ToolCall:
    call = attack.start().propose("note", text, **said)
    attack.decide(call)
    return call


# -- the chain -------------------------------------------------------------------------------------------------


async def test_run_without_a_start(attack: Attack) -> None:
    attack.propose("note", "x")
    await attack.uncommitted("a run starts with run.started")


async def test_field_altered_under_its_hash(attack: Attack) -> None:
    call = noted(attack)
    rows = attack.chain.rows()
    rows[-1]["time"] = attack.chain.events[0].time.isoformat()
    await attack.refused(call, "not the one that its workflow has", rows=rows)


async def test_event_that_follows_another(attack: Attack, hostile: Callable[[], Attack]) -> None:
    """Sound in itself, but its `prev` is of another chain."""
    call = noted(attack)
    last = attack.chain.events[-1].hash
    attack.chain.events[:] = attack.chain.events[:1]
    attack.chain.add(RunEnded, prev=last, status="completed", result="", workspace="", count=2)
    await attack.refused(call, "not the one that its workflow has")


async def test_committed_event_said_otherwise(attack: Attack) -> None:
    call = noted(attack)
    await attack.commit()
    forged = Chain(attack.run)
    forged.at = attack.chain.events[0].time + timedelta(microseconds=1)
    first = attack.chain.events[0].model_dump(exclude={"run", "seq", "prev", "hash", "time", "kind", "v"})
    forged.add(type(attack.chain.events[0]), **first)
    await attack.refused(call, "not the one that its workflow has", batch=forged.batch())
    assert (await attack.execute(call)).outcome == "finished"  # the honest chain is as it was


async def test_same_event_again_changes_nothing(attack: Attack) -> None:
    noted(attack)
    await attack.commit()
    head = attack.runtime.ledger.head(attack.run)
    await attack.commit()
    assert attack.runtime.ledger.head(attack.run) == head
    assert not attack.runtime.ledger.alarms(attack.run)


async def test_nothing_follows_the_end(attack: Attack) -> None:
    noted(attack)
    attack.chain.add(RunEnded, status="completed", result="", workspace="", count=4)
    await attack.commit(final=True)
    call = attack.propose("note", "y")
    attack.decide(call)
    await attack.refused(call, "ended", alarm=False)
    assert attack.runtime.ledger.head(attack.run).count == 4
    assert [checkpoint.count for checkpoint in attack.runtime.ledger.checkpoints(attack.run)] == [4]


async def test_end_that_miscounts(attack: Attack) -> None:
    noted(attack)
    attack.chain.add(RunEnded, status="completed", result="", workspace="", count=3)
    await attack.uncommitted("count")


async def test_end_with_other_files(attack: Attack) -> None:
    """The files that people take away from a run are those that its calls left."""
    planted = attack.blobs.put(canonical(Tree().as_hashed()))
    noted(attack)
    attack.chain.add(RunEnded, status="completed", result="", workspace=planted, count=4)
    await attack.uncommitted("workspace")


async def test_checkpoint_of_an_open_run(attack: Attack) -> None:
    noted(attack)
    await attack.commit(final=True)
    assert attack.runtime.ledger.checkpoints(attack.run) == []


async def test_call_id_used_twice(attack: Attack) -> None:
    """What one call was approved for must not be read as what another did."""
    first = noted(attack, "fine")
    attack.propose("note", "other", call_id=first.call_id)
    await attack.uncommitted("was used before")


async def test_call_id_of_another_run(attack: Attack, hostile: Callable[[], Attack]) -> None:
    call = noted(attack, call_id=f"{hostile().run}:c1")
    await attack.refused(call, "does not belong to run", alarm=False)


async def test_call_that_ends_twice(attack: Attack) -> None:
    call = noted(attack)
    done = await attack.execute(call)
    attack.finished(call, done)
    await attack.commit()
    attack.finished(call, done)
    await attack.uncommitted("finished before")


@pytest.mark.parametrize(
    ("name", "value"), [("status", "error"), ("output", digest_of("forged")), ("workspace", digest_of("forged"))]
)
async def test_end_of_a_call_said_otherwise(attack: Attack, name: str, value: str) -> None:
    call = noted(attack)
    attack.finished(call, await attack.execute(call), **{name: value})
    await attack.uncommitted(name)


async def test_receipt_of_another_call(attack: Attack) -> None:
    done = await attack.execute(noted(attack))
    other = attack.propose("note", "never run")
    attack.finished(other, done)
    await attack.uncommitted("call")


async def test_receipt_of_another_run(attack: Attack, hostile: Callable[[], Attack]) -> None:
    other = hostile()
    done = await other.execute(noted(other))
    attack.finished(noted(attack), done)
    await attack.uncommitted("run")


# -- what a call may touch -------------------------------------------------------------------------------------


async def test_tool_that_the_agent_lacks(attack: Attack) -> None:
    attack.claims = attack.claims.model_copy(
        update={"input": attack.blobs.put(canonical({"agent": "reader", "task": "go"}))}
    )
    call = attack.start().propose("send", "x", agent="agent:reader")
    await attack.refused(call, "there is no tool 'send'")


async def test_agent_outside_the_run(attack: Attack) -> None:
    """`reader` exists in the project, but this run is `tester`'s."""
    call = attack.start().propose("note", "x", agent="agent:reader")
    await attack.refused(call, "no part in this run")


async def test_call_on_files_that_changed(attack: Attack) -> None:
    first = attack.start().propose("save", "one")
    second = attack.propose("save", "two")
    attack.decide(first)
    attack.decide(second)
    assert (await attack.execute(first)).outcome == "finished"
    await attack.not_run(second, "changed the run's files")


async def test_call_on_files_of_ones_own(attack: Attack) -> None:
    planted = attack.blobs.put(canonical(Tree().as_hashed()))
    call = attack.start().propose("save", "x", workspace=planted)
    attack.decide(call)
    await attack.not_run(call, "changed the run's files")


async def test_files_given_to_a_tool_that_takes_none(attack: Attack) -> None:
    planted = attack.blobs.put(canonical(Tree().as_hashed()))
    call = attack.start().propose("note", "x", workspace=planted)
    await attack.refused(call, "workspace")


# -- arguments -------------------------------------------------------------------------------------------------

ARGUMENTS = {
    "10 MB": (b'{"text":"' + b"x" * 10_000_000 + b'"}', "the limit is"),
    "two keys": (b'{"text":"a secret","text":"fine"}', "duplicate key"),
    "a float": (b'{"text":"x","n":1.5}', "float"),
    "no object": (b'["x"]', "must be a JSON object"),
    "no JSON": (b"\xff\xfe", "not JSON"),
    "digits": (b'{"text":' + b"9" * 5_000 + b"}", "not JSON"),
    "depth": (b"[" * 100_000 + b"]" * 100_000, "not JSON"),
    "other type": (b'{"text":1}', "is not of type 'string'"),
    "more names": (b'{"text":"x","as":"root"}', "Additional properties"),
}


@pytest.mark.parametrize(("data", "reason"), ARGUMENTS.values(), ids=ARGUMENTS.keys())
async def test_arguments_that_are_none(attack: Attack, data: bytes, reason: str) -> None:
    call = attack.start().propose("note", arguments=attack.blobs.put(data))
    await attack.refused(call, reason, alarm=False)


@pytest.mark.parametrize(("data", "reason"), ARGUMENTS.values(), ids=ARGUMENTS.keys())
async def test_decision_on_arguments_that_are_none(attack: Attack, data: bytes, reason: str) -> None:
    call = attack.start().propose("note", arguments=attack.blobs.put(data))
    fine = attack.propose("note", "fine")
    attack.decide(fine, call_id=call.call_id, call_digest=digest_of(call.as_hashed()))
    await attack.uncommitted(reason)


async def test_arguments_that_nobody_stored(attack: Attack) -> None:
    call = attack.start().propose("note", arguments=digest_of("nothing has this digest"))
    await attack.refused(call, "absent")


# -- the blob store --------------------------------------------------------------------------------------------


async def test_source_swapped_in_the_store(attack: Attack) -> None:
    """The call is found out before it is reserved: once the store is mended, it runs, and nobody is asked."""
    call = noted(attack)
    source = attack.blobs.get(call.tool_digest)
    write_blob(attack.runtime, call.tool_digest, b"import os; os.system('id')")
    await attack.refused(call, "was altered")
    write_blob(attack.runtime, call.tool_digest, source)
    assert (await attack.execute(call)).outcome == "finished"
    assert attack.driver.ran.count(call.call_id) == 1


async def test_source_deleted_from_the_store(attack: Attack) -> None:
    call = noted(attack)
    source = attack.blobs.get(call.tool_digest)
    write_blob(attack.runtime, call.tool_digest, None)
    await attack.refused(call, "absent")
    attack.blobs.put(source)
    assert (await attack.execute(call)).outcome == "finished"


async def test_arguments_swapped_in_the_store(attack: Attack) -> None:
    call = noted(attack, "swap me")
    await attack.commit()
    write_blob(attack.runtime, call.arguments, canonical({"text": "swapped"}))
    await attack.refused(call, "was altered")


async def test_manifest_swapped_in_the_store(attack: Attack) -> None:
    call = noted(attack)
    honest = attack.blobs.get(attack.claims.manifest)
    more = parse(honest)
    more["agents"]["reader"]["tools"] = ["note", "send"]
    write_blob(attack.runtime, attack.claims.manifest, canonical(more))
    try:
        await attack.refused(call, "was altered")
    finally:
        write_blob(attack.runtime, attack.claims.manifest, honest)


async def test_files_swapped_in_the_store(attack: Attack) -> None:
    first = attack.start().propose("save", "one")
    attack.decide(first)
    done = await attack.execute(first)
    attack.finished(first, done)
    second = attack.propose("save", "two", workspace=done.workspace)
    attack.decide(second)
    write_blob(attack.runtime, done.workspace, canonical(Tree().as_hashed()))
    await attack.refused(second, "was altered")


# -- bytes on the wire -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        {"time": "2026-01-01T00:00:00"},
        {"time": "9999-12-31T23:59:59Z"},
        {"time": "never"},
        {"v": 2},
        {"seq": -1},
        {"extra": "field"},
        {"requester": "agent:tester"},
        {"kind": ""},
        {"run": "another"},
    ],
    ids=["no zone", "end of time", "no time", "version", "seq", "field", "requester", "kind", "run"],
)
async def test_start_that_is_no_event(attack: Attack, said: dict[str, Any]) -> None:
    attack.start()
    rows = attack.chain.rows()
    await attack.uncommitted("", rows=[{**rows[0], **said}])
    assert attack.runtime.ledger.head(attack.run).count == 0


@pytest.mark.parametrize(
    "value",
    [
        {},
        None,
        {"call": {}, "events": {}},
        {"call": ":c1", "run": "another", "events": {}},
        {"events": {"first": -1}},
        {"events": {}, "final": True, "sudo": True},
    ],
    ids=["empty", "nothing", "no call", "another run", "before the start", "field"],
)
async def test_request_that_is_none(attack: Attack, value: Any) -> None:
    before = list(attack.driver.ran)
    for name in (EXECUTE, COMMIT):
        with pytest.raises(WorkflowFailureError):
            await attack.send(name, value)
    assert attack.driver.ran == before


async def test_verdict_in_the_request_is_refused(attack: Attack) -> None:
    """There is no field by which a worker could say that a call is allowed."""
    call = attack.start().propose("send", "x")
    value = ExecuteInput(call=":c1", events=attack.chain.batch()).model_dump(mode="json")
    with pytest.raises(WorkflowFailureError) as failure:
        await attack.send(EXECUTE, {**value, "decision": {"verdict": "allow"}})
    assert "decision" in words(failure.value)
    assert call.call_id not in attack.driver.ran


async def test_tokens_by_the_hundred(attack: Attack) -> None:
    """A heap of approvals, each truly signed and none on record, is no quorum."""
    call, request = attack.asked("sign")
    tokens = tuple(attack.approval(call, request).signed(attack.api) for _ in range(200))
    await attack.not_run(call, "approved twice", approvals=tokens)


REQUEST: Final = EgressRecord(
    number=1,
    verdict="sent",
    scheme="https",
    host="evil.example.org",
    port=443,
    method="POST",
    path="/",
    status=200,
    at=datetime(2026, 1, 1, tzinfo=UTC),
)


async def test_request_that_no_receipt_signs(attack: Attack) -> None:
    call = noted(attack)
    done = await attack.execute(call)
    attack.chain.add(
        EgressRequested, call_id=call.call_id, call_digest=digest_of(call.as_hashed()), request=REQUEST
    )
    attack.finished(call, done)
    await attack.uncommitted("egress")


async def test_request_of_a_call_that_ended(attack: Attack) -> None:
    call = noted(attack)
    attack.finished(call, await attack.execute(call))
    digest = digest_of(call.as_hashed())
    attack.chain.add(EgressRequested, call_id=call.call_id, call_digest=digest, request=REQUEST)
    await attack.uncommitted("finished before")


async def test_run_that_hides_what_became_of_a_request(attack: Attack) -> None:
    call = noted(attack)
    digest = digest_of(call.as_hashed())
    attack.chain.add(EgressRequested, call_id=call.call_id, call_digest=digest, request=REQUEST)
    attack.chain.add(RunEnded, status="failed", result="", workspace="", count=5)
    await attack.uncommitted("no receipt bears out")


async def test_usage_other_than_the_receipts(attack: Attack) -> None:
    call = noted(attack)
    attack.finished(call, await attack.execute(call), usage=Usage(cpu_ms=1))
    await attack.uncommitted("usage")


async def test_unreceipted_end(attack: Attack) -> None:
    call = noted(attack)
    said = {"status": "ok", "output": "", "workspace": "", "receipt": attack.blobs.put(b"")}
    attack.chain.add(CallFinished, call_id=call.call_id, call_digest=digest_of(call.as_hashed()), **said)
    await attack.uncommitted("receipt")
