"""Fixtures that every part shares: one Temporal server for the whole session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def temporal_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Temporal dev server on a free port."""
    from support.temporal import start_temporal

    with start_temporal(tmp_path_factory.mktemp("temporal")) as server:
        yield server.address
