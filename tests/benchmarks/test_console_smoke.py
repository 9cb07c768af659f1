"""The benchmark runs, and says what it promises to say. Its figures are not judged here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.temporal
def test_console_reports_its_figures() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "console.py"), "--quick", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
    told = json.loads(done.stdout)
    assert {"inbox", "card", "runs", "run", "decided"} <= set(told["pages"])
    assert all(0 < one["p50_ms"] <= one["p95_ms"] for one in told["pages"].values())
    assert told["runs"] == 2_000
