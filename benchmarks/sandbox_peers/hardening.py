"""Our own closed door in the words of each peer's interface: the SDK, the command line, a compose file."""

from __future__ import annotations

from typing import Any

from interlock.sandbox import options
from interlock.sandbox.engine import connect
from interlock.types import Profile

PROFILE = Profile(name="bench", memory_mib=512, cpus=1, pids=128)
"""What every container gets, ours and theirs."""


def host_config() -> dict[str, Any]:
    """What we tell the engine."""
    api = connect()
    v1 = api.info().get("CgroupVersion", "1") == "1"
    return options.host_config(api, PROFILE, cgroup_v1=v1)


def for_sdk(host: dict[str, Any]) -> dict[str, Any]:
    """Arguments of `containers.run`."""
    return {
        "user": f"{options.USER}:{options.USER}",
        "network_mode": host["NetworkMode"],
        "dns": host["Dns"],
        "dns_search": host["DnsSearch"],
        "read_only": host["ReadonlyRootfs"],
        "tmpfs": host["Tmpfs"],
        "cap_drop": host["CapDrop"],
        "security_opt": host["SecurityOpt"],
        "ipc_mode": host["IpcMode"],
        "cgroupns": host["CgroupnsMode"],
        "shm_size": host["ShmSize"],
        "init": host["Init"],
        "mem_limit": host["Memory"],
        "memswap_limit": host["MemorySwap"],
        "mem_swappiness": host.get("MemorySwappiness"),
        "nano_cpus": host["NanoCpus"],
        "pids_limit": host["PidsLimit"],
        "ulimits": [{name.lower(): value for name, value in one.items()} for one in host["Ulimits"]],
        "log_config": {"type": "none"},
    }


def for_command_line(host: dict[str, Any]) -> list[str]:
    """Flags of `docker run`, less the network: the one peer that takes flags listens on TCP."""
    flags = [
        f"--user={options.USER}:{options.USER}",
        "--read-only",
        f"--ipc={host['IpcMode']}",
        f"--cgroupns={host['CgroupnsMode']}",
        f"--shm-size={host['ShmSize']}",
        f"--memory={host['Memory']}",
        f"--memory-swap={host['MemorySwap']}",
        f"--cpus={host['NanoCpus'] / 1e9:g}",
        f"--pids-limit={host['PidsLimit']}",
        "--log-driver=none",
    ]
    flags += [f"--tmpfs={path}:{how}" for path, how in host["Tmpfs"].items()]
    flags += [f"--dns={server}" for server in host["Dns"]]
    flags += [f"--dns-search={domain}" for domain in host["DnsSearch"]]
    flags += [f"--cap-drop={name}" for name in host["CapDrop"]]
    flags += [f"--security-opt={option}" for option in host["SecurityOpt"]]
    flags += [f"--ulimit={one['Name']}={one['Soft']}:{one['Hard']}" for one in host["Ulimits"]]
    if host.get("MemorySwappiness") is not None:
        flags.append(f"--memory-swappiness={host['MemorySwappiness']}")
    return flags


def for_compose(host: dict[str, Any], image: str, labels: dict[str, str]) -> dict[str, Any]:
    """A service of a compose file."""
    service = {
        "image": image,
        "command": ["sleep", "infinity"],
        "x-local": True,
        "labels": labels,
        "user": f"{options.USER}:{options.USER}",
        "network_mode": host["NetworkMode"],
        "dns": host["Dns"],
        "dns_search": host["DnsSearch"],
        "read_only": host["ReadonlyRootfs"],
        "tmpfs": [f"{path}:{how}" for path, how in host["Tmpfs"].items()],
        "cap_drop": host["CapDrop"],
        "security_opt": host["SecurityOpt"],
        "ipc": host["IpcMode"],
        "cgroup": host["CgroupnsMode"],
        "shm_size": host["ShmSize"],
        "init": host["Init"],
        "mem_limit": host["Memory"],
        "memswap_limit": host["MemorySwap"],
        "cpus": host["NanoCpus"] / 1e9,
        "pids_limit": host["PidsLimit"],
        "ulimits": {one["Name"]: {"soft": one["Soft"], "hard": one["Hard"]} for one in host["Ulimits"]},
        "logging": {"driver": "none"},
    }
    if host.get("MemorySwappiness") is not None:
        service["mem_swappiness"] = host["MemorySwappiness"]
    return service


def lacking(inspected: dict[str, Any], host: dict[str, Any]) -> list[str]:
    """What of our hardening a running container does not have, by what the engine says of it."""
    has = inspected["HostConfig"]
    holds = {
        "user 10001": inspected["Config"]["User"].split(":")[0] == str(options.USER),
        "no network": has.get("NetworkMode") == host["NetworkMode"],
        "read-only root": has.get("ReadonlyRootfs"),
        "workspace and /tmp in memory": set(host["Tmpfs"]) <= set(has.get("Tmpfs") or {}),
        "no capabilities": has.get("CapDrop") == host["CapDrop"],
        "no new privileges": set(host["SecurityOpt"]) <= set(has.get("SecurityOpt") or []),
        "memory limit, no swap": has.get("Memory") == has.get("MemorySwap") == host["Memory"],
        "process limit": has.get("PidsLimit") == host["PidsLimit"],
        "processor quota": has.get("NanoCpus") == host["NanoCpus"],
        "nothing of the host inside": not has.get("Binds") and not inspected["Mounts"],
    }
    return [name for name, held in holds.items() if not held]
