"""The benchmark runs, and says what it promises to say. Its figures are not judged here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_overhead_reports_its_figures() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "overhead.py"), "--quick", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
    figures = json.loads(done.stdout)
    assert figures["environment"]["cores"]
    assert figures["activities of a run of 10 calls"]["executions"] >= 10
    for measured in ("one run", "2 runs"):
        assert figures[measured]["ratio"] > 0
        assert figures[measured]["ratio to unsandboxed"] > 0
    assert [row["calls"] for row in figures["history"]] == [10, 20]
    assert all(row["bytes a step"] > 0 for row in figures["history"])
    assert len(figures["met"]) == 2
