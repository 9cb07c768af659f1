"""The closed door as the engine tells it of a running container."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from interlock.sandbox.checks import Check, control, fact
from interlock.sandbox.options import LABEL_WAY_OUT, MIB, USER, WAY_OUT
from interlock.types import Profile

_CPU_UNITS: Final = 1_000_000_000
_NAMESPACES: Final = ("PidMode", "IpcMode", "UTSMode", "UsernsMode", "CgroupnsMode")
_OF_HOST: Final = ("Mounts", "Devices", "DeviceRequests", "DeviceCgroupRules", "VolumesFrom", "Links")
_MASKED: Final = {"/proc/kcore", "/proc/keys", "/sys/firmware"}
_READ_ONLY: Final = {"/proc/bus", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}


def controls(inspected: dict[str, Any], profile: Profile, labels: Mapping[str, str]) -> Iterator[Check]:
    """Every control that the engine tells of.

    Raises:
        KeyError, TypeError: the report has another shape.
    """
    host, config = inspected["HostConfig"], inspected["Config"]
    yield from _runtime(host, profile)
    yield from _isolation(host, inspected)
    yield from _limits(host, profile)
    yield from _identity(config, labels)
    yield fact("engine: AppArmor", inspected.get("AppArmorProfile") or "not in force on this host")


def _runtime(host: dict[str, Any], profile: Profile) -> Iterator[Check]:
    runs, demanded = host["Runtime"], profile.runtime
    said = f"{runs}, demanded {demanded or 'nothing: the engine chooses'}"
    yield control("engine: runtime", runs == demanded or not demanded, said)


def _isolation(host: dict[str, Any], inspected: dict[str, Any]) -> Iterator[Check]:
    yield control("engine: network none", host["NetworkMode"] == "none", host["NetworkMode"])
    yield control("engine: root read-only", host["ReadonlyRootfs"] is True, host["ReadonlyRootfs"])
    yield control("engine: not privileged", host["Privileged"] is False, f"privileged {host['Privileged']}")
    dropped, added = host["CapDrop"], host["CapAdd"] or []
    yield control("engine: capabilities dropped", dropped == ["ALL"] and not added, f"drop {dropped}, add {added}")
    security = host["SecurityOpt"] or []
    weaker = [option for option in security if "unconfined" in option or "disable" in option]
    confined = not weaker and any(option in ("no-new-privileges", "no-new-privileges:true") for option in security)
    yield control("engine: confined", confined, security)
    shared = {name: host.get(name, "") for name in _NAMESPACES}
    own = not {"host"} & set(shared.values()) and not any(v.startswith("container:") for v in shared.values())
    yield control("engine: own namespaces", own, shared)
    yield control("engine: private IPC", host["IpcMode"] == "private", host["IpcMode"])
    yield from _of_host(host, inspected)
    masked, read_only = set(host.get("MaskedPaths") or ()), set(host.get("ReadonlyPaths") or ())
    covered = masked >= _MASKED and read_only >= _READ_ONLY
    yield control("engine: /proc covered", covered, f"{len(masked)} covered, {len(read_only)} read-only")
    yield control("engine: no ports", not host["PortBindings"], f"ports {host['PortBindings']}")


def _of_host(host: dict[str, Any], inspected: dict[str, Any]) -> Iterator[Check]:
    """Nothing of the host is inside, but for the folder of the socket to ask at, where the label names one."""
    way_out = (inspected["Config"]["Labels"] or {}).get(LABEL_WAY_OUT)
    wanted = [(way_out, WAY_OUT, False)] if way_out else []
    mounted = [(row["Source"], row["Destination"], row["RW"]) for row in inspected["Mounts"]]
    others = [(name, host[name]) for name in _OF_HOST if host.get(name)]
    said = f"mounts {mounted}, devices and others {others}"
    yield control("engine: nothing of the host inside but the way out", mounted == wanted and not others, said)


def _limits(host: dict[str, Any], profile: Profile) -> Iterator[Check]:
    memory = profile.memory_mib * MIB
    swap = f"memory {host['Memory']} bytes, memory and swap {host['MemorySwap']} bytes"
    yield control("engine: memory without swap", host["Memory"] == host["MemorySwap"] == memory, swap)
    swappiness = host.get("MemorySwappiness")
    said = "not set: control groups v2 have none" if swappiness is None else swappiness
    yield control("engine: swappiness", swappiness in (0, None), said)
    yield control("engine: memory killer on", not host.get("OomKillDisable"), f"off {host.get('OomKillDisable')}")
    yield control("engine: process limit", host["PidsLimit"] == profile.pids, f"{host['PidsLimit']} processes")
    quota = int(profile.cpus * _CPU_UNITS)
    yield control("engine: CPU quota", host["NanoCpus"] == quota, f"{host['NanoCpus']} nano-CPUs")
    ulimits = {row["Name"]: (row["Soft"], row["Hard"]) for row in host["Ulimits"] or ()}
    limited = {"nofile", "core", "fsize"} <= set(ulimits) and ulimits["core"] == (0, 0)
    yield control("engine: ulimits", limited, ulimits)
    yield control("engine: small shared memory", host["ShmSize"] <= MIB, f"{host['ShmSize']} bytes")
    tmpfs = host["Tmpfs"] or {}
    bounded = {"/tmp", "/workspace", "/artifacts"} <= set(tmpfs) and all(  # noqa: S108
        "size=" in options and "nr_inodes=" in options for options in tmpfs.values()
    )
    yield control("engine: tmpfs bounded", bounded, tmpfs)
    log = host["LogConfig"]["Type"]
    yield control("engine: no log", log == "none", f"log driver {log}")


def _identity(config: dict[str, Any], labels: Mapping[str, str]) -> Iterator[Check]:
    yield control("engine: user", config["User"] == f"{USER}:{USER}", config["User"])
    found = config["Labels"] or {}
    missing = [name for name, value in labels.items() if found.get(name) != value]
    named = {"interlock.sandbox", "interlock.expires"} <= set(found)
    own = sorted(name for name in found if name.startswith("interlock."))
    yield control("engine: labels for the reaper", named and not missing, f"{own}, missing {missing}")
