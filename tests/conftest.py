"""What every part shares: one Temporal server for each process, and how processes share the tests."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from typing import Any

# Its plugin would import it at the very end: see `pytest_runtest_makereport`.
import hypothesis  # noqa: F401
import pytest
from support.schedule import CHAOS_SEED, ByFile, processes, rank


@pytest.fixture(scope="session")
def temporal_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Temporal dev server on a free port."""
    from support.temporal import start_temporal

    with start_temporal(tmp_path_factory.mktemp("temporal")) as server:
        yield server.address


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("chaos", "tests/chaos/test_schedule.py")
    group.addoption("--chaos-seed", type=int, default=CHAOS_SEED, help="what faults are drawn from")
    group.addoption("--chaos-runs", type=int, default=30, help="how many runs meet them")
    group.addoption("--long-run-steps", type=int, default=300, help="how many steps the long run has")
    group.addoption("--chaos-store", choices=("sqlite", "postgres"), help="only where ledger and blobs are there")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    return ByFile(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    # None: xdist itself reads the variable.
    return None if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ else processes()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Iterator[Any]:
    """A failed test may leave a run open. What it had on its stack must not be collected while pytest parses the
    source of a traceback: Python 3.11 then fails to (cpython#106905), and the whole session ends."""
    if call.excinfo is None:
        return (yield)
    gc.collect()
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: rank(item.nodeid))
