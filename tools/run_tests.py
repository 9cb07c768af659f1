"""Run the tests of the source tree in the workspace."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, TypedDict

from interlock import tool, workspace_path

TAIL = 8000
ENDED = {0: "passed", 1: "failed", 2: "not collected: a test file cannot be imported", 5: "no tests found"}


class TestRun(TypedDict):
    passed: bool
    summary: str
    output: str


# The workspace is read-only here: code under test may write what it likes, and none of it is kept.
@tool(
    action="execute",
    resource="workspace:source",
    workspace="read",
    emits=("untrusted",),
    idempotent=True,
    sentence="Run the tests {target}",
)
def run_tests(
    target: Annotated[str, "What to run, relative to source/, like 'tests/test_x.py::test_y'. Empty: all."] = "",
) -> TestRun:
    """Run pytest in source/ and report how it went.

    Failing tests are a normal result: read `passed`, then `summary`, then the end of `output`. Files that the
    tests write are not kept.
    """
    source = workspace_path("source")
    if not source.is_dir():
        raise ValueError("the workspace has no folder source/, so there is nothing to test")
    if target:
        file = target.split("::")[0]
        if file.startswith("-") or not workspace_path(f"source/{file}").exists():
            raise ValueError(f"there is no test file {file!r} in source/; leave target empty to run all tests")
    return pytest(source, [target] if target else [])


def pytest(source: Path, targets: list[str]) -> TestRun:
    with tempfile.TemporaryDirectory() as home:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        quiet = {"HOME": home, "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", *targets],
            cwd=source,
            env=kept | quiet,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
    output = done.stdout.decode("utf-8", errors="replace")
    if done.returncode not in ENDED:
        raise RuntimeError(f"pytest did not run (exit {done.returncode}): {output[-2000:]}")
    last = output.strip().splitlines()[-1].strip("= ") if output.strip() else ""
    return TestRun(passed=done.returncode == 0, summary=f"{ENDED[done.returncode]}: {last}", output=output[-TAIL:])
