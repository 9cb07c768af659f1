"""The command line, forked from a process that has loaded it: a command costs what it does, not its start.

A command that starts by itself takes one to three seconds of a core until it does anything, and tests run hundreds.
What starting is like is tested where it is the point: tests/cli, tests/chaos, tests/e2e and the wheel.

A command gets its arguments, folder, environment and standard streams from a small program that stands for it: it
passes signals on, ends as the command ends, and takes it along if it is killed.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import marshal
import os
import pkgutil
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

APART = ("interlock.sandbox.guest", "interlock.project.describe_child", "interlock.audit.migrations")
"""Parts of the engine that no command imports: they run elsewhere, or are read as files."""
PROGRAM = """#!{python} -ISE
import _signal, _socket, marshal, os, sys
connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
connection.connect({address!r})
streams = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2))
connection.sendmsg([b"."], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
words = marshal.dumps((sys.argv[1:], os.getcwd(), dict(os.environ)))
connection.sendall(len(words).to_bytes(4, "big") + words)
for number in (_signal.SIGINT, _signal.SIGTERM):
    _signal.signal(number, lambda number, _: connection.send(bytes([number])))
code = (connection.recv(1) or bytes([1]))[0]
if code > 128:  # it died of a signal
    if code - 128 in (_signal.SIGINT, _signal.SIGTERM):
        _signal.signal(code - 128, _signal.SIG_DFL)
    os.kill(os.getpid(), code - 128)
os._exit(code)
"""
PYTHON = """#!/bin/sh
[ "$1 $2" = "-m interlock.cli.main" ] || exec {python} "$@"
shift 2
exec {program} "$@"
"""
"""What a command takes for its interpreter, so that the parts of `interlock dev` are forked too."""


@functools.cache
def command() -> Path:
    """An `interlock` for this process' tests; the folder that it is in can stand in PATH."""
    folder = Path(tempfile.mkdtemp(prefix="interlock-"))
    program, interpreter, address = (folder / name for name in ("interlock", "python", "socket"))
    program.write_text(PROGRAM.format(python=sys.executable, address=str(address)))
    interpreter.write_text(PYTHON.format(python=sys.executable, program=program))
    for path in (program, interpreter):
        path.chmod(0o755)
    # Is looked for beside the interpreter.
    (folder / "temporal").symlink_to(Path(sys.executable).parent / "temporal")
    server = subprocess.Popen(
        [sys.executable, __file__, str(folder)],
        stdin=subprocess.PIPE,  # it ends when this is closed, which is when this process ends
        stdout=subprocess.PIPE,
    )
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"

    def end() -> None:
        assert server.stdin is not None
        server.stdin.close()
        server.wait(30)
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(end)
    return program


@dataclass(frozen=True)
class _Command:
    """One that runs, and whoever waits for it."""

    pid: int
    ended: int
    """Can be read once it has."""
    asked: socket.socket

    def tell(self) -> bool:
        """Pass on the signals that came; kill it if nobody waits any more. Returns whether somebody does."""
        told = self.asked.recv(64)
        for number in told or (signal.SIGKILL,):
            os.kill(self.pid, number)
        return bool(told)

    def end(self) -> None:
        """Say how it ended."""
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        with contextlib.suppress(OSError), self.asked:
            self.asked.send(bytes([code if code >= 0 else 128 - code]))
        os.close(self.ended)


def serve(folder: Path) -> None:
    """Fork a command for each connection, until standard input ends."""
    # Not epoll, which forked processes would share.
    with socket.socket(socket.AF_UNIX) as door, selectors.PollSelector() as selector:
        door.bind(str(folder / "socket"))
        door.listen(64)
        selector.register(0, selectors.EVENT_READ)
        selector.register(door, selectors.EVENT_READ)
        print("ready", flush=True)
        while True:
            for key, _ in selector.select():
                if key.fd == 0:
                    return
                if key.fileobj is door:
                    with contextlib.suppress(EOFError):  # killed before it had said what it wants
                        one = _fork(door.accept()[0], folder)
                        selector.register(one.ended, selectors.EVENT_READ, one)
                        selector.register(one.asked, selectors.EVENT_READ, one)
                elif key.fd == key.data.ended:
                    # Before its connection is closed; it may be gone from here already.
                    with contextlib.suppress(KeyError):
                        selector.unregister(key.data.asked)
                    selector.unregister(key.fd)
                    key.data.end()
                elif key.data.asked.fileno() >= 0 and not key.data.tell():
                    selector.unregister(key.fileobj)


def _fork(asked: socket.socket, folder: Path) -> _Command:
    _, streams, _, _ = socket.recv_fds(asked, 1, 3)
    size = int.from_bytes(_exactly(asked, 4), "big")
    arguments, working, environment = marshal.loads(_exactly(asked, size))
    pid = os.fork()
    if pid == 0:
        asked.close()
        sys.argv, sys.executable = ["interlock", *arguments], str(folder / "python")
        _run(streams, working, environment)
    for stream in streams:
        os.close(stream)
    return _Command(pid, os.pidfd_open(pid), asked)


def _run(streams: list[int], working: str, environment: dict[str, str]) -> NoReturn:
    """Be the command."""
    code = 1
    try:
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(working)
        from interlock.cli.main import main

        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        # As the interpreter's end would, without taking apart what all commands share.
        with contextlib.suppress(BaseException):
            threading._shutdown()  # type: ignore[attr-defined]
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _exactly(connection: socket.socket, size: int) -> bytes:
    read = b""
    while len(read) < size:
        part = connection.recv(size - len(read))
        if not part:
            raise EOFError
        read += part
    return read


def _load() -> None:
    """Everything that a command may load."""
    import interlock

    for found in pkgutil.walk_packages(interlock.__path__, "interlock."):
        if not found.name.startswith(APART) and not found.name.endswith("__main__"):
            importlib.import_module(found.name)
    assert len(os.listdir("/proc/self/task")) == 1, "a process with threads cannot be forked"
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    _load()
    serve(Path(sys.argv[1]))
