"""Temporal sees nothing of what runs read and write, and whoever writes to it is not believed."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support import forked
from support.runtime import Runtime, running, settings_for
from support.scenario import ASKS, Tool, allow, ask, call, playbook, project
from support.temporal import TemporalServer, start_temporal
from temporalio.api.common.v1 import Payload, Payloads, WorkflowExecution, WorkflowType
from temporalio.api.failure.v1 import Failure
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import SignalWorkflowExecutionRequest, StartWorkflowExecutionRequest
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.contrib.pydantic import pydantic_data_converter

from interlock.run.contracts import VoteInput
from interlock.run.dev import temporal_binary
from interlock.run.histories import fetch_history
from interlock.run.live import live_run
from interlock.run.replay import replay

pytestmark = pytest.mark.temporal

PARTS = ("task", "argument", "question", "answer", "error", "printed", "signal")
WORKFLOW = '''"""A workflow of the tests."""

from interlock.workflow import Workflow, workflow


@workflow("teller", agents=["noter"])
class W(Workflow):
    """Tells."""

    async def steps(self, task):
        await self.agent("noter", task["task"])
        answer = await self.ask("noter", task["question"])
        raise ValueError(task["error"] + answer)
'''


def words(mark: str) -> dict[str, str]:
    """Text that is found nowhere else, by where it is used."""
    return {part: f"{mark}-{part}-of-this-run" for part in PARTS}


@asynccontextmanager
async def world(server: TemporalServer, root: Path, mark: str, **options: Any) -> AsyncIterator[Runtime]:
    body = f"print({mark + '-printed-of-this-run'!r}, flush=True); time.sleep(times); return 'noted'"
    tools = {"note": Tool(body, parameters="text: str, times: int = 0")}
    agents = {
        "noter": playbook(call("note", text=words(mark)["argument"])),
        "waiter": playbook(call("note", text="x")),
        "sleeper": playbook(call("note", text="x", times=6)),
    }
    rules = [
        allow("note", agent="agent:noter"),
        allow("note", id="sleeps", agent="agent:sleeper"),
        ask("note", agent="agent:waiter"),
        ASKS,
    ]
    project(root, tools, agents, rules)
    (root / "workflows" / "teller.py").write_text(WORKFLOW)
    async with running(settings_for(root, server.address, name=mark, **options)) as runtime:
        yield runtime


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TemporalServer]:
    """A server of this file's own: its database is read."""
    with start_temporal(tmp_path_factory.mktemp("payloads-temporal")) as found:
        yield found


@pytest.fixture(scope="module")
async def plain(server: TemporalServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run without encryption, whose words are found; it ends before anything else begins."""
    root = tmp_path_factory.mktemp("plain") / "project"
    async with world(server, root, "plain", payload_encryption=False) as runtime:
        return await told(runtime, "plain")


@pytest.fixture(scope="module")
async def sealed(
    server: TemporalServer, plain: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Runtime]:
    async with world(server, tmp_path_factory.mktemp("sealed") / "project", "sealed") as runtime:
        yield runtime


async def told(runtime: Runtime, mark: str) -> str:
    """A run that says every word; returns its id."""
    said = words(mark)
    run = await runtime.start("teller", {name: said[name] for name in ("task", "question", "error")})
    request = await runtime.approval(run)
    await runtime.client.decide(request, "respond", approver="user:carol", message=said["answer"])
    outcome = await asyncio.wait_for(runtime.client.wait(run), 60)
    assert outcome.status == "failed"
    assert said["error"] + said["answer"] in outcome.detail
    return run


def stored(server: TemporalServer) -> bytes:
    """Whatever the server has on disk."""
    (folder,) = {Path(arg).parent for arg in server.process.args if str(arg).endswith("temporal.db")}  # type: ignore[union-attr]
    return b"".join(path.read_bytes() for path in folder.glob("temporal.db*"))


async def verified(runtime: Runtime, run: str) -> None:
    verdict = await runtime.verdict(run)
    assert verdict.verified, verdict.differences


async def held_up(runtime: Runtime, run: str) -> str:
    """Why a run does not go on, as people are told."""

    async def look() -> str:
        return " ".join(await runtime.client.obstacles(run))

    for _ in range(150):
        if found := await look():
            return found
        await asyncio.sleep(0.2)
    raise AssertionError("nothing was told")


# -- what Temporal sees ----------------------------------------------------------------------------------------


async def test_temporal_stores_no_word_of_a_run(server: TemporalServer, sealed: Runtime) -> None:
    """The same run without encryption leaves its words there, so that they would be found."""
    run = await told(sealed, "sealed")
    found = stored(server)
    for part in ("task", "question", "error"):
        assert words("plain")[part].encode() in found, part
    for part in PARTS:
        assert words("sealed")[part].encode() not in found, part
    await verified(sealed, run)


async def test_replay_needs_the_runs_keys(sealed: Runtime, tmp_path: Path) -> None:
    run = await told(sealed, "sealed")
    own = sealed.settings
    settings = settings_for(own.root, own.temporal_address, name=own.name, data_keys_folder=tmp_path / "none")
    history = await fetch_history(sealed.temporal, run)
    verdict = await replay(run, settings, sealed.ledger, sealed.blobs, history=history, content=sealed.content)
    assert not verdict.verified
    assert any("data key" in found.message for found in verdict.differences), verdict.differences


def within(message: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every payload and failure in a message of Temporal's, with its place."""
    for field, value in message.ListFields():
        here = f"{place}.{field.name}"
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            parts = [(f"{here}[{key}]", part) for key, part in value.items()]
        else:
            parts = [(here, part) for part in (value if field.is_repeated else [value])]
        for at, part in parts:
            if isinstance(part, (Payload, Failure)):
                yield at, part
            if hasattr(part, "ListFields") and not isinstance(part, Payload):
                yield from within(part, at)


async def test_every_payload_of_a_history_is_sealed(sealed: Runtime) -> None:
    """Wherever Temporal has one, and the words of failures too. Only the SDK's own note of a local activity, its
    name and times, is not ours."""
    run, seen = await told(sealed, "sealed"), 0
    async for event in sealed.client.handle(run).fetch_history_events():
        for place, part in within(event):
            if isinstance(part, Failure):
                assert (part.message, part.stack_trace) == ("Encoded failure", ""), place
            elif not place.startswith(".marker_recorded_event_attributes.details[data]"):
                assert part.metadata["encoding"] == b"il1", (place, part)
                seen += 1
    assert seen > 10


async def test_output_is_sealed_and_seen_while_the_call_runs(sealed: Runtime) -> None:
    """Heartbeats too are payloads of the run, read by whoever follows it."""
    run = await sealed.start("sleeper", "go")
    for _ in range(100):
        if calls := (await live_run(sealed.temporal, run)).calls:
            break
        await asyncio.sleep(0.1)
    assert [one.call for one in calls] == [f"{run}:c1"]
    (step,) = (await sealed.client.handle(run).describe()).raw_description.pending_activities
    assert {part.metadata["encoding"] for _, part in within(step) if isinstance(part, Payload)} == {b"il1"}
    assert (await sealed.client.wait(run)).status == "completed"


async def test_large_input_travels(sealed: Runtime) -> None:
    """Far above Temporal's limit of 2 MB a payload."""
    run = await sealed.start("noter", os.urandom(1_900_000).hex())
    assert (await asyncio.wait_for(sealed.client.wait(run), 90)).status == "completed"
    history = await sealed.temporal.get_workflow_handle(run).fetch_history()
    assert len(history.to_json()) < 200_000
    await verified(sealed, run)


# -- who writes to Temporal ------------------------------------------------------------------------------------


@pytest.fixture
async def stranger(server: TemporalServer) -> Client:
    """Somebody who may write to Temporal and has no keys."""
    return await Client.connect(server.address, data_converter=pydantic_data_converter)


async def raw_start(stranger: Client, runtime: Runtime, run: str, payload: Payload) -> None:
    await stranger.workflow_service.start_workflow_execution(
        StartWorkflowExecutionRequest(
            namespace="default",
            workflow_id=run,
            workflow_type=WorkflowType(name="agent_run"),
            task_queue=TaskQueue(name=runtime.settings.graph_queue),
            input=Payloads(payloads=[payload]),
            request_id=run,
        )
    )


async def input_of(runtime: Runtime, run: str) -> Payload:
    """The input of a run, as Temporal has it."""
    async for event in runtime.client.handle(run).fetch_history_events():
        found: Payload = event.workflow_execution_started_event_attributes.input.payloads[0]
        return found
    raise AssertionError("no history")


async def test_plain_update_is_rejected(sealed: Runtime, stranger: Client) -> None:
    run = await sealed.start("waiter", "go")
    request = await sealed.approval(run)
    with pytest.raises(WorkflowUpdateFailedError) as failure:
        await stranger.get_workflow_handle(run).execute_update("vote", VoteInput(token="x"))
    assert "not encrypted" not in str(failure.value.cause)  # the reason is sealed too
    await sealed.client.decide(request, "approve", approver="user:carol")
    assert (await sealed.client.wait(run)).status == "completed"
    await verified(sealed, run)


async def test_plain_signal_is_dropped(sealed: Runtime, stranger: Client) -> None:
    """A signal stays in the history for good: one that cannot be read must not stop the run."""
    run = await sealed.start("waiter", "go")
    request = await sealed.approval(run)
    marked = {"encoding": b"il1", "__temporal_external_storage_reference": b"true"}
    elsewhere = {"encoding": b"json/protobuf", "messageType": b"temporal.api.sdk.v1.ExternalStorageReference"}
    for payload in (
        *await pydantic_data_converter.encode(["go on"]),
        Payload(metadata=marked, data=b"anything"),
        Payload(metadata=elsewhere, data=b'{"driverName": "of-nobody"}'),
    ):
        await stranger.workflow_service.signal_workflow_execution(
            SignalWorkflowExecutionRequest(
                namespace="default",
                workflow_execution=WorkflowExecution(workflow_id=run),
                signal_name="anything",
                input=Payloads(payloads=[payload]),
            )
        )
    await sealed.client.decide(request, "approve", approver="user:carol")
    assert (await sealed.client.wait(run)).status == "completed"
    await verified(sealed, run)


async def test_plain_start_never_gets_going(sealed: Runtime, stranger: Client) -> None:
    (payload,) = await pydantic_data_converter.encode([{"run": "plainly", "input": "go"}])
    await raw_start(stranger, sealed, "plainly", payload)
    assert "not encrypted" in await held_up(sealed, "plainly")
    assert sealed.ledger.head("plainly").count == 0
    await sealed.client.handle("plainly").terminate()


async def test_payload_copied_from_another_run_says_why(sealed: Runtime, stranger: Client) -> None:
    run = await sealed.start("noter", "go")
    assert (await sealed.client.wait(run)).status == "completed"
    await raw_start(stranger, sealed, "copied", await input_of(sealed, run))
    assert f"a payload of run '{run}' came to run 'copied'" in await held_up(sealed, "copied")
    assert sealed.ledger.head("copied").count == 0
    await sealed.client.handle("copied").terminate()


async def test_altered_payload_says_why(sealed: Runtime, stranger: Client) -> None:
    """The very run again, once it has ended, with one bit of its input flipped."""
    run = await sealed.start("noter", "go")
    assert (await sealed.client.wait(run)).status == "completed"
    payload = await input_of(sealed, run)
    payload.data = payload.data[:-1] + bytes([payload.data[-1] ^ 1])
    await raw_start(stranger, sealed, run, payload)
    assert "altered" in await held_up(sealed, run)
    await sealed.client.handle(run).terminate()
    assert not sealed.ledger.alarms(run)


# -- Temporal's own command line -------------------------------------------------------------------------------


def environment(runtime: Runtime) -> dict[str, str]:
    own = runtime.settings
    return {
        **os.environ,
        "INTERLOCK_ROOT": str(own.root),
        "INTERLOCK_STATE": str(own.state_folder),
        "INTERLOCK_NAME": own.name,
        "INTERLOCK_TEMPORAL_ADDRESS": own.temporal_address,
    }


def interlock(runtime: Runtime, *arguments: str) -> str:
    command = [forked.command(), *arguments]
    done = subprocess.run(
        command, env=environment(runtime), cwd=runtime.settings.root, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def codec(sealed: Runtime) -> Iterator[str]:
    """The address of a codec server, as people start it."""
    command = [forked.command(), "codec", "serve", "--port", "0", "--json"]
    process = subprocess.Popen(
        command, env=environment(sealed), cwd=sealed.settings.root, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["codec"]
    finally:
        process.terminate()
        assert process.wait(15) in (0, -15)


def shown(runtime: Runtime, run: str, *options: str) -> str:
    """What `temporal workflow show` prints of a run, and what its base64 holds."""
    command = [temporal_binary(), "workflow", "show", "--address", runtime.settings.temporal_address]
    command += ["--workflow-id", run, "--output", "json", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    data = re.findall(r'"data": "([^"]+)"', done.stdout)
    return done.stdout + done.stderr + "".join(b64decode(one).decode(errors="replace") for one in data)


async def test_temporals_command_line_shows_payloads_with_a_token(sealed: Runtime, codec: str) -> None:
    run = await told(sealed, "sealed")
    token = interlock(sealed, "codec", "token", run, "--as", "user:carol")
    asked = ("--codec-endpoint", codec, "--codec-auth")
    with_token = await asyncio.to_thread(shown, sealed, run, *asked, f"Bearer {token}")
    assert words("sealed")["task"] in with_token
    assert words("sealed")["question"] in with_token
    for options in ((), ("--codec-endpoint", codec), (*asked, "Bearer x.y.z")):
        without = await asyncio.to_thread(shown, sealed, run, *options)
        assert not any(word in without for word in words("sealed").values())


async def test_token_of_one_run_shows_no_other(sealed: Runtime, codec: str) -> None:
    one, other = await told(sealed, "sealed"), await told(sealed, "sealed")
    token = interlock(sealed, "codec", "token", one, "--as", "user:carol")
    found = await asyncio.to_thread(
        shown, sealed, other, "--codec-endpoint", codec, "--codec-auth", f"Bearer {token}"
    )
    assert not any(word in found for word in words("sealed").values())
