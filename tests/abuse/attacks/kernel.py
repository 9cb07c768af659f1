"""Asks the kernel for what a tool must not have; each answer is `allowed` or the name of the error."""

import ctypes
import errno
import fcntl
import mmap
import os
import pty
import signal
import socket
from collections.abc import Callable

from interlock import tool

# Numbers on x86_64 and arm64, with arguments that a kernel without a filter would look at first.
CALLS = {
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsmount": (432, 432),
    "mount_setattr": (442, 442),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "acct": (163, 89),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "personality": (135, 92),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "cachestat": (451, 451),
    "memfd_secret": (447, 447),
}
NAMESPACES = {
    "mount": 0x00020000,
    "cgroup": 0x02000000,
    "uts": 0x04000000,
    "ipc": 0x08000000,
    "user": 0x10000000,
    "pid": 0x20000000,
    "net": 0x40000000,
    "time": 0x00000080,
}
NATIVE = os.uname().machine == "x86_64"
libc = ctypes.CDLL(None, use_errno=True)


def refusal(action: Callable[[], object]) -> str:
    """What came of an attempt."""
    try:
        action()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "allowed"


def ask(number: int, *arguments: int) -> str:
    """What the kernel answers to a system call."""
    done = libc.syscall(*(ctypes.c_long(value) for value in (number, *arguments)))
    return "allowed" if done >= 0 else errno.errorcode[ctypes.get_errno()]


@tool(action="execute")
def calls() -> dict[str, str]:
    """Every system call of the list, with arguments that make no sense."""
    return {name: ask(numbers[0 if NATIVE else 1], 0, 0, 0, 0, 0, 0) for name, numbers in CALLS.items()}


@tool(action="execute")
def namespaces() -> dict[str, str]:
    """A namespace of one's own, in each of the three ways."""
    found = {}
    for name, flag in NAMESPACES.items():
        found[f"unshare {name}"] = ask(272 if NATIVE else 97, flag)
        if name != "time":
            found[f"clone {name}"] = _clone(flag)
    found["clone3"] = ask(435, 0, 0)
    return found


def _clone(flag: int) -> str:
    done = libc.syscall(
        *(ctypes.c_long(value) for value in (56 if NATIVE else 220, flag | signal.SIGCHLD, 0, 0, 0, 0))
    )
    if done == 0:
        os._exit(0)
    return "allowed" if done > 0 else errno.errorcode[ctypes.get_errno()]


@tool(action="execute")
def trace() -> dict[str, str]:
    """Trace a child, then the runner."""
    child = os.fork()
    if child == 0:
        signal.pause()
    number = 101 if NATIVE else 117
    attach, seize = 16, 0x4206
    found = {
        "child": ask(number, attach, child, 0, 0),
        "runner": ask(number, attach, 1, 0, 0),
        "runner, seized": ask(number, seize, 1, 0, 0),
        "oneself": ask(number, 0, 0, 0, 0),
    }
    os.kill(child, signal.SIGKILL)
    return found


@tool(action="execute")
def sockets() -> dict[str, str]:
    """A socket of every family that there is, of every kind."""
    found = {}
    for family in range(46):
        kinds = {refusal(lambda f=family, k=kind: socket.socket(f, k).close()) for kind in (1, 2, 3, 5)}
        found[str(family)] = " ".join(sorted(kinds))
    found["pair of vsock"] = refusal(lambda: socket.socketpair(40))
    found["raw icmp"] = refusal(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
    return found


@tool(action="execute")
def other_tables() -> dict[str, str]:
    """System calls by the tables for other machines: x32, and 32 bits through the old interrupt."""
    if not NATIVE:
        return {}
    return {"x32": ask(0x40000000 | 39), "interrupt": _interrupt()}


def _interrupt() -> str:
    child = os.fork()
    if child == 0:
        # mov eax, 20 (getpid); int 0x80; ret
        code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")
        address = ctypes.addressof(ctypes.c_char.from_buffer(code))
        answer = ctypes.CFUNCTYPE(ctypes.c_int)(address)()
        os._exit(min(-answer, 255) if answer < 0 else 0)
    code_of = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return {0: "allowed"}.get(code_of, errno.errorcode.get(code_of, f"signal {-code_of}"))


@tool(action="execute")
def devices() -> dict[str, str]:
    """Device nodes: made, and those that are there."""
    made = {
        "memory": (0o020666, 1, 1),
        "disk": (0o060666, 8, 0),
        "fuse": (0o020666, 10, 229),
        "kvm": (0o020666, 10, 232),
    }
    found = {
        f"make {name}": refusal(lambda m=mode, a=major, b=minor: os.mknod("/workspace/node", m, os.makedev(a, b)))
        for name, (mode, major, minor) in made.items()
    }
    for path in (
        "/dev/mem",
        "/dev/kmsg",
        "/dev/sda",
        "/dev/vda",
        "/dev/fuse",
        "/dev/kvm",
        "/dev/net/tun",
        "/dev/core",
    ):
        found[path] = refusal(lambda p=path: os.close(os.open(p, os.O_RDONLY)))
    found["there"] = " ".join(sorted(os.listdir("/dev")))
    return found


@tool(action="execute")
def identity() -> dict[str, str]:
    """Become somebody else: by calls, by a setuid program, by capabilities of a file."""
    with open("/bin/sh", "rb") as file, open("/workspace/id", "wb") as copy:
        copy.write(file.read())
    os.chmod("/workspace/id", 0o6755)
    found = {
        "setuid": refusal(lambda: os.setuid(0)),
        "setresgid": refusal(lambda: os.setresgid(0, 0, 0)),
        "setgroups": refusal(lambda: os.setgroups([0])),
        "give to root": refusal(lambda: os.chown("/workspace/id", 0, 0)),
        "capability of a file": refusal(
            lambda: os.setxattr(
                "/workspace/id", "security.capability", bytes.fromhex("0100000202" + "ff" * 3 + "00" * 12)
            )
        ),
    }
    found["users"] = os.popen("/workspace/id -p -c 'echo $(id -u) $(id -g) $(id -G)'").read().strip()
    with open("/proc/self/status", encoding="ascii") as file:
        found["capabilities"] = " ".join(line.split()[1] for line in file if line.startswith("Cap"))
    return found


@tool(action="execute")
def loosen() -> dict[str, str]:
    """Take off what the runner put on."""
    found = {}
    for name, arguments in {
        "seccomp off": (22, 0, 0, 0, 0),
        "privileges again": (38, 0, 0, 0, 0),
        "ambient capability": (47, 2, 21, 0, 0),
        "keep capabilities": (28, 0x2F, 0, 0, 0),
    }.items():
        found[name] = "allowed" if libc.prctl(*arguments) == 0 else errno.errorcode[ctypes.get_errno()]
    return found


@tool(action="execute")
def terminal() -> dict[str, str]:
    """Type into a terminal: the one that started us, and one of our own."""
    TIOCSTI, TIOCLINUX = 0x5412, 0x541C
    _, slave = pty.openpty()
    found = {f"descriptor {at}": refusal(lambda n=at: fcntl.ioctl(n, TIOCSTI, b"x")) for at in range(3)}
    found["own"] = refusal(lambda: fcntl.ioctl(slave, TIOCSTI, b"x"))
    # The kernel looks at 32 bits only, so a filter must do the same.
    found["own, high bits"] = ask(16 if NATIVE else 29, slave, TIOCSTI | 1 << 40, 0)
    found["console"] = refusal(lambda: fcntl.ioctl(slave, TIOCLINUX, b"\x03"))
    found["controlling"] = refusal(lambda: os.close(os.open("/dev/tty", os.O_RDWR)))
    return found


@tool(action="execute")
def writable() -> list[str]:
    """Files under /proc and /sys, not those of a process, that can be opened for writing."""
    found = []
    for top in ("/proc", "/sys"):
        for folder, folders, files in os.walk(top):
            if folder == "/proc":
                folders[:] = [name for name in folders if not name.isdigit() and "self" not in name]
            for name in files:
                path = os.path.join(folder, name)
                if refusal(lambda p=path: os.close(os.open(p, os.O_WRONLY | os.O_NONBLOCK))) == "allowed":
                    found.append(path)
    return found


@tool(action="execute")
def switches() -> dict[str, str]:
    """Files of the kernel that containers were left through."""
    paths = (
        "/proc/sysrq-trigger",
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/modprobe",
        "/proc/sys/vm/drop_caches",
        "/proc/sys/fs/binfmt_misc/register",
        "/sys/kernel/uevent_helper",
        "/sys/fs/cgroup/memory/release_agent",
        "/sys/fs/cgroup/pids/notify_on_release",
        "/sys/fs/cgroup/cgroup.procs",
        "/sys/kernel/mm/transparent_hugepage/enabled",
        "/sys/power/state",
    )
    return {path: refusal(lambda p=path: os.close(os.open(p, os.O_WRONLY))) for path in paths}


@tool(action="execute")
def masked() -> dict[str, str]:
    """What can be read of the files that tell about the machine and its other processes."""
    found = {}
    for path in (
        "/proc/kcore",
        "/proc/keys",
        "/proc/timer_list",
        "/proc/sched_debug",
        "/proc/latency_stats",
        "/proc/acpi",
        "/sys/firmware",
        "/proc/scsi",
        "/proc/kmsg",
        "/proc/kpagecount",
        "/proc/1/environ",
        "/proc/kallsyms",
    ):
        try:
            if os.path.isdir(path):
                found[path] = f"folder of {len(os.listdir(path))}"
            else:
                with open(path, "rb") as file:
                    found[path] = f"{file.read(64)!r}"
        except OSError as error:
            found[path] = errno.errorcode[error.errno or 0]
    return found


@tool(action="execute")
def groups() -> dict[str, str]:
    """Control groups: those that are seen, and whether one can be made or written."""
    seen, made = [], []
    for folder, folders, files in os.walk("/sys/fs/cgroup"):
        seen.extend(os.path.join(folder, name) for name in folders)
        if refusal(lambda f=folder: os.mkdir(os.path.join(f, "own"))) == "allowed":
            made.append(folder)
        made.extend(p for p in (os.path.join(folder, name) for name in files) if os.access(p, os.W_OK))
    with open("/proc/self/cgroup", encoding="ascii") as file:
        paths = {line.strip().split(":", 2)[2] for line in file}
    return {"paths": " ".join(sorted(paths)), "written": " ".join(made), "seen": " ".join(seen)}
