"""The command line, forked from a process that has loaded it: a command costs what it does, not its start.

A command that starts by itself takes one to three seconds of a core until it does anything, and tests run hundreds.
What starting is like is tested where it is the point: tests/cli, every `interlock dev` and its workers, the wheel.

A command gets its arguments, folder, environment and standard streams from a small program that waits for its end.
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
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path

APART = ("interlock.sandbox.guest", "interlock.project.describe_child", "interlock.audit.migrations")
"""Parts of the engine that no command imports: they run elsewhere, or are read as files."""
PROGRAM = """#!{python} -ISE
import _socket, marshal, os, sys
connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
connection.connect({address!r})
streams = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2))
connection.sendmsg([b"."], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
words = marshal.dumps((sys.argv[1:], os.getcwd(), dict(os.environ)))
connection.sendall(len(words).to_bytes(4, "big") + words)
code = connection.recv(1)
os._exit(code[0] if code else 1)
"""


@functools.cache
def command() -> Path:
    """An `interlock` for this process' tests; the folder that it is in can stand in PATH."""
    folder = Path(tempfile.mkdtemp(prefix="interlock-"))
    program = folder / "interlock"
    program.write_text(PROGRAM.format(python=sys.executable, address=str(folder / "socket")))
    program.chmod(0o755)
    server = subprocess.Popen(
        [sys.executable, __file__, str(folder / "socket")],
        stdin=subprocess.PIPE,  # it ends when this is closed, which is when this process ends
        stdout=subprocess.PIPE,
    )
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"

    def end() -> None:
        assert server.stdin is not None
        server.stdin.close()
        server.wait(30)
        for path in (program, folder / "socket"):
            path.unlink(missing_ok=True)
        folder.rmdir()

    atexit.register(end)
    return program


def serve(address: str) -> None:
    """Fork a command for each connection, until standard input ends."""
    running: dict[int, tuple[int, socket.socket]] = {}
    """By what can be read once the command has ended, and by its connection, which ends if nobody waits."""
    poll = select.poll()
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(address)
        door.listen(64)
        for number in (0, door.fileno()):
            poll.register(number, select.POLLIN)
        print("ready", flush=True)
        while True:
            for number, _ in poll.poll():
                if number == 0:
                    return
                if number == door.fileno():
                    connection, _ = door.accept()
                    if (pid := os.fork()) == 0:
                        _run(connection)
                    for one, event in (
                        (os.pidfd_open(pid), select.POLLIN),
                        (connection.fileno(), select.POLLRDHUP),
                    ):
                        running[one] = pid, connection
                        poll.register(one, event)
                elif number in running:
                    poll.unregister(number)
                    pid, connection = running.pop(number)
                    if number == connection.fileno():
                        os.kill(pid, signal.SIGTERM)
                        continue
                    os.close(number)
                    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                    if connection.fileno() in running:
                        del running[connection.fileno()]
                        poll.unregister(connection)
                    with contextlib.suppress(OSError), connection:
                        connection.send(bytes([code if code >= 0 else 128 - code]))


def _run(connection: socket.socket) -> None:
    """Be the command. Never returns."""
    code = 1
    try:
        _, streams, _, _ = socket.recv_fds(connection, 1, 3)
        size = int.from_bytes(_exactly(connection, 4), "big")
        arguments, folder, environment = marshal.loads(_exactly(connection, size))
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        sys.argv = ["interlock", *arguments]
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
    serve(sys.argv[1])
