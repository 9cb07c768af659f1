"""The process that a tool runs in: forked from the runner, stripped of all that is the runner's."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from . import confine, contract, invoke, loading, relay

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
MAX_ERROR = 8192
"""Characters of an error that are kept."""


class Child(NamedTuple):
    """A started child and the reading ends of its pipes."""

    pid: int
    stdout: int
    stderr: int
    result: int


def start(body: Callable[[], bytes]) -> Child:
    """Fork a process that runs `body` and reports what it returns or raises."""
    way_out = relay.start()
    pairs = [os.pipe() for _ in range(3)]
    pid = os.fork()
    if pid == 0:
        _become(*(write for _, write in pairs))
        os.environ.update(relay.ENVIRONMENT if way_out else {})
        _report(body)
    for _, write in pairs:
        os.close(write)
    for read, _ in pairs:
        os.set_blocking(read, False)
    return Child(pid, *(read for read, _ in pairs))


def _become(stdout: int, stderr: int, result: int) -> None:
    """Give up the runner's descriptors, then its secrecy: from here on this is the tool's own process."""
    signal.set_wakeup_fd(-1)
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number in (signal.SIGALRM, signal.SIGCHLD, signal.SIGINT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    os.setsid()
    # Pipes were made after the runner's own descriptors, so none of them is among 0 to 3.
    nothing = os.open("/dev/null", os.O_RDONLY)
    for source, target in ((nothing, 0), (stdout, 1), (stderr, 2), (result, _RESULT)):
        os.dup2(source, target, inheritable=target != _RESULT)
    os.closerange(_RESULT + 1, os.sysconf("SC_OPEN_MAX"))
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
    """The body of a tool call.

    Args:
        source: the tool's source: Python, or a definition.
        head: what the host says of the call: `path`, `tool`, `tool_kind`, `output_bytes`, `time_s`.
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
