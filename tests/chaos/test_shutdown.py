"""`interlock dev` stops when it is told to, leaves nothing behind, and goes on with open runs later."""

from __future__ import annotations

import signal
import time

import pytest
from support.cli_runtime import eventually

pytestmark = [pytest.mark.docker, pytest.mark.temporal, pytest.mark.timeout(240)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_shutdown_is_clean(running, number):
    called, asked = running.start("slow_appender", "publisher")
    running.in_call(called)
    request = running.cli.waiting(asked)
    running.tree()
    running.cli.dev.send_signal(number)
    assert running.cli.dev.wait(60) == 0
    assert "stopped; open runs go on" in running.cli.log.read_text()
    assert running.left_over() == []
    assert running.containers(called, asked) == []
    assert not (running.cli.state / "dev.json").exists()
    running.up()
    running.cli.ok("approval", "approve", request, "--as", "user:carol")
    for run in (called, asked):
        running.finished(run)
    assert running.file(called, "log.txt") == "once\ntwice\n"


def test_shutdown_of_the_idle_is_quick(running):
    """Well under the grace after which parts would be killed."""
    running.tree()
    since = time.monotonic()
    running.cli.dev.send_signal(signal.SIGTERM)
    assert running.cli.dev.wait(60) == 0
    assert time.monotonic() - since < 10
    assert running.left_over() == []
    log = running.cli.state / "logs" / "executor-worker.log"
    assert "Traceback" not in log.read_text()[-4000:]


def test_part_that_dies_is_started_again(running):
    before = running.pid("graph")
    running.kill("graph")
    assert eventually(lambda: running.pid("graph") != before)
    assert "graph worker ended with -9; starting it again" in running.cli.log.read_text()


def test_second_dev_does_not_disturb_the_first(running):
    """It is told that the project is served already, and changes nothing."""
    pids = running.pid("graph"), running.pid("executor")
    told = running.cli("dev")
    assert told.code != 0
    assert "already" in told.err
    assert pids == (running.pid("graph"), running.pid("executor"))


def test_commands_without_a_server_say_so(running):
    nowhere = {"INTERLOCK_TEMPORAL_ADDRESS": "127.0.0.1:1"}
    for command in (("run", "start", "publisher", "--task", "go", "--as", "user:alice"), ("run", "wait", "x-1")):
        told = running.cli(*command, **nowhere)
        assert told.code == 3
        assert "no Temporal server answers at 127.0.0.1:1" in told.err
        assert "interlock dev" in told.err
