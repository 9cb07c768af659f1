"""Tries inputs on the targets in turn, and says which crashed."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from policy.fuzz.mutation import Mutator
from policy.fuzz.targets import Fuzzed, Target

PATIENCE_S = 10.0
"""CPU time for one input; more is a hang."""


class Hang(BaseException):
    """An input took too long. No handler of the code under test may swallow it."""


@dataclass
class Campaign:
    """Counts, and the crashes by what raised them."""

    targets: dict[str, Target]
    tried: dict[str, int] = field(default_factory=dict)
    crashes: dict[str, BaseException] = field(default_factory=dict)
    slowest_s: float = 0.0

    def run(self, first: int, *, inputs: int | None = None, seconds: float | None = None) -> None:
        """Try so many inputs of each target, or for so long. Input `n` of a target is always the same."""
        end = time.monotonic() + seconds if seconds is not None else None
        number = first
        while (inputs is None or number < first + inputs) and (end is None or time.monotonic() < end):
            for name, target in self.targets.items():
                self._try(name, target, number)
            number += 1

    def _try(self, name: str, target: Target, number: int) -> None:
        self.tried[name] = self.tried.get(name, 0) + 1
        began = time.process_time()
        try:
            with limited():
                target(Mutator(number))
        except (Exception, Hang) as error:
            self.crashes.setdefault(f"{name}: {place(error)}", error)
            error.add_note(f"python -m policy.fuzz --target '{name}' --only {number}")
        self.slowest_s = max(self.slowest_s, time.process_time() - began)


@contextmanager
def limited() -> Iterator[None]:
    """Break off what uses too much CPU time; a busy machine breaks off nothing."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Hang

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, PATIENCE_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def place(error: BaseException) -> str:
    """What and where: two crashes of one kind are one."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else "?"
    said = str(error).partition(" on ")[0] if isinstance(error, Fuzzed) else ""
    return f"{type(error).__name__} {said} at {where}"
