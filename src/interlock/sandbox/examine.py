"""`doctor`: is there an engine, is there an image, and does a real container hold?"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, Final

import docker

from interlock.digest import parse
from interlock.errors import InterlockError
from interlock.sandbox import door
from interlock.sandbox.call import SandboxCall
from interlock.sandbox.checks import Check
from interlock.sandbox.container import Container
from interlock.sandbox.engine import connect, engine_errors
from interlock.sandbox.guest_code import guest_code
from interlock.sandbox.images import image_id, tag_of
from interlock.sandbox.outcome import START_S, Outcome
from interlock.settings import Settings
from interlock.types import Profile

_PROFILE: Final = Profile(name="doctor", time_s=30, memory_mib=128, pids=32, workspace_mib=8, tmp_mib=8)


def doctor(settings: Settings) -> list[Check]:
    """Check the engine, the image, and every control of the closed door in a real container. Never raises.

    A check that cannot be made because an earlier one failed is left out.
    """
    return list(_checks(settings))


def _checks(settings: Settings) -> Iterator[Check]:
    try:
        with closing(connect()) as api:
            info = _info(api)
            version = f"engine {info['ServerVersion']}, cgroup v{info.get('CgroupVersion', '1')}"
            yield Check(name="Docker engine", ok=True, observed=version)
            image = image_id(settings)
            tag = tag_of(settings, "default")
            if image is None:
                missing = f"{tag} is not built"
                yield Check(name="sandbox image", ok=False, observed=missing, fix="interlock sandbox build")
                return
            yield Check(name="sandbox image", ok=True, observed=f"{tag} {image[:19]}")
            yield from _container(api, image, cgroup_v1=info.get("CgroupVersion", "1") == "1")
    except InterlockError as error:
        yield Check(name="sandbox", ok=False, observed=error.reason, fix=error.next_step or "see the message")


def _info(api: docker.APIClient) -> dict[str, Any]:
    with engine_errors():
        return dict(api.info())


def _container(api: docker.APIClient, image: str, *, cgroup_v1: bool) -> Iterator[Check]:
    name = f"interlock-doctor-{secrets.token_hex(8)}"
    container = Container.open(api, _PROFILE, image=image, name=name, cgroup_v1=cgroup_v1)
    try:
        yield from door.from_inside(container.facts)
        yield from door.from_outside(container.inspect(), _PROFILE)
        yield from _probe(container, image)
    finally:
        container.destroy()


def _probe(container: Container, image: str) -> Iterator[Check]:
    source = guest_code()["guest/probe.py"]
    call = SandboxCall(call_id="doctor:c1", run="doctor", tool="probe", source=source, profile=_PROFILE)
    outcome = Outcome(call, _NoBlobs())
    container.stream.deadline = time.monotonic() + START_S
    container.stream.cap += outcome.total_cap
    outcome.follow(container.stream, b"{}")
    now = datetime.now(UTC)
    result = outcome.result(image=image, started_at=now, ended_at=now)
    if result.value is None:
        yield Check(
            name="probe", ok=False, observed=f"{result.status}: {result.error}", fix="interlock sandbox build"
        )
        return
    yield from door.from_probe(parse(result.value))


class _NoBlobs:
    """The probe has no files."""

    def put(self, data: bytes) -> str:
        raise AssertionError("the probe writes no files")

    def get(self, digest: str) -> bytes:
        raise AssertionError("the probe reads no files")

    def has(self, digest: str) -> bool:
        return False
