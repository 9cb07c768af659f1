"""Which OCI runtimes an engine has, and that a profile which demands one gets it or nothing."""

from __future__ import annotations

from typing import Any, Final

import docker

from interlock.errors import SandboxUnavailable
from interlock.sandbox.engine import engine_errors
from interlock.types import Profile

_REGISTER: Final = (
    "install {runtime} and name it under `runtimes` in the engine's daemon.json, or change the profile's `runtime` "
    "in permissions/; see docs/how-to/choose-a-runtime.md"
)


def available_runtimes(api: docker.APIClient) -> dict[str, str]:
    """The runtimes that the engine knows, each with its program (or its shim's type).

    Raises:
        SandboxUnavailable: no engine answers.
    """
    with engine_errors():
        found = dict(api.info()).get("Runtimes") or {}
    return {name: str(given.get("path") or given.get("runtimeType") or "") for name, given in sorted(found.items())}


def require_runtime(api: docker.APIClient, profile: Profile) -> None:
    """That the engine knows the runtime which the profile demands; nothing if it demands none.

    Raises:
        SandboxUnavailable: the engine does not know it.
    """
    if not profile.runtime:
        return
    found = available_runtimes(api)
    if profile.runtime not in found:
        raise SandboxUnavailable(
            f"profile {profile.name!r} demands the runtime {profile.runtime!r}, and the engine has "
            f"{', '.join(found) or 'none'}; no other runtime serves",
            next_step=_REGISTER.format(runtime=profile.runtime),
        )


def check_runtime(profile: Profile, facts: dict[str, Any], inspected: dict[str, Any]) -> None:
    """That a started container runs under the runtime which its profile demands; nothing if it demands none.

    Args:
        profile: what it was started with.
        facts: what its runner saw.
        inspected: what the engine says of it.

    Raises:
        SandboxUnavailable: it runs under another.
    """
    if not profile.runtime:
        return
    engine = inspected.get("HostConfig", {}).get("Runtime", "")
    seen = "gVisor" if facts.get("gvisor") is True else "the host's kernel"
    wanted = "gVisor" if profile.runtime == "runsc" else "the host's kernel"
    if engine != profile.runtime or seen != wanted:
        raise SandboxUnavailable(
            f"profile {profile.name!r} demands the runtime {profile.runtime!r}; the engine says that the container "
            f"runs under {engine!r}, and inside it sees {seen}",
            next_step=_REGISTER.format(runtime=profile.runtime),
        )
