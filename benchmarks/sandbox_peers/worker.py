"""The benchmark's side of a worker: starts it in its environment, asks it, ends it."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
from pathlib import Path
from typing import Any

from install import Missing

HERE = Path(__file__).parent


class Worker:
    """One way of running code, in a process of its own."""

    def __init__(
        self, python: Path, script: str, given: dict[str, Any], log: Path, variables: dict[str, str]
    ) -> None:
        self._log = log.open("wb")
        self._process = subprocess.Popen(
            [str(python), str(HERE / script), json.dumps(given)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            bufsize=1,
            env={**os.environ, **variables},
            cwd=log.parent,
        )
        self.log = log
        self.containers: list[str] = []

    def ask(self, do: str, *, timeout_s: float = 180, **fields: Any) -> dict[str, Any]:
        """Its answer.

        Raises:
            Missing: it failed, is gone or does not answer.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **fields}) + "\n")
        except OSError as error:
            raise Missing(f"its process ended: {self._tail()}") from error
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(timeout_s):
                raise Missing(f"no answer to {do!r} within {timeout_s:g} s")
        line = self._process.stdout.readline()
        if not line:
            raise Missing(f"its process ended: {self._tail()}")
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise Missing(f"{do}: {reply['error']}")
        self.containers = reply.get("containers", self.containers)
        return reply

    def _tail(self) -> str:
        return self.log.read_text(errors="replace").strip()[-400:]

    def end(self) -> None:
        """Close it, or kill it."""
        try:
            self.ask("close", timeout_s=30)
        except Missing:
            self._process.kill()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()
