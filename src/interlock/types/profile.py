"""A sandbox profile: the limits a call runs under. Written in permissions/, owned by security."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from interlock.types.closed import Closed
from interlock.types.egress import WrittenRules
from interlock.types.names import Name

Runtime = Literal["", "runc", "crun", "runsc"]
"""Which OCI runtime starts the container; empty: the engine's own choice. One that is named must be there."""

Reuse = Literal["call", "run"]
"""call: a container serves one call and is destroyed. run: it is leased to one run (same tenant, same data label)
and serves that run's calls one after the other, each in a fresh process, until a cap."""


class Profile(Closed):
    """Limits of one container. It has no network; `egress` names the requests that a proxy makes for it."""

    name: Name
    image: Name = "default"
    """Which image of images/ the container is made from."""
    memory_mib: int = Field(default=512, ge=32, le=65536)
    """Memory, and memory plus swap: there is no swap."""
    cpus: float = Field(default=1.0, gt=0, le=64)
    pids: int = Field(default=128, ge=8, le=4096)
    time_s: int = Field(default=60, ge=1, le=3600)
    """Wall-clock seconds from the tool's start; then the whole container is killed."""
    output_kib: int = Field(default=1024, ge=1, le=65536)
    """Raw bytes kept of stdout and stderr together (head and tail) and the cap on the returned value."""
    workspace_mib: int = Field(default=256, ge=1, le=8192)
    """Size of the workspace tmpfs."""
    workspace_files: int = Field(default=20_000, ge=16, le=1_000_000)
    """Most files and folders in the workspace."""
    tmp_mib: int = Field(default=64, ge=1, le=8192)
    runtime: Runtime = ""
    """`runsc` is gVisor. If it cannot be had, no weaker runtime serves."""
    reuse: Reuse = "call"
    run_calls: int = Field(default=100, ge=1, le=10_000)
    """Most calls that one leased container serves."""
    run_s: int = Field(default=900, ge=1, le=86_400)
    """Most seconds that a container stays leased."""
    warm_min: int = Field(default=0, ge=0, le=64)
    """Containers kept waiting even when nothing calls."""
    warm_max: int = Field(default=4, ge=0, le=64)
    """Most containers that wait; 0: each call starts its own. Between the two, their number follows demand."""
    egress: WrittenRules = ()
    """What a call may reach where its rule does not say. Empty: nothing."""

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if self.warm_min > self.warm_max:
            raise ValueError(f"warm_min {self.warm_min} is more than warm_max {self.warm_max}")
        return self
