"""What the model reads of a call's end: the value, then what the tool printed, or what went wrong."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Final

from interlock.sandbox import SandboxResult

LARGEST_SHOWN: Final = 32_768
"""Characters of one result that a model is shown."""
WHOLE: Final = "output.txt"
"""The artifact that keeps the whole of a larger one."""


def render(result: SandboxResult) -> str:
    """The result as text. A string stays as it is; any other value is JSON; printed text comes under a heading."""
    parts = []
    if result.status == "ok":
        parts.append(_value(result.value))
    else:
        parts.append(f"The call failed: {result.status}.\n{result.error}".rstrip())
    for heading, text in (("stdout", result.stdout), ("stderr", result.stderr)):
        if text.strip():
            parts.append(f"[{heading}]\n{text.rstrip()}")
    parts += [f"[note] {note}" for note in result.notes]
    return "\n\n".join(part for part in parts if part) or "(no output)"


def shortened(text: str, call: str, taken: Collection[str] = ()) -> tuple[str, str]:
    """What a model is shown of a result, and the name of the artifact that keeps the whole; empty if it is shown.

    Args:
        text: the whole.
        call: the call's number, by which its artifacts are asked for: `c4`.
        taken: names of artifacts that the call has already.
    """
    if len(text) <= LARGEST_SHOWN:
        return text, ""
    names = [WHOLE, *(f"{number}-{WHOLE}" for number in range(2, len(taken) + 2))]
    name = next(one for one in names if one not in taken)
    half = LARGEST_SHOWN // 2
    note = (
        f"[{len(text) - 2 * half} of {len(text)} characters left out here; the whole is artifact {name!r} of call "
        f"{call!r}. Read on in it, or ask for less]"
    )
    return f"{text[:half]}\n{note}\n{text[-half:]}", name


def with_artifacts(text: str, call: str, names: Collection[str]) -> str:
    """The text, and which artifacts the call left, by the names under which they can be read."""
    return f"{text}\n\n[artifacts of call {call!r}: {', '.join(names)}]" if names else text


def _value(value: bytes | None) -> str:
    parsed = json.loads(value) if value is not None else None
    if parsed is None:
        return ""
    return parsed if isinstance(parsed, str) else json.dumps(parsed, indent=1, ensure_ascii=False)
