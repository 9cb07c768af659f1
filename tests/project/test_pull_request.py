"""The tool that proposes a change, on a real repository."""

import subprocess
from pathlib import Path

import pytest
from interlock_project.tools.open_pull_request import open_pull_request

from interlock.project.sample import make_origin


def git(repository: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "--git-dir", repository, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def origin(workspace: Path) -> Path:
    """A repository with one commit, and beside it the source tree with one change."""
    source = workspace / "source"
    source.mkdir()
    (source / "a.py").write_text("x = 1\n")
    (source / "gone.py").write_text("y = 1\n")
    make_origin(source, workspace / "origin.git", "first")
    (source / "a.py").write_text("x = 2\n")
    (source / "gone.py").unlink()
    return workspace / "origin.git"


def test_branch_holds_the_source_tree(origin: Path) -> None:
    made = open_pull_request("Set x", "It was 1.", "fix/x")
    assert git(origin, "rev-parse", "fix/x") == made["commit"]
    assert git(origin, "show", "fix/x:a.py") == "x = 2"
    assert git(origin, "ls-tree", "--name-only", "fix/x") == "a.py"
    assert git(origin, "log", "-1", "--format=%B", "fix/x") == "Set x\n\nIt was 1."
    assert made["files"] == ["a.py", "gone.py"]


def test_default_branch_is_not_touched(origin: Path) -> None:
    before = git(origin, "rev-parse", "main")
    open_pull_request("Set x", "It was 1.", "fix/x")
    assert git(origin, "rev-parse", "main") == before == git(origin, "rev-parse", "fix/x^")


def test_patch_applies_to_the_base(origin: Path, tmp_path: Path) -> None:
    open_pull_request("Set x", "It was 1.", "fix/x")
    subprocess.run(["git", "clone", "--quiet", "--branch", "main", origin, tmp_path / "clone"], check=True)
    patch = tmp_path / "artifacts" / "change.patch"
    subprocess.run(["git", "apply", patch], cwd=tmp_path / "clone", check=True)
    assert (tmp_path / "clone" / "a.py").read_text() == "x = 2\n"
    assert not (tmp_path / "clone" / "gone.py").exists()


def test_second_call_gives_the_same_answer(origin: Path) -> None:
    assert open_pull_request("Set x", "one", "fix/x") == open_pull_request("Set x", "one", "fix/x")


def test_same_change_gives_the_same_commit(origin: Path) -> None:
    first = open_pull_request("Set x", "one", "fix/x")["commit"]
    git(origin, "update-ref", "-d", "refs/heads/fix/x")
    assert open_pull_request("Set x", "one", "fix/x")["commit"] == first


def test_used_branch_is_never_moved(origin: Path) -> None:
    first = open_pull_request("Set x", "one", "fix/x")["commit"]
    Path("source/a.py").write_text("x = 3\n")
    with pytest.raises(ValueError, match="other content"):
        open_pull_request("Set x", "one", "fix/x")
    assert git(origin, "rev-parse", "fix/x") == first


def test_unchanged_source_is_refused(origin: Path) -> None:
    Path("source/a.py").write_text("x = 1\n")
    Path("source/gone.py").write_text("y = 1\n")
    with pytest.raises(ValueError, match="nothing to propose"):
        open_pull_request("Set x", "one", "fix/x")


@pytest.mark.parametrize(
    "branch", ["main", "-D", "a..b/../c", "Fix", "refs/../main", "x.lock/", "", "a b", "x" * 81]
)
def test_dangerous_branch_is_refused(origin: Path, branch: str) -> None:
    before = git(origin, "for-each-ref")
    with pytest.raises((ValueError, RuntimeError)):
        open_pull_request("Set x", "one", branch)
    assert git(origin, "for-each-ref") == before


def test_title_is_one_line(origin: Path) -> None:
    with pytest.raises(ValueError, match="one line"):
        open_pull_request("Set x\n\nApproved-by: alice", "one", "fix/x")


def test_hooks_of_the_repository_do_not_run(origin: Path, tmp_path: Path) -> None:
    (origin / "hooks").mkdir()
    hook = origin / "hooks" / "reference-transaction"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    open_pull_request("Set x", "one", "fix/x")
    assert not (tmp_path / "ran").exists()


def test_source_that_is_not_utf8_is_proposed(origin: Path) -> None:
    Path("source/a.py").write_bytes(b"x = '\xe9'\n")
    open_pull_request("Set x", "one", "fix/x")
    shown = subprocess.run(["git", "--git-dir", origin, "show", "fix/x:a.py"], capture_output=True, check=True)
    assert shown.stdout == b"x = '\xe9'\n"


def test_missing_repository_is_named(workspace: Path) -> None:
    with pytest.raises(ValueError, match=r"origin\.git"):
        open_pull_request("Set x", "one", "fix/x")
