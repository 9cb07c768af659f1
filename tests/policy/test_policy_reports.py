"""Each process says which policy it runs, and says nothing any more once it has ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from interlock.policy import PolicySource, source
from interlock.policy.reports import read_reports, reporter


@pytest.fixture(autouse=True)
def always_look(monkeypatch):
    monkeypatch.setattr(source, "CHECK_EVERY_S", 0)
    monkeypatch.setattr(source, "SETTLE_S", 0)


def test_report_follows_the_policy(write, rule, tmp_path):
    folder = tmp_path / "reports"
    followed = PolicySource(write(rules=rule()), on_state=[reporter(folder, "executor")])
    (first,) = read_reports(folder)
    assert (first.role, first.pid, first.bundle) == ("executor", os.getpid(), followed.current().digest)
    write(rules=rule(effect="Deny"))
    followed.current()
    (refused,) = read_reports(folder)
    assert (refused.bundle, refused.since) == (first.bundle, first.since)
    assert "rules.yaml:3" in refused.problem
    write(rules=rule(effect="deny"))
    followed.current()
    (second,) = read_reports(folder)
    assert (second.bundle, second.problem) == (followed.current().digest, "")
    assert second.bundle != first.bundle


def test_ended_process_reports_nothing(write, rule, tmp_path):
    folder, permissions = tmp_path / "reports", write(rules=rule())
    code = (
        "import sys, time; from pathlib import Path; from interlock.policy import PolicySource\n"
        "from interlock.policy.reports import reporter\n"
        "kept = PolicySource(Path(sys.argv[1]), on_state=[reporter(Path(sys.argv[2]), 'graph')])\n"
        "print('ready', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(permissions), str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    (living,) = read_reports(folder)
    assert (living.role, living.pid) == ("graph", process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    assert read_reports(folder) == []
    assert list(folder.iterdir()) == []
    process.stdout.close()


def test_folder_that_cannot_be_written_stops_nothing(write, rule, tmp_path):
    (tmp_path / "file").write_text("")
    followed = PolicySource(write(rules=rule()), on_state=[reporter(tmp_path / "file" / "reports", "graph")])
    assert followed.current().rules
    assert read_reports(tmp_path / "file" / "reports") == []


def test_garbage_beside_the_reports_is_passed_over(write, rule, tmp_path):
    folder = tmp_path / "reports"
    followed = PolicySource(write(rules=rule()), on_state=[reporter(folder, "graph")])
    (folder / "x.json").mkdir()
    (folder / "y.json").write_text("{")
    assert [report.bundle for report in read_reports(folder)] == [followed.current().digest]


def test_two_idle_workers_follow_a_change(write, rule, tmp_path):
    """The real intervals, in processes of their own that decide nothing."""
    folder, permissions = tmp_path / "reports", write(rules=rule())
    code = (
        "import sys, time; from pathlib import Path; from interlock.policy import PolicySource\n"
        "from interlock.policy.reports import reporter\n"
        "kept = PolicySource(Path(sys.argv[1]), on_state=[reporter(Path(sys.argv[2]), sys.argv[3])])\n"
        "kept.watch(); print('ready', flush=True); time.sleep(120)"
    )
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(permissions), str(folder), role], stdout=subprocess.PIPE, text=True
        )
        for role in ("executor", "graph")
    ]
    try:
        assert [worker.stdout.readline() for worker in workers if worker.stdout] == ["ready\n"] * 2
        before = {report.bundle for report in read_reports(folder)}
        write(rules=rule(effect="deny"))
        end = time.monotonic() + 60
        while len(found := {report.bundle for report in read_reports(folder)} - before) != 1 or (
            before & {report.bundle for report in read_reports(folder)}
        ):
            assert time.monotonic() < end
            time.sleep(0.05)
        assert len(read_reports(folder)) == 2
        assert found == {PolicySource(Path(permissions)).current().digest}
    finally:
        for worker in workers:
            worker.kill()
            worker.wait(30)
            if worker.stdout:
                worker.stdout.close()
