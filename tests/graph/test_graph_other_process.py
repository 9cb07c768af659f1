"""A run replays in a process whose sets have another order: the graph's doing does not follow it."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from support.fanout import FANOUT

pytestmark = pytest.mark.temporal
TESTS = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(("task", "status"), [("go", "completed"), ("fail", "failed")])
async def test_other_order_of_sets_replays(drive_graph: Any, tmp_path: Path, task: str, status: str) -> None:
    ran = await drive_graph(FANOUT, task, answers={"which?": "x"}, cached=100, again=False)
    assert ran.outcome.status == status, ran.outcome
    path = tmp_path / "history.json"
    path.write_text(ran.history.to_json())
    seeds = ("1", "2")
    outputs = await asyncio.gather(*(_replayed(path, seed) for seed in seeds))
    assert [output.splitlines()[-1] for output in outputs] == ["replayed"] * len(seeds), outputs


async def _replayed(path: Path, seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(TESTS)}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "support.fanout",
        str(path),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    return (await process.communicate())[0].decode()
