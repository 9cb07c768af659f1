"""The process that a tool runs in: forked from the runner, stripped of all that is the runner's."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import struct
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from . import confine, contract, invoke, key, loading, relay

OK, ERROR = b"v", b"e"
"""First byte of what a child reports: a value, or an error's text."""

ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/tmp",  # noqa: S108
    "TMPDIR": "/tmp",  # noqa: S108
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    "INTERLOCK_ARTIFACTS": "/artifacts",
}
_RESULT = 3
_TOLD = 4
"""Only until the call has come."""
_LENGTHS = struct.Struct(">QQQ")
MAX_ERROR = 8192
"""Characters of an error that are kept."""


class Child(NamedTuple):
    """A started child and the reading ends of its pipes."""

    pid: int
    stdout: int
    stderr: int
    result: int


class Prepared:
    """A process that waits to be told its call, forked while nobody waits for it; nothing of the call is in it."""

    def __init__(self) -> None:
        told, self._tell = os.pipe()
        self._child = _forked(_told_body, told)
        os.close(told)

    def begin(self, source: bytes, head: dict[str, Any], arguments: bytes) -> Child:
        """Let it run the call."""
        fields = json.dumps({**head, "way_out": relay.start()}).encode()
        # If the kernel has ended it meanwhile, whoever watches it sees that.
        with contextlib.suppress(BrokenPipeError), open(self._tell, "wb") as pipe:
            pipe.write(_LENGTHS.pack(len(source), len(fields), len(arguments)) + source + fields + arguments)
        return self._child

    def discard(self) -> None:
        """It is not needed; whoever ends all processes ends it."""
        for number in (self._tell, self._child.stdout, self._child.stderr, self._child.result):
            os.close(number)


def start(body: Callable[[], bytes]) -> Child:
    """Fork a process that runs `body` and reports what it returns or raises."""
    return _forked(body)


def _forked(body: Callable[[], bytes], *kept: int) -> Child:
    pairs = [os.pipe() for _ in range(3)]
    pid = os.fork()
    if pid == 0:
        _become(*(write for _, write in pairs), *kept)
        _report(body)
    for _, write in pairs:
        os.close(write)
    for read, _ in pairs:
        os.set_blocking(read, False)
    return Child(pid, *(read for read, _ in pairs))


def _told_body() -> bytes:
    """The call that the runner tells of, once it does."""
    with open(_TOLD, "rb") as told:
        lengths = _LENGTHS.unpack(told.read(_LENGTHS.size))
        source, fields, arguments = (told.read(length) for length in lengths)
    head = json.loads(fields)
    os.environ.update(relay.ENVIRONMENT if head["way_out"] else {})
    if own_key := head.get("idempotency_key"):
        os.environ[key.VARIABLE] = own_key
    return run_tool(source, head, arguments)()


def _become(stdout: int, stderr: int, result: int, *told: int) -> None:
    """Give up the runner's descriptors, then its secrecy: from here on this is the tool's own process."""
    signal.set_wakeup_fd(-1)
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number in (signal.SIGALRM, signal.SIGCHLD, signal.SIGINT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    os.setsid()
    # Pipes were made after the runner's own descriptors, so none of them is among 0 to 4.
    nothing = os.open("/dev/null", os.O_RDONLY)
    places = [(nothing, 0), (stdout, 1), (stderr, 2), (result, _RESULT), *((one, _TOLD) for one in told)]
    for source, target in places:
        os.dup2(source, target, inheritable=target < _RESULT)
    os.closerange(len(places), os.sysconf("SC_OPEN_MAX"))
    confine.dumpable(True)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")
    # A program that the tool starts (a project's tests) must not write the tool's result or memory in its stead.
    confine.dumpable(False)
    os.environ.clear()
    os.environ.update(ENVIRONMENT)


def _report(body: Callable[[], bytes]) -> None:
    """Run `body`, write its outcome to the result pipe, and end the process without the runner's clean-up."""
    try:
        outcome = OK + body()
    except invoke.ToolError as error:
        outcome = ERROR + _clipped(str(error))
    except BaseException as error:
        outcome = ERROR + _clipped(loading.one_line(error))
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    with contextlib.suppress(Exception):
        sys.stderr.flush()
    with contextlib.suppress(OSError), open(_RESULT, "wb", closefd=False) as pipe:
        pipe.write(outcome)
    os._exit(0)


def _clipped(text: str) -> bytes:
    """An error's text, its middle left out when it is long: the message stands at its end."""
    if len(text) > MAX_ERROR:
        text = f"{text[: MAX_ERROR // 2]}\n[{len(text) - MAX_ERROR} characters left out]\n{text[-MAX_ERROR // 2 :]}"
    return text.encode("utf-8", "replace")


def run_tool(source: bytes, head: dict[str, Any], arguments: bytes) -> Callable[[], bytes]:
    """The body of a tool call, or of asking whether it happened.

    Args:
        source: the tool's source: Python, or a definition.
        head: what the host says of the call; see `invoke.carry_out`.
        arguments: JSON.
    """

    def body() -> bytes:
        os.chdir("/workspace")
        return invoke.carry_out(source, head, json.loads(arguments))

    return body


def compile_tool(source: bytes, path: str) -> Callable[[], bytes]:
    """The body that derives a tool's contract; a problem is a value too."""

    def body() -> bytes:
        try:
            return json.dumps({"schema": contract.contract(source, path)}).encode()
        except loading.SourceProblem as error:
            return json.dumps({"problem": {"line": error.line, "message": str(error)}}).encode()

    return body
