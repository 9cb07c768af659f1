"""llm-sandbox: one session kept open, or a session a call from its pool. Both reuse containers."""

from __future__ import annotations

import asyncio
from typing import Any

import protocol
import work
from llm_sandbox import SandboxBackend, SandboxSession
from llm_sandbox.pool import ExhaustionStrategy, PoolConfig, create_pool_manager

WORKDIR = "/sandbox"


class _LlmSandbox(protocol.Way):
    because = (
        "it brings its files by `docker cp`, which needs a root that can be written",
        "those files are readable by root only",
    )

    def __init__(self, given: dict[str, Any]) -> None:
        super().__init__(given)
        kept = {k: v for k, v in given["hardening"].items() if k not in ("read_only", "tmpfs", "user")}
        self._options = {
            "image": given["image"],
            "runtime_configs": {**kept, "labels": given["labels"]},
            "workdir": WORKDIR,
            # Its own set-up upgrades pip from the network; the image holds an environment already.
            "skip_environment_setup": True,
        }


class OneSession(_LlmSandbox):
    """Without its pool: a session stays open for many calls."""

    def __init__(self, given: dict[str, Any]) -> None:
        super().__init__(given)
        self._sessions: list[Any] = []

    async def open(self, slots: int) -> None:
        for _ in range(slots - len(self._sessions)):
            session = SandboxSession(lang="python", **self._options)
            await asyncio.to_thread(session.open)
            self._sessions.append(session)

    async def call(self, slot: int, function: str, arguments: dict[str, Any]) -> Any:
        return _value(await asyncio.to_thread(self._sessions[slot].run, work.script(function, arguments)))

    def containers(self) -> list[str]:
        return [session.container.id for session in self._sessions]


class Pooled(_LlmSandbox):
    """With its pool: a session a call, in a container that served others before."""

    def __init__(self, given: dict[str, Any]) -> None:
        super().__init__(given)
        self._pools: list[Any] = []

    async def open(self, slots: int) -> None:
        # A pool a caller, so that a mark that one leaves is looked for in the same container.
        self._pools += [await asyncio.to_thread(self._pool) for _ in range(slots - len(self._pools))]
        while len(self.containers()) < slots:
            await asyncio.sleep(0.05)

    def _pool(self) -> Any:
        config = PoolConfig(min_pool_size=1, max_pool_size=1, exhaustion_strategy=ExhaustionStrategy.WAIT)
        return create_pool_manager(backend=SandboxBackend.DOCKER, config=config, lang="python", **self._options)

    async def call(self, slot: int, function: str, arguments: dict[str, Any]) -> Any:
        return await asyncio.to_thread(self._run, slot, work.script(function, arguments))

    def _run(self, slot: int, code: str) -> Any:
        with SandboxSession(lang="python", pool=self._pools[slot], workdir=WORKDIR) as session:
            return _value(session.run(code))

    def containers(self) -> list[str]:
        return [one.container_id for pool in self._pools for one in pool._pool]


def _value(result: Any) -> Any:
    if result.exit_code:
        raise RuntimeError(result.stderr)
    return work.printed(result.stdout)


if __name__ == "__main__":
    protocol.serve(lambda given: {"session": OneSession, "pool": Pooled}[given["mode"]](given))
