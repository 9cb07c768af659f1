"""The tutorial's blocks, run in order by a shell, beside a real `interlock dev`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from support.cli_runtime import Interlock

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.docker, pytest.mark.temporal]


def blocks(page: Path) -> list[str]:
    """The shell blocks of a page."""
    tokens = MarkdownIt().parse(page.read_text())
    return [token.content for token in tokens if token.type == "fence" and token.info == "sh"]


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Interlock]:
    runtime = Interlock(tmp_path / "shop")
    yield runtime
    if runtime.dev is not None:
        runtime.stop()


def test_blocks_run_as_written(shell: Interlock, tmp_path: Path) -> None:
    environment = {**shell.environment, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    said, folder = "", tmp_path
    for number, block in enumerate(blocks(ROOT / "docs" / "tutorial.md")):
        script = f"set -e\n{block}"
        done = subprocess.run(
            ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        said += done.stdout
        if number == 0:
            folder = tmp_path / "shop"
            shell.start()
    assert "no problems" in said
    assert "This report was written by the scripted model" in said
    assert "Arguments, exactly" in said
    assert said.rstrip().splitlines()[-2].startswith("verified: run ")
