"""The benchmark runs, and says what it promises to say. Its figures are not judged here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.temporal
@pytest.mark.timeout(600)
def test_durable_reports_its_figures() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "durable.py"), "--quick", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=580, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    figures = json.loads(done.stdout)
    for rate in figures["rates"]:
        ways = [name.removesuffix(": steps/s") for name in rate if name.endswith(": steps/s")]
        assert {"interlock", "bare temporal", "temporal plugin", "langgraph"} <= set(ways)
        assert len(ways) + len(figures["not measured"]) == 7
        assert all(rate[f"{name}: steps/s"] > 0 and rate[f"{name}: CPU ms a step"] > 0 for name in ways)
    assert [row["calls"] for row in figures["history"]] == [10, 12, 20]
    # The plugin keeps every output in the history, Interlock none of them.
    assert figures["history of the plugin"]["bytes"] > 2000 * 12 > figures["history"][1]["bytes a step"] * 3
    (wait,) = figures["from an approval to the next activity"]
    assert wait["cold p50 ms"] > 0 < wait["cached p50 ms"]
    assert len(figures["met"]) == 5
