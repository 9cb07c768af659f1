"""What the runner does to itself before it touches anything of a tool: a second seccomp filter, and secrecy.

The filter is stacked on the engine's profile, so it can only take away. Installing it needs nothing but
no-new-privileges, and it holds for every process started later.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from . import syscalls

_PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_GET_NO_NEW_PRIVS = 4, 22, 39
_FILTER = 2
_LOAD, _EQUAL, _AT_LEAST, _BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NUMBER, _ARCH, _ARGUMENTS, _WIDTH = 0, 4, 16, 8
_X32 = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def _prctl(option: int, *arguments: object) -> int:
    result: int = _libc.prctl(option, *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")
    return result


def dumpable(value: bool) -> None:
    """Whether processes of the same user may read this one's memory and descriptors."""
    _prctl(_PR_SET_DUMPABLE, int(value), 0, 0, 0)


def _step(code: int, k: int, true: int = 0, false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, true, false, k)


def _refuse(number: int) -> bytes:
    return _step(_RETURN, _ERRNO | number)


def _on(call: int, body: list[bytes]) -> list[bytes]:
    """Run `body` (which returns) when the system call is `call`."""
    return [_step(_EQUAL, call, 0, len(body)), *body]


def _load(argument: int) -> bytes:
    """The lower half of an argument, which is all that the kernel reads of an `int`."""
    return _step(_LOAD, _ARGUMENTS + _WIDTH * argument)


def _one_of(values: tuple[int, ...], otherwise: int) -> list[bytes]:
    """Allow when the first argument is one of `values`."""
    tests = [_step(_EQUAL, value, len(values) - at, 0) for at, value in enumerate(values)]
    return [_load(0), *tests, _refuse(otherwise), _step(_RETURN, _ALLOW)]


def _none_of(argument: int, values: tuple[int, ...]) -> list[bytes]:
    """Refuse when that argument is one of `values`."""
    tests = [_step(_EQUAL, value, len(values) - at, 0) for at, value in enumerate(values)]
    return [_load(argument), *tests, _step(_RETURN, _ALLOW), _refuse(errno.EPERM)]


def _only_with(values: tuple[int, ...]) -> list[bytes]:
    """Allow when the first arguments are exactly `values`."""
    steps: list[bytes] = []
    for at, value in enumerate(values):
        steps += [_load(at), _step(_EQUAL, value, 1, 0), _refuse(errno.EPERM)]
    return [*steps, _step(_RETURN, _ALLOW)]


def program(machine: str) -> bytes:
    """The filter for a machine, as BPF instructions."""
    column = syscalls.MACHINES.index(machine)
    steps = [
        _step(_LOAD, _ARCH),
        _step(_EQUAL, syscalls.AUDIT_ARCH[machine], 1, 0),
        _refuse(errno.ENOSYS),
        _step(_LOAD, _NUMBER),
    ]
    if machine == "x86_64":
        steps += [_step(_AT_LEAST, _X32, 0, 1), _refuse(errno.ENOSYS)]
    for numbers in syscalls.DENIED.values():
        number = numbers[column]
        if number is not None:
            steps += _on(number, [_refuse(errno.EPERM)])
    namespaces = [_load(0), _step(_BITS, syscalls.NEW_NAMESPACES, 0, 1), _refuse(errno.EPERM)]
    steps += _on(syscalls.CLONE[column], [*namespaces, _step(_RETURN, _ALLOW)])
    # A filter cannot look behind clone3's pointer; libraries fall back to clone.
    steps += _on(syscalls.CLONE3[column], [_refuse(errno.ENOSYS)])
    for call in (syscalls.SOCKET, syscalls.SOCKETPAIR):
        steps += _on(call[column], _one_of(syscalls.SOCKET_FAMILIES, errno.EAFNOSUPPORT))
    for own, values in syscalls.OWN_ONLY.values():
        steps += _on(own[column], _only_with(values))
    steps += _on(syscalls.IOCTL[column], _none_of(1, syscalls.TERMINAL_INPUT))
    steps.append(_step(_RETURN, _ALLOW))
    return b"".join(steps)


def install_filter() -> None:
    """Put the filter on this process and all that come from it.

    Raises:
        OSError: no-new-privileges is missing, the machine is unknown, or the kernel refused.
    """
    if _prctl(_PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1:
        raise OSError(errno.EPERM, "no-new-privileges is not set")
    machine = os.uname().machine
    if machine not in syscalls.MACHINES:
        raise OSError(errno.ENOSYS, f"no system call filter for machine {machine!r}")
    steps = program(machine)
    buffer = ctypes.create_string_buffer(steps, len(steps))
    header = _Program(len(steps) // 8, ctypes.addressof(buffer))
    _prctl(_PR_SET_SECCOMP, _FILTER, ctypes.byref(header), 0, 0)
