"""What the model reads of a call's end: the value, then what the tool printed, or what went wrong."""

from __future__ import annotations

import json

from interlock.sandbox import SandboxResult


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


def _value(value: bytes | None) -> str:
    parsed = json.loads(value) if value is not None else None
    if parsed is None:
        return ""
    return parsed if isinstance(parsed, str) else json.dumps(parsed, indent=1, ensure_ascii=False)
