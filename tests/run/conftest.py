"""Fixtures of the hostile tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.signing import Signer, create_keys, load_signer


@pytest.fixture
def thief(tmp_path: Path) -> Signer:
    """A key of the attacker's own, for the role of the API."""
    create_keys(tmp_path / "own")
    return load_signer(tmp_path / "own", "api")
