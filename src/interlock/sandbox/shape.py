"""What a container is made from. Two calls of the same shape can take the same waiting container."""

from __future__ import annotations

from dataclasses import dataclass

from interlock.sandbox.call import SandboxCall
from interlock.sandbox.container import SLACK_S
from interlock.types import Profile

_MADE_FROM = ("memory_mib", "cpus", "pids", "workspace_mib", "workspace_files", "tmp_mib", "runtime")


def life_s(profile: Profile) -> int:
    """Most seconds from the claim of a container to its end, under a profile."""
    return profile.time_s + SLACK_S + (profile.run_s if profile.reuse == "run" else 0)


@dataclass(frozen=True)
class Shape:
    """All that is fixed when a container is created. Time and output limits travel with the call."""

    image: str
    """The engine's id."""
    limits: Profile
    """The profile's name, for messages, and what the engine is told; the rest as in any profile."""
    way_out: bool
    """Whether the folder for the socket is mounted."""
    lives_s: int
    """Most seconds from its claim to its end, a power of two: the reaper reads it from a label that is written when
    nobody has claimed the container yet."""

    @classmethod
    def of(cls, profile: Profile, image: str, *, way_out: bool) -> Shape:
        """The shape for calls under a profile."""
        limits = {name: getattr(profile, name) for name in _MADE_FROM}
        return cls(image, Profile(name=profile.name, **limits), way_out, 1 << (life_s(profile) - 1).bit_length())

    @classmethod
    def for_call(cls, call: SandboxCall, image: str) -> Shape:
        """The shape that a call needs."""
        return cls.of(call.profile, image, way_out=call.way_out is not None)
