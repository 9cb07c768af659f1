"""What the containers of one executor are doing, for `interlock sandbox pool`."""

from __future__ import annotations

from pydantic import Field

from interlock.types.closed import Closed


class PoolReport(Closed):
    """Containers of one shape."""

    profile: str = ""
    """Whose limits they have."""
    image: str
    """The engine's id."""
    runtime: str
    """Which was demanded; empty: the engine's own choice."""
    memory_mib: int
    """The limit of each."""
    way_out: bool
    """Whether they have a socket to ask at."""
    waiting: int
    """Ready, with nothing in them."""
    target: int
    """How many should be ready, by demand and between the bounds."""
    warm_min: int
    warm_max: int
    starting: int
    """On their way, ahead and for calls that wait."""
    warm: int
    """Calls that took a container which had been started ahead."""
    cold: int
    """Calls for which one had to be started."""
    refills: int
    """Containers started ahead so far."""
    calls_per_minute: int
    """The rate that demand is computed with."""
    refill_ms: int
    """How long starting one ahead takes, on average."""
    error: str = ""
    """Why the last refill failed; empty once one succeeds."""


class SandboxReport(Closed):
    """All containers of one executor."""

    pools: tuple[PoolReport, ...] = ()
    serving: int = 0
    """Containers that run a call, or have just run one."""
    leased: int = 0
    """Containers that belong to a run and wait for its next call."""
    idle_bytes: int = Field(default=0, ge=0)
    """Memory of all that wait, in pools and for runs, as each last told it from its control group: when it was
    ready (what it imports after that adds about 1.3 MiB), or when its last call had ended."""
    reaped: int = 0
    """Containers and folders of dead executors that this one has removed."""
    error: str = ""
    """Why the last look for such failed; empty if it did not."""
