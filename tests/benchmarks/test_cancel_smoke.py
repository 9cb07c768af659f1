"""The benchmark runs, and says what it promises to say. Its figures are not judged here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.docker
@pytest.mark.temporal
def test_cancel_reports_its_figures() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "cancel.py"), "--quick", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    figures = json.loads(done.stdout)
    assert figures["environment"]["docker"]
    assert [figures[kind]["calls"] for kind in ("one call", "3 calls at once")] == [2, 3]
    for kind in ("one call", "3 calls at once"):
        found = figures[kind]
        for value in ("p50", "max"):
            # A container is gone after its tool is dead, and neither before somebody asked.
            assert 0 < found[f"asked of the executor: {value} ms"] < found[f"tool dead: {value} ms"]
            assert found[f"tool dead: {value} ms"] <= found[f"container gone: {value} ms"]
    assert len(figures["met"]) == 2
