"""The sandbox benchmark runs, and says what it promises to say. Its figures are not judged here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import docker
import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, str(ROOT / "benchmarks" / "sandbox.py"), "--json", "--callers", "1", "2"]


@pytest.mark.docker
def test_sandbox_benchmark_reports_its_figures(tmp_path: Path) -> None:
    only = ["--only", "interlock", "docker", "--rounds", "2", "--seconds", "0.1", "--folder", str(tmp_path)]
    with subprocess.Popen([*COMMAND, *only], stdout=subprocess.PIPE, text=True) as process:
        said, _ = process.communicate(timeout=240)
    assert process.returncode == 0
    found = json.loads(said)
    assert found["not measured"] == {}
    own = {"interlock, cold", "interlock, a container a call", "interlock, leased to a run"}
    assert set(found["ways"]) == own | {"docker run", "docker exec"}
    for figures in found["ways"].values():
        assert 0 < figures["p50 ms"] <= figures["p95 ms"]
        assert figures["calls"] == 2
        assert figures["calls/s at 1"] > 0
        assert figures["calls/s at 2"] > 0
        assert {"environment", "process", "tmp", "workspace"} <= set(figures["leaked"]["planted"])
    assert found["ways"]["interlock, cold"]["leaked"]["found"] == []
    assert found["ways"]["interlock, a container a call"]["leaked"]["found"] == []
    assert {"process", "tmp", "workspace"} <= set(found["ways"]["docker exec"]["leaked"]["found"])
    assert found["ways"]["docker exec"]["lacks"] == []
    assert found["paced"]["refill a second"] > 0
    assert found["compared"]["fastest that reuses"] == "docker exec"
    assert len(found["met"]) == 5
    assert _left(process.pid) == []


def _left(pid: int) -> list[str]:
    mine = {"label": f"interlock.benchmark={pid}"}
    rows = docker.APIClient(version="auto").containers(all=True, filters=mine)
    return [row["Names"][0] for row in rows]


def test_unknown_way_is_refused() -> None:
    done = subprocess.run([*COMMAND, "--only", "podman"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "docker run" in done.stderr
