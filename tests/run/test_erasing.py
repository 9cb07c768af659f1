"""Erasing runs: what is gone, what still proves itself, and who cannot do it."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.runtime import Runtime, eventually, running, settings_for
from support.scenario import ASKS, Tool, allow, ask, call, playbook, project

from interlock.approval import ErasureClaims, lifetime
from interlock.audit import SqlBlobs, verify_run
from interlock.encryption import FileKeys
from interlock.errors import Conflict, Erased, InterlockError, Refused, TokenRejected
from interlock.events import RunErased, sealed
from interlock.run.erase_workflow import ERASE_WORKFLOW, EraseInput, EraseOutput, workflow_of
from interlock.run.erasing import erase_again
from interlock.run.erasure import content_of
from interlock.run.executor_asking import done_by_executors
from interlock.run.files import import_workspace
from interlock.run.histories import fetch_history
from interlock.run.payloads import bound_to, data_converter
from interlock.run.replay import Verdict, replay
from interlock.signing import Signer, load_signer, load_verifier

pytestmark = pytest.mark.temporal

SECRET = "31-4-15 opens the safe"
TOOLS = {
    "note": Tool("return text + Path('first.txt').read_text()", 'action="read", workspace="read"'),
    "save": Tool(
        "Path(text).write_text(2 * Path('first.txt').read_text())\nreturn 'saved'",
        'action="write", workspace="write"',
    ),
    "send": Tool("return f'sent {text}'", 'action="publish"'),
}
AGENTS = {
    "noter": playbook(call("note", text="noted "), call("save", text="twice.txt")),
    "sender": playbook(call("send", text="hello")),
}
REASON = "alice asked for it"


@dataclass
class World:
    runtime: Runtime
    api: Signer

    async def ended(self, agent: str = "noter") -> str:
        """A run that had the secret as input, argument, output and file, and has ended."""
        folder = self.runtime.settings.root / "files"
        folder.mkdir(exist_ok=True)
        (folder / "first.txt").write_text(SECRET)
        run = f"run-{len(self.runtime.ledger.runs(limit=1000))}"
        workspace = import_workspace(folder, self.runtime.blobs.of(run))
        await self.runtime.start(agent, SECRET, run=run, workspace=workspace)
        if agent == "sender":
            await self.runtime.client.decide(await self.runtime.approval(run), "approve", approver="user:carol")
        assert (await self.runtime.client.wait(run)).status == "completed"
        return run

    async def erased(self, agent: str = "noter") -> str:
        run = await self.ended(agent)
        await self.runtime.client.erase(run, by="user:carol", reason=REASON)
        return run

    def claims(self, run: str, **said: Any) -> ErasureClaims:
        honest = {"tenant": "default", "sub": "user:carol", "run": run, "reason": REASON}
        return ErasureClaims(**{**honest, **lifetime(datetime.now(UTC), timedelta(minutes=5)), **said})

    async def ask(self, run: str, token: str) -> EraseOutput:
        """As somebody who can write to Temporal."""
        return await done_by_executors(
            self.runtime.temporal,
            ERASE_WORKFLOW,
            EraseInput(run=run, token=token),
            workflow_id=workflow_of(run),
            queue=self.runtime.settings.executor_queue,
            answer=EraseOutput,
            what="it is being erased",
        )

    async def refused(self, run: str, token: str, kind: type[InterlockError], reason: str) -> None:
        """Nothing is on record, and the content can be read."""
        before = self.runtime.ledger.head(run)
        with pytest.raises(kind, match=reason):
            await self.ask(run, token)
        assert self.runtime.ledger.head(run) == before
        assert self.runtime.blobs.keys.existing(run) is not None

    async def verdict(self, run: str) -> Verdict:
        found = self.runtime
        history = await fetch_history(found.temporal, run)
        return await replay(run, found.settings, found.ledger, found.blobs, history=history, content=found.content)

    def database(self) -> sqlite3.Connection:
        return sqlite3.connect(self.runtime.settings.state_folder / "blobs.db", isolation_level=None)

    def forgotten(self) -> None:
        """As in a process that has only just started."""
        self.runtime.blobs.keys._known.clear()
        self.runtime.blobs._of_runs.clear()


@pytest.fixture(scope="module")
async def world(temporal_address: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    rules = [allow("note"), allow("save"), ask("send"), ASKS]
    root = project(tmp_path_factory.mktemp("erasing") / "project", TOOLS, AGENTS, rules)
    async with running(settings_for(root, temporal_address, name="erasing")) as runtime:
        yield World(runtime, load_signer(runtime.settings.keys_folder, "api"))


async def test_state_folder_shows_no_content(world: World) -> None:
    """Input, files, output, transcript, and the arguments that a person wrote."""
    edited = await world.runtime.start("sender", SECRET)
    request, said = await world.runtime.approval(edited), {"text": f"edited: {SECRET}"}
    await world.runtime.client.decide(request, "edit", approver="user:carol", edited=said)
    run = await world.ended()
    again = await eventually(lambda: next(iter(world.runtime.ledger.approvals(run=edited)), None))
    assert SECRET.encode() in world.runtime.blobs.of(edited).get(again.subject)
    await world.runtime.client.control(edited, "cancel", by="user:carol")
    await world.runtime.client.wait(edited)
    output = next(e.output for e in world.runtime.ledger.events(run) if e.kind == "call.finished")
    assert world.runtime.blobs.of(run).get(output).decode() == f"noted {SECRET}"
    holding = [
        path.name
        for path in world.runtime.settings.state_folder.rglob("*")
        if path.is_file() and SECRET.encode() in path.read_bytes()
    ]
    assert holding == []


async def test_erased_run_verifies_without_content(world: World) -> None:
    run = await world.ended("sender")
    before = world.runtime.ledger.head(run)
    done = await world.runtime.client.erase(run, by="user:carol", reason=REASON)
    assert (done.by, done.reason, done.events) == ("user:carol", REASON, before.count + 1)
    last = world.runtime.ledger.events(run)[-1]
    assert isinstance(last, RunErased)
    assert (last.prev, last.by, last.reason) == (before.hash, "user:carol", REASON)
    assert world.runtime.ledger.checkpoints(run)[-1].count == done.events
    verdict = await world.verdict(run)
    assert verdict.differences == []
    assert (verdict.decisions, verdict.approvals, verdict.receipts, verdict.open) == (0, 1, 1, False)
    assert verdict.erased.startswith("erased by user:carol at 20")
    assert verdict.erased.endswith(REASON)


async def test_erased_content_says_by_whom(world: World) -> None:
    run = await world.erased()
    events = world.runtime.ledger.events(run)
    digests = [e.output for e in events if e.kind == "call.finished"] + [events[0].input, events[-2].workspace]
    for digest in digests:
        with pytest.raises(Erased, match=f"erased by user:carol .* {REASON}"):
            content_of(world.runtime.ledger, world.runtime.blobs, run).get(digest)
        with pytest.raises(Erased):
            world.runtime.blobs.of(run).get(digest)
    with closing(world.database()) as database:
        assert database.execute("SELECT count(*) FROM run_blobs WHERE run = ?", (run,)).fetchone() == (0,)
        rows = database.execute("SELECT wrapped, wrapped_by FROM run_keys WHERE run = ?", (run,)).fetchall()
        assert rows == [(b"", "")]


async def test_erased_history_cannot_be_read(world: World) -> None:
    run = await world.erased()
    history = await fetch_history(world.runtime.temporal, run)
    assert SECRET not in history.to_json()
    started = history.events[0].workflow_execution_started_event_attributes
    fresh = data_converter(world.runtime.settings).with_context(bound_to(run))
    with pytest.raises(Exception, match="erased"):
        await fresh.decode(list(started.input.payloads))


async def test_second_erasure_names_the_first(world: World) -> None:
    run = await world.erased()
    with pytest.raises(Conflict, match=f"erased by user:carol .* {REASON}"):
        await world.runtime.client.erase(run, by="user:dave", reason="again")
    assert [event.kind for event in world.runtime.ledger.events(run)].count("run.erased") == 1
    assert (await world.verdict(run)).differences == []


async def test_repeated_statement_changes_nothing(world: World) -> None:
    run = await world.ended()
    token = world.claims(run).signed(world.api)
    first = await world.ask(run, token)
    assert await world.ask(run, token) == first


async def test_crash_after_record_is_finished(world: World) -> None:
    """The event is on record, the key is still there: the next try, or any executor, erases it."""
    run = await world.ended()
    blobs, erase = world.runtime.blobs, world.runtime.blobs.erase
    tries = []

    def failing(name: str) -> None:
        tries.append(name)
        if len(tries) == 1:
            raise ConnectionResetError("the executor died here")
        erase(name)

    blobs.erase = failing  # type: ignore[method-assign]
    try:
        await world.runtime.client.erase(run, by="user:carol", reason=REASON)
    finally:
        blobs.erase = erase  # type: ignore[method-assign]
    assert tries == [run, run]
    assert world.runtime.kinds(run).count("run.erased") == 1
    assert (await world.verdict(run)).differences == []


async def test_restored_backup_is_erased_again(world: World) -> None:
    """Keys and content come back with the database; the record still says that they are erased."""
    run = await world.ended()
    with closing(world.database()) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        keys = database.execute("SELECT * FROM run_keys WHERE run = ?", (run,)).fetchall()
        rows = database.execute("SELECT * FROM run_blobs WHERE run = ?", (run,)).fetchall()
        await world.runtime.client.erase(run, by="user:carol", reason=REASON)
        database.execute("DELETE FROM run_keys WHERE run = ?", (run,))
        database.executemany("INSERT INTO run_keys VALUES (?, ?, ?, ?, ?, ?)", keys)
        database.executemany("INSERT INTO run_blobs VALUES (?, ?, ?)", rows)
    world.forgotten()
    found = verify_run(world.runtime.ledger, run, world.runtime.blobs)
    assert found
    assert all("can be read, although the run was erased" in finding.message for finding in found)
    with pytest.raises(Erased, match=REASON):
        content_of(world.runtime.ledger, world.runtime.blobs, run).get(rows[0][1])
    assert erase_again(world.runtime.executor) == [run]
    assert erase_again(world.runtime.executor) == []
    assert verify_run(world.runtime.ledger, run, world.runtime.blobs) == []
    with pytest.raises(Erased):
        world.runtime.blobs.of(run).get(rows[0][1])


async def test_key_destroyed_without_record_is_found(world: World) -> None:
    """Whoever deletes or erases the key in the database hides content; it is no erasure."""
    for statement in (
        "DELETE FROM run_keys WHERE run = ?",
        "UPDATE run_keys SET wrapped = x'', erased_at = 'now' WHERE run = ?",
    ):
        run = await world.ended()
        with closing(world.database()) as database:
            database.execute(statement, (run,))
        world.forgotten()
        verdict = await world.verdict(run)
        assert verdict.erased == ""
        assert not verdict.verified
        assert any(
            "no event says so" in one.message or "absent" in one.message or "altered" in one.message
            for one in verdict.differences
            if one.check == "ledger"
        )


async def test_open_run_is_not_erased(world: World) -> None:
    run = await world.runtime.start("sender", "wait")
    await world.runtime.approval(run)
    await world.refused(run, world.claims(run).signed(world.api), Conflict, "has not ended .*interlock run cancel")
    await world.runtime.client.control(run, "cancel", by="user:carol")
    await world.runtime.client.wait(run)
    await world.ask(run, world.claims(run).signed(world.api))


async def test_unknown_run_is_not_erased(world: World) -> None:
    with pytest.raises(InterlockError, match="there is no run"):
        await world.ask("never", world.claims("never").signed(world.api))
    assert not world.runtime.blobs.keys.erased("never")


@pytest.mark.parametrize("who", ["user:mallory", "agent:noter", "role:admins"])
async def test_stranger_erases_nothing(world: World, who: str) -> None:
    run = await world.ended()
    await world.refused(run, world.claims(run, sub=who).signed(world.api), Refused, "may not erase runs")


async def test_other_tenant_erases_nothing(world: World) -> None:
    run = await world.ended()
    await world.refused(run, world.claims(run, tenant="other").signed(world.api), Refused, "tenant")


async def test_forged_statement_erases_nothing(world: World, thief: Signer) -> None:
    run, other = await world.ended(), await world.ended()
    late = lifetime(datetime.now(UTC) - timedelta(hours=1), timedelta(minutes=5))
    executor = load_signer(world.runtime.settings.keys_folder, "executor")
    cancel = world.api.sign("interlock-control", world.claims(run).model_dump(mode="json"))
    for token, reason in (
        ("", "erasure"),
        (world.claims(run).signed(thief), "erasure"),
        (world.claims(run).signed(executor), "erasure"),
        (cancel, "interlock-control"),
        (world.claims(other).signed(world.api), "was given for run"),
        (world.claims(run, **late).signed(world.api), "expired"),
    ):
        await world.refused(run, token, TokenRejected, reason)
    assert {alarm.kind for alarm in world.runtime.ledger.alarms(run)} == {"erasure.forged"}


async def test_other_workflow_erases_nothing(world: World) -> None:
    """One run's erasing workflow speaks for that run alone."""
    run = await world.ended()
    request = EraseInput(run=run, token=world.claims(run).signed(world.api))
    with pytest.raises(Exception, match="Workflow execution failed") as failure:
        await world.runtime.temporal.execute_workflow(
            ERASE_WORKFLOW, request, id=f"mine-{run}", task_queue=world.runtime.settings.executor_queue
        )
    assert "would erase run" in str(failure.value.__cause__.__cause__)
    assert world.runtime.ledger.erasure(run) is None


async def test_forged_erasure_on_record_is_named(world: World) -> None:
    """A writer to the ledger adds an erasure that nobody asked for, with every hash right."""
    run = await world.ended()
    row = world.runtime.ledger.run(run)
    token = world.claims(run).signed(world.api)
    event = RunErased(
        run=run,
        seq=row.count,
        prev=row.head,
        time=row.updated_at,
        by="user:dave",
        token=token,
        reason=REASON,
        key="",
    )
    world.runtime.ledger.append(run, [sealed(event)])
    verdict = await world.verdict(run)
    assert any(one.kind == "run.erased" and "by" in one.message for one in verdict.differences)
    assert not verdict.verified


async def test_nothing_follows_an_erasure(world: World) -> None:
    run = await world.erased()
    row, last = world.runtime.ledger.run(run), world.runtime.ledger.events(run)[-1]
    again = sealed(last.model_copy(update={"seq": row.count, "prev": row.head}))
    with pytest.raises(Conflict, match="ended"):
        world.runtime.ledger.append(run, [again])


async def test_dropped_erasure_is_named(world: World) -> None:
    run = await world.erased()
    with closing(sqlite3.connect(world.runtime.settings.state_folder / "ledger.db")) as database:
        copy = world.runtime.settings.state_folder / "copy.db"
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(world.runtime.settings.state_folder / "ledger.db", copy)
    with closing(sqlite3.connect(copy, isolation_level=None)) as database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f'DROP TRIGGER "{name}"')
        database.execute("DELETE FROM events WHERE run = ? AND kind = 'run.erased'", (run,))
    from interlock.audit import Ledger

    with closing(Ledger(f"sqlite:///{copy}", read_only=True)) as ledger:
        verifier = load_verifier(world.runtime.settings.keys_folder, "ledger")
        found = verify_run(ledger, run, world.runtime.blobs, verifier)
    assert any(finding.kind == "checkpoint" for finding in found)
    assert any("no event says so" in finding.message for finding in found)


async def test_other_processes_read_no_more(world: World) -> None:
    run = await world.ended()
    settings = world.runtime.settings
    other = SqlBlobs(settings.effective_blobs_url, FileKeys(settings.wrapping_keys_folder))
    other.keys._fresh_s = 0.2
    digest = world.runtime.ledger.events(run)[0].input
    assert SECRET.encode() in other.of(run).get(digest)
    await world.runtime.client.erase(run, by="user:carol", reason=REASON)
    await asyncio.sleep(0.3)
    with pytest.raises(Erased):
        other.of(run).get(digest)
    other.close()
