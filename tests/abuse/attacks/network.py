"""Looks for a way out of a container that has no network."""

import errno
import fcntl
import os
import socket
import struct
from collections.abc import Callable

from interlock import tool


def refusal(action: Callable[[], object]) -> str:
    """What came of an attempt."""
    try:
        action()
    except socket.gaierror as error:
        return f"EAI {error.args[0]}"
    except TimeoutError:
        return "no answer"
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "allowed"


def _connect(host: str, port: int) -> None:
    with socket.create_connection((host, port), 1) as one:
        one.sendall(b"out")


def _send(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as one:
        one.settimeout(0.3)
        one.sendto(b"out", (host, port))
        one.recv(16)


@tool(action="execute")
def connect(hosts: list[str], port: int) -> dict[str, str]:
    """A stream and a datagram to each host."""
    found = {f"tcp {host}": refusal(lambda h=host: _connect(h, port)) for host in hosts}
    return {**found, **{f"udp {host}": refusal(lambda h=host: _send(h, port)) for host in hosts}}


@tool(action="execute")
def names() -> dict[str, str]:
    """Ask for names: the library, the usual servers, the engine's own server."""
    found = {
        name: refusal(lambda n=name: socket.getaddrinfo(n, 443))
        for name in ("example.org", "host.docker.internal", "metadata.google.internal")
    }
    for server in ("127.0.0.11", "8.8.8.8", "169.254.169.253"):
        found[f"server {server}"] = refusal(lambda s=server: _send(s, 53))
    with open("/etc/hosts", encoding="utf-8") as file:
        found["hosts"] = " ".join(sorted({word for line in file for word in line.split("#")[0].split()[1:]}))
    try:
        with open("/etc/resolv.conf", encoding="utf-8") as file:
            rows = [line.split() for line in file if line.strip() and not line.startswith("#")]
        found["resolv.conf"] = " ".join(word for row in rows for word in row)
    except FileNotFoundError:
        found["resolv.conf"] = "none"
    return found


@tool(action="execute")
def interfaces() -> dict[str, str]:
    """The interfaces, the routes, and whether either can be changed."""
    found = {"there": " ".join(sorted(os.listdir("/sys/class/net")))}
    with open("/proc/net/route", encoding="ascii") as file:
        found["routes"] = str(len(file.read().splitlines()) - 1)
    with open("/proc/net/arp", encoding="ascii") as file:
        found["neighbours"] = str(len(file.read().splitlines()) - 1)
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    name = b"lo".ljust(16, b"\0")
    up = name + struct.pack("=H", 0x1043) + bytes(22)
    address = name + struct.pack("=HH4s8x", 2, 0, socket.inet_aton("172.17.0.9")) + bytes(8)
    found["flags"] = refusal(lambda: fcntl.ioctl(one, 0x8914, up))
    found["address"] = refusal(lambda: fcntl.ioctl(one, 0x8916, address))
    found["route"] = refusal(lambda: fcntl.ioctl(one, 0x890B, bytes(120)))
    found["bind to device"] = refusal(lambda: one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0"))
    found["spoof"] = refusal(lambda: one.setsockopt(socket.SOL_IP, 19, 1))
    found["mark"] = refusal(lambda: one.setsockopt(socket.SOL_SOCKET, 36, 1))
    return found


@tool(action="execute")
def docker() -> dict[str, str]:
    """The engine's sockets, and those of what usually stands beside it."""
    paths = (
        "/var/run/docker.sock",
        "/run/docker.sock",
        "/run/containerd/containerd.sock",
        "/run/podman/podman.sock",
        "/run/dbus/system_bus_socket",
        "/run/systemd/private",
        "/run/user/0/docker.sock",
    )
    found = {path: refusal(lambda p=path: socket.socket(socket.AF_UNIX).connect(p)) for path in paths}
    there = [
        os.path.join(folder, name)
        for top in ("/run", "/var", "/tmp", "/opt", "/workspace", "/artifacts", "/etc")
        for folder, _, files in os.walk(top)
        for name in files
        if (os.lstat(os.path.join(folder, name)).st_mode & 0o170000) == 0o140000
    ]
    return {**found, "sockets there": " ".join(there)}


@tool(action="execute")
def abstract(names: list[str]) -> dict[str, str]:
    """Abstract Unix sockets, which belong to a network namespace and not to a folder."""
    found = {name: refusal(lambda n=name: socket.socket(socket.AF_UNIX).connect("\0" + n)) for name in names}
    with open("/proc/net/unix", encoding="ascii", errors="replace") as file:
        found["there"] = " ".join(line.split()[-1] for line in file.read().splitlines()[1:])
    return found
