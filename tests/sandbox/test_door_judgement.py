"""Each control fails when its fact is not as it must be: facts and reports of a real container, altered."""

from __future__ import annotations

import copy
import secrets
from collections.abc import Callable
from typing import Any

import pytest

from interlock.sandbox import door
from interlock.sandbox.container import Container
from interlock.sandbox.engine_facts import cgroup_v1, engine_facts, security_options
from interlock.sandbox.owner import own_id
from interlock.types import Profile

pytestmark = pytest.mark.docker
PROFILE = Profile(name="judged", memory_mib=96, pids=64, workspace_mib=8, tmp_mib=8, time_s=20)

Change = Callable[[dict[str, Any]], Any]


@pytest.fixture(scope="module")
def seen(engine, image) -> tuple[dict[str, Any], dict[str, Any]]:
    """Facts from inside and the engine's report of one container."""
    name = f"interlock-judged-{secrets.token_hex(4)}"
    one = Container.open(engine, PROFILE, image=image, name=name, cgroup_v1=cgroup_v1(engine))
    try:
        return one.facts, one.inspect()
    finally:
        one.destroy()


def failing(checks) -> set[str]:
    return {check.name for check in checks if not check.ok}


def test_real_container_fails_nothing(seen):
    facts, inspected = seen
    assert failing(door.from_inside(facts, PROFILE)) == set()
    assert failing(door.from_outside(inspected, PROFILE, {"interlock.sandbox": own_id()})) == set()


INSIDE: dict[str, tuple[Change, str]] = {
    "second process": (lambda f: f.update(pid=7), "runner is the first process"),
    "root": (lambda f: f["ids"].__setitem__(1, 0), "user is not root"),
    "runner open to tools": (lambda f: f.update(secret=False), "runner out of reach of tools"),
    "runner perhaps open": (lambda f: f.update(secret="true"), "runner out of reach of tools"),
    "docker group": (lambda f: f["status"].update(Groups="10001 999"), "no other groups"),
    "one capability": (lambda f: f["status"].update(CapBnd="0000000000000001"), "no capabilities"),
    "ambient capability": (lambda f: f["status"].update(CapAmb="0000000000200000"), "no capabilities"),
    "privileges to gain": (lambda f: f["status"].update(NoNewPrivs="0"), "no new privileges"),
    "no filter": (lambda f: f["status"].update(Seccomp="0"), "two system call filters"),
    "own filter only": (lambda f: f["status"].update(Seccomp_filters="1"), "two system call filters"),
    "bridge": (lambda f: f.update(interfaces=["eth0", "lo"]), "no network"),
    "writable root": (lambda f: f["mounts"].__setitem__("/", ["overlay", "rw"]), "read-only root"),
    "programs in /tmp": (lambda f: f["mounts"]["/tmp"].remove("noexec"), "/tmp confined"),
    "devices in workspace": (lambda f: f["mounts"]["/workspace"].remove("nodev"), "/workspace confined"),
    "workspace on disk": (lambda f: f["mounts"].__setitem__("/workspace", ["ext4", "rw"]), "/workspace confined"),
    "boundless workspace": (
        lambda f: f["mounts"].__setitem__("/workspace", ["tmpfs", "nosuid", "nodev", "nr_inodes=9"]),
        "/workspace confined",
    ),
    "larger workspace": (
        lambda f: f["mounts"].__setitem__("/workspace", ["tmpfs", "nosuid", "nodev", "size=9m", "nr_inodes=9"]),
        "/workspace confined",
    ),
    "boundless inodes": (
        lambda f: f["mounts"].__setitem__("/artifacts", ["tmpfs", "nosuid", "nodev", "noexec", "size=1m"]),
        "/artifacts confined",
    ),
    "folder of the host": (lambda f: f["mounts"].update({"/host": ["ext4", "ro"]}), "no other mounts"),
    "writable way out": (lambda f: f["mounts"].update({"/run/interlock": ["ext4", "rw"]}), "way out read-only"),
    "keys of the kernel": (lambda f: f["hidden"].update({"/proc/keys": "open"}), "paths of the machine covered"),
    "nothing looked at": (lambda f: f["hidden"].clear(), "paths of the machine covered"),
    "settings of the kernel": (lambda f: f["read_only"].update({"/proc/sys": "rw"}), "/proc and /sys read-only"),
    "writable /sys": (lambda f: f["read_only"].update({"/sys": "rw"}), "/proc and /sys read-only"),
    "writable groups": (lambda f: f["writable_groups"].append("/sys/fs/cgroup"), "control groups not writable"),
    "kvm": (lambda f: f["devices"].append("kvm"), "no device of the host"),
    "core dumps": (lambda f: f["rlimits"].update(core=[-1, -1]), "ulimits"),
    "boundless files": (lambda f: f["rlimits"].update({"open files": [-1, -1]}), "ulimits"),
    "no memory limit": (lambda f: f["limits"].update(memory="9223372036854771712"), "limits in force"),
    "other memory limit": (lambda f: f["limits"].update(memory=str(1 << 30)), "limits in force"),
    "no memory limit, version 2": (lambda f: f["limits"].update(memory="max"), "limits in force"),
    "no process limit": (lambda f: f["limits"].update(pids="max"), "limits in force"),
    "no CPU quota": (lambda f: f["limits"].update(cpu="-1"), "limits in force"),
    "swap": (lambda f: f["limits"].update(swap=str(1 << 40)), "limits in force"),
    "swappiness": (lambda f: f["limits"].update(swappiness="60"), "limits in force"),
    "no mounts": (lambda f: f.pop("mounts"), "facts of the runner"),
    "mounts are text": (lambda f: f.update(mounts="all well"), "facts of the runner"),
    "no status": (lambda f: f.update(status=None), "facts of the runner"),
}


@pytest.mark.parametrize("name", INSIDE)
def test_open_door_is_seen_from_inside(seen, name):
    change, control = INSIDE[name]
    facts = copy.deepcopy(seen[0])
    change(facts)
    assert control in failing(door.from_inside(facts, PROFILE))


OUTSIDE: dict[str, tuple[Change, str]] = {
    "bridge": (lambda r: r["HostConfig"].update(NetworkMode="default"), "engine: network none"),
    "writable root": (lambda r: r["HostConfig"].update(ReadonlyRootfs=False), "engine: root read-only"),
    "privileged": (lambda r: r["HostConfig"].update(Privileged=True), "engine: not privileged"),
    "capability": (lambda r: r["HostConfig"].update(CapAdd=["SYS_PTRACE"]), "engine: capabilities dropped"),
    "nothing dropped": (lambda r: r["HostConfig"].update(CapDrop=None), "engine: capabilities dropped"),
    "no filter": (lambda r: r["HostConfig"]["SecurityOpt"].append("seccomp=unconfined"), "engine: confined"),
    "privileges to gain": (lambda r: r["HostConfig"].update(SecurityOpt=None), "engine: confined"),
    "host's processes": (lambda r: r["HostConfig"].update(PidMode="host"), "engine: own namespaces"),
    "neighbour's memory": (lambda r: r["HostConfig"].update(IpcMode="container:x"), "engine: private IPC"),
    "folder of the host": (
        lambda r: r["Mounts"].append({"Source": "/", "Destination": "/host", "RW": False}),
        "engine: nothing of the host inside but the way out",
    ),
    "writable way out": (
        lambda r: (
            r["Config"]["Labels"].update({"interlock.way-out": "/tmp/x"}),
            r["Mounts"].append({"Source": "/tmp/x", "Destination": "/run/interlock", "RW": True}),
        ),
        "engine: nothing of the host inside but the way out",
    ),
    "device": (
        lambda r: r["HostConfig"].update(Devices=[{"PathOnHost": "/dev/kvm"}]),
        "engine: nothing of the host inside but the way out",
    ),
    "uncovered": (lambda r: r["HostConfig"].update(MaskedPaths=[]), "engine: /proc covered"),
    "writable /proc/sys": (lambda r: r["HostConfig"].update(ReadonlyPaths=None), "engine: /proc covered"),
    "port": (lambda r: r["HostConfig"].update(PortBindings={"80/tcp": [{}]}), "engine: no ports"),
    "swap": (lambda r: r["HostConfig"].update(MemorySwap=-1), "engine: memory without swap"),
    "no memory killer": (lambda r: r["HostConfig"].update(OomKillDisable=True), "engine: memory killer on"),
    "boundless processes": (lambda r: r["HostConfig"].update(PidsLimit=None), "engine: process limit"),
    "boundless CPU": (lambda r: r["HostConfig"].update(NanoCpus=0), "engine: CPU quota"),
    "no ulimits": (lambda r: r["HostConfig"].update(Ulimits=None), "engine: ulimits"),
    "large shared memory": (lambda r: r["HostConfig"].update(ShmSize=1 << 30), "engine: small shared memory"),
    "boundless tmpfs": (lambda r: r["HostConfig"]["Tmpfs"].update({"/tmp": "rw"}), "engine: tmpfs bounded"),
    "log on disk": (lambda r: r["HostConfig"]["LogConfig"].update(Type="json-file"), "engine: no log"),
    "root": (lambda r: r["Config"].update(User=""), "engine: user"),
    "no expiry": (lambda r: r["Config"]["Labels"].pop("interlock.expires"), "engine: labels for the reaper"),
    "other owner": (
        lambda r: r["Config"]["Labels"].update({"interlock.sandbox": "other"}),
        "engine: labels for the reaper",
    ),
    "no report": (lambda r: r.pop("HostConfig"), "report of the engine"),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_open_door_is_seen_from_outside(seen, name):
    change, control = OUTSIDE[name]
    inspected = copy.deepcopy(seen[1])
    change(inspected)
    assert control in failing(door.from_outside(inspected, PROFILE, {"interlock.sandbox": own_id()}))


def test_every_attempt_that_succeeds_is_found():
    found = {"calls": {"bpf": "allowed", "mount": "Bad address"}, "attempts": {"write the root": "allowed"}}
    checks = door.from_probe({**found, "environment": {"PATH": "/bin", "AWS_SECRET_ACCESS_KEY": "x"}})
    assert failing(checks) == {
        "attempt: bpf",
        "attempt: mount",
        "attempt: write the root",
        "environment of a tool made from nothing",
    }


def test_probe_that_says_nothing_fails():
    assert failing(door.from_probe({})) == {"report of the probe"}


def test_engine_tells_what_it_is(engine):
    facts = {check.name: check for check in engine_facts(engine)}
    assert all(check.ok for check in facts.values())
    assert "runc" in facts["runtimes"].observed
    assert facts["engine's system call filter"].observed not in ("none", "unconfined")


def test_security_options_are_read():
    listed = ["name=seccomp,profile=default", "name=rootless", "name=userns", "odd"]
    assert security_options({"SecurityOptions": listed}) == {"seccomp": "default", "rootless": "", "userns": ""}
