"""What a process loads to do its part, and what it leaves alone: it starts sooner, and an executor trusts less."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from interlock.audit import Ledger, make_data_keys, open_blobs
from interlock.settings import Settings
from interlock.signing import create_keys

LOADED = "; import sys; sys.stdout.write('\\n' + ' '.join({name.partition('.')[0] for name in sys.modules}))"
GRAPHS = {"langgraph", "langchain_core", "langsmith"}


def loaded(code: str) -> set[str]:
    """The packages that a process has loaded once it did this."""
    done = subprocess.run([sys.executable, "-c", code + LOADED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return set(done.stdout.splitlines()[-1].split())


@pytest.fixture
def record(project: Path) -> None:
    """A ledger and blobs that a start of `interlock dev` left."""
    settings = Settings(root=project, state=project / ".interlock")
    create_keys(settings.keys_folder)
    make_data_keys(settings)
    for store in (Ledger(settings.effective_ledger_url), open_blobs(settings)):
        store.close()


def command(*words: str) -> str:
    return f"from interlock.cli.main import app; assert not app({json.dumps(words)}, standalone_mode=False)"


@pytest.mark.parametrize("words", [("run", "list"), ("approval", "list")], ids=" ".join)
def test_lists_of_what_is_on_record_need_no_server(record: None, words: tuple[str, ...]) -> None:
    assert loaded(command(*words)) & (GRAPHS | {"temporalio", "docker", "casbin"}) == set()


def test_linting_a_policy_needs_no_proxy_and_no_graphs(project: Path) -> None:
    assert loaded(command("policy", "test")) & (GRAPHS | {"temporalio", "httpcore2", "cyclonedx"}) == set()


def test_executor_has_no_graphs(record: None) -> None:
    """Its process holds the keys; what it does not load cannot be turned against it."""
    code = (
        "from interlock.run.executor_worker import executor_worker, make_executor; "
        "from interlock.run.keeping import keep_ready; from interlock.run.erasing import keep_erased; "
        "from interlock.run.serve import serve; from interlock.settings import Settings; "
        "make_executor(Settings())"
    )
    assert loaded(code) & (GRAPHS | {"cyclonedx"}) == set()
    assert loaded("from interlock.run.graph_worker import graph_worker") >= GRAPHS
