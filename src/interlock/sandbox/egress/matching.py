"""Which rules fit a request; and if none does, which one was nearest and what it lacks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import re2

from interlock.errors import Refused
from interlock.sandbox.egress.target import Authority, Target
from interlock.types.egress import EgressRule

_NEXT: Final = "ask the owner of the policy for it (`egress` of the rule or of the profile), or do without"
_SHOWN: Final = 5


def fitting(rules: Sequence[EgressRule], target: Target, method: str) -> list[EgressRule]:
    """Every rule that fits the whole request; at least one.

    Raises:
        Refused: none does.
    """
    near = reaching(rules, Authority(target.host, target.port), target.scheme)
    able = [rule for rule in near if method in rule.methods]
    if not able:
        methods = " ".join(sorted({one for rule in near for one in rule.methods}))
        raise Refused(f"no rule allows {method} at {target.host}; allowed: {methods}", next_step=_NEXT)
    found = [rule for rule in able if any(_glob(path).fullmatch(target.path) for path in rule.paths)]
    if not found:
        paths = _listed([path for rule in able for path in rule.paths])
        reason = f"no rule allows {method} {target.path[:200]} at {target.host}; allowed: {paths}"
        raise Refused(reason, next_step=_NEXT)
    return found


def reaching(rules: Sequence[EgressRule], wanted: Authority, scheme: str) -> list[EgressRule]:
    """The rules for this host, port and scheme; at least one.

    Raises:
        Refused: there is none.
    """
    named = [rule for rule in rules if _names(rule.host, wanted.host)]
    if not named:
        hosts = _listed([rule.host for rule in rules])
        own = "; a server inside the sandbox is reached at 127.0.0.1" if wanted.host == "localhost" else ""
        raise Refused(f"no rule reaches host {wanted.host}; reached: {hosts}{own}", next_step=_NEXT)
    found = [rule for rule in named if (rule.port, rule.scheme) == (wanted.port, scheme)]
    if not found:
        ways = _listed([f"{rule.scheme} at port {rule.port}" for rule in named])
        reason = f"no rule reaches {wanted.host} by {scheme} at port {wanted.port}; allowed: {ways}"
        raise Refused(reason, next_step=_NEXT)
    return found


def _names(pattern: str, host: str) -> bool:
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern


def names(patterns: Sequence[str], host: str) -> bool:
    """Whether one of these host patterns names the host."""
    return any(_names(pattern, host) for pattern in patterns)


def _listed(values: list[str]) -> str:
    unique = list(dict.fromkeys(values))
    more = f" and {len(unique) - _SHOWN} more" if len(unique) > _SHOWN else ""
    return ", ".join(unique[:_SHOWN]) + more


@lru_cache(maxsize=1024)
def _glob(pattern: str) -> Any:
    """`*` is any characters of one segment, `**` any characters at all."""
    parts = ["[^/]*".join(re2.escape(piece) for piece in part.split("*")) for part in pattern.split("**")]
    return re2.compile(".*".join(parts))
