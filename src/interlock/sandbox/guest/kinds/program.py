"""Runs one program to its end, with all that it printed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from typing import IO, NamedTuple

from ..failure import ToolError
from .room import Room
from .spool import Pump, Spool

_HELD_OPEN_S = 1.0
"""How long output is awaited that a child of the program may still hold open."""
_LOOK_S = 0.02


class Ended(NamedTuple):
    """How a program ended."""

    exit_code: int
    stdout: Spool
    stderr: Spool


def run(argv: list[str], room: Room, *, stdin: bytes = b"", environment: dict[str, str] | None = None) -> Ended:
    """Run a program without a shell, in the working folder.

    Raises:
        ToolError: it cannot be started, died by a signal, or printed more than is kept.
    """
    try:
        one = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise ToolError(f"{argv[0]!r} cannot be started: {getattr(error, 'strerror', None) or error}") from error
    spools = Spool("stdout.txt", room.inline), Spool("stderr.txt", room.inline)
    try:
        exit_code = _follow(one, spools, stdin)
    finally:
        end(one)
    if exit_code < 0:
        raise ToolError(f"{argv[0]!r} died by signal {_signal(-exit_code)}\n{spools[1].text}".rstrip())
    return Ended(exit_code, *spools)


def _follow(one: subprocess.Popen[bytes], spools: tuple[Spool, Spool], stdin: bytes) -> int:
    assert one.stdout is not None, "it was asked for"
    assert one.stderr is not None, "it was asked for"
    pumps = Pump(one.stdout, spools[0], sys.stdout.buffer), Pump(one.stderr, spools[1], sys.stderr.buffer)
    if one.stdin is not None:
        threading.Thread(target=_write, args=(one.stdin, stdin), daemon=True).start()
    while one.poll() is None:
        for pump in pumps:
            if pump.error is not None:
                raise ToolError(f"stopped: it printed too much: {pump.error}")
        _pause(one)
    until = time.monotonic() + _HELD_OPEN_S
    for pump in pumps:
        pump.join(max(0.0, until - time.monotonic()))
        if pump.error is not None:
            raise ToolError(f"it printed too much: {pump.error}")
    return one.returncode


def _pause(one: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        one.wait(_LOOK_S)


def _write(pipe: IO[bytes], data: bytes) -> None:
    # A program need not read its input.
    with contextlib.suppress(OSError), pipe:
        pipe.write(data)


def end(one: subprocess.Popen[bytes]) -> None:
    """Kill the program and what it started in its own process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(one.pid, signal.SIGKILL)
    one.wait()


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
