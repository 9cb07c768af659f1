"""A governed run from the command line, on real parts: Temporal, both workers, Docker, ledger, people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cli_runtime import Interlock, attack, eventually
from support.runtime import ROOT, copy_project

from interlock.project import prepare_sample

pytestmark = [pytest.mark.docker, pytest.mark.temporal, pytest.mark.timeout(600)]

SAMPLE = ROOT / "tests" / "project" / "fix_issue"


@pytest.fixture(scope="module")
def interlock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interlock]:
    root = copy_project(tmp_path_factory.mktemp("cli") / "project")
    found = Interlock(root)
    prepare_sample(SAMPLE, root / "work", ROOT / ".state" / "samples")
    (root / "input.json").write_text(json.dumps({"issue": (SAMPLE / "issue.md").read_text()}))
    found.ok("sandbox", "build")
    found.start()
    yield found
    found.stop()


def start(interlock: Interlock) -> str:
    options = ["--input", "@input.json", "--workspace", "work", "--as", "user:alice", "--json"]
    return str(interlock.ok("run", "start", "fix_issue", *options).json["run"])


@pytest.fixture(scope="module")
def finished(interlock: Interlock) -> str:
    """A run that was approved and completed."""
    run = start(interlock)
    interlock.ok("approval", "approve", interlock.waiting(run), "--as", "user:carol")
    interlock.ok("run", "wait", run)
    return run


def test_run_waits_for_its_approval(interlock: Interlock) -> None:
    run = start(interlock)
    request = interlock.waiting(run)
    shown = interlock.ok("approval", "show", request).out
    assert '-    "%f": "[0-9]{6}",' in shown
    assert '+    "%f": "[0-9]{1,6}",' in shown
    assert "rule:      fixer_proposes" in shown
    refused = interlock("approval", "approve", request, "--as", "user:alice")
    assert refused.code == 1
    assert "separation of duties" in refused.err
    stranger = interlock("approval", "approve", request, "--as", "user:bob")
    assert stranger.code == 1
    assert "not an approver" in stranger.err
    assert interlock.ok("run", "show", run, "--json").json["status"] == "waiting"
    taken = interlock.ok("approval", "approve", request, "--as", "user:carol", "--json").json
    assert (taken["state"], taken["closes"]) == ("approved", True)
    assert interlock.ok("run", "wait", run, "--json").json["status"] == "completed"


def test_finished_run_is_verified(interlock: Interlock, finished: str) -> None:
    told = interlock.ok("replay", finished)
    assert told.out.startswith(f"verified: run {finished}\n")
    verdict = interlock.ok("replay", finished, "--json").json
    assert verdict["decisions"] == 7
    assert verdict["receipts"] == 7
    assert verdict["approvals"] == 1


def test_approved_patch_is_the_artifact(interlock: Interlock, finished: str) -> None:
    patch = interlock.ok("run", "artifact", finished, "change.patch").out
    assert patch.startswith("diff --git a/parse.py b/parse.py")
    assert '+    "%f": "[0-9]{1,6}",' in patch


def test_second_decision_names_the_first(interlock: Interlock, finished: str) -> None:
    told = interlock("approval", "reject", f"{finished}:a1", "--as", "user:dave", "--message", "late")
    assert told.code == 1
    assert f"{finished}:a1 was decided: approve by user:carol at 20" in told.err


def test_edited_call_is_decided_anew(interlock: Interlock) -> None:
    run = start(interlock)
    request = interlock.waiting(run)
    bad = interlock("approval", "edit", request, "--as", "user:carol", "--arguments", '{"title": 1}')
    assert bad.code == 2
    new = json.dumps({"title": "Another title", "body": "b", "branch": "fix/other"})
    edited = interlock.ok("approval", "edit", request, "--as", "user:carol", "--arguments", new, "--json").json
    assert edited["edited_call"]["verdict"] == "ask"
    second = edited["edited_call"]["request_id"]
    assert second == f"{run}:a2"
    assert "Another title" in interlock.ok("approval", "show", second).out
    interlock.ok("approval", "reject", second, "--as", "user:dave", "--message", "Not now.")
    assert interlock.ok("run", "wait", run, "--json").json["status"] == "completed"
    timeline = interlock.ok("run", "show", run).out
    assert "edited from c7" in timeline
    assert "user:dave rejected it: Not now." in timeline
    assert interlock.ok("replay", run, "--json").json["verified"]


def test_decision_may_name_its_digest(interlock: Interlock) -> None:
    run = start(interlock)
    request = interlock.waiting(run)
    digest = interlock.ok("approval", "show", request, "--json").json["call_digest"]
    other = "sha256:" + "0" * 64
    refused = interlock("approval", "approve", request, "--as", "user:carol", "--digest", other)
    assert refused.code == 1
    assert digest in refused.err
    interlock.ok("approval", "approve", request, "--as", "user:carol", "--digest", digest)
    interlock.ok("run", "wait", run)


def test_cancelled_run_ends_for_good(interlock: Interlock) -> None:
    run = start(interlock)
    request = interlock.waiting(run)
    interlock.ok("run", "pause", run, "--as", "user:bob")
    assert interlock.ok("run", "show", run, "--json").json["status"] == "paused"
    again = interlock("run", "pause", run, "--as", "user:bob")
    assert again.code == 1
    assert "paused already" in again.err
    interlock.ok("run", "cancel", run, "--as", "user:alice", "--reason", "changed my mind")
    waited = interlock("run", "wait", run, "--json")
    assert waited.code == 1
    assert waited.json["status"] == "cancelled"
    late = interlock("approval", "approve", request, "--as", "user:carol")
    assert late.code == 1
    assert interlock.ok("replay", run, "--json").json["verified"]


def test_explanation_is_of_the_record(interlock: Interlock, finished: str) -> None:
    told = interlock.ok("policy", "explain", finished, "c7")
    assert told.out.startswith("ask: Rule 'fixer_proposes'")


def test_history_replays_without_server(interlock: Interlock, finished: str, tmp_path: Path) -> None:
    interlock.ok("run", "history", finished, "--out", str(tmp_path / "h.json"))
    nowhere = {"INTERLOCK_TEMPORAL_ADDRESS": "127.0.0.1:1"}
    told = interlock.ok("replay", finished, "--history", str(tmp_path / "h.json"), **nowhere)
    assert told.out.startswith("verified")


def test_back_dated_history_is_named(interlock: Interlock, finished: str, tmp_path: Path) -> None:
    interlock.ok("run", "history", finished, "--out", str(tmp_path / "h.json"))
    history = json.loads((tmp_path / "h.json").read_text())
    first = next(e for e in history["events"] if e["eventType"] == "EVENT_TYPE_WORKFLOW_TASK_STARTED")
    first["eventTime"] = "2020-01-01T00:00:00Z"
    (tmp_path / "h.json").write_text(json.dumps(history))
    told = interlock("replay", finished, "--history", str(tmp_path / "h.json"))
    assert told.code == 1
    assert "NOT verified" in told.out
    assert "first difference: event 0 (run.started), field time" in told.out


OVERWRITE = "UPDATE run_blobs SET data = zeroblob(64) WHERE run = ? AND digest = ?"


def test_altered_result_is_named(interlock: Interlock, finished: str, tmp_path: Path) -> None:
    copies = interlock.copies(tmp_path / "copy")
    events = interlock.ok("run", "show", finished, "--json").json["events"]
    event = next(event for event in events if event["kind"] == "call.finished")
    blobs = tmp_path / "copy" / "blobs.db"
    assert attack(blobs, OVERWRITE, finished, event["output"]) == 1
    told = interlock("replay", finished, **copies)
    assert told.code == 1
    assert f"first difference: event {event['seq']} (call.finished), field output" in told.out
    assert interlock("replay", finished).code == 0


def test_altered_inbox_is_not_shown(interlock: Interlock, tmp_path: Path) -> None:
    """Somebody who can write to the database shows the approver a harmless call."""
    run = start(interlock)
    request = interlock.waiting(run)
    copies = interlock.copies(tmp_path / "copy")
    ledger = tmp_path / "copy" / "ledger.db"
    events = interlock.ok("run", "show", run, "--json").json["events"]
    harmless = next(event for event in events if event["kind"] == "call.proposed")
    change = "UPDATE approvals SET subject = ?, call_digest = ? WHERE request_id = ?"
    assert attack(ledger, change, harmless["arguments"], harmless["call_digest"], request) == 1
    for command in (["show", request], ["approve", request, "--as", "user:carol"]):
        told = interlock("approval", *command, **copies)
        assert told.code == 1
        assert told.out == ""
        assert "is not shown" in told.err
    assert interlock.ok("approval", "show", request).code == 0
    interlock.ok("run", "cancel", run, "--as", "user:alice")


def test_smaller_diff_is_not_shown(interlock: Interlock, tmp_path: Path) -> None:
    """A start of the run that is moved to the end of its files would leave nothing to see in the diff."""
    run = start(interlock)
    request = interlock.waiting(run)
    copies = interlock.copies(tmp_path / "copy")
    events = interlock.ok("run", "show", run, "--json").json["events"]
    first, last = events[0], [event for event in events if event["kind"] == "call.proposed"][-1]
    assert first["workspace"] != last["workspace"]
    ledger = tmp_path / "copy" / "ledger.db"
    change = "UPDATE events SET body = CAST(replace(CAST(body AS TEXT), ?, ?) AS BLOB) WHERE run = ? AND seq = 0"
    assert attack(ledger, change, first["workspace"], last["workspace"], run) == 1
    told = interlock("approval", "show", request, **copies)
    assert told.code == 1
    assert f"the record of run {run!r} does not hold" in told.err
    interlock.ok("run", "cancel", run, "--as", "user:alice")


def test_doctor_finds_all_well(interlock: Interlock, finished: str) -> None:
    told = interlock.ok("doctor", "--json").json
    assert {check["name"] for check in told["checks"]} >= {"graph worker", "executor worker", "Temporal server"}


def test_agent_alone_runs_too(interlock: Interlock) -> None:
    told = interlock.ok(
        "run", "start", "triage", "--task", "Read the logs.", "--as", "user:bob", "--wait", "--json"
    )
    assert told.json["status"] == "completed"
    assert interlock.ok("replay", told.json["run"], "--json").json["verified"]


def test_open_run_survives_a_restart(interlock: Interlock) -> None:
    run = start(interlock)
    request = interlock.waiting(run)
    interlock.stop()
    assert interlock("run", "wait", run).code == 3
    assert interlock.ok("approval", "show", request).code == 0
    assert not (interlock.state / "dev.json").exists()
    interlock.start()
    interlock.ok("approval", "approve", request, "--as", "user:dave")
    interlock.ok("run", "wait", run)
    assert eventually(lambda: interlock("replay", run, "--json").json["verified"])
