"""Nothing is served in a kind of container that has not been examined from all sides once."""

from __future__ import annotations

import threading
import time
from typing import Final

import docker

from interlock.errors import SandboxUnavailable
from interlock.sandbox.examine import self_test
from interlock.sandbox.shape import Shape
from interlock.types import Profile

FAILED_S: Final = 5
"""A test that failed is not made again for so long; calls get its reason meanwhile."""

Kind = tuple[str, str, str]
"""Engine, image, runtime: what a limit is does not change whether it holds."""

_lock = threading.Lock()
_passed: set[Kind] = set()
_failed: dict[Kind, tuple[float, str]] = {}


def require_test(api: docker.APIClient, engine: str, shape: Shape) -> None:
    """Examine a container of this kind unless one has passed in this process.

    Args:
        api: the engine.
        engine: its own id.
        shape: what is to be started.

    Raises:
        SandboxUnavailable: a control does not hold, or there is no engine.
    """
    kind = (engine, shape.image, shape.limits.runtime)
    with _lock:
        if kind in _passed:
            return
        at, reason = _failed.get(kind, (0.0, ""))
        if reason and time.monotonic() - at < FAILED_S:
            raise _refusal(reason)
        _examine(api, kind)


def _examine(api: docker.APIClient, kind: Kind) -> None:
    _, image, runtime = kind
    profile = Profile(name="self_test", time_s=30, memory_mib=128, workspace_mib=8, tmp_mib=8, runtime=runtime)
    open_doors = [f"{check.name}: {check.observed}" for check in self_test(api, profile, image) if not check.ok]
    if open_doors:
        reason = "; ".join(open_doors)
        _failed[kind] = time.monotonic(), reason
        raise _refusal(reason)
    _passed.add(kind)


def _refusal(reason: str) -> SandboxUnavailable:
    return SandboxUnavailable(
        f"the sandbox does not hold, so nothing runs in it: {reason}", next_step="see `interlock sandbox doctor`"
    )
