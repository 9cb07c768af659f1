"""Every process of the container but the runner: reaped as they end, ended together."""

from __future__ import annotations

import contextlib
import os
import signal


def wake_on_exit() -> int:
    """A descriptor that becomes readable when some process ends."""
    wake, write = os.pipe()
    for end in (wake, write):
        os.set_blocking(end, False)
    # Python writes to the wake-up descriptor only for signals that have a handler.
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    return wake


def reap(pid: int) -> int | None:
    """Collect what has ended; the wait status of `pid` if it was among them."""
    status = None
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == pid:
                status = ended[1]
    return status


def end_all(pid: int = 0) -> int | None:
    """Kill every process but this one and wait until none is left; the wait status of `pid` if it was among them.

    Only the first process of a container may do this: there, -1 means all that the container holds.
    """
    if os.getpid() != 1:
        raise RuntimeError("only the first process of a container ends all others")
    status = None
    while True:
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        try:
            ended = os.waitpid(-1, 0)
        except ChildProcessError:
            return status
        if ended[0] == pid:
            status = ended[1]
