"""Whether the door is closed: each control, by what the runner saw inside and what the engine tells outside."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from interlock.sandbox.checks import Check
from interlock.sandbox.options import MIB, USER
from interlock.types import Profile

_FIX: Final = "run `interlock sandbox build --force`; if it stays, the engine is set up weaker than this needs"
_NO_CAPABILITIES: Final = {"0000000000000000"}


def _check(name: str, ok: bool, observed: object) -> Check:
    return Check(name=name, ok=ok, observed=str(observed), fix="" if ok else _FIX)


def from_inside(facts: dict[str, Any]) -> list[Check]:
    """Judge what the runner saw. A fact that is missing or of another shape is a control that does not hold."""
    try:
        return list(_inside(facts))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return [_check("facts of the runner", False, f"unreadable: {error!r}")]


def _inside(facts: dict[str, Any]) -> Iterator[Check]:
    status, mounts = facts["status"], facts["mounts"]
    capabilities = {name: status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
    yield _check("runner is the first process", facts["pid"] == 1, f"pid {facts['pid']}")
    yield _check("user is not root", set(facts["ids"]) == {USER}, f"user and group ids {facts['ids']}")
    yield _check("no other groups", status["Groups"] in ("", str(USER)), f"groups [{status['Groups']}]")
    yield _check("no capabilities", set(capabilities.values()) == _NO_CAPABILITIES, capabilities)
    yield _check("no new privileges", status["NoNewPrivs"] == "1", f"NoNewPrivs {status['NoNewPrivs']}")
    # Kernels before 5.9 do not count the filters; there the engine's own report must do.
    filters = int(status.get("Seccomp_filters", 2))
    yield _check(
        "two system call filters", status["Seccomp"] == "2" and filters >= 2, f"{filters} filters in force"
    )
    yield _check("no network", facts["interfaces"] in ([], ["lo"]), f"interfaces {facts['interfaces']}")
    yield _check("read-only root", "ro" in mounts["/"], f"/ is {mounts['/'][:2]}")
    for path, wanted in _MOUNTS.items():
        found = mounts[path]
        ok = found[0] == "tmpfs" and wanted <= set(found) and any(option.startswith("size=") for option in found)
        yield _check(f"{path} confined", ok, ",".join(found))


_MOUNTS: Final = {
    "/tmp": {"nosuid", "nodev", "noexec"},  # noqa: S108
    "/workspace": {"nosuid", "nodev"},
    "/artifacts": {"nosuid", "nodev", "noexec"},
    "/dev/shm": {"nosuid", "nodev", "noexec"},  # noqa: S108
}


def from_outside(inspected: dict[str, Any], profile: Profile) -> list[Check]:
    """Judge what the engine says of a running container."""
    try:
        return list(_outside(inspected["HostConfig"], inspected, profile))
    except (KeyError, TypeError) as error:
        return [_check("report of the engine", False, f"unreadable: {error!r}")]


def _outside(host: dict[str, Any], inspected: dict[str, Any], profile: Profile) -> Iterator[Check]:
    memory = profile.memory_mib * MIB
    security = host["SecurityOpt"] or []
    yield _check("engine: network none", host["NetworkMode"] == "none", host["NetworkMode"])
    yield _check("engine: memory without swap", host["Memory"] == host["MemorySwap"] == memory, f"{memory} bytes")
    yield _check("engine: process limit", host["PidsLimit"] == profile.pids, f"{host['PidsLimit']} processes")
    yield _check("engine: CPU quota", host["NanoCpus"] == int(profile.cpus * 1e9), f"{host['NanoCpus']} nano-CPUs")
    of_host = [*(host["Binds"] or ()), *(host["Devices"] or ()), *inspected["Mounts"], *(host["CapAdd"] or ())]
    yield _check("engine: nothing of the host inside", not of_host, f"mounts, devices, capabilities {of_host}")
    yield _check("engine: not privileged", host["Privileged"] is False, f"privileged {host['Privileged']}")
    confined = not any("unconfined" in option for option in security)
    yield _check("engine: confined", confined and any("no-new-privileges" in o for o in security), security)
    shared = [host[name] for name in ("PidMode", "IpcMode", "UTSMode", "UsernsMode")]
    yield _check("engine: own namespaces", not {"host"} & set(shared), f"pid, ipc, uts, user modes {shared}")
    yield _check("engine: no log", host["LogConfig"]["Type"] == "none", f"log driver {host['LogConfig']['Type']}")


def from_probe(attempts: dict[str, str]) -> list[Check]:
    """Judge what came of the tool that tried to get out."""
    checks = []
    for name, came_of_it in sorted(attempts.items()):
        calls = not name.startswith(("socket_", "connect_", "write_", "run_", "runner_", "device_", "become_"))
        # Only the filter answers EPERM before it looks at the (senseless) arguments.
        ok = came_of_it == "Operation not permitted" if calls else came_of_it != "allowed"
        checks.append(_check(f"attempt: {name}", ok, came_of_it))
    return checks
