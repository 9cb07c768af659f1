"""Patterns of tools and resources: whole segments only.

`*` stands for exactly one segment, `**` for one or more and only at the end. Nothing matches a part of a
segment, and nothing is normalised: Casbin's own `keyMatch` and `globMatch` drop what follows a `*`.
"""

from __future__ import annotations

import re
from typing import Final

from interlock.policy.normal import ConditionError, path

_TOOL_SEGMENT: Final = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_KIND: Final = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)

Segments = tuple[str, ...]


def tool_pattern(text: str) -> str:
    """Check a tool pattern and return it.

    Raises:
        ValueError: a segment is neither a name nor a whole wildcard, or `**` is not last.
    """
    segments = tuple(text.split("."))
    if len(text) > 128:
        raise ValueError(f"tool pattern is {len(text)} characters long, the limit is 128")
    _check_wildcards(text, segments)
    for segment in segments:
        if segment not in ("*", "**") and not _TOOL_SEGMENT.fullmatch(segment):
            raise ValueError(
                f"tool pattern {text!r}: segment {segment!r} must be a lower-case name, '*' (one whole segment) "
                "or '**' (one or more, last only)"
            )
    return text


def resource_pattern(text: str) -> str:
    """Check a resource pattern, `kind:path/segments`, and return it.

    Raises:
        ValueError: no kind, a path that no request could have, or a partial wildcard.
    """
    if text == "*":
        return text
    kind, _, rest = text.partition(":")
    if not _KIND.fullmatch(kind) or not rest:
        raise ValueError(f"resource pattern {text!r} must look like 'workspace:source/**' or be '*'")
    try:
        _, segments = path(rest)
    except ConditionError as error:
        raise ValueError(f"resource pattern {text!r}: {error}") from error
    _check_wildcards(text, segments)
    return text


def _check_wildcards(text: str, segments: Segments) -> None:
    for index, segment in enumerate(segments):
        if segment == "**" and index != len(segments) - 1:
            raise ValueError(f"pattern {text!r}: '**' may only be the last segment")
        if "*" in segment and segment not in ("*", "**"):
            raise ValueError(f"pattern {text!r}: '*' stands for a whole segment, never for part of one")


def segments_match(pattern: Segments, value: Segments) -> bool:
    """Whether `value` is covered by `pattern`."""
    if pattern and pattern[-1] == "**":
        head = pattern[:-1]
        return len(value) > len(head) and segments_match(head, value[: len(head)])
    return len(pattern) == len(value) and all(p in ("*", v) for p, v in zip(pattern, value, strict=True))


def resource_matches(pattern: str, resource: str) -> bool:
    """Whether `resource` is covered by `pattern`.

    Raises:
        ConditionError: the resource is of the pattern's kind and its path has no strict normal form.
    """
    if pattern == "*":
        return True
    kind, _, rest = pattern.partition(":")
    own, colon, own_rest = resource.partition(":")
    if own != kind or not colon:
        return False
    (wanted_absolute, wanted), (absolute, segments) = path(rest), path(own_rest)
    return wanted_absolute == absolute and segments_match(wanted, segments)
