"""docker-compose.yml, brought up from images that are built here: who reaches what, and one governed run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support import forked
from support.cli_runtime import eventually, free_port
from support.compose import ROOT, Compose

from interlock.project import prepare_sample

SAMPLE = ROOT / "tests" / "project" / "fix_issue"
SERVICES = ("graph-worker", "executor", "client", "auditor")
READS = {store: f"SELECT count(*) FROM {table}" for store, table in (("ledger", "events"), ("blobs", "blobs"))}
UNMAKING = ("DELETE FROM events", "TRUNCATE events", "DROP TABLE events", "ALTER TABLE events DISABLE TRIGGER ALL")
STATEMENTS: dict[str, list[tuple[str, ...]]] = {
    "graph-worker": [
        ("blobs", READS["blobs"]),
        ("blobs", "UPDATE blobs SET data = ''"),
        ("blobs", "DELETE FROM blobs"),
        ("blobs", "UPDATE run_keys SET wrapped = ''"),
        ("blobs", "DELETE FROM run_blobs"),
        ("blobs", "SELECT 1", "interlock_ledger"),
    ],
    "executor": [
        ("ledger", "INSERT INTO remembered VALUES ('manifest', 'sha256:00', '2026-01-01T00:00:00.000000Z')"),
        ("blobs", READS["blobs"]),
        ("blobs", "DELETE FROM run_blobs WHERE run = 'erased'"),
        ("blobs", "UPDATE run_keys SET wrapped_by = '' WHERE run = 'erased'"),
        ("blobs", "DELETE FROM run_keys"),
        *(("ledger", statement) for statement in UNMAKING),
    ],
    "client": [
        ("ledger", READS["ledger"]),
        ("ledger", "UPDATE runs SET status = 'completed'"),
        ("blobs", "DELETE FROM blobs"),
    ],
    "auditor": [
        *READS.items(),
        ("blobs", "INSERT INTO blobs VALUES ('x', '')"),
        ("ledger", "UPDATE runs SET status = 'completed'"),
    ],
}

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def compose() -> Iterator[Compose]:
    builder = [sys.executable, str(ROOT / "scripts" / "build_images.py")]
    built = subprocess.run(builder, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    project = Compose(f"interlock-test-{os.getpid()}")
    try:
        started = project("up", "-d", "graph-worker", "executor")
        assert started.returncode == 0, started.stdout + project("logs").stdout
        yield project
    finally:
        project("--profile", "console", "down", "--volumes", "--remove-orphans", "--timeout", "5")


@pytest.fixture(scope="module")
def found(compose: Compose) -> dict[str, dict[str, Any]]:
    """What each service can do."""
    return {service: compose.probe(service, *STATEMENTS[service]) for service in SERVICES}


def test_migration_may_be_repeated(compose: Compose) -> None:
    assert "up to date" in compose.ok("run", "--rm", "--no-deps", "-T", "migrate")


def test_executor_adds_and_cannot_unmake(found: dict[str, Any]) -> None:
    added, read, erased, wrapped, *unmade = found["executor"]["sql"]
    assert (added, read, erased, wrapped) == ("done",) * 4
    assert all("permission denied" in said or "must be owner" in said for said in unmade), unmade
    assert len(unmade) == 1 + len(UNMAKING)


def test_graph_worker_only_adds_blobs(found: dict[str, Any]) -> None:
    read, *changed, ledger = found["graph-worker"]["sql"]
    assert read == "done"
    assert len(changed) == 4
    assert all("permission denied" in said for said in changed)
    assert "permission denied for database" in ledger


def test_client_only_reads_the_ledger(found: dict[str, Any]) -> None:
    read, updated, deleted = found["client"]["sql"]
    assert read == "done"
    assert "permission denied" in updated
    assert "permission denied" in deleted


def test_auditor_only_reads(found: dict[str, Any]) -> None:
    ledger, blobs, added, updated = found["auditor"]["sql"]
    assert (ledger, blobs) == ("done", "done")
    assert "permission denied" in added
    assert "permission denied" in updated


def test_private_keys_are_where_no_team_code_is(found: dict[str, Any]) -> None:
    private = {name: [key for key in found[name]["keys"] if key.endswith(".key")] for name in SERVICES}
    executor = ["executor.key", "ledger.key"]
    assert private == {"graph-worker": [], "executor": executor, "client": ["api.key"], "auditor": []}
    for name in ("executor", "client"):
        assert found[name]["project"] == ["permissions", "pyproject.toml"]


def test_only_executor_reaches_the_engine(found: dict[str, Any]) -> None:
    assert {name: found[name]["engine"] == "True" for name in SERVICES} == {
        "graph-worker": False,
        "executor": True,
        "client": False,
        "auditor": False,
    }


@pytest.mark.parametrize("service", SERVICES)
def test_service_is_closed_and_reaches_temporal(found: dict[str, Any], service: str) -> None:
    facts = found[service]
    assert facts["capabilities"] == 0
    assert facts["no_new_privileges"] == "1"
    assert "Read-only file system" in facts["write"]
    assert facts["user"] == (0 if service == "executor" else 10002)
    assert facts["temporal"] == "connected"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What people hand to the client: the compiled project and a checkout, readable for its user."""
    folder = tmp_path_factory.mktemp("handed-over")
    prepare_sample(SAMPLE, folder / "work", ROOT / ".state" / "samples")
    interlock = [forked.command()]
    state = {**os.environ, "INTERLOCK_STATE": str(folder / "state")}
    for command in (["sandbox", "build"], ["compile", "--out", str(folder / "release.json")]):
        subprocess.run([*interlock, *command], cwd=ROOT, env=state, check=True, capture_output=True)
    folder.chmod(0o755)
    for path in (folder / "release.json", *(folder / "work").rglob("*"), folder / "work"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


def test_governed_run_through_compose(compose: Compose, files: Path) -> None:
    """Compiled on the host, started and approved by the client, run in the host's sandboxes, replayed by the
    auditor: nobody holds more than their part."""
    issue = json.dumps({"issue": (SAMPLE / "issue.md").read_text()})
    mounts = (f"{files}/release.json:/release.json:ro", f"{files}/work:/work:ro")
    options = ["--release", "/release.json", "--workspace", "/work", "--input", issue, "--as", "user:alice"]
    run = compose.json("client", "run", "start", "fix_issue", *options, mounts=mounts)["run"]

    def waiting() -> str:
        requests = compose.json("client", "approval", "list")["requests"]
        return next((row["request_id"] for row in requests if row["run"] == run), "")

    request = eventually(waiting, 180)
    refused = compose.inside("client", "interlock", "approval", "approve", request, "--as", "user:alice")
    assert refused.returncode == 1
    assert "separation of duties" in refused.stdout
    compose.json("client", "approval", "approve", request, "--as", "user:carol")
    assert compose.json("client", "run", "wait", run)["status"] == "completed"
    verdict = compose.json("auditor", "replay", run)
    assert verdict["verified"] is True
    assert (verdict["decisions"], verdict["approvals"], verdict["receipts"]) == (7, 1, 7)
    assert "[0-9]{1,6}" in compose.inside("auditor", "interlock", "run", "artifact", run, "change.patch").stdout


def test_people_come_through_the_console(compose: Compose, files: Path) -> None:
    """A link from inside lets one person in from outside; a run is started from the compiled project alone."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    compose.environment |= {"INTERLOCK_CONSOLE_PORT": str(port), "INTERLOCK_PUBLIC_URL": url}
    compose.environment |= {"INTERLOCK_RELEASE": f"{files}/release.json"}
    console = ("--profile", "console")
    compose.ok(*console, "up", "-d", "console")

    def made(*command: str) -> str:
        done = compose(*console, "exec", "-T", "console", "interlock", "accounts", *command)
        return done.stdout if done.returncode == 0 else ""

    link = eventually(lambda: re.search(r"code=(\S+)", made("link", "--as", "user:alice")), 60)
    with httpx.Client(base_url=url) as browser:

        def serves() -> bool:
            try:
                return browser.get("/v1/health").status_code == 200
            except httpx.HTTPError:
                return False

        assert eventually(serves, 60)
        assert browser.post("/sign-in/link", data={"code": link[1]}).status_code == 303
        assert browser.get("/v1/me").json()["person"] == "user:alice"
        scopes = ("--scope", "runs:start", "--scope", "runs:read")
        (token,) = re.findall(r"il_\S+", made("token", "new", "ci", *scopes, "--as", "user:alice"))
        headers = {"authorization": f"Bearer {token}"}
        started = browser.post("/v1/runs", json={"name": "triage", "input": "Why?"}, headers=headers)
        assert started.status_code == 201, started.text
        place = f"/v1/runs/{started.json()['run']}"

        def ended() -> bool:
            answer = browser.get(place, headers=headers)
            return answer.status_code == 200 and answer.json()["status"] in ("completed", "failed")

        assert eventually(ended, 120)
    held = compose(*console, "exec", "-T", "console", "ls", "/project", "/run/interlock/keys").stdout
    assert "agents" not in held
    assert "executor.key" not in held
