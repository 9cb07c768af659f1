"""Uses up what a container has, and what the machine has."""

import ctypes
import errno
import os
import resource
import signal
import socket
import subprocess
import threading
import time

from interlock import tool

MIB = 1 << 20


@tool(action="execute")
def fork_bomb() -> int:
    """Fork for ever, in all processes, out of reach of the group."""
    while True:
        try:
            os.fork()
            os.setsid()
        except OSError:
            pass


@tool(action="execute")
def forks() -> list[str]:
    """How many processes there can be, and the refusal."""
    count = 0
    while True:
        try:
            if os.fork() == 0:
                signal.pause()
        except OSError as error:
            return [str(count), errno.errorcode[error.errno or 0]]
        count += 1


@tool(action="execute")
def threads() -> int:
    """How many threads there can be: they count as processes."""
    started, stop = 0, threading.Event()
    try:
        while True:
            threading.Thread(target=stop.wait, daemon=True).start()
            started += 1
    except RuntimeError:
        stop.set()
        return started


@tool(action="execute")
def orphans(count: int) -> int:
    """Children that end unwatched, more than there can be processes: somebody must collect them."""
    done = 0
    while done < count:
        try:
            if os.fork() == 0:
                os.fork()
                os._exit(0)
            os.wait()
            done += 1
        except OSError:
            time.sleep(0.01)
    return done


@tool(action="execute")
def memory() -> int:
    """Ask for memory until there is no more."""
    data = []
    while True:
        data.append(bytearray(8 * MIB))


@tool(action="execute")
def anonymous_files() -> int:
    """Memory that no process maps: files without a name."""
    while True:
        number = os.memfd_create("bomb")
        os.write(number, bytes(8 * MIB))


@tool(action="execute")
def socket_buffers() -> int:
    """Memory of the kernel: data in sockets that nobody reads."""
    pairs = []
    try:
        while True:
            pairs.append(socket.socketpair())
            pairs[-1][0].setblocking(False)
            pairs[-1][0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * MIB)
            try:
                while True:
                    pairs[-1][0].send(bytes(65536))
            except BlockingIOError:
                pass
    except OSError as error:
        return error.errno or 0


@tool(action="execute")
def fill(path: str) -> list[str]:
    """Write one file until it is refused: bytes that went in, and the refusal."""
    size = 0
    # Smaller than a page at the end, so that the last byte is found.
    with open(f"{path}/full", "wb", buffering=0) as file:
        for block in (bytes(MIB), bytes(4096)):
            try:
                while True:
                    size += file.write(block)
            except OSError as error:
                refused = errno.errorcode[error.errno or 0]
    return [str(size), refused]


@tool(action="execute")
def fill_inodes(path: str) -> list[str]:
    """Make empty files until it is refused."""
    count = 0
    try:
        while True:
            os.close(os.open(f"{path}/{count}", os.O_CREAT | os.O_WRONLY))
            count += 1
    except OSError as error:
        return [str(count), errno.errorcode[error.errno or 0]]


@tool(action="execute")
def sparse() -> list[str]:
    """A file that is large and holds nothing."""
    found = []
    for action in (lambda n: os.truncate(n, 1 << 40), lambda n: os.posix_fallocate(n, 0, 1 << 40)):
        number = os.open("/workspace/sparse", os.O_CREAT | os.O_RDWR)
        try:
            action(number)
            found.append("allowed")
        except OSError as error:
            found.append(errno.errorcode[error.errno or 0])
        os.close(number)
    return found


@tool(action="execute")
def descriptors() -> list[str]:
    """Open files until it is refused, then ask for more."""
    count = 0
    try:
        while True:
            os.open("/dev/null", os.O_RDONLY)
            count += 1
    except OSError as error:
        refused = errno.errorcode[error.errno or 0]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    except (ValueError, OSError) as error:
        return [str(count), refused, type(error).__name__]
    return [str(count), refused, "raised"]


@tool(action="execute")
def spin() -> dict[str, int]:
    """Compute with more processes than the quota has processors, until the kernel has held them back."""
    children = []
    for _ in range(4):
        child = os.fork()
        while child == 0:
            pass
        children.append(child)
    found: dict[str, int] = {}
    end = time.monotonic() + 10
    while not found.get("nr_throttled") and time.monotonic() < end:
        time.sleep(0.05)
        found = _counted()
    for child in children:
        os.kill(child, signal.SIGKILL)
    return found


def _counted() -> dict[str, int]:
    for path in ("/sys/fs/cgroup/cpu.stat", "/sys/fs/cgroup/cpu/cpu.stat", "/sys/fs/cgroup/cpu,cpuacct/cpu.stat"):
        if os.path.exists(path):
            with open(path, encoding="ascii") as file:
                return {name: int(value) for name, value in (line.split() for line in file)}
    return {}


@tool(action="execute")
def flood(number: int) -> int:
    """A gigabyte on one stream."""
    block = bytes(MIB)
    for _ in range(1024):
        os.write(number, block)
    return 1


@tool(action="execute")
def sleep_on() -> int:
    """Sleep past the deadline, in a child of a child that has left the group."""
    print("before", flush=True)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            time.sleep(600)
        os._exit(0)
    time.sleep(600)
    return 1


@tool(action="execute")
def hold_output() -> int:
    """Return while children hold both streams, one of them writing."""
    subprocess.Popen(["sh", "-c", "while :; do echo held; sleep 0.01; done"], start_new_session=True)
    subprocess.Popen(["sleep", "600"], start_new_session=True)
    print("done", flush=True)
    return 7


@tool(action="execute")
def dump_core() -> int:
    """Die so that a core would be written."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.chdir("/workspace")
    if os.fork() == 0:
        os.abort()
    os.wait()
    found = os.listdir("/workspace")
    ctypes.string_at(0)
    return len(found)


@tool(action="execute")
def dump_core_limits() -> list[str]:
    """The limit on cores, and whether it can be raised."""
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (1 << 20, 1 << 20))
    except (ValueError, OSError) as error:
        return [str(resource.getrlimit(resource.RLIMIT_CORE)), type(error).__name__]
    return ["raised"]


@tool(action="execute")
def odd_bytes() -> int:
    """Bytes that are no text, on both streams: halves of characters, controls, a terminal's commands."""
    for number in (1, 2):
        os.write(number, b"\xff\xfe\x00\xc3(\xed\xa0\x80\xf4\x90\x80\x80\x1b[2J\x1b]0;owned\x07\xe2\x80\xae")
    return 1


@tool(action="execute")
def large() -> str:
    """A result that is too large."""
    return "x" * (64 * MIB)
