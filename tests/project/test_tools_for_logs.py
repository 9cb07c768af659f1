"""The tools of the agent that reads logs."""

from pathlib import Path

import pytest
from interlock_project.tools.list_logs import list_logs
from interlock_project.tools.read_log import read_log
from interlock_project.tools.write_report import write_report


@pytest.fixture
def log(workspace: Path) -> Path:
    file = workspace / "logs" / "apt" / "history.log"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"first\nsecond \xff\n" + b"x" * 5000 + b"\n")
    return file


def test_every_log_is_listed(log: Path) -> None:
    assert list_logs() == {"files": [{"path": "logs/apt/history.log", "bytes": 5016, "lines": 3}], "more": False}


def test_lines_are_readable_text(log: Path) -> None:
    part = read_log("logs/apt/history.log", 2, 9)
    assert (part["start"], part["end"]) == (2, 3)
    assert part["lines"] == ["second \ufffd", "x" * 2000]


def test_missing_log_and_folder_are_named(log: Path) -> None:
    with pytest.raises(ValueError, match=r"'logs/none\.log'"):
        read_log("logs/none.log")
    with pytest.raises(ValueError, match="'none'"):
        list_logs("none")


@pytest.mark.parametrize("path", ["/var/log/dpkg.log", "../x", "logs/../../x"])
def test_logs_elsewhere_are_out_of_reach(log: Path, path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        read_log(path)
    with pytest.raises(ValueError, match="path"):
        list_logs(path)


def test_report_becomes_an_artifact(workspace: Path, tmp_path: Path) -> None:
    assert write_report("What happened", "Nothing.\n") == {"artifact": "report.md", "lines": 3}
    assert (tmp_path / "artifacts" / "report.md").read_text() == "# What happened\n\nNothing.\n"


@pytest.mark.parametrize(("title", "body"), [("", "x"), ("a\nb", "x"), ("a", " ")])
def test_empty_report_is_refused(workspace: Path, title: str, body: str) -> None:
    with pytest.raises(ValueError, match=r"title|body"):
        write_report(title, body)
