"""A Docker engine of a test's own: killed and started again at will, nobody else's containers on it."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import docker
import docker.errors

READY_S = 120


class OwnEngine:
    """A second `dockerd`, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.host = f"unix://{folder}/docker.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers; again if it ends, as a supervisor would."""
        end = time.monotonic() + READY_S
        while time.monotonic() < end:
            if self._process is None or self._process.poll() is not None:
                self._spawn()
            if self.answers():
                return
            time.sleep(0.1)
        raise AssertionError(self.log())

    def _spawn(self) -> None:
        folder = self.folder
        # In a network namespace of its own: an engine without a bridge deletes docker0, which is the machine's.
        command = ["unshare", "--net", "dockerd", "--data-root", folder / "data", "--exec-root", folder / "exec"]
        command += ["--host", self.host]
        command += ["--pidfile", folder / "pid", "--bridge=none", "--iptables=false"]
        command += [
            "--containerd-namespace",
            folder.name,
            "--containerd-plugins-namespace",
            f"{folder.name}-plugins",
        ]
        with (folder / "log").open("ab") as log:
            self._process = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log)

    def answers(self) -> bool:
        """Whether it serves."""
        try:
            client = docker.APIClient(base_url=self.host, version="auto", timeout=5)
        except docker.errors.DockerException:
            return False
        client.close()
        return True

    def log(self) -> str:
        """The end of what it said."""
        return (self.folder / "log").read_text(errors="replace")[-2000:]

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it; with SIGTERM its containers end, too, with SIGKILL they are found again and ended later."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(60)
            self._process = None
        if number == signal.SIGKILL:
            # What it started may outlive it, and holds its files.
            with suppress(OSError, ValueError):
                os.kill(int((self.folder / "exec/containerd/containerd.pid").read_text()), number)

    def take_image(self, image: str) -> None:
        """Copy an image from the machine's engine."""
        save = subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE)
        subprocess.run(
            ["docker", "-H", self.host, "load", "-q"], stdin=save.stdout, check=True, capture_output=True
        )
        assert save.wait() == 0

    def containers(self) -> list[str]:
        """The names of all that it has, running or not."""
        client = docker.APIClient(base_url=self.host, version="auto", timeout=30)
        try:
            rows = client.containers(all=True)
        finally:
            client.close()
        return sorted((row["Names"] or [row["Id"][:12]])[0].lstrip("/") for row in rows)


@contextmanager
def own_engine() -> Iterator[OwnEngine]:
    """Run one until the block ends. Needs root and `dockerd`."""
    assert os.getuid() == 0, "an engine of its own needs root"
    assert shutil.which("dockerd"), "apt-get install docker.io"
    # Short, for it holds a socket; its name is a namespace of containerd, where not every character may be.
    folder = Path("/tmp") / f"ile-{secrets.token_hex(4)}"
    folder.mkdir(mode=0o700)
    engine = OwnEngine(folder)
    try:
        engine.start()
        yield engine
    finally:
        engine.stop()
        shutil.rmtree(folder, ignore_errors=True)
