"""Steps side by side, in workflow code: all of them end well, or the rest is stopped and then waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from temporalio import workflow

T = TypeVar("T")


@dataclass
class Branches:
    """The steps of one join."""

    within: Branches | None
    """The join that this one is part of."""
    stopped: bool = False
    """Whether one of them failed: then nothing more of the others begins."""


_BRANCHES: Final[ContextVar[Branches | None]] = ContextVar("interlock_branches", default=None)


def stopped() -> bool:
    """Whether the code that asks is part of a join that has been stopped."""
    branches = _BRANCHES.get()
    while branches is not None and not branches.stopped:
        branches = branches.within
    return branches is not None


async def join(*steps: Awaitable[T]) -> list[T]:
    """Do steps side by side; their values in the order in which they were given.

    The first failure cancels the other steps. It is raised only when all of them have come to their end, so that no
    step goes on, or is recorded, behind the back of whoever handles the failure.
    """
    branches = Branches(_BRANCHES.get())
    tasks = [asyncio.create_task(_in(branches, step)) for step in steps]
    try:
        await workflow.wait_condition(lambda: _failure(tasks) is not None or all(task.done() for task in tasks))
        failure = _failure(tasks)
        branches.stopped = failure is not None
    finally:
        for task in tasks:
            task.cancel()
        # A step may need a while: a call's container is killed, and its receipt is waited for.
        await asyncio.gather(*tasks, return_exceptions=True)
    if failure is not None:
        raise failure
    return [task.result() for task in tasks]


async def _in(branches: Branches, step: Awaitable[Any]) -> Any:
    _BRANCHES.set(branches)
    return await step


def _failure(tasks: Sequence[asyncio.Task[Any]]) -> BaseException | None:
    """What the first of the steps that failed raised. One that was cancelled did not fail: another did."""
    ended = (task.exception() for task in tasks if task.done() and not task.cancelled())
    return next((error for error in ended if error is not None), None)
