"""What a decision obliges the executor to, beyond whom to ask. What it cannot do, it says, and runs nothing."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import re2

from interlock.definitions import ToolSchema
from interlock.errors import SandboxUnavailable
from interlock.policy import Bundle, regex_options
from interlock.types.access import Decision, Limits
from interlock.types.profile import Profile

REDACTED: Final = "[redacted]"


def profile_of(bundle: Bundle, tool: ToolSchema, decision: Decision) -> Profile:
    """The limits that a call runs under: its rule's profile or its tool's, with the rule's limits if tighter.

    Raises:
        SandboxUnavailable: the policy has no such profile.
    """
    name = decision.profile or tool.profile
    if name not in bundle.profiles:
        raise SandboxUnavailable(f"no sandbox profile {name!r} in the policy in force")
    return tightened(bundle.profiles[name], decision.obligations.limits)


def tightened(profile: Profile, limits: Limits | None) -> Profile:
    """The profile with the rule's limits where they are tighter."""
    given = limits.model_dump(exclude_none=True) if limits else {}
    tighter = {name: min(value, getattr(profile, name)) for name, value in given.items()}
    return profile.model_copy(update=tighter)


def redacted(text: str, patterns: tuple[str, ...]) -> str:
    """The text without what the patterns match."""
    for pattern in patterns:
        text = _compiled(pattern).sub(REDACTED, text)
    return text


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> Any:
    return re2.compile(pattern, regex_options())
