"""Whether the record of a run holds, in every way in which `interlock replay` asks."""

from __future__ import annotations

from support.runtime import Runtime


async def verified(runtime: Runtime, run: str) -> None:
    """The run has ended, its record holds, and nothing about it raised an alarm."""
    await runtime.client.wait(run)  # its own worker must have let go of it before another replays it
    verdict = await runtime.verdict(run)
    assert verdict.verified, verdict.differences
    assert not verdict.open
    assert runtime.ledger.alarms(run) == []
