"""`replay` on real runs: what holds is verified; whatever was altered, dropped, swapped or back-dated is named."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from support.runtime import Runtime, eventually, running, settings_for
from support.small import call, small_project
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowHistory

from interlock.audit import ApprovalRow, Ledger
from interlock.digest import digest_bytes
from interlock.events import Event, EventBase
from interlock.run.client import RunClient
from interlock.run.graph_worker import Content
from interlock.run.histories import fetch_history
from interlock.run.payloads import bound_to, data_converter
from interlock.run.replay import Verdict, replay
from interlock.sandbox import SandboxResult
from interlock.types import EgressRecord

FULL = [
    {"say": "one", "calls": [call("note", text="plain"), call("note", text="a secret")]},
    {"say": "two", "calls": [call("send", text="approve me")]},
    {"say": "three", "calls": [call("send", text="reject me"), call("charge", text="10")]},
    {"say": "done"},
]


ASKED = EgressRecord(
    number=1,
    verdict="sent",
    scheme="https",
    host="bank.example.org",
    port=443,
    method="POST",
    path="/charges",
    status=201,
    sent=12,
    received=34,
    credential="bank",
    at=datetime(2026, 1, 1, tzinfo=UTC),
)


class Lossy:
    """A driver that loses the first run of each `charge`: the executor died after the effect."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.lost: set[str] = set()

    async def run(self, call: Any, *more: Any) -> SandboxResult:
        result: SandboxResult = await self.inner.run(call, *more)
        if call.tool == "charge" and call.call_id not in self.lost:
            self.lost.add(call.call_id)
            raise ConnectionResetError("the executor died here")
        # No proxy serves this driver; what one would have seen comes from here.
        return result.model_copy(update={"egress": (ASKED,)}) if call.tool == "send" else result

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@dataclass
class Recorded:
    """Runs that ended, and the means to replay copies of their record."""

    runtime: Runtime
    runs: dict[str, str]
    histories: dict[str, WorkflowHistory]

    async def verdict(
        self, name: str, *, ledger: Path | None = None, history: WorkflowHistory | None = None
    ) -> Verdict:
        settings, run = self.runtime.settings, self.runs[name]
        store = Ledger(f"sqlite:///{ledger}") if ledger else self.runtime.ledger
        try:
            return await replay(
                run,
                settings,
                store,
                self.runtime.blobs,
                history=history or self.histories[name],
                content=self.runtime.content,
            )
        finally:
            if ledger:
                store.close()


async def _full(runtime: Runtime, client: RunClient) -> str:
    run = await runtime.start("tester", "go")
    first = await runtime.approval(run)
    await client.control(run, "pause", by="user:alice")
    await client.control(run, "resume", by="user:alice")
    await client.decide(first, "approve", approver="user:carol")
    second = await eventually(
        lambda: next((a for a in runtime.ledger.approvals(run=run) if a.request_id != first.request_id), None)
    )
    await client.decide(second, "reject", approver="user:dave", message="not this one")
    unknown = await eventually(
        lambda: next((a for a in runtime.ledger.approvals(run=run) if a.kind == "unknown"), None), 60
    )
    await client.decide(unknown, "respond", approver="user:carol", message="the bank shows it")
    return run


async def _cancelled(runtime: Runtime, client: RunClient) -> str:
    run = await runtime.start("tester", "stop me")
    await runtime.approval(run)
    await client.control(run, "cancel", by="user:alice", reason="wrong issue")
    return run


async def _expired(runtime: Runtime, client: RunClient) -> str:
    routes = runtime.settings.root / "permissions" / "routes.yaml"
    before = routes.read_text()
    routes.write_text(before.replace("expires_after: 1h", "expires_after: 1s"))
    await asyncio.sleep(1)
    run = await runtime.start("tester", "too late")
    await eventually(lambda: "approval.expired" in runtime.kinds(run))
    routes.write_text(before)
    await asyncio.sleep(1)
    last = await eventually(lambda: next(iter(runtime.ledger.approvals(run=run)), None), 60)
    await client.control(run, "cancel", by="user:alice", reason=last.request_id)
    return run


STAGED = """routes:
  - name: seniors
    stages:
      - {name: team, approvers: [user:carol], expires_after: 2s, remind_after: 1s, at_deadline: escalate}
      - {name: lead, approvers: [user:dave], expires_after: 1h, only_escalated: true}
    stand_ins: [user:carol]
"""
GRANTING = """routes:
  - name: seniors
    approvers: [user:carol, user:dave]
    expires_after: 1h
    grants: {longest: 1h, uses: 5, patterns: true}
"""


@asynccontextmanager
async def _routes(runtime: Runtime, text: str) -> AsyncIterator[None]:
    """Other routes for a while."""
    routes = runtime.settings.root / "permissions" / "routes.yaml"
    before = routes.read_text()
    routes.write_text(text)
    await asyncio.sleep(1)
    yield
    routes.write_text(before)
    await asyncio.sleep(1)


async def _until_unknown(runtime: Runtime, client: RunClient, run: str) -> None:
    await eventually(lambda: next((a for a in runtime.ledger.approvals(run=run) if a.kind == "unknown"), None), 60)
    await client.control(run, "cancel", by="user:alice", reason="seen enough")


async def _staged(runtime: Runtime, client: RunClient) -> str:
    """A deadline escalates, a decision is handed on, and a request is withdrawn."""

    def led(known: str = "") -> ApprovalRow | None:
        rows = runtime.ledger.approvals(run=run)
        return next((row for row in rows if row.stage == "lead" and row.request_id != known), None)

    async with _routes(runtime, STAGED):
        run = await runtime.start("tester", "by stages")
        first = await eventually(led, 60)
        await client.reassign(first, by="user:dave", to="user:carol", reason="away")
        await client.decide(first, "approve", approver="user:carol", seat="user:dave")
        second = await eventually(lambda: led(first.request_id), 60)
        await client.withdraw(second, by="user:alice", reason="not needed")
        await _until_unknown(runtime, client, run)
    return run


async def _granted(runtime: Runtime, client: RunClient) -> str:
    """A grant that is given on the first call's card lets the second one run."""
    when = ({"argument": "text", "contains": "me"},)
    async with _routes(runtime, GRANTING):
        run = await runtime.start("tester", "by a grant")
        row = await runtime.approval(run)
        await client.grant(row, by="user:carol", lasts=timedelta(minutes=30), uses=1, reason="alike", when=when)
        await client.decide(row, "approve", approver="user:carol")
        await _until_unknown(runtime, client, run)
    return run


@pytest.fixture(scope="module")
async def recorded(temporal_address: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Recorded]:
    root = small_project(tmp_path_factory.mktemp("replay") / "project", FULL)
    async with running(settings_for(root, temporal_address, name="replay")) as runtime:
        runtime.executor.driver = Lossy(runtime.executor.driver)
        runs = {
            "full": await _full(runtime, runtime.client),
            "cancelled": await _cancelled(runtime, runtime.client),
            "expired": await _expired(runtime, runtime.client),
            "staged": await _staged(runtime, runtime.client),
            "granted": await _granted(runtime, runtime.client),
        }
        for run in runs.values():
            await runtime.client.wait(run)
        histories = {name: await fetch_history(runtime.temporal, run) for name, run in runs.items()}
        yield Recorded(runtime, runs, histories)


def _events(recorded: Recorded) -> Iterator[tuple[str, Event]]:
    for name, run in recorded.runs.items():
        for event in recorded.runtime.ledger.events(run):
            yield name, event


def _altered(value: Any) -> Any:
    """The same kind of value with one byte changed."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        place = len(value) // 2
        other = "a" if value[place : place + 1] != "a" else "b"
        return value[:place] + other + value[place + 1 :]
    if isinstance(value, list):
        return [_altered(value[0]), *value[1:]] if value else ["x"]
    if isinstance(value, dict):
        key = sorted(value)[-1]
        return {**value, key: _altered(value[key])}
    return "x"


@contextmanager
def _opened(ledger: Path) -> Iterator[sqlite3.Connection]:
    """A copy of the ledger in the hands of somebody who may drop its triggers."""
    connection = sqlite3.connect(ledger, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")  # the copy outlives no crash
    connection.execute("BEGIN")
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f'DROP TRIGGER "{name}"')
    yield connection
    connection.execute("COMMIT")
    connection.close()


def _copy(recorded: Recorded, into: Path) -> Path:
    source = sqlite3.connect(recorded.runtime.settings.state_folder / "ledger.db")
    target = sqlite3.connect(into / "ledger.db")
    target.execute("PRAGMA synchronous = OFF")
    source.backup(target)
    source.close()
    target.close()
    return into / "ledger.db"


def _bodies(connection: sqlite3.Connection, run: str) -> list[dict[str, Any]]:
    rows = connection.execute("SELECT body FROM events WHERE run = ? ORDER BY seq", (run,)).fetchall()
    return [orjson.loads(body) for (body,) in rows]


def _write(connection: sqlite3.Connection, run: str, bodies: list[dict[str, Any]]) -> None:
    """Store events with every link after the change made good again, as a careful forger would."""
    connection.execute("DELETE FROM events WHERE run = ?", (run,))
    for place, body in enumerate(bodies):
        written = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
        row = (run, place, body["kind"], body.get("hash", ""), written)
        connection.execute("INSERT INTO events (run, seq, kind, hash, body) VALUES (?, ?, ?, ?, ?)", row)


def _relinked(bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    previous = bodies[0]["prev"]
    linked = []
    for body in bodies:
        body = {**body, "prev": previous}
        body.pop("hash", None)
        body["hash"] = digest_bytes(orjson.dumps(body, option=orjson.OPT_SORT_KEYS))
        previous = body["hash"]
        linked.append(body)
    return linked


async def test_honest_runs_verify(recorded: Recorded) -> None:
    for name in recorded.runs:
        verdict = await recorded.verdict(name)
        assert verdict.verified, (name, verdict.differences)
    full = await recorded.verdict("full")
    assert (full.decisions > 4, full.approvals, full.receipts) == (True, 3, 2)


def test_runs_cover_every_event_kind(recorded: Recorded) -> None:
    kinds = {event.kind for _, event in _events(recorded)}
    every = {cls.model_fields["kind"].default for cls in EventBase.__subclasses__()}
    assert kinds == every - {"run.erased", "signal.received"}  # these have tests of their own


@pytest.mark.parametrize("relink", [False, True], ids=["plainly", "with every hash made good"])
async def test_altered_field_is_named(recorded: Recorded, tmp_path: Path, relink: bool) -> None:
    seen: set[tuple[str, str]] = set()
    missed = []
    for name, event in list(_events(recorded)):
        stored = event.model_dump(mode="json")
        fields = [f for f in stored if f not in ("v", "hash", "kind", "run") and (event.kind, f) not in seen]
        for field in fields:
            seen.add((event.kind, field))
            folder = tmp_path / f"{event.kind}.{field}"
            folder.mkdir()
            ledger = _copy(recorded, folder)
            with _opened(ledger) as connection:
                bodies = _bodies(connection, recorded.runs[name])
                bodies[event.seq] = {**bodies[event.seq], field: _altered(bodies[event.seq].get(field, ""))}
                _write(connection, recorded.runs[name], _relinked(bodies) if relink else bodies)
            verdict = await recorded.verdict(name, ledger=ledger)
            shutil.rmtree(folder)
            first = verdict.first
            # A wrong `prev` that is made good again is no change at all; a moved `seq` shows where it is missed.
            if relink and field == "prev":
                continue
            if first is None or (first.seq != event.seq and field != "seq"):
                missed.append((event.kind, field, first))
    assert not missed


async def test_dropped_tail_is_named(recorded: Recorded, tmp_path: Path) -> None:
    ledger = _copy(recorded, tmp_path)
    with _opened(ledger) as connection:
        bodies = _bodies(connection, recorded.runs["full"])
        _write(connection, recorded.runs["full"], bodies[:-2])
    verdict = await recorded.verdict("full", ledger=ledger)
    assert verdict.first is not None
    assert any("tail" in d.message or "count" in d.field for d in verdict.differences)


async def test_dropped_tail_with_read_model_made_good_is_named(recorded: Recorded, tmp_path: Path) -> None:
    """The forger also drops the checkpoint: the history still says that the run went on."""
    run, ledger = recorded.runs["full"], _copy(recorded, tmp_path)
    with _opened(ledger) as connection:
        bodies = _bodies(connection, run)[:-2]
        _write(connection, run, bodies)
        connection.execute("DELETE FROM checkpoints WHERE run = ?", (run,))
        connection.execute("UPDATE runs SET count = ?, head = ?", (len(bodies), bodies[-1]["hash"]))
    verdict = await recorded.verdict("full", ledger=ledger)
    assert any(d.seq == len(bodies) and "tail" in d.message for d in verdict.differences)


async def test_swapped_events_are_named(recorded: Recorded, tmp_path: Path) -> None:
    run, ledger = recorded.runs["full"], _copy(recorded, tmp_path)
    with _opened(ledger) as connection:
        bodies = _bodies(connection, run)
        bodies[3], bodies[4] = {**bodies[4], "seq": 3}, {**bodies[3], "seq": 4}
        _write(connection, run, _relinked(bodies))
    verdict = await recorded.verdict("full", ledger=ledger)
    assert verdict.first is not None
    assert verdict.first.seq == 3


async def test_inserted_event_is_named(recorded: Recorded, tmp_path: Path) -> None:
    run, ledger = recorded.runs["full"], _copy(recorded, tmp_path)
    with _opened(ledger) as connection:
        bodies = _bodies(connection, run)
        more = [*bodies[:3], bodies[2], *bodies[3:]]
        _write(connection, run, _relinked([{**body, "seq": n} for n, body in enumerate(more)]))
    verdict = await recorded.verdict("full", ledger=ledger)
    assert verdict.first is not None
    assert verdict.first.seq == 3


async def test_altered_blob_is_named(recorded: Recorded) -> None:
    run = recorded.runs["full"]
    finished = next(e for e in recorded.runtime.ledger.events(run) if e.kind == "call.finished")
    path = recorded.runtime.settings.state_folder / "blobs.db"
    with sqlite3.connect(path) as connection:
        before = connection.execute("SELECT data FROM run_blobs WHERE digest = ?", (finished.output,)).fetchone()
        connection.execute("UPDATE run_blobs SET data = ? WHERE digest = ?", (b"forged", finished.output))
    try:
        verdict = await recorded.verdict("full")
    finally:
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE run_blobs SET data = ? WHERE digest = ?", (before[0], finished.output))
    assert verdict.first is not None
    assert (verdict.first.seq, verdict.first.field) == (finished.seq, "output")


async def _rewritten(recorded: Recorded, change: Callable[[dict[str, Any]], None]) -> WorkflowHistory:
    """The full run's history, altered by somebody with access to Temporal's database and, as a graph worker has, to
    the run's key; payloads are opened, decoded JSON to `change`, and sealed again."""
    history = recorded.histories["full"]
    codec = data_converter(recorded.runtime.settings).with_context(bound_to(history.workflow_id)).payload_codec
    assert codec is not None
    value = json.loads(history.to_json())
    for node in _payloads(value):
        (plain,) = await codec.decode([ParseDict(node, Payload())])
        try:
            holder = {"payload": json.loads(plain.data)}
        except ValueError:
            continue
        change(holder)
        plain.data = json.dumps(holder["payload"]).encode()
        node.update(MessageToDict((await codec.encode([plain]))[0]))
    return WorkflowHistory.from_json(history.workflow_id, json.dumps(value))


def _payloads(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict) and "metadata" in node and isinstance(node.get("data"), str):
        yield node
    elif isinstance(node, dict | list):
        for item in node.values() if isinstance(node, dict) else node:
            yield from _payloads(item)


async def test_changed_approver_in_history_is_named(recorded: Recorded) -> None:
    """The token of another person's decision is put into Temporal's history in place of the real one."""
    events = recorded.runtime.ledger.events(recorded.runs["full"])
    votes = [event for event in events if event.kind == "approval.decided"]
    forged = _forged_token(votes[0].token, sub="user:dave")

    def change(holder: dict[str, Any]) -> None:
        payload = holder["payload"]
        if isinstance(payload, dict) and payload.get("token") == votes[0].token:
            holder["payload"] = {"token": forged}

    verdict = await recorded.verdict("full", history=await _rewritten(recorded, change))
    first = next(d for d in verdict.differences if d.check == "history" and d.seq >= 0)
    assert first.seq == votes[0].seq
    assert {d.field for d in verdict.differences} >= {"approver"}


def _forged_token(token: str, **claims: Any) -> str:
    head, body, signature = token.split(".")
    value = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    forged = base64.urlsafe_b64encode(json.dumps({**value, **claims}).encode()).rstrip(b"=").decode()
    return f"{head}.{forged}.{signature}"


@pytest.mark.parametrize(
    ("field", "value"),
    [("verdict", "allow"), ("rule", "notes"), ("output", "sha256:" + "0" * 64), ("status", "error")],
)
async def test_changed_result_in_history_is_named(recorded: Recorded, field: str, value: str) -> None:
    changed = []

    def change(holder: dict[str, Any]) -> None:
        payload = holder["payload"]
        for place in _results(payload):
            if place.get(field, value) != value and not changed:
                place[field] = value
                changed.append(True)

    verdict = await recorded.verdict("full", history=await _rewritten(recorded, change))
    assert changed
    assert not verdict.verified
    assert any(d.check == "history" for d in verdict.differences)


def _results(node: Any) -> Iterator[dict[str, Any]]:
    """What activities said of decisions and executions, wherever in a payload; not what they were given."""
    if isinstance(node, dict):
        if "outcome" in node or {"rule", "request"} <= node.keys():
            yield node
        node = [value for key, value in node.items() if key != "events"]
    for item in node if isinstance(node, list) else []:
        yield from _results(item)


async def test_backdated_history_is_named(recorded: Recorded) -> None:
    text = recorded.histories["full"].to_json()
    year = text[text.index('"eventTime": "') :][14:18] if '"eventTime": "' in text else "2026"
    history = WorkflowHistory.from_json(recorded.runs["full"], text.replace(f'"{year}-', '"2001-'))
    verdict = await recorded.verdict("full", history=history)
    assert any(d.check == "history" and d.field == "time" for d in verdict.differences)


async def test_history_cut_anywhere_is_named(recorded: Recorded) -> None:
    value = json.loads(recorded.histories["full"].to_json())
    last = recorded.runtime.ledger.events(recorded.runs["full"])[-1].seq
    wrong = []
    for length in range(4, len(value["events"]) - 12, 7):
        cut = {"events": value["events"][:length]}
        history = WorkflowHistory.from_json(recorded.runs["full"], json.dumps(cut))
        verdict = await recorded.verdict("full", history=history)
        # Where the cut parts a result from the workflow task that took it up, the event's time differs first.
        found = [d for d in verdict.differences if d.check == "history" and 0 <= d.seq <= last]
        if not found or not ("cut" in found[0].message or found[0].field == "time"):
            wrong.append((length, verdict.differences[:2]))
    assert not wrong


async def test_other_runs_history_is_named(recorded: Recorded) -> None:
    verdict = await recorded.verdict("full", history=recorded.histories["cancelled"])
    assert not verdict.verified


def test_replay_content_is_reloadable(recorded: Recorded) -> None:
    assert Content.load(recorded.runtime.settings.root).workflows
