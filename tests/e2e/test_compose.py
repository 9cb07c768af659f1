"""docker-compose.yml, brought up from images that are built here: who reaches what."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from interlock.project import prepare_sample

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

STATEMENT = """
import os, sys
from sqlalchemy import create_engine
from interlock.audit.address import Address
kind, sql, database = sys.argv[1:]
url = Address.read(kind, os.environ[f"INTERLOCK_{kind.upper()}_URL"]).url
with create_engine(url.set(database=database or url.database)).begin() as connection:
    connection.exec_driver_sql(sql)
print("done")
"""


class Compose:
    """One project of docker-compose, under a name of its own."""

    def __init__(self) -> None:
        found = shutil.which("docker-compose")
        self.command = [found] if found else ["/usr/bin/docker", "compose"]
        self.command += ["-p", f"interlock-test-{os.getpid()}", "--env-file", ".state/images.env"]

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.command, *arguments],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def inside(self, service: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command as a service would run: its image, user, volumes and networks."""
        return self("run", "--rm", "--no-deps", "-T", service, *command)

    def sql(self, service: str, store: str, statement: str, database: str = "") -> str:
        """What comes of one SQL statement with the service's own login."""
        return self.inside(service, "python", "-c", STATEMENT, store, statement, database).stdout


@pytest.fixture(scope="module")
def compose() -> Iterator[Compose]:
    built = subprocess.run(
        [sys.executable, ROOT / "scripts" / "build_images.py"], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    project = Compose()
    try:
        migrated = project("run", "--rm", "-T", "migrate")
        assert migrated.returncode == 0, migrated.stdout + project("logs").stdout
        started = project("up", "-d", "temporal")
        assert started.returncode == 0, started.stdout
        yield project
    finally:
        project("down", "--volumes", "--timeout", "5")


def test_migration_may_be_repeated(compose: Compose) -> None:
    assert compose.inside("migrate", "python", "/usr/local/lib/interlock/migrate.py").returncode == 0


def test_executor_writes_ledger_and_blobs(compose: Compose) -> None:
    row = "INSERT INTO remembered VALUES ('manifest', 'sha256:00', '2026-01-01T00:00:00.000000Z')"
    assert compose.sql("executor", "ledger", row).endswith("done\n")
    assert compose.sql("executor", "blobs", "SELECT count(*) FROM blobs").endswith("done\n")


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM events", "TRUNCATE events", "DROP TABLE events", "ALTER TABLE events DISABLE TRIGGER ALL"],
)
def test_executor_cannot_unmake_records(compose: Compose, statement: str) -> None:
    said = compose.sql("executor", "ledger", statement)
    assert "permission denied" in said or "must be owner" in said


def test_graph_worker_does_not_reach_ledger(compose: Compose) -> None:
    said = compose.sql("graph-worker", "blobs", "SELECT 1", "interlock_ledger")
    assert "permission denied for database" in said


def test_graph_worker_cannot_change_blobs(compose: Compose) -> None:
    assert compose.sql("graph-worker", "blobs", "SELECT count(*) FROM blobs").endswith("done\n")
    assert "permission denied" in compose.sql("graph-worker", "blobs", "UPDATE blobs SET data = ''")
    assert "permission denied" in compose.sql("graph-worker", "blobs", "DELETE FROM blobs")


def test_client_only_reads_ledger(compose: Compose) -> None:
    assert compose.sql("client", "ledger", "SELECT count(*) FROM events").endswith("done\n")
    assert "permission denied" in compose.sql("client", "ledger", "UPDATE runs SET status = 'completed'")


def test_graph_worker_sees_no_key_and_no_socket(compose: Compose) -> None:
    said = compose.inside("graph-worker", "sh", "-c", "ls /run/interlock/keys /var/run/docker.sock; id -u").stdout
    assert ".key" not in said
    assert "cannot access '/var/run/docker.sock'" in said
    assert said.endswith("10002\n")


@pytest.mark.parametrize("service", ["graph-worker", "executor", "client"])
def test_service_holds_no_capability(compose: Compose, service: str) -> None:
    code = "from pathlib import Path; print(Path('/proc/self/status').read_text())"
    said = compose.inside(service, "python", "-c", code).stdout
    lines = dict(line.split(":\t", 1) for line in said.splitlines() if ":\t" in line)
    assert int(lines["CapEff"], 16) == int(lines["CapBnd"], 16) == 0
    assert lines["NoNewPrivs"] == "1"


@pytest.mark.parametrize("service", ["graph-worker", "executor", "client"])
def test_service_cannot_write_its_image(compose: Compose, service: str) -> None:
    assert "Read-only file system" in compose.inside(service, "touch", "/opt/interlock/x").stdout


def test_auditor_only_reads(compose: Compose) -> None:
    assert compose.sql("auditor", "ledger", "SELECT count(*) FROM events").endswith("done\n")
    assert compose.sql("auditor", "blobs", "SELECT count(*) FROM blobs").endswith("done\n")
    assert "permission denied" in compose.sql("auditor", "blobs", "INSERT INTO blobs VALUES ('x', '')")
    assert ".key" not in compose.inside("auditor", "ls", "/run/interlock/keys").stdout


def test_executor_reaches_engine(compose: Compose) -> None:
    code = "import docker; print(docker.from_env().ping())"
    assert compose.inside("executor", "python", "-c", code).stdout.endswith("True\n")


@pytest.mark.parametrize("service", ["graph-worker", "executor"])
def test_worker_reaches_temporal(compose: Compose, service: str) -> None:
    code = (
        "import asyncio; from temporalio.client import Client;"
        "asyncio.run(Client.connect('temporal:7233')); print('connected')"
    )
    assert compose.inside(service, "python", "-c", code).stdout.endswith("connected\n")


def _told(done: subprocess.CompletedProcess[str]) -> Any:
    """The JSON document that a command printed, after what docker-compose says before it."""
    assert done.returncode == 0, done.stdout
    return json.loads(done.stdout[done.stdout.index("{") :])


def test_governed_run_through_compose(compose: Compose, tmp_path: Path) -> None:
    """Compiled on the host, started and approved by the client, run in the host's sandboxes, replayed by the
    auditor: nobody holds more than their part."""
    release, work = tmp_path / "release.json", tmp_path / "work"
    prepare_sample(ROOT / "tests" / "project" / "fix_issue", work, ROOT / ".state" / "cache")
    interlock = [sys.executable, "-m", "interlock.cli.main"]
    state = {**os.environ, "INTERLOCK_STATE": str(tmp_path / "state")}
    for command in (["sandbox", "build"], ["compile", "--out", str(release)]):
        subprocess.run([*interlock, *command], cwd=ROOT, env=state, check=True, capture_output=True)
    tmp_path.chmod(0o755)
    for path in (release, *work.rglob("*"), work):
        path.chmod(0o755 if path.is_dir() else 0o644)
    started = compose("up", "-d", "graph-worker", "executor")
    assert started.returncode == 0, started.stdout

    mounts = ["-v", f"{release}:/release.json:ro", "-v", f"{work}:/work:ro"]
    issue = json.dumps({"issue": (ROOT / "tests" / "project" / "fix_issue" / "issue.md").read_text()})
    start = ["interlock", "run", "start", "fix_issue", "--release", "/release.json", "--workspace", "/work"]
    begun = compose(
        "run",
        "--rm",
        "--no-deps",
        "-T",
        *mounts,
        "client",
        *start,
        "--input",
        issue,
        "--as",
        "user:alice",
        "--json",
    )
    run = _told(begun)["run"]
    request = ""
    for _ in range(90):
        waiting = _told(compose.inside("client", "interlock", "approval", "list", "--json"))["requests"]
        if waiting:
            request = waiting[0]["request_id"]
            break
        time.sleep(1)
    assert request, compose("logs", "--tail", "40", "graph-worker", "executor").stdout
    refused = compose.inside("client", "interlock", "approval", "approve", request, "--as", "user:alice")
    assert refused.returncode == 1
    approved = compose.inside("client", "interlock", "approval", "approve", request, "--as", "user:carol")
    assert approved.returncode == 0, approved.stdout
    ended = compose.inside("client", "interlock", "run", "wait", run, "--json")
    assert _told(ended)["status"] == "completed"
    verdict = _told(compose.inside("auditor", "interlock", "replay", run, "--json"))
    assert verdict["verified"] is True
    patch = compose.inside("auditor", "interlock", "run", "artifact", run, "change.patch").stdout
    assert "[0-9]{1,6}" in patch
