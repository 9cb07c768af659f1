"""Which tests go together when several processes run them (`make test`)."""

from __future__ import annotations

import os

from xdist.scheduler import LoadScopeScheduling

APART = ("tests/docs/test_tutorial.py",)
"""Files whose tests share nothing and take long: each test goes to whoever is free."""
QUICK = ("tests/approval/", "tests/ground/", "tests/policy/", "tests/project/", "tests/setup/")
"""Folders of short tests that wait for nothing: they fill the end, when others still do their last long one."""
MOST = 8
"""Each process starts servers of its own."""


class ByFile(LoadScopeScheduling):
    """Tests of one file stay together, for they share what the file starts."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return nodeid if file in APART else file


def rank(nodeid: str) -> int:
    """What comes first: long tests, most, quick ones."""
    return 0 if nodeid.startswith(APART) else 2 if nodeid.startswith(QUICK) else 1


def processes() -> int:
    """One more than there are cores: many tests wait for servers and containers."""
    return min((os.cpu_count() or 1) + 1, MOST)
