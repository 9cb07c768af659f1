"""The sandbox benchmark computes what it says, and misses a goal that was not measured."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "sandbox_peers"
POOLED = "interlock, a container a call"


def _load(name: str) -> ModuleType:
    # By path: benchmarks are scripts, and their plain names shall not be found by anybody else.
    spec = importlib.util.spec_from_file_location(f"sandbox_benchmark_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


figures, work = _load("figures"), _load("work")


def test_percentile_is_a_measured_value() -> None:
    values = [float(n) for n in range(100, 0, -1)]
    assert figures.percentile(values, 0.95) == 95
    assert figures.percentile(values, 1.0) == 100
    assert figures.percentile([7.0], 0.95) == 7
    assert figures.percentile([1.0, 9.0], 0.95) == 9


def test_ratio_pairs_calls_of_one_round() -> None:
    # Twice as slow in the last round, both: the ratio does not move.
    assert figures.ratio([5.0, 6.0, 50.0], [10.0, 12.0, 100.0]) == 0.5
    with pytest.raises(ValueError):
        figures.ratio([1.0], [1.0, 2.0])


def test_fastest_is_among_those_that_reuse() -> None:
    spent = {POOLED: [6.0, 6.0], "docker run": [300.0, 300.0], "slow": [50.0, 50.0], "fast": [20.0, 20.0]}
    kinds = {POOLED: "own", "docker run": "fresh", "slow": "reused", "fast": "reused"}
    found = figures.compare(spent, kinds)
    assert found == {"fastest that reuses": "fast", "ratio to it": 0.3, "times faster than docker run": 50.0}
    assert figures.compare({POOLED: [6.0]}, kinds) == {}


def _figures(**changed: Any) -> dict[str, Any]:
    own = {"p50 ms": 6.0, "leaked": {"planted": ["tmp"], "found": []}} | changed.get("own", {})
    compared = {"ratio to it": 0.3, "times faster than docker run": 50.0} | changed.get("compared", {})
    return {"ways": {POOLED: own}, "compared": compared, "paced": changed.get("paced", {"p50 ms": 8.0})}


def test_every_goal_can_be_met() -> None:
    assert all(figures.judge(_figures()).values())


@pytest.mark.parametrize(
    "changed",
    [
        {"own": {"p50 ms": 15.1}},
        {"own": {"leaked": {"planted": ["tmp"], "found": ["tmp"]}}},
        {"own": {"leaked": {"planted": [], "found": []}}},
        {"paced": {"p50 ms": 15.1}},
        {"paced": {}},
        {"compared": {"ratio to it": 0.71}},
        {"compared": {"times faster than docker run": 24.9}},
    ],
)
def test_each_goal_can_be_missed(changed: dict[str, Any]) -> None:
    assert list(figures.judge(_figures(**changed)).values()).count(False) == 1


def test_unmeasured_goals_are_missed() -> None:
    assert not any(figures.judge({"ways": {}, "compared": {}, "paced": {}}).values())


KEPT = """
import json, secrets, subprocess, sys
sys.path.insert(0, sys.argv[1])
import work

started, real = [], subprocess.Popen
subprocess.Popen = lambda *given, **options: started.append(real(*given, **options))
names, mark = {}, "mark" + secrets.token_hex(8)
exec(work.PLANT, names)
exec(work.LOOK, names)
try:
    print(json.dumps([names["plant"](mark), names["look"](mark), names["look"]("other" + mark)]))
finally:
    started[0].kill()
"""


def test_marks_are_found_where_they_stay(tmp_path: Path) -> None:
    # One interpreter plants and looks, as a kernel that is kept would.
    command = [sys.executable, "-c", KEPT, str(FOLDER)]
    home = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, env=home)
    planted, found, other = json.loads(done.stdout)
    assert planted == found
    assert {"environment", "interpreter", "process", "tmp", "workspace", "home"} <= set(found)
    assert other == []
    for path in (*Path("/tmp").glob("mark*tmp"), *Path("/dev/shm").glob("mark*shm")):
        path.unlink(missing_ok=True)


def test_script_and_tool_are_one_function() -> None:
    numbers = [3, 4, -5]
    ran = subprocess.run(
        [sys.executable, "-c", work.script("add", {"numbers": numbers})], capture_output=True, text=True, check=True
    )
    assert work.printed(ran.stdout) == work.expected(numbers) == {"total": 2, "count": 3}
    assert work.ADD.encode() in work.tool("add")
    with pytest.raises(RuntimeError):
        work.printed("  ")
