"""What the ledger tells: runs, timelines, outputs, artifacts, files, requests."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from support.events import EVENT_KINDS, START, SampleRun

from interlock.audit import Ledger, SqlBlobs


def test_runs_are_listed(interlock, recorded) -> None:
    told = interlock("run", "list", "--json")
    (run,) = told.json["runs"]
    assert (run["run"], run["status"], run["workflow"], run["requester"]) == (
        "sample-1", "cancelled", "fix_issue", "user:alice",
    )  # fmt: skip
    assert run["started_at"] == START.isoformat()
    assert told.json["before"] == ""


def test_list_pages_through(interlock, recorded, project: Path) -> None:
    blobs, ledger = SqlBlobs(f"sqlite:///{project}/.interlock/blobs.db"), _ledger(project)
    for number in range(2, 6):
        SampleRun(blobs, run=f"sample-{number}").store(ledger)
    seen, before = [], ""
    while True:
        page = interlock("run", "list", "--limit", "2", "--json", *(["--before", before] if before else [])).json
        seen += [row["run"] for row in page["runs"]]
        before = page["before"]
        if not before:
            break
    assert sorted(seen) == [f"sample-{number}" for number in range(1, 6)]


def test_status_filters(interlock, recorded) -> None:
    assert interlock("run", "list", "--status", "running").out == "no runs\n"
    told = interlock("run", "list", "--status", "runing")
    assert told.code == 2
    assert "did you mean 'running'?" in told.err


def test_timeline_has_every_event(interlock, recorded) -> None:
    lines = interlock("run", "show", "sample-1").out.splitlines()
    numbered = [line for line in lines if line[:4].strip().isdigit()]
    assert [int(line[:4]) for line in numbered] == [event.seq for event in recorded.events]


def test_timeline_tells_in_words(interlock, recorded) -> None:
    out = interlock("run", "show", "sample-1").out
    for words in (
        "user:alice      starts fix_issue",
        "c1 edit_file ask (rule edits_need_approval)",
        "a1 asks 1 of maintainers (user:bob, user:carol) about c1 edit_file, until 2026-03-04 06:06:07Z",
        "user:bob        a1 approved: fine",
        "c1 edit_file ok, output ",
        "artifact patch (7 bytes)",
        "c2 edit_file deny (no rule allows it; nearest readers: tool is 'edit_file'",
        "c2 edit_file not run, by policy: no rule allows it",
        "a2 expired; that denies",
        "c3 edit_file outcome unknown: the executor died",
        "cancels the run: changed my mind",
    ):
        assert words in out


def test_shown_events_are_the_ledgers(interlock, recorded) -> None:
    events = interlock("run", "show", "sample-1", "--json").json["events"]
    assert events == [event.model_dump(mode="json") for event in recorded.events]
    assert {event["kind"] for event in events} == set(EVENT_KINDS)


def test_verbose_shows_whole_digests(interlock, recorded) -> None:
    digest = recorded.of_kind("run.started").manifest
    assert digest in interlock("run", "show", "sample-1", "--verbose").out
    short = interlock("run", "show", "sample-1").out
    assert digest not in short
    assert digest.removeprefix("sha256:")[:10] + "…" in short


@pytest.mark.parametrize("name", ["sample-1", "sam", "last"])
def test_run_is_found_by(interlock, recorded, name: str) -> None:
    assert interlock("run", "show", name, "--json").json["run"] == "sample-1"


def test_two_runs_are_no_run(interlock, recorded, project: Path) -> None:
    blobs = SqlBlobs(f"sqlite:///{project}/.interlock/blobs.db")
    SampleRun(blobs, run="sample-2").store(_ledger(project))
    told = interlock("run", "show", "sam")
    assert told.code == 2
    assert "sample-1" in told.err
    assert "sample-2" in told.err


def test_unknown_run_exits_two(interlock, recorded) -> None:
    told = interlock("run", "show", "smple-1")
    assert told.code == 2
    assert "did you mean 'sample-1'?" in told.err


def test_artifacts_are_listed(interlock, recorded) -> None:
    (found,) = interlock("run", "artifacts", "sample-1", "--json").json["artifacts"]
    assert (found["name"], found["size"], found["call_id"]) == ("patch", 7, "sample-1:c1")


def test_artifact_is_its_bytes(spawned, recorded) -> None:
    assert spawned("run", "artifact", "last", "patch").out == "a patch"


def test_artifact_goes_to_a_new_file(interlock, recorded, tmp_path: Path) -> None:
    target = tmp_path / "p"
    assert interlock("run", "artifact", "last", "patch", "--out", str(target)).code == 0
    assert target.read_bytes() == b"a patch"
    assert interlock("run", "artifact", "last", "patch", "--out", str(target)).code == 2


def test_unknown_artifact_is_suggested(interlock, recorded) -> None:
    told = interlock("run", "artifact", "last", "pach")
    assert told.code == 2
    assert "did you mean 'patch'?" in told.err


def test_altered_artifact_is_not_given(interlock, recorded, project: Path) -> None:
    import sqlite3

    digest = "sha256:" + hashlib.sha256(b"a patch").hexdigest()
    with sqlite3.connect(project / ".interlock" / "blobs.db") as database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {name}")
        database.execute("UPDATE blobs SET data = ? WHERE digest = ?", (b"another", digest))
    told = interlock("run", "artifact", "last", "patch")
    assert (told.code, told.out) == (1, "")
    assert "was altered" in told.err


def test_output_is_what_the_model_read(interlock, recorded) -> None:
    assert interlock("run", "output", "last", "c1", "--json").json == {
        "call_id": "sample-1:c1", "status": "ok", "text": "output",
    }  # fmt: skip
    refused = interlock("run", "output", "last", "sample-1:c2", "--json").json
    assert refused["text"] == "Not run. no rule allows it"


def test_files_are_exported(interlock, recorded, tmp_path: Path) -> None:
    assert interlock("run", "export", "last", str(tmp_path / "out")).code == 0
    assert (tmp_path / "out" / "src" / "main.py").read_text() == "value = 2\n"


def test_export_needs_a_new_folder(interlock, recorded, tmp_path: Path) -> None:
    told = interlock("run", "export", "last", str(tmp_path))
    assert told.code == 2
    assert "does not exist yet" in told.err


def test_requests_are_listed(interlock, recorded) -> None:
    assert interlock("approval", "list").out == "nothing waits for a decision\n"
    rows = interlock("approval", "list", "--all", "--json").json["requests"]
    assert {row["request_id"]: row["state"] for row in rows} == {
        "sample-1:a1": "consumed",
        "sample-1:a2": "expired",
        "sample-1:a3": "withdrawn",
    }


@pytest.mark.parametrize("command", ["show", "approve"])
def test_unproven_request_is_not_shown(interlock, recorded, command: str) -> None:
    """Its run's tokens are no statements of anybody: whoever can write to the database could have put it there."""
    interlock("keys", "create")
    who = ["--as", "user:carol"] if command == "approve" else []
    told = interlock("approval", command, "a1", *who)
    assert (told.code, told.out) == (1, "")
    assert "the record of run 'sample-1' does not hold" in told.err


def test_unknown_request_exits_two(interlock, recorded) -> None:
    assert interlock("approval", "show", "a9").code == 2
    told = interlock("approval", "show", "last")
    assert "no request waits" in told.err


def test_replay_without_history_exits_three(interlock, recorded) -> None:
    assert interlock("replay", "last").code == 3


def test_replay_refuses_a_false_history(interlock, recorded, tmp_path: Path) -> None:
    (tmp_path / "h.json").write_text("{]")
    told = interlock("replay", "last", "--history", str(tmp_path / "h.json"))
    assert told.code == 2
    assert "--history" in told.err


def _ledger(project: Path) -> Ledger:
    return Ledger(f"sqlite:///{project}/.interlock/ledger.db")


def test_files_differ_between_moments(interlock, recorded) -> None:
    told = interlock("run", "diff-workspace", "sample-1", "start", "c1", "--json")
    (change,) = told.json["changes"]
    assert (change["path"], change["kind"]) == ("src/main.py", "changed")
    assert (told.json["before"], told.json["after"]) == (recorded.before, recorded.after)


def test_moments_of_no_change_are_the_same(interlock, recorded) -> None:
    told = interlock("run", "diff-workspace", "sample-1", "c1", "end")
    assert "the same files" in told.out


def test_unknown_moment_names_the_known(interlock, recorded) -> None:
    told = interlock("run", "diff-workspace", "sample-1", "c11")
    assert told.code == 2
    assert "did you mean 'c1'?" in told.err
