"""Trying a tool: the policy decides first, and nothing is recorded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    (folder / "source").mkdir(parents=True)
    (folder / "source" / "a.py").write_text("value = 1\n")
    return folder


def edit(interlock, files: Path, path: str, *more: str):
    arguments = json.dumps({"path": path, "old": "value = 1", "new": "value = 2"})
    return interlock(
        "tool", "call", "edit_file", "--agent", "fixer", "--as", "user:alice",
        "--arguments", arguments, "--workspace", str(files), *more,
    )  # fmt: skip


def test_allowed_call_runs(interlock, files: Path, tmp_path: Path) -> None:
    told = edit(interlock, files, "source/a.py", "--out", str(tmp_path / "after"))
    assert told.code == 0
    assert "recorded nowhere" in told.err
    assert (tmp_path / "after" / "source" / "a.py").read_text() == "value = 2\n"
    assert (files / "source" / "a.py").read_text() == "value = 1\n"


def test_try_leaves_no_record(interlock, files: Path, project: Path) -> None:
    edit(interlock, files, "source/a.py")
    assert not (project / ".interlock" / "ledger.db").exists()
    assert not (project / ".interlock" / "blobs.db").exists()


def test_denied_call_does_not_run(interlock, files: Path, tmp_path: Path) -> None:
    told = edit(interlock, files, "origin.git/config", "--out", str(tmp_path / "after"))
    assert told.code == 1
    assert "edits_stay_in_source" in told.err
    assert not (tmp_path / "after").exists()


def test_call_that_asks_is_refused(interlock) -> None:
    arguments = json.dumps({"title": "t", "body": "b", "branch": "fix/x"})
    told = interlock(
        "tool", "call", "open_pull_request", "--agent", "fixer", "--as", "user:alice", "--arguments", arguments
    )
    assert told.code == 1
    assert "a person must approve this call" in told.err
    assert "start a run instead" in told.err


def test_external_tool_is_refused(interlock, project: Path, files: Path) -> None:
    tool = project / "tools" / "edit_file.py"
    tool.write_text(tool.read_text().replace("@tool(", '@tool(\n    effects="external",', 1))
    told = edit(interlock, files, "source/a.py")
    assert told.code == 1
    assert "acts on the outside world" in told.err


def test_failing_tool_exits_one(interlock, files: Path) -> None:
    told = edit(interlock, files, "source/missing.py", "--json")
    assert told.code == 1
    assert told.json["status"] == "error"


def test_tool_of_another_agent_is_unknown(interlock) -> None:
    told = interlock("tool", "call", "edit_file", "--agent", "triage", "--as", "user:alice")
    assert told.code == 2
    assert "there is no tool 'edit_file'" in told.err


def test_wrong_argument_is_named(interlock) -> None:
    told = interlock(
        "tool", "call", "edit_file", "--agent", "fixer", "--as", "user:alice", "--arguments", '{"path": 1}'
    )
    assert told.code == 2


def test_agent_must_be_named(interlock) -> None:
    told = interlock("tool", "call", "edit_file", "--as", "user:alice")
    assert told.code == 2
    assert "--agent" in told.err
