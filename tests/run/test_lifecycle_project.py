"""Runs of the reference project's own agents that people meet: triage's report, and reviewer's question."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.runtime import ROOT, Runtime, copy_project, running, settings_for

from interlock.digest import parse
from interlock.errors import InvalidInput
from interlock.project import prepare_sample
from interlock.run.files import import_workspace

pytestmark = pytest.mark.temporal

SAMPLE = ROOT / "tests" / "project" / "fix_issue"


@pytest.fixture(scope="module")
async def runtime(temporal_address: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Runtime]:
    root = copy_project(tmp_path_factory.mktemp("reference") / "project")
    async with running(settings_for(root, temporal_address, name="reference")) as found:
        yield found


async def ended(runtime: Runtime, run: str) -> Any:
    outcome = await runtime.client.wait(run)
    verdict = await runtime.verdict(run)
    assert verdict.verified, verdict.differences
    return outcome


async def test_triage_hands_in_its_report(runtime: Runtime) -> None:
    logs = runtime.settings.root / "machine" / "logs"
    logs.mkdir(parents=True)
    (logs / "dpkg.log").write_bytes(b"2026-03-04 12:00:00 startup archives unpack\n2026-03-04 12:00:01 \xff\xfe\n")
    workspace = import_workspace(logs.parent, runtime.blobs)
    run = await runtime.start("triage", "Read the logs.", requester="user:bob", workspace=workspace)
    assert (await ended(runtime, run)).status == "completed"
    events: list[Any] = runtime.ledger.events(run)
    (report,) = [artifact for e in events if e.kind == "call.finished" for artifact in e.artifacts]
    assert report.name == "report.md"
    assert runtime.text(report.digest).startswith("# Log triage by the scripted model")
    read = [runtime.text(e.output) for e in events if e.kind == "call.finished"]
    assert any("startup archives unpack" in text for text in read)
    assert outcome_workspace(runtime, run) == workspace


def outcome_workspace(runtime: Runtime, run: str) -> str:
    return runtime.ledger.run(run).workspace


@pytest.fixture(scope="module")
def source(runtime: Runtime) -> str:
    """The sample's source tree as a workspace."""
    folder = runtime.settings.root / "work"
    prepare_sample(SAMPLE, folder, ROOT / ".state" / "samples")
    return import_workspace(folder, runtime.blobs)


async def test_person_answers_the_reviewer(runtime: Runtime, source: str) -> None:
    run = await runtime.start("reviewer", "Review the parser.", workspace=source)
    request = await runtime.approval(run)
    assert request.kind == "question"
    asked = parse(runtime.stored(request.subject))["question"]
    assert asked["answers"] == ["none", "low", "high"]
    with pytest.raises(InvalidInput, match="does not fit"):
        await runtime.client.decide(request, "approve", approver="user:carol")
    await runtime.client.decide(request, "respond", approver="user:carol", message="High")
    outcome = await ended(runtime, run)
    assert outcome.status == "completed"
    assert parse(runtime.stored(outcome.result))["severity"] == "high"


async def test_rejected_question_ends_the_reviewer(runtime: Runtime, source: str) -> None:
    run = await runtime.start("reviewer", "Review the parser.", workspace=source)
    request = await runtime.approval(run)
    await runtime.client.decide(request, "reject", approver="user:dave", message="ask somebody else")
    outcome = await ended(runtime, run)
    assert outcome.status == "failed"
    assert "ask somebody else" in outcome.detail


async def test_cancel_ends_an_open_question(runtime: Runtime, source: str) -> None:
    run = await runtime.start("reviewer", "Review the parser.", workspace=source)
    await runtime.approval(run)
    await runtime.client.control(run, "cancel", by="user:alice")
    assert (await ended(runtime, run)).status == "cancelled"
    assert runtime.ledger.approvals(run=run) == []
