"""The policy benchmark runs, and says what it promises to say. Its figures are not judged here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_policy_benchmark_reports_its_figures() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "policy.py"), "--quick", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
    found = json.loads(done.stdout)
    assert found["environment"]["pycasbin"]
    assert [size["rules"] for size in found["sizes"]] == [10, 1000]
    for size in found["sizes"]:
        for part in ("verdict", "decide"):
            assert set(size[part]) == {"early", "late", "miss", "skewed", "cold"}
            assert all(0 < figure["p50"] <= figure["p99"] for figure in size[part].values())
        assert size["plain Casbin"]["cold"]["p50"] > 0
    assert len(found["met"]) == 7
