"""kill -9 at the worst moments: the run finishes, each effect happened once, the record holds, nothing is left."""

from __future__ import annotations

import pytest
from support.cli_runtime import eventually

pytestmark = [pytest.mark.docker, pytest.mark.temporal, pytest.mark.timeout(240)]

VICTIMS = ["executor", "graph", "everything"]


@pytest.mark.parametrize("victim", VICTIMS)
def test_call_outlives_a_kill(running, victim):
    appender, committer = runs = running.start("appender", "committer")
    running.in_call(*runs)
    running.kill(victim)
    running.up()
    for run in runs:
        running.finished(run)
    assert running.file(appender, "log.txt") == "once\ntwice\n"
    assert running.outputs(committer) == ["the change\n"]
    # Taking over is an attempt, and where nothing came of it, running it again is another.
    (begun,) = running.attempts(committer)
    assert begun == 1 if victim == "graph" else begun in (2, 3)


def test_result_of_a_killed_executor_is_recovered(running):
    """What acts outside is not repeated, and nobody need be asked: its container still has the result."""
    (run,) = running.start("payer")
    running.in_call(run)
    running.kill("executor")
    running.finished(run)
    assert running.outputs(run) == ["paid ten"]
    (finished,) = running.events(run, "call.finished")
    assert finished.start == "resumed"
    assert running.events(run, "call.unknown") == []


@pytest.mark.parametrize("victim", [*VICTIMS, "temporal"])
def test_approval_outlives_a_kill(running, victim):
    (run,) = running.start("publisher")
    request = running.cli.waiting(run)
    running.kill(victim)
    running.up()
    # While a part starts again the command says that it is unreachable, and nothing has happened.
    approve = ("approval", "approve", request, "--as", "user:carol")
    assert eventually(lambda: (told := running.cli(*approve)).code != 3 and told).code == 0
    running.finished(run)
    assert running.outputs(run) == ["published it"]
    assert running.attempts(run) == [1]
    assert len(running.events(run, "approval.requested")) == 1


def test_person_settles_an_unknown_call(running):
    """Nobody can know whether the payments were made: they are not repeated, people say what is true."""
    again, done, failed = runs = running.start("payer", "payer", "payer")
    running.in_call(*runs)
    running.kill("executor")
    running.lose(*runs)
    requests = {run: running.cli.waiting(run) for run in runs}
    assert [running.attempts(run) for run in runs] == [[1], [1], [1]]
    assert "It may have happened already" in running.cli.ok("approval", "show", requests[again]).out
    running.cli.ok("approval", "approve", requests[again], "--as", "user:carol")
    running.cli.ok("approval", "respond", requests[done], "--as", "user:carol", "--message", "the bank shows it")
    running.cli.ok("approval", "reject", requests[failed], "--as", "user:dave", "--message", "the bank lacks it")
    for run in runs:
        running.finished(run)
        assert len(running.events(run, "call.unknown")) == 1
    assert running.outputs(again) == ["paid ten"]
    assert running.outputs(done) == running.outputs(failed) == []
    assert [running.attempts(run) for run in runs] == [[2], [1], [1]]
    (refused,) = running.events(failed, "call.refused")
    assert "the bank lacks it" in refused.detail


def test_unknown_call_is_not_settled_by_its_requester(running):
    (run,) = running.start("payer")
    running.in_call(run)
    running.kill("executor")
    running.lose(run)
    request = running.cli.waiting(run)
    told = running.cli("approval", "approve", request, "--as", "user:alice")
    assert told.code == 1
    assert "separation of duties" in told.err
    running.cli.ok("run", "cancel", run, "--as", "user:alice")
    assert running.cli("run", "wait", run, "--json").json["status"] == "cancelled"
    running.verified(run)


def test_cancel_reaches_a_call_without_its_executor(running):
    (run,) = running.start("slow_appender")
    running.in_call(run)
    running.kill("executor")
    running.cli.ok("run", "cancel", run, "--as", "user:alice")
    assert running.cli("run", "wait", run, "--json").json["status"] == "cancelled"
    running.verified(run)
    assert eventually(lambda: running.containers(run) == [])
    assert running.attempts(run) == [1]


def test_killed_supervisor_leaves_nothing(running):
    (run,) = running.start("appender")
    running.in_call(run)
    running.tree()
    running.cli.dev.kill()
    running.cli.dev.wait(10)
    running.up()  # at once: it waits until the orphans have ended, and never meets their dying server
    assert "waiting for its parts to end" in running.cli.log.read_text()
    assert running.left_over() == []
    running.finished(run)
    assert running.file(run, "log.txt") == "once\ntwice\n"
