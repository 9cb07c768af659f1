"""The Docker engine: whether it answers on its socket, and how it is started.

The socket is asked directly: a `docker` on PATH may be a client of anything.
"""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Final

from machine import Machine
from report import Missing, say

RUN: Final = Path("/var/run")
"""Where the engine keeps its socket and pid files."""
SOCKET: Final = RUN / "docker.sock"
LOG: Final = Path("/var/log/interlock-dockerd.log")
START_S: Final = 60
"""How long a started engine may take to answer, in seconds."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=5)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


def answers(path: Path) -> bool:
    """Whether an engine answers on the socket.

    Raises:
        PermissionError: the socket is there and this user may not use it.
    """
    connection = _UnixConnection(path)
    try:
        connection.request("GET", "/_ping")
        return connection.getresponse().status == http.HTTPStatus.OK
    except PermissionError:
        raise
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def is_up(machine: Machine, host: str | None = None) -> bool:
    """Whether the engine that DOCKER_HOST means answers; the default socket where it is unset.

    Raises:
        Missing: this user may not use it, or DOCKER_HOST names one that does not answer.
    """
    host = os.environ.get("DOCKER_HOST", "") if host is None else host
    if host and not host.startswith("unix://"):
        return True  # a remote engine: `interlock doctor` checks it through the Docker SDK
    path = Path(host.removeprefix("unix://")) if host else SOCKET
    try:
        up = answers(path)
    except PermissionError as error:
        raise Missing(
            f"the Docker engine's socket {path} may not be used by user {machine.user!r}.",
            f"sudo usermod -aG docker {machine.user}   then log in again",
        ) from error
    if host and not up:
        raise Missing(
            f"DOCKER_HOST is {host!r}, and no engine answers there.", "start that engine", "unset DOCKER_HOST"
        )
    return up


def start(machine: Machine) -> None:
    """Start the engine and wait until it answers; it goes on running after this command.

    Raises:
        Missing: not root, no dockerd, or it did not come up (with the end of its log).
    """
    if not machine.root:
        raise Missing(
            f"no Docker engine answers on {SOCKET}, and starting one needs root (this is user {machine.user!r}).",
            "sudo systemctl start docker",
        )
    if machine.systemd:
        say("starting the Docker engine (systemctl start docker)")
        subprocess.run(["systemctl", "start", "docker"], stdin=subprocess.DEVNULL, check=False)
        process = None
    else:
        say(f"starting the Docker engine (dockerd, log in {LOG})")
        process = _spawn(machine)
    _wait(process)


def _spawn(machine: Machine) -> subprocess.Popen[bytes]:
    dockerd = shutil.which("dockerd", path=machine.path)
    if dockerd is None:
        raise Missing("dockerd is not installed.", "apt-get install -y docker.io   (Debian, as root)")
    _remove_stale(RUN / "docker.pid", "dockerd")
    _remove_stale(RUN / "docker" / "containerd" / "containerd.pid", "containerd")
    with LOG.open("ab") as log:
        return subprocess.Popen(
            [dockerd],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "PATH": machine.path},
        )


def _remove_stale(pid_file: Path, command: str) -> None:
    """Remove the pid file of a daemon that was killed: its number may belong to another process by now, and
    then the engine would refuse to start or wait for a daemon that is not there."""
    try:
        running = Path("/proc", pid_file.read_text().strip(), "comm").read_text().strip()
    except OSError:
        running = ""
    if running != command:
        pid_file.unlink(missing_ok=True)


def _wait(process: subprocess.Popen[bytes] | None) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if answers(SOCKET):
            return
        if process is not None and process.poll() is not None:
            break
        time.sleep(0.1)
    # Another set-up may have started the engine a moment before: then ours has left, and that one answers.
    time.sleep(1)
    if answers(SOCKET):
        return
    raise Missing(
        f"the Docker engine did not come up. The end of its log:\n{_tail()}",
        f"less {LOG}" if process is not None else "journalctl -u docker -n 50",
        "apt-get install -y cgroupfs-mount && cgroupfs-mount   if the log speaks of cgroups",
    )


def _tail() -> str:
    try:
        return "\n".join(LOG.read_text(errors="replace").splitlines()[-15:])
    except OSError:
        return "(no log)"
