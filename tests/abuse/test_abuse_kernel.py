"""The kernel refuses what a tool never needs: by the error, and by the filter before the kernel looks."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.docker

EPERM, NO_FAMILY = "EPERM", "EAFNOSUPPORT"


@pytest.fixture(scope="module")
async def calls(attacker):
    """System call → what came of it, asked with arguments that make no sense."""
    return await attacker.fact("kernel", "calls")


@pytest.fixture(scope="module")
async def sockets(attacker):
    """Family of sockets → what came of every kind of it."""
    return await attacker.fact("kernel", "sockets")


def refused(calls, *names):
    return {name: calls[name] for name in names} == dict.fromkeys(names, EPERM)


def test_io_uring_is_refused(calls):
    assert refused(calls, "io_uring_setup", "io_uring_enter", "io_uring_register")


def test_bpf_is_refused(calls):
    assert refused(calls, "bpf")


def test_perf_events_are_refused(calls):
    assert refused(calls, "perf_event_open")


def test_userfaultfd_is_refused(calls):
    assert refused(calls, "userfaultfd")


def test_keyrings_are_refused(calls):
    assert refused(calls, "add_key", "request_key", "keyctl")


def test_mounts_are_refused(calls):
    old = ("mount", "umount2", "pivot_root", "chroot")
    assert refused(calls, *old, "open_tree", "move_mount", "fsopen", "fsmount", "mount_setattr")


def test_files_by_handle_are_refused(calls):
    assert refused(calls, "name_to_handle_at", "open_by_handle_at", "fanotify_init")


def test_kernel_modules_are_refused(calls):
    assert refused(calls, "init_module", "finit_module", "delete_module", "kexec_load")


def test_machine_is_not_switched(calls):
    assert refused(calls, "reboot", "swapon", "syslog", "acct", "personality")


def test_clock_is_not_set(calls):
    assert refused(calls, "settimeofday", "clock_settime", "adjtimex", "clock_adjtime")


def test_memory_of_others_is_refused(calls):
    assert refused(calls, "process_vm_readv", "process_vm_writev", "pidfd_getfd", "kcmp")


def test_page_cache_is_not_told(calls):
    assert refused(calls, "cachestat", "memfd_secret")


async def test_namespaces_are_refused(attacker):
    found = await attacker.fact("kernel", "namespaces")
    # A filter cannot see the flags of clone3, so that call does not exist.
    assert found.pop("clone3") == "ENOSYS"
    assert set(found.values()) == {EPERM}
    assert len(found) == 15


async def test_tracing_is_refused(attacker):
    found = await attacker.fact("kernel", "trace")
    assert found == dict.fromkeys(("child", "runner", "runner, seized", "oneself"), EPERM)


async def test_other_tables_do_not_exist(attacker):
    found = await attacker.fact("kernel", "other_tables")
    # A kernel without the 32-bit table ends the process instead.
    assert found.get("x32", "ENOSYS") == "ENOSYS"
    assert found.get("interrupt", "ENOSYS") in ("ENOSYS", "signal 11")


def test_vsock_is_refused(sockets):
    assert (sockets["40"], sockets["pair of vsock"]) == (NO_FAMILY, NO_FAMILY)


def test_kernel_crypto_is_refused(sockets):
    assert sockets["38"] == NO_FAMILY


def test_packet_sockets_are_refused(sockets):
    assert sockets["17"] == NO_FAMILY


def test_raw_sockets_are_refused(sockets):
    assert sockets["raw icmp"] == EPERM


def test_netlink_is_refused(sockets):
    assert sockets["16"] == NO_FAMILY


def test_three_families_exist(sockets):
    allowed = {family for family, came_of_it in sockets.items() if "allowed" in came_of_it}
    assert allowed == {"1", "2", "10"}


async def test_devices_are_out_of_reach(attacker):
    found = await attacker.fact("kernel", "devices", workspace_use="write")
    there = set(found.pop("there").split())
    harmless = {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts"}
    assert there <= harmless | {"fd", "stdin", "stdout", "stderr", "shm", "mqueue", "console", "core"}
    made = {name: came_of_it for name, came_of_it in found.items() if name.startswith("make ")}
    assert set(made.values()) == {EPERM}
    assert len(made) == 4
    assert {found[name] for name in found if name not in made} <= {"ENOENT", "EACCES", "EPERM"}


async def test_setuid_program_gains_nothing(attacker):
    found = await attacker.fact("kernel", "identity", workspace_use="write", limits={"workspace_mib": 8})
    assert found.pop("users") == "10001 10001 10001"
    assert set(found.pop("capabilities").split()) == {"0" * 16}
    assert set(found.values()) == {EPERM}


async def test_filter_is_not_taken_off(attacker):
    assert await attacker.fact("kernel", "loosen") == {
        "seccomp off": "EINVAL",
        "privileges again": "EINVAL",
        "ambient capability": EPERM,
        "keep capabilities": EPERM,
    }


async def test_terminal_is_not_typed_into(attacker):
    found = await attacker.fact("kernel", "terminal")
    assert found.pop("controlling") == "ENXIO"
    assert set(found.values()) == {EPERM}
    assert len(found) == 6


async def test_proc_and_sys_are_not_written(attacker):
    found = set(await attacker.fact("kernel", "writable"))
    # The engine puts /dev/null in place of what it masks; writing to pressure only asks to be told of it.
    masked = {"/proc/keys", "/proc/timer_list", "/proc/sched_debug", "/proc/latency_stats", "/proc/kcore"}
    assert found <= masked | {f"/proc/pressure/{name}" for name in ("io", "cpu", "memory", "irq")}


async def test_switches_of_the_kernel_are_closed(attacker):
    found = await attacker.fact("kernel", "switches")
    assert set(found.values()) <= {"EROFS", "EACCES", "ENOENT"}
    assert found["/proc/sys/kernel/core_pattern"] in ("EROFS", "EACCES")


async def test_state_of_the_machine_is_masked(attacker):
    found = await attacker.fact("kernel", "masked")
    nothing = {"ENOENT", "EACCES", "EPERM", "b''", "folder of 0"}
    symbols = found.pop("/proc/kallsyms")
    assert "0000000000000000" in symbols or symbols in nothing
    assert set(found.values()) <= nothing


async def test_groups_are_own_and_read_only(attacker):
    found = await attacker.fact("kernel", "groups")
    assert (found["paths"], found["written"]) == ("/", "")
    assert not any("docker" in path or "interlock" in path for path in found["seen"].split())
