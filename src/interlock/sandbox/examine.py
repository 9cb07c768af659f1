"""`doctor`: is there an engine, is there an image, and does a real container hold?"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, Final

import docker

from interlock.digest import parse
from interlock.errors import InterlockError, SandboxUnavailable
from interlock.sandbox import door, options
from interlock.sandbox.call import SandboxCall
from interlock.sandbox.checks import FIX, Check, control, fact, failed
from interlock.sandbox.container import Container
from interlock.sandbox.engine import connect
from interlock.sandbox.engine_facts import cgroup_v1, engine_facts
from interlock.sandbox.guest_code import guest_code
from interlock.sandbox.images import build_command, image_id, tag_of
from interlock.sandbox.outcome import START_S, Outcome
from interlock.sandbox.owner import own_id
from interlock.sandbox.runtimes import check_runtime, require_runtime
from interlock.settings import Settings
from interlock.types import Profile

_PROFILE: Final = Profile(name="doctor", time_s=30, memory_mib=128, pids=128, workspace_mib=8, tmp_mib=8)
_CLOCK_S: Final = 5
"""Seconds that a container's clock may differ from ours; starting it takes a part of them."""


def doctor(settings: Settings, profiles: Sequence[Profile] = ()) -> list[Check]:
    """Check the engine, and of each profile image, runtime and every control in a real container. Never raises.

    A check that cannot be made because an earlier one failed is left out.

    Args:
        settings: where the images are.
        profiles: what containers are examined; none: a small one with the engine's own runtime. With more than one,
            the name of each check is preceded by the profile's.
    """
    return list(_checks(settings, profiles or (_PROFILE,)))


def self_test(api: docker.APIClient, profile: Profile, image: str) -> list[Check]:
    """Start a container of a profile and check every control in it, from both sides and with the probe.

    An executor does this once for each engine, image and profile before it serves; each later start checks again
    what the runner sees (`Container.open`). Where that does not hold, the rest is not tried.

    Args:
        api: the engine.
        profile: the settings and runtime of the container.
        image: the engine's id of its image.

    Raises:
        SandboxUnavailable: no engine, no such image or runtime, or the container did not start.
    """
    return list(_container(api, profile, image))


def _checks(settings: Settings, profiles: Sequence[Profile]) -> Iterator[Check]:
    try:
        with closing(connect()) as api:
            yield from engine_facts(api)
            for profile in profiles:
                several = f"{profile.name}: " if len(profiles) > 1 else ""
                for check in _of_profile(api, settings, profile):
                    yield check.model_copy(update={"name": several + check.name})
    except InterlockError as error:
        yield _refusal("sandbox", error)


def _of_profile(api: docker.APIClient, settings: Settings, profile: Profile) -> Iterator[Check]:
    try:
        image, tag = image_id(settings, profile.image), tag_of(settings, profile.image)
        if image is None:
            fix = build_command(profile.image)
            yield Check(name="sandbox image", ok=False, observed=f"{tag} is not built", fix=fix)
            return
        yield fact("sandbox image", f"{tag} {image[:19]}")
        yield from self_test(api, profile, image)
    except InterlockError as error:
        yield _refusal("sandbox", error)


def _refusal(name: str, error: InterlockError) -> Check:
    # An error of a call sends its reader here; whoever is here already needs another way on.
    fix = error.next_step if error.next_step and "sandbox doctor" not in error.next_step else FIX
    return Check(name=name, ok=False, observed=error.reason, fix=fix)


def _container(api: docker.APIClient, profile: Profile, image: str) -> Iterator[Check]:
    require_runtime(api, profile)
    name = f"interlock-doctor-{secrets.token_hex(8)}"
    seen: dict[str, Any] = {}
    try:
        container = Container.open(api, profile, image=image, name=name, cgroup_v1=cgroup_v1(api), told=seen.update)
    except SandboxUnavailable:
        checks = door.from_inside(seen, profile) if seen else []
        if not failed(checks):
            raise
        yield from checks
        return
    try:
        inspected = container.inspect()
        check_runtime(profile, container.facts, inspected)
        yield from door.from_inside(container.facts, profile)
        off = abs(int(container.facts["clock"]) - int(time.time()))
        yield control("clock", off <= _CLOCK_S, f"{off} s from ours")
        yield from door.from_outside(inspected, profile, {options.LABEL: own_id()})
        yield from _probe(container, profile, image)
    finally:
        container.destroy()


def _probe(container: Container, profile: Profile, image: str) -> Iterator[Check]:
    source = guest_code()["guest/probe.py"]
    call = SandboxCall(call_id="doctor:c1", run="doctor", tool="probe", source=source, profile=profile)
    outcome = Outcome(call, _NoBlobs())
    container.stream.deadline = time.monotonic() + START_S
    container.stream.cap += outcome.total_cap
    outcome.follow(container.stream, b"{}")
    now = datetime.now(UTC)
    result = outcome.result(image=image, started_at=now, ended_at=now)
    if result.value is None:
        yield control("probe", False, f"{result.status}: {result.error}")
        return
    found = parse(result.value)
    yield from door.from_probe(found if isinstance(found, dict) else {})


class _NoBlobs:
    """The probe has no files."""

    def put(self, data: bytes) -> str:
        raise AssertionError("the probe writes no files")

    def get(self, digest: str) -> bytes:
        raise AssertionError("the probe reads no files")

    def has(self, digest: str) -> bool:
        return False
