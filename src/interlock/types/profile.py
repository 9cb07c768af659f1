"""A sandbox profile: the limits a call runs under. Written in permissions/, owned by security."""

from __future__ import annotations

from pydantic import Field

from interlock.types.access import Closed
from interlock.types.names import Name


class Profile(Closed):
    """Limits of one container. There is no network in any profile yet; egress comes with the proxy."""

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
