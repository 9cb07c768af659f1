"""Keeps an executor's sandboxes ready for the policy in force, and reports what they are doing."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from interlock.errors import InterlockError
from interlock.policy import Bundle
from interlock.reports import Reporter
from interlock.run.executor import Executor
from interlock.sandbox import Ahead, DockerDriver, SandboxReport, image_id
from interlock.settings import Settings
from interlock.types.closed import Closed
from interlock.types.profile import Profile

LOOK_EVERY_S: Final = 2.0
IMAGES_EVERY_S: Final = 20.0
"""Between two looks whether other images were built."""
_log = logging.getLogger(__name__)


class ExecutorReport(Closed):
    """One executor and its sandboxes."""

    executor: str
    host: str
    pid: int
    problem: str = ""
    """Why nothing is kept ready, or not all."""
    sandboxes: SandboxReport = SandboxReport()


def sandboxes_folder(settings: Settings) -> Path:
    """Where the executors of one machine keep their reports."""
    return settings.state_folder / "sandboxes"


async def keep_ready(executor: Executor, settings: Settings) -> None:
    """Until cancelled: follow the policy's profiles, and say what the sandboxes are doing."""
    if not isinstance(executor.driver, DockerDriver):
        return
    reporter, driver = Reporter(sandboxes_folder(settings), "executor"), executor.driver
    wanted: list[Ahead] | None = None
    problem, prepared, checked = "", "", 0.0
    while True:
        bundle = executor.policy.current()
        if bundle.digest != prepared or time.monotonic() - checked > IMAGES_EVERY_S:
            try:
                now = await asyncio.to_thread(lambda: list(ahead(bundle, _images(settings))))  # noqa: B023
                if now != wanted:
                    await driver.prepare(now)
                wanted, problem = now, ""
            except InterlockError as error:
                problem = str(error)
                _log.warning("sandboxes are not kept ready: %s", problem)
            prepared, checked = bundle.digest, time.monotonic()
        said = ExecutorReport(
            executor=executor.name,
            host=socket.gethostname(),
            pid=os.getpid(),
            problem=problem,
            sandboxes=await driver.report(),
        )
        await asyncio.to_thread(reporter.say, said)
        await asyncio.sleep(LOOK_EVERY_S)


def ahead(bundle: Bundle, image_of: Callable[[str], str | None]) -> Iterator[Ahead]:
    """What may be asked for under a policy: each profile whose image is built, with a way out where a rule or the
    profile itself gives one, without where a call may have none."""
    reaching = {rule.rule.profile for rule in bundle.rules if rule.rule.egress}
    for name, profile in bundle.profiles.items():
        image = image_of(profile.image)
        if image is not None:
            for way_out in _ways(profile, granted=bool(reaching & {name, None})):
                yield Ahead(profile=profile, image=image, way_out=way_out)


def _ways(profile: Profile, *, granted: bool) -> tuple[bool, ...]:
    if profile.egress:
        return (True,)
    return (False, True) if granted else (False,)


def _images(settings: Settings) -> Callable[[str], str | None]:
    known: dict[str, str | None] = {}

    def image_of(name: str) -> str | None:
        if name not in known:
            known[name] = image_id(settings, name)
        return known[name]

    return image_of
