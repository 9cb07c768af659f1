"""The closed door as the runner sees it before any tool is there. Cheap: every start of a container judges it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from interlock.sandbox.checks import Check, control, fact
from interlock.sandbox.options import ARTIFACTS_MIB, MIB, USER, WAY_OUT
from interlock.types import Profile

_CAPABILITIES: Final = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
_NONE: Final = {"0000000000000000"}
_TMPFS: Final = {
    "/tmp": {"nosuid", "nodev", "noexec"},  # noqa: S108
    "/workspace": {"nosuid", "nodev"},
    "/artifacts": {"nosuid", "nodev", "noexec"},
    "/dev/shm": {"nosuid", "nodev", "noexec"},  # noqa: S108
}
_OF_ENGINE: Final = ("/proc", "/sys", "/dev", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/.dockerenv")
"""Mounts that an engine makes in every container. What lies at and below them is judged by other controls."""
_STREAMS: Final = ("fd", "stdin", "stdout", "stderr", "console", "tty", "ptmx", "pts")
_DEVICES: Final = frozenset((*_STREAMS, "core", "full", "mqueue", "null", "random", "shm", "urandom", "zero"))
_GVISOR_DEVICES: Final = _DEVICES | {"fuse", "net"}
_UNLIMITED: Final = 1 << 60
"""What version 1 writes for "no limit" lies above."""
_NO_INODES: Final = "gVisor counts no inodes and shows no device or setuid flags; memory and its kernel limit it"


def controls(facts: dict[str, Any], profile: Profile | None) -> Iterator[Check]:
    """Every control that can be seen from inside.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: a fact is missing or has another shape.
    """
    yield from _identity(facts)
    yield from _privileges(facts["status"], gvisor=facts["gvisor"])
    yield control("no network", facts["interfaces"] in ([], ["lo"]), f"interfaces {facts['interfaces']}")
    yield from _mounts(facts, profile)
    yield from _paths(facts)
    yield from _limits(facts, profile)
    yield fact("environment of the runner", f"names {facts['environment']}")
    yield fact("kernel", f"{'gVisor' if facts['gvisor'] else 'of the host'}, {facts['kernel']}, {facts['machine']}")


def _identity(facts: dict[str, Any]) -> Iterator[Check]:
    groups = facts["status"]["Groups"]
    yield control("runner is the first process", facts["pid"] == 1, f"pid {facts['pid']}")
    yield control("user is not root", set(facts["ids"]) == {USER}, f"user and group ids {facts['ids']}")
    secret = facts["secret"] is True
    seen = "its connection cannot be opened" if secret else "a process of its own opened its connection"
    yield control("runner out of reach of tools", secret, seen)
    yield control("no other groups", groups in ("", str(USER)), f"groups [{groups}]")
    first = facts["uid_map"].split()[:2]
    mapped = "root inside is root outside" if first == ["0", "0"] else f"root inside is user {first[1:]} outside"
    yield fact("user namespace", f"{mapped}; map [{facts['uid_map']}]")


def _privileges(status: dict[str, str], *, gvisor: bool) -> Iterator[Check]:
    # gVisor has no ambient capabilities, and so does not tell of them.
    names = _CAPABILITIES[:-1] if gvisor else _CAPABILITIES
    capabilities = {name: status[name] for name in names}
    yield control("no capabilities", set(capabilities.values()) == _NONE, capabilities)
    yield control("no new privileges", status["NoNewPrivs"] == "1", f"NoNewPrivs {status['NoNewPrivs']}")
    # The engine's own filter stands before gVisor, not in it. Kernels before 5.9 do not count filters.
    least = 1 if gvisor else 2
    filters = int(status.get("Seccomp_filters", least))
    name = "system call filter" if gvisor else "two system call filters"
    yield control(name, status["Seccomp"] == "2" and filters >= least, f"{filters} filters in force")


def _mounts(facts: dict[str, Any], profile: Profile | None) -> Iterator[Check]:
    mounts, gvisor = facts["mounts"], facts["gvisor"]
    yield control("read-only root", "ro" in mounts["/"], f"/ is {mounts['/'][:2]}")
    for path, flags in _TMPFS.items():
        yield control(f"{path} confined", *_confined(path, mounts[path], flags, profile, gvisor=gvisor))
    known = {"/", *_TMPFS}
    if WAY_OUT in mounts:
        yield control("way out read-only", "ro" in mounts[WAY_OUT], ",".join(mounts[WAY_OUT]))
        known.add(WAY_OUT)
    others = [path for path in mounts if path not in known and not path.startswith(_OF_ENGINE)]
    yield control("no other mounts", not others, f"{len(mounts)} mounts, others {others}")


def _confined(
    path: str, found: list[str], flags: set[str], profile: Profile | None, *, gvisor: bool
) -> tuple[bool, str]:
    values = dict(option.partition("=")[::2] for option in found)
    wanted = flags & {"noexec"} if gvisor else flags
    ok = found[0] == "tmpfs" and wanted <= set(found) and bool(values.get("size"))
    if path != "/dev/shm" and not gvisor:  # noqa: S108
        ok = ok and int(values.get("nr_inodes", "0")) > 0
    if profile is not None and path in (sizes := _sizes(profile)):
        ok = ok and 0 < _bytes(values.get("size", "")) <= sizes[path] * MIB
    return ok, ",".join(found) + (f" ({_NO_INODES})" if gvisor else "")


def _sizes(profile: Profile) -> dict[str, int]:
    return {"/workspace": profile.workspace_mib, "/artifacts": ARTIFACTS_MIB, "/tmp": profile.tmp_mib}  # noqa: S108


def _bytes(size: str) -> int:
    """The size of a tmpfs as the kernel writes it: `8192k`, `8m`, `1048576`; 0 if it is written otherwise."""
    number, unit = (size[:-1], size[-1]) if size[-1:] in ("k", "m", "g") else (size, "")
    return int(number) * {"": 1, "k": 1024, "m": MIB, "g": 1024 * MIB}[unit] if number.isdigit() else 0


def _number(text: str) -> int:
    """A limit as the kernel writes it; 0 where it is none (`max`, `-1`, empty)."""
    return int(text) if text.isdigit() else 0


def _paths(facts: dict[str, Any]) -> Iterator[Check]:
    gvisor = facts["gvisor"]
    hidden, steering = facts["hidden"], facts["read_only"]
    open_ = sorted(path for path, state in hidden.items() if state not in ("absent", "covered", "refused"))
    yield control("paths of the machine covered", bool(hidden) and not open_, f"{hidden}")
    # Behind gVisor these steer nothing but gVisor.
    writable = [] if gvisor else sorted(path for path, state in steering.items() if state not in ("absent", "ro"))
    yield control("/proc and /sys read-only", "/sys" in steering and not writable, f"{steering}")
    groups = facts["writable_groups"]
    yield control("control groups not writable", groups == [], f"writable {groups}")
    extra = sorted(set(facts["devices"]) - (_GVISOR_DEVICES if gvisor else _DEVICES))
    yield control("no device of the host", not extra, f"others than the standard ones {extra}")


def _limits(facts: dict[str, Any], profile: Profile | None) -> Iterator[Check]:
    rlimits = facts["rlimits"]
    bounded = all(0 <= soft <= hard for soft, hard in rlimits.values())
    yield control("ulimits", bounded and rlimits["core"] == [0, 0], f"{rlimits}")
    seen = facts["limits"]
    if not any(seen.values()):
        # gVisor shows none. What the engine says of them, and whether it can keep them, doctor checks from outside.
        yield fact("limits in force", "not visible from inside")
        return
    memory, pids = _number(seen["memory"]), _number(seen["pids"])
    wanted = (profile.memory_mib * MIB, profile.pids) if profile else (memory, pids)
    exact = 0 < memory < _UNLIMITED and pids > 0 and (memory, pids) == wanted
    quota = _number(seen["cpu"].partition(" ")[0]) > 0
    swap = seen["swap"] in ("", "0", seen["memory"]) and seen["swappiness"] in ("", "0")
    yield control("limits in force", exact and quota and swap, f"{seen}")
