"""The tools that search, read and edit a source tree."""

from pathlib import Path

import pytest
from interlock_project.tools.edit_file import edit_file
from interlock_project.tools.read_file import read_file
from interlock_project.tools.run_tests import run_tests
from interlock_project.tools.search_code import search_code

OUTSIDE = [
    "/etc/passwd",
    "../secret",
    "source/../../secret",
    "source//a.py",
    "./source",
    "",
    "source\\a.py",
    "a\nb",
]


@pytest.fixture
def source(workspace: Path) -> Path:
    folder = workspace / "source"
    (folder / "tests").mkdir(parents=True)
    (folder / "adder.py").write_text("def add(a, b):\n    return a - b\n")
    (folder / "tests" / "test_adder.py").write_text(
        "from adder import add\n\n\ndef test_add():\n    assert add(2, 1) == 3\n"
    )
    return folder


@pytest.mark.parametrize("path", OUTSIDE)
def test_no_tool_leaves_the_workspace(source: Path, path: str) -> None:
    (source.parent.parent / "secret").write_text("x")
    for call in (lambda: read_file(path), lambda: edit_file(path, "x", "y"), lambda: search_code("x", path)):
        with pytest.raises(ValueError, match="path"):
            call()


def test_link_out_of_workspace_is_refused(source: Path) -> None:
    (source / "hosts").symlink_to("/etc/hosts")
    with pytest.raises(ValueError, match="leads out of the workspace"):
        read_file("source/hosts")


def test_search_gives_file_line_and_text(source: Path) -> None:
    found = search_code(r"return \w", "source")
    assert found["matches"] == [{"path": "source/adder.py", "line": 2, "text": "    return a - b"}]
    assert not found["more"]


def test_search_says_when_it_was_cut(source: Path) -> None:
    found = search_code("add", ".", limit=2)
    assert len(found["matches"]) == 2
    assert found["more"]


def test_search_leaves_out_binaries_and_repositories(workspace: Path) -> None:
    (workspace / "origin.git").mkdir()
    (workspace / "origin.git" / "HEAD").write_text("needle")
    (workspace / "picture").write_bytes(b"\0needle")
    (workspace / "text").write_text("needle")
    assert [match["path"] for match in search_code("needle")["matches"]] == ["text"]


def test_search_explains_a_broken_pattern(workspace: Path) -> None:
    with pytest.raises(ValueError, match="not a regular expression"):
        search_code("(")


def test_read_gives_the_exact_lines(source: Path) -> None:
    part = read_file("source/adder.py", 2, 9)
    assert part == {
        "path": "source/adder.py",
        "start": 2,
        "end": 2,
        "lines_in_file": 2,
        "text": "    return a - b\n",
    }


def test_read_refuses_binary_and_missing(source: Path) -> None:
    (source / "picture").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="not UTF-8"):
        read_file("source/picture")
    with pytest.raises(ValueError, match="no file"):
        read_file("source/none.py")


def test_edit_replaces_one_passage(source: Path) -> None:
    assert edit_file("source/adder.py", "a - b", "a + b")["line"] == 2
    assert (source / "adder.py").read_text() == "def add(a, b):\n    return a + b\n"


def test_edit_refuses_an_ambiguous_passage(source: Path) -> None:
    before = (source / "adder.py").read_text()
    with pytest.raises(ValueError, match=r"occurs \d+ times"):
        edit_file("source/adder.py", "a", "c")
    with pytest.raises(ValueError, match="does not occur"):
        edit_file("source/adder.py", "nowhere", "c")
    assert (source / "adder.py").read_text() == before


def test_edit_creates_but_never_overwrites(source: Path) -> None:
    edit_file("source/new/module.py", "", "x = 1\n")
    assert (source / "new" / "module.py").read_text() == "x = 1\n"
    with pytest.raises(ValueError, match="exists"):
        edit_file("source/new/module.py", "", "x = 2\n")


@pytest.mark.parametrize("path", ["origin.git/HEAD", "source/.git/config"])
def test_edit_keeps_out_of_repositories(workspace: Path, path: str) -> None:
    with pytest.raises(ValueError, match="git repository"):
        edit_file(path, "", "ref: refs/heads/evil\n")
    assert not (workspace / path).exists()


def test_failing_tests_are_a_result(source: Path) -> None:
    run = run_tests()
    assert not run["passed"]
    assert run["summary"].startswith("failed: 1 failed")
    assert "assert 1 == 3" in run["output"]


def test_passing_tests_pass(source: Path) -> None:
    edit_file("source/adder.py", "a - b", "a + b")
    run = run_tests("tests/test_adder.py::test_add")
    assert run["passed"]
    assert run["summary"].startswith("passed: 1 passed")


def test_test_run_leaves_no_files(source: Path) -> None:
    before = sorted(source.rglob("*"))
    run_tests()
    assert sorted(source.rglob("*")) == before


@pytest.mark.parametrize("target", ["--version", "-p no:x", "../x.py", "/etc/passwd", "tests/none.py"])
def test_target_is_a_file_not_an_option(source: Path, target: str) -> None:
    with pytest.raises(ValueError, match=r"no test file|path"):
        run_tests(target)
