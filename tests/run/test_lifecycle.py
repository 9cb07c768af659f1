"""A run's life as people steer it: pause, cancel, approve, edit, reject, respond; each record verifies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.runtime import Runtime, eventually, running, settings_for
from support.scenario import ASKS, SETTLES, Tool, allow, ask, call, playbook, project

from interlock.audit import ApprovalRow
from interlock.digest import parse
from interlock.errors import Conflict, InterlockError, InvalidInput, Refused
from interlock.types import Tree

pytestmark = pytest.mark.temporal

TOOLS = {
    "note": Tool("return f'noted {text}'", 'action="read", idempotent=True'),
    "save": Tool("Path(text).write_text(text)\nreturn 'saved'", 'action="write", workspace="write"'),
    "send": Tool("return f'sent {text}'", 'action="publish"'),
    "sign": Tool("return f'signed {text}'", 'action="publish"'),
    "rush": Tool("return f'rushed {text}'", 'action="publish"'),
}
RULES = [allow("note"), allow("save"), ask("send"), ask("sign", "pairs"), ask("rush", "hasty"), ASKS, SETTLES]
RULES += [{"id": "never", "effect": "deny", "tool": "send", "when": [{"argument": "text", "contains": "secret"}]}]
AGENTS: dict[str, Any] = {
    "noter": playbook(call("note", text="a"), call("note", text="b"), call("note", text="c")),
    "sender": playbook(call("send", text="hello")),
    "signer": playbook(call("sign", text="hello")),
    "rusher": playbook(call("rush", text="hello")),
    "reader": [
        {"say": "all at once", "calls": [call("note", text=f"n{number}") for number in range(8)]},
        {"say": "done"},
    ],
    "saver": playbook(call("save", text="one.txt"), call("save", text="two.txt")),
}


class Watched:
    """The driver, with a record of what ran, and a door that a test may close."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.ran: list[str] = []
        self.door = asyncio.Event()
        self.door.set()

    async def run(self, call: Any, *more: Any) -> Any:
        self.ran.append(call.call_id)
        await self.door.wait()
        return await self.inner.run(call, *more)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@pytest.fixture(scope="module", params=[450, 10], ids=["one_execution", "many_executions"])
async def runtime(
    request: pytest.FixtureRequest, temporal_address: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Runtime]:
    root = project(tmp_path_factory.mktemp("lifecycle") / "project", TOOLS, AGENTS, RULES)
    options = {"name": f"lifecycle-{request.param}", "events_an_execution": request.param}
    async with running(settings_for(root, temporal_address, **options)) as found:
        found.executor.driver = Watched(found.executor.driver)
        yield found


@pytest.fixture
def driver(runtime: Runtime) -> Watched:
    driver = runtime.executor.driver
    assert isinstance(driver, Watched)
    return driver


async def verified(runtime: Runtime, run: str) -> None:
    """Every run of these tests ends here."""
    verdict = await runtime.verdict(run)
    assert verdict.verified, verdict.differences
    assert not verdict.open
    assert runtime.ledger.alarms() == []


def one(runtime: Runtime, run: str, kind: str) -> Any:
    """The only event of its kind."""
    (found,) = [event for event in runtime.ledger.events(run) if event.kind == kind]
    return found


def told(runtime: Runtime, run: str) -> list[str]:
    """What the agent read of each call, in order."""
    events = runtime.ledger.events(run)
    return [
        runtime.text(event.output) if event.kind == "call.finished" else event.detail
        for event in events
        if event.kind in ("call.finished", "call.refused")
    ]


async def request_after(runtime: Runtime, first: ApprovalRow) -> ApprovalRow:
    def look() -> ApprovalRow | None:
        rows = runtime.ledger.approvals(run=first.run)
        return next((row for row in rows if row.request_id != first.request_id), None)

    found: ApprovalRow = await eventually(look)
    return found


# -- pause and resume ----------------------------------------------------------------------------------------


async def test_paused_run_executes_nothing(runtime: Runtime, driver: Watched) -> None:
    driver.door.clear()
    run = await runtime.start("noter", "go")
    await eventually(lambda: f"{run}:c1" in driver.ran)
    state = await runtime.client.control(run, "pause", by="user:carol")
    assert state.status == "paused"
    driver.door.set()  # the call that runs comes to its end; no other begins
    await eventually(lambda: runtime.ledger.calls(run)[0].finished_at)
    await asyncio.sleep(1)
    assert [name for name in driver.ran if name.startswith(run)] == [f"{run}:c1"]
    assert runtime.ledger.run(run).status == "paused"
    state = await runtime.client.control(run, "resume", by="user:dave")
    assert state.status == "running"
    assert (await runtime.client.wait(run)).status == "completed"
    assert told(runtime, run) == ["noted a", "noted b", "noted c"]
    assert (one(runtime, run, "run.paused").by, one(runtime, run, "run.resumed").by) == ("user:carol", "user:dave")
    await verified(runtime, run)


async def test_approval_waits_for_the_pause(runtime: Runtime, driver: Watched) -> None:
    run = await runtime.start("sender", "go")
    request = await runtime.approval(run)
    await runtime.client.control(run, "pause", by="user:alice")
    await runtime.client.decide(request, "approve", approver="user:carol")
    await asyncio.sleep(1)
    assert not any(name.startswith(run) for name in driver.ran)
    await runtime.client.control(run, "resume", by="user:alice")
    assert (await runtime.client.wait(run)).status == "completed"
    await verified(runtime, run)


async def test_second_pause_is_refused(runtime: Runtime) -> None:
    run = await runtime.start("sender", "go")
    await runtime.approval(run)
    await runtime.client.control(run, "pause", by="user:alice")
    with pytest.raises(Conflict, match="paused already"):
        await runtime.client.control(run, "pause", by="user:alice")
    await runtime.client.control(run, "cancel", by="user:alice")
    assert (await runtime.client.wait(run)).status == "cancelled"
    await verified(runtime, run)


# -- cancel --------------------------------------------------------------------------------------------------


async def test_cancel_ends_a_pending_approval(runtime: Runtime, driver: Watched) -> None:
    run = await runtime.start("sender", "go")
    request = await runtime.approval(run)
    await runtime.client.control(run, "cancel", by="user:alice", reason="not needed")
    assert (await runtime.client.wait(run)).status == "cancelled"
    event = one(runtime, run, "run.cancelled")
    assert (event.by, event.reason) == ("user:alice", "not needed")
    with pytest.raises(InterlockError):
        await runtime.client.decide(request, "approve", approver="user:carol")
    assert not any(name.startswith(run) for name in driver.ran)
    assert runtime.ledger.approvals(run=run) == []
    await verified(runtime, run)


async def test_cancel_through_temporal_proves_nobody(runtime: Runtime) -> None:
    run = await runtime.start("sender", "go")
    await runtime.approval(run)
    await runtime.client.handle(run).cancel()
    assert (await runtime.client.wait(run)).status == "cancelled"
    event = one(runtime, run, "run.cancelled")
    assert (event.by, event.token) == ("temporal", "")
    assert one(runtime, run, "run.ended").status == "cancelled"
    await verified(runtime, run)


async def test_cancel_of_a_paused_run_ends_it(runtime: Runtime, driver: Watched) -> None:
    driver.door.clear()
    run = await runtime.start("noter", "go")
    await eventually(lambda: f"{run}:c1" in driver.ran)
    await runtime.client.control(run, "pause", by="user:alice")
    driver.door.set()
    await runtime.client.control(run, "cancel", by="user:carol")
    assert (await runtime.client.wait(run)).status == "cancelled"
    assert one(runtime, run, "run.cancelled").by == "user:carol"
    await verified(runtime, run)


async def test_cancel_as_a_call_ends_keeps_its_result(runtime: Runtime, driver: Watched) -> None:
    """The tool has come to its end and its result is being stored: that it ran must not get lost."""
    stored, complete = asyncio.Event(), type(runtime.ledger).complete
    loop = asyncio.get_running_loop()
    run = await runtime.start("sender", "go")
    request = await runtime.approval(run)

    def slow(*given: Any, **named: Any) -> None:
        loop.call_soon_threadsafe(stored.set)
        asyncio.run_coroutine_threadsafe(asyncio.sleep(3), loop).result()
        complete(runtime.ledger, *given, **named)

    runtime.ledger.complete = slow  # type: ignore[method-assign]
    try:
        await runtime.client.decide(request, "approve", approver="user:carol")
        await stored.wait()
        await runtime.client.control(run, "cancel", by="user:alice")
        assert (await runtime.client.wait(run)).status == "cancelled"
    finally:
        del runtime.ledger.complete  # type: ignore[method-assign]
    assert one(runtime, run, "call.finished").status == "ok"
    await verified(runtime, run)


async def test_ended_run_takes_no_control(runtime: Runtime) -> None:
    run = await runtime.start("noter", "go")
    await runtime.client.wait(run)
    with pytest.raises(Conflict, match="not open"):
        await runtime.client.control(run, "cancel", by="user:alice")
    await verified(runtime, run)


# -- approvals -----------------------------------------------------------------------------------------------


async def test_approved_call_runs(runtime: Runtime) -> None:
    run = await runtime.start("sender", "go")
    request = await runtime.approval(run)
    taken = await runtime.client.decide(request, "approve", approver="user:carol")
    assert (taken.state, taken.closes) == ("approved", True)
    assert (await runtime.client.wait(run)).status == "completed"
    assert told(runtime, run) == ["sent hello"]
    await verified(runtime, run)


async def test_rejection_is_read_by_the_agent(runtime: Runtime) -> None:
    run = await runtime.start("sender", "go")
    request = await runtime.approval(run)
    await runtime.client.decide(request, "reject", approver="user:carol", message="the tone is wrong")
    assert (await runtime.client.wait(run)).status == "completed"
    assert told(runtime, run) == ["user:carol rejected it: the tone is wrong"]
    assert one(runtime, run, "call.refused").by == "approver"
    await verified(runtime, run)


async def test_rejection_needs_words(runtime: Runtime) -> None:
    run = await runtime.start("sender", "go")
    request = await runtime.approval(run)
    with pytest.raises(InvalidInput, match="message"):
        await runtime.client.decide(request, "reject", approver="user:carol")
    with pytest.raises(InvalidInput, match="does not fit"):
        await runtime.client.decide(request, "respond", approver="user:carol", message="yes")
    await runtime.client.control(run, "cancel", by="user:alice")
    await runtime.client.wait(run)
    await verified(runtime, run)


async def test_edited_call_is_decided_anew(runtime: Runtime) -> None:
    run = await runtime.start("sender", "go")
    first = await runtime.approval(run)
    await runtime.client.decide(first, "edit", approver="user:carol", edited={"text": "good day"})
    second = await request_after(runtime, first)
    assert second.call_digest != first.call_digest
    await runtime.client.decide(second, "approve", approver="user:carol")
    assert (await runtime.client.wait(run)).status == "completed"
    assert told(runtime, run) == ["sent good day"]
    await verified(runtime, run)


async def test_edit_into_the_denied_is_denied(runtime: Runtime, driver: Watched) -> None:
    run = await runtime.start("sender", "go")
    first = await runtime.approval(run)
    await runtime.client.decide(first, "edit", approver="user:carol", edited={"text": "a secret"})
    assert (await runtime.client.wait(run)).status == "completed"
    assert one(runtime, run, "call.refused").by == "policy"
    assert not any(name.startswith(run) for name in driver.ran)
    await verified(runtime, run)


async def test_edit_that_fits_no_schema_is_read(runtime: Runtime) -> None:
    run = await runtime.start("sender", "go")
    first = await runtime.approval(run)
    await runtime.client.decide(first, "edit", approver="user:carol", edited={"text": 7})
    assert (await runtime.client.wait(run)).status == "completed"
    assert "text" in told(runtime, run)[0]
    assert one(runtime, run, "call.refused").by == "schema"
    await verified(runtime, run)


async def test_nobody_in_time_denies(runtime: Runtime, driver: Watched) -> None:
    run = await runtime.start("rusher", "go")
    request = await runtime.approval(run)
    assert (await runtime.client.wait(run)).status == "completed"
    assert "hasty" in told(runtime, run)[0]
    assert one(runtime, run, "call.refused").by == "expired"
    assert not any(name.startswith(run) for name in driver.ran)
    with pytest.raises(InterlockError):
        await runtime.client.decide(request, "approve", approver="user:carol")
    await verified(runtime, run)


async def test_second_decision_names_the_first(runtime: Runtime, driver: Watched) -> None:
    driver.door.clear()
    run = await runtime.start("sender", "go")
    request = await runtime.approval(run)
    await runtime.client.decide(request, "approve", approver="user:carol")
    decided = await eventually(lambda: [e for e in runtime.ledger.events(run) if e.kind == "approval.decided"])
    with pytest.raises(Conflict, match=r"approve by user:carol at 20") as refused:
        await runtime.client.decide(request, "reject", approver="user:dave", message="too late")
    assert decided[0].time.isoformat(timespec="seconds") in str(refused.value)
    driver.door.set()
    await runtime.client.wait(run)
    assert told(runtime, run) == ["sent hello"]
    await verified(runtime, run)


async def test_requester_cannot_decide(runtime: Runtime) -> None:
    run = await runtime.start("sender", "go", requester="user:carol")
    request = await runtime.approval(run)
    with pytest.raises(Refused, match="separation of duties"):
        await runtime.client.decide(request, "approve", approver="user:carol")
    with pytest.raises(Refused, match="not an approver"):
        await runtime.client.decide(request, "approve", approver="user:mallory")
    await runtime.client.decide(request, "approve", approver="user:dave")
    assert (await runtime.client.wait(run)).status == "completed"
    await verified(runtime, run)


async def test_quorum_counts_people(runtime: Runtime, driver: Watched) -> None:
    run = await runtime.start("signer", "go")
    request = await runtime.approval(run)
    first = await runtime.client.decide(request, "approve", approver="user:carol")
    assert (first.state, first.closes) == ("pending", False)
    with pytest.raises(Conflict, match="decided on"):
        await runtime.client.decide(request, "approve", approver="user:carol")
    assert not any(name.startswith(run) for name in driver.ran)
    second = await runtime.client.decide(request, "approve", approver="user:dave")
    assert second.closes
    assert (await runtime.client.wait(run)).status == "completed"
    assert len(runtime.ledger.calls(run)[0].approvals) == 2
    await verified(runtime, run)


async def test_one_rejection_ends_a_quorum(runtime: Runtime) -> None:
    run = await runtime.start("signer", "go")
    request = await runtime.approval(run)
    await runtime.client.decide(request, "approve", approver="user:carol")
    await runtime.client.decide(request, "reject", approver="user:dave", message="no")
    assert (await runtime.client.wait(run)).status == "completed"
    assert told(runtime, run) == ["user:dave rejected it: no"]
    await verified(runtime, run)


# -- several calls at once -----------------------------------------------------------------------------------


async def test_parallel_calls_are_answered_by_id(runtime: Runtime) -> None:
    run = await runtime.start("reader", "go")
    assert (await runtime.client.wait(run)).status == "completed"
    events = runtime.ledger.events(run)
    asked = {e.call_digest: parse(runtime.stored(e.arguments)) for e in events if e.kind == "call.proposed"}
    ends = [event for event in events if event.kind == "call.finished"]
    assert len(ends) == 8
    assert all(runtime.text(end.output) == f"noted {asked[end.call_digest]['text']}" for end in ends)
    await verified(runtime, run)


async def test_writes_follow_one_another(runtime: Runtime) -> None:
    run = await runtime.start("saver", "go")
    outcome = await runtime.client.wait(run)
    assert outcome.status == "completed"
    files = Tree.from_hashed(parse(runtime.stored(outcome.workspace))).files
    assert sorted(files) == ["one.txt", "two.txt"]
    await verified(runtime, run)
