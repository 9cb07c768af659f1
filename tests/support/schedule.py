"""Which tests go together when several processes run them (`make test`)."""

from __future__ import annotations

import os

from xdist.scheduler import LoadScopeScheduling

APART = ("tests/docs/test_tutorial.py",)
"""Files whose tests share nothing and take long: each test goes to whoever is free."""
ONE_BY_ONE = (
    "tests/sandbox/test_sandbox_lifecycle.py",
    "tests/sandbox/test_sandbox_survival.py",
    "tests/sandbox/test_socket_proxy.py",
    "tests/chaos/test_killed.py",
    "tests/chaos/test_shutdown.py",
)
"""They leave containers of dead executors, or remove all that are on the machine: never two of them at once."""
LONG = (
    "tests/e2e/",
    "tests/run/test_continuation.py",
    "tests/benchmarks/",
    "tests/project_engine/test_scaffold.py",
    "tests/run/test_replay.py",
    "tests/run/test_several_workers.py",
    "tests/chaos/test_schedule.py",
)
"""Files of a minute and more: begun last, one of them would keep everybody waiting."""
QUICK = ("tests/approval/", "tests/ground/", "tests/policy/", "tests/project/", "tests/setup/")
"""Folders of short tests that wait for nothing: they fill the end, when others still do their last long one."""
CHAOS_SEED = 2570
"""Of tests/chaos/test_schedule.py: chosen so that its thirty runs meet every fault."""
MOST = 8
"""Each process starts servers of its own."""


class ByFile(LoadScopeScheduling):
    """Tests of one file stay together, for they share what the file starts."""

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(ONE_BY_ONE):
            return "one by one"
        file = nodeid.partition("::")[0]
        return nodeid if file in APART else file


def rank(nodeid: str) -> int:
    """What comes first: the longest file's worth of tests, then long ones, most, quick ones."""
    first = (*ONE_BY_ONE, *APART, *LONG)
    for place, start in enumerate(first):
        if nodeid.startswith(start):
            return place - len(first)
    return nodeid.startswith(QUICK)


def processes() -> int:
    """One more than there are cores: many tests wait for servers and containers."""
    return min((os.cpu_count() or 1) + 1, MOST)
