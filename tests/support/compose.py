"""docker-compose.yml brought up under a name of its own, and what each service finds itself able to do."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

PROBE = """
import asyncio, json, os, sys
from pathlib import Path
import docker
from sqlalchemy import create_engine
from temporalio.client import Client
from interlock.database.address import Address

def told(act):
    try:
        return act() or "done"
    except Exception as error:
        return f"{type(error).__name__}: {error}"

def sql(kind, statement, database=""):
    url = Address.read(kind, os.environ[f"INTERLOCK_{kind.upper()}_URL"]).url
    with create_engine(url.set(database=database or url.database)).begin() as connection:
        connection.exec_driver_sql(statement)

lines = Path("/proc/self/status").read_text().splitlines()
status = dict(line.split(":\\t", 1) for line in lines if ":\\t" in line)
print("PROBE" + json.dumps({
    "user": os.geteuid(),
    "capabilities": int(status["CapEff"], 16) | int(status["CapBnd"], 16),
    "no_new_privileges": status["NoNewPrivs"],
    "keys": sorted(path.name for path in Path("/run/interlock/keys").iterdir()),
    "project": sorted(path.name for path in Path("/project").iterdir()),
    "write": told(lambda: Path("/opt/interlock/x").touch()),
    "engine": told(lambda: str(docker.from_env().ping())),
    "temporal": told(lambda: asyncio.run(asyncio.wait_for(Client.connect("temporal:7233"), 5)) and "connected"),
    "sql": [told(lambda: sql(*statement)) for statement in json.loads(sys.argv[1])],
}))
"""


class Compose:
    """One project of docker-compose."""

    def __init__(self, name: str) -> None:
        found = shutil.which("docker-compose")
        self.command = [found] if found else ["/usr/bin/docker", "compose"]
        self.command += ["-p", name, "--env-file", ".state/images.env"]
        # Settings of whoever runs the tests would count before those of the file.
        kept = {key: value for key, value in os.environ.items() if not key.startswith("INTERLOCK_")}
        self.environment = kept

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.command, *arguments],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def ok(self, *arguments: str) -> str:
        """What a command that must succeed prints."""
        done = self(*arguments)
        assert done.returncode == 0, f"{arguments}: {done.stdout}"
        return done.stdout

    def inside(self, service: str, *command: str, mounts: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        """Run a command as a service would run: its image, user, volumes and networks."""
        more = [part for mount in mounts for part in ("-v", mount)]
        return self("run", "--rm", "--no-deps", "-T", *more, service, *command)

    def json(self, service: str, *command: str, mounts: tuple[str, ...] = ()) -> Any:
        """The JSON document that a command of `interlock` prints, after what docker-compose says before it."""
        done = self.inside(service, "interlock", *command, "--json", mounts=mounts)
        assert done.returncode == 0, f"{command}: {done.stdout}"
        return json.loads(done.stdout[done.stdout.index("{") :])

    def probe(self, service: str, *statements: tuple[str, ...]) -> dict[str, Any]:
        """What a service can do, from inside; `statements` are (store, SQL[, database]) with its own login."""
        done = self.inside(service, "python", "-c", PROBE, json.dumps(statements))
        assert "PROBE" in done.stdout, done.stdout
        found: dict[str, Any] = json.loads(done.stdout.partition("PROBE")[2])
        return found
