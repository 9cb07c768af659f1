"""The read models say what the events say: runs and approval requests."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from support.events import START, ChainBuilder, SampleRun

from interlock.audit import Ledger, SqlBlobs
from interlock.errors import InvalidInput
from interlock.events import (
    ApprovalDecided,
    ApprovalRequested,
    CallRefused,
    RunEnded,
    RunPaused,
    RunResumed,
    RunStarted,
)

DIGEST = "sha256:" + "a" * 64


@pytest.fixture
def run() -> ChainBuilder:
    builder = ChainBuilder("run-1")
    builder.start()
    return builder


def ask(run: ChainBuilder, number: int = 1, **fields: Any) -> str:
    request_id = f"{run.run}:a{number}"
    defaults = {
        "about": "call",
        "call_id": f"{run.run}:c{number}",
        "agent": "agent:fixer",
        "call_digest": DIGEST,
        "subject": DIGEST,
        "rule": "edits",
        "reason": "edits are approved",
        "route": "maintainers",
        "approvers": ("user:bob", "user:carol"),
        "quorum": 1,
        "expires_at": START + timedelta(hours=1),
    }
    run.add(ApprovalRequested, request_id=request_id, **{**defaults, **fields})
    return request_id


def decide(run: ChainBuilder, request_id: str, verdict: str, closes: bool = True, by: str = "user:bob") -> None:
    run.add(
        ApprovalDecided, request_id=request_id, verdict=verdict, approver=by, token="t", message="m", closes=closes
    )


def test_ended_run_shows_its_outcome(ledger: Ledger, blobs: SqlBlobs) -> None:
    sample = SampleRun(blobs)
    sample.store(ledger)
    row, last = ledger.run(sample.run), sample.events[-1]
    assert (row.tenant, row.workflow, row.requester) == ("acme", "fix_issue", "user:alice")
    assert (row.status, row.ended, row.ended_at) == ("cancelled", True, last.time)
    assert (row.count, row.head, row.workspace) == (len(sample.events), last.hash, sample.after)
    assert (row.started_at, row.updated_at) == (sample.events[0].time, last.time)
    assert (row.result, row.detail) == (last.result, "cancelled by a person")  # type: ignore[union-attr]


def test_pending_request_makes_run_wait(ledger: Ledger, run: ChainBuilder) -> None:
    request_id = ask(run)
    ledger.append("run-1", run.events)
    assert ledger.run("run-1").status == "waiting"
    (row,) = ledger.approvals()
    assert (row.request_id, row.state, row.requester, row.approvers) == (
        request_id,
        "pending",
        "user:alice",
        ("user:bob", "user:carol"),
    )
    decide(run, request_id, "approve")
    ledger.append("run-1", run.events)
    assert ledger.run("run-1").status == "running"
    assert ledger.approvals() == []


def test_paused_run_resumes(ledger: Ledger, run: ChainBuilder) -> None:
    ask(run)
    run.add(RunPaused, by="user:alice", token="t")
    ledger.append("run-1", run.events)
    assert ledger.run("run-1").status == "paused"
    run.add(RunResumed, by="user:alice", token="t")
    ledger.append("run-1", run.events)
    assert ledger.run("run-1").status == "waiting"


@pytest.mark.parametrize(
    ("verdict", "state"),
    [("approve", "approved"), ("edit", "rejected"), ("reject", "rejected"), ("respond", "answered")],
)
def test_decision_closes_the_request(ledger: Ledger, run: ChainBuilder, verdict: str, state: str) -> None:
    request_id = ask(run)
    decide(run, request_id, verdict)
    ledger.append("run-1", run.events)
    row = ledger.approval(request_id)
    assert (row.state, row.decided_by, row.decided_at) == (state, "user:bob", run.events[-1].time)
    assert [(vote.approver, vote.verdict) for vote in row.votes] == [("user:bob", verdict)]


def test_quorum_keeps_request_open(ledger: Ledger, run: ChainBuilder) -> None:
    request_id = ask(run, quorum=2)
    decide(run, request_id, "approve", closes=False)
    ledger.append("run-1", run.events)
    assert ledger.approval(request_id).state == "pending"
    decide(run, request_id, "approve", by="user:carol")
    ledger.append("run-1", run.events)
    row = ledger.approval(request_id)
    assert (row.state, row.decided_by) == ("approved", "user:carol")
    assert [vote.approver for vote in row.votes] == ["user:bob", "user:carol"]


def test_run_consumes_and_expires_requests(ledger: Ledger, blobs: SqlBlobs) -> None:
    sample = SampleRun(blobs)
    sample.store(ledger)
    assert ledger.approval(f"{sample.run}:a1").state == "consumed"
    assert ledger.approval(f"{sample.run}:a2").state == "expired"
    assert [row.request_id for row in ledger.approvals(state=None)] == ["sample-1:a1", "sample-1:a2", "sample-1:a3"]
    assert ledger.approvals(state="consumed", run="run-9") == []


def test_refused_call_withdraws_its_request(ledger: Ledger, run: ChainBuilder) -> None:
    first, second = ask(run, 1), ask(run, 2)
    run.add(CallRefused, call_id="run-1:c1", agent="agent:fixer", tool="t", by="cancelled", detail="")
    ledger.append("run-1", run.events)
    assert [ledger.approval(name).state for name in (first, second)] == ["withdrawn", "pending"]
    assert ledger.run("run-1").waiting == 1


def test_end_withdraws_open_requests(ledger: Ledger, run: ChainBuilder) -> None:
    request_id = ask(run)
    ledger.append("run-1", run.events)
    run.add(RunEnded, status="failed", result="", workspace="", count=3)
    ledger.append("run-1", run.events)
    assert ledger.approval(request_id).state == "withdrawn"
    assert (ledger.run("run-1").waiting, ledger.approvals()) == (0, [])


def test_unknown_request_names_similar_ones(ledger: Ledger, run: ChainBuilder) -> None:
    ask(run)
    ledger.append("run-1", run.events)
    with pytest.raises(InvalidInput, match="did you mean 'run-1:a1'"):
        ledger.approval("run-1:a2")


def test_runs_are_paged_newest_first(ledger: Ledger) -> None:
    for number in range(5):
        builder = ChainBuilder(f"run-{number}")
        event = builder.start(tenant="acme" if number % 2 else "other")
        moved = event.model_copy(update={"time": START + timedelta(hours=number // 2)})
        ledger.append(builder.run, [moved.model_copy(update={"hash": moved.computed_hash()})])
    first = ledger.runs(limit=2)
    second = ledger.runs(limit=2, before=first[-1].cursor)
    third = ledger.runs(limit=2, before=second[-1].cursor)
    assert [row.run for row in first + second + third] == ["run-4", "run-3", "run-2", "run-1", "run-0"]
    assert [row.run for row in ledger.runs(tenant="acme")] == ["run-3", "run-1"]
    assert ledger.runs(status="paused") == []


def test_bad_page_is_refused(ledger: Ledger) -> None:
    with pytest.raises(InvalidInput, match="before"):
        ledger.runs(before="nonsense")
    with pytest.raises(InvalidInput, match="limit"):
        ledger.runs(limit=0)


def test_second_start_is_refused(ledger: Ledger, run: ChainBuilder) -> None:
    first = run.events[0]
    again = {name: getattr(first, name) for name in RunStarted.model_fields}
    for name in ("v", "run", "seq", "time", "prev", "hash", "kind"):
        del again[name]
    run.add(RunStarted, **{**again, "requester": "user:mallory"})
    with pytest.raises(Exception, match="started before"):
        ledger.append("run-1", run.events)
    assert ledger.head("run-1").count == 0
