"""What the engine tells of itself: version, control groups, runtimes, user namespaces, rootless, its filter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import docker

from interlock.sandbox.checks import Check, control, fact
from interlock.sandbox.engine import engine_errors


def engine_facts(api: docker.APIClient) -> Iterator[Check]:
    """The engine in a few lines; its want of a system call filter or of memory limits fails.

    Raises:
        SandboxUnavailable: no engine answers.
    """
    info = _info(api)
    yield fact("Docker engine", f"engine {info['ServerVersion']}, control groups v{info.get('CgroupVersion', '1')}")
    runtimes = ", ".join(sorted(info.get("Runtimes") or {}))
    yield fact("runtimes", f"{runtimes}; {info.get('DefaultRuntime', 'none')} unless a profile demands one")
    options = security_options(info)
    mapped = {"userns", "rootless"} & set(options)
    yield fact("user namespaces", "root inside is no root outside" if mapped else "not in use")
    yield fact("rootless engine", "yes" if "rootless" in options else "no: who reaches its socket is root here")
    filter_ = options.get("seccomp", "none")
    yield control("engine's system call filter", filter_ not in ("none", "unconfined"), filter_)
    yield from _limits(info)


def _limits(info: dict[str, Any]) -> Iterator[Check]:
    names = {"MemoryLimit": "memory", "SwapLimit": "swap", "PidsLimit": "processes", "CpuCfsQuota": "CPU"}
    missing = [text for name, text in names.items() if not info.get(name)]
    said = f"not enforced: {', '.join(missing)}" if missing else ", ".join(names.values())
    fix = "a rootless engine needs control groups v2; see docs/how-to/use-user-namespaces.md" if missing else ""
    yield Check(name="limits that the engine enforces", ok=not missing, observed=said, fix=fix)


def security_options(info: dict[str, Any]) -> dict[str, str]:
    """`{"seccomp": "default", "userns": ""}` of what `info` lists as `name=seccomp,profile=default`."""
    rows = [
        dict(part.partition("=")[::2] for part in option.split(",")) for option in info.get("SecurityOptions") or ()
    ]
    return {row["name"]: row.get("profile", "") for row in rows if "name" in row}


def cgroup_v1(api: docker.APIClient) -> bool:
    """Whether the engine's host has control groups of version 1."""
    return str(_info(api).get("CgroupVersion", "1")) == "1"


def _info(api: docker.APIClient) -> dict[str, Any]:
    with engine_errors():
        return dict(api.info())
