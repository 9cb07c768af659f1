"""The closed door, as options of a container. `door.py` checks from both sides that they took effect."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import docker
from docker.types import LogConfig, Ulimit

from interlock.types import Profile

USER: Final = 10001
ARTIFACTS_MIB: Final = 64
MIB: Final = 1024 * 1024
LABEL: Final = "interlock.sandbox"
"""Value: the owner. Every container of ours has it."""
LABEL_EXPIRES: Final = "interlock.expires"
LABEL_HOLDS: Final = "interlock.holds"
"""Value: the id of a dead executor's container that this one's owner has taken over."""
LABEL_WAY_OUT: Final = "interlock.way-out"
"""Value: the folder of the host that is mounted at WAY_OUT."""
WAY_OUT: Final = "/run/interlock"
"""Where a container that may send something out finds the socket to ask at."""


def _tmpfs(size_mib: int, inodes: int, *extra: str) -> str:
    options = ("rw", "nosuid", "nodev", *extra, f"size={size_mib}m", f"nr_inodes={inodes}")
    return ",".join((*options, f"uid={USER}", f"gid={USER}", "mode=0700"))


def _mounts(profile: Profile) -> dict[str, str]:
    return {
        # Every folder needs an inode too, and so does the mount itself.
        "/workspace": _tmpfs(profile.workspace_mib, profile.workspace_files + 1, "exec"),
        "/artifacts": _tmpfs(ARTIFACTS_MIB, 1024, "noexec"),
        "/tmp": _tmpfs(profile.tmp_mib, 16_384, "noexec"),  # noqa: S108
    }


def _ulimits(profile: Profile) -> list[Ulimit]:
    largest = max(profile.workspace_mib, profile.tmp_mib, ARTIFACTS_MIB) * MIB
    # Lowered only: an engine may run without the capability to raise one.
    return [
        Ulimit(name="nofile", soft=1024, hard=1024),
        Ulimit(name="core", soft=0, hard=0),
        Ulimit(name="fsize", soft=largest, hard=largest),
    ]


def _binds(way_out: Path | None) -> list[str] | None:
    # Private: what is mounted on the host's folder later does not show inside.
    return [f"{way_out}:{WAY_OUT}:ro,private"] if way_out else None


def host_config(
    api: docker.APIClient, profile: Profile, *, cgroup_v1: bool, way_out: Path | None = None
) -> dict[str, Any]:
    """What the engine is told about limits and isolation."""
    config: dict[str, Any] = api.create_host_config(
        network_mode="none",
        # Otherwise the engine copies the host's name servers and search domains into the container.
        dns=["127.0.0.1"],
        dns_search=["."],
        read_only=True,
        tmpfs=_mounts(profile),
        cap_drop=["ALL"],
        security_opt=["no-new-privileges:true"],
        ipc_mode="private",
        cgroupns="private",
        shm_size=MIB,
        # The runner is the first process itself: under an init of the same user, a tool could open that
        # init's stdout and speak to the host in the runner's name.
        init=False,
        mem_limit=profile.memory_mib * MIB,
        memswap_limit=profile.memory_mib * MIB,
        nano_cpus=int(profile.cpus * 1_000_000_000),
        pids_limit=profile.pids,
        ulimits=_ulimits(profile),
        log_config=LogConfig(type=LogConfig.types.NONE),
        auto_remove=True,
        runtime=profile.runtime or None,
        binds=_binds(way_out),
        # Version 2 has no swappiness; memory equal to memory plus swap leaves no swap in both.
        mem_swappiness=0 if cgroup_v1 else None,
    )
    return config


def container(
    api: docker.APIClient,
    profile: Profile,
    *,
    image: str,
    name: str,
    labels: dict[str, str],
    lifetime_s: float,
    cgroup_v1: bool,
    way_out: Path | None = None,
) -> dict[str, Any]:
    """All arguments of `create_container`."""
    return {
        "image": image,
        "name": name,
        "command": [str(lifetime_s)],
        "user": f"{USER}:{USER}",
        "hostname": "sandbox",
        "environment": {},
        "labels": labels,
        "stdin_open": True,
        # Its stdin stays open when a host goes: another may attach and take over.
        "detach": True,
        "host_config": host_config(api, profile, cgroup_v1=cgroup_v1, way_out=way_out),
        # The client's own configuration may name proxies, with passwords; none of it goes in.
        "use_config_proxy": False,
    }
