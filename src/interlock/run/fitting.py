"""A declared tool's result, held against its result schema: nothing in the sandbox is believed to have done so."""

from __future__ import annotations

from typing import Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from interlock.definitions import ToolEntry
from interlock.digest import parse
from interlock.sandbox import SandboxResult
from interlock.sandbox.guest.kinds.room import EXIT_CODE
from interlock.types.workspace import Tree

_SHOWN: Final = 500
_PRINTING: Final = ("command", "shell")


def fitted(entry: ToolEntry, result: SandboxResult, before: Tree) -> SandboxResult:
    """The result; or an error, where a good end's value does not fit the tool's schema.

    Args:
        entry: the tool as the run pins it.
        result: how its call ended.
        before: the files that it started from; a call that failed changes none.

    A Python tool's value is made from its annotations, which may be wider than JSON Schema can say; it stays.
    """
    result = _said_once(entry, result)
    if result.value is None or entry.kind == "python" or not entry.schema_.result:
        return result
    wrong = best_match(Draft202012Validator(entry.schema_.result).iter_errors(parse(result.value)))
    if wrong is None:
        return result
    place = ".".join(str(part) for part in wrong.absolute_path) or "result"
    said = f"it came to its end, and what it returned does not fit its schema: {place}: {wrong.message[:_SHOWN]}"
    return result.model_copy(update={"status": "error", "value": None, "error": said, "workspace": before})


def _said_once(entry: ToolEntry, result: SandboxResult) -> SandboxResult:
    """Without what a program printed where its value or its error holds it too. It was shown while it ran."""
    failed = result.error.startswith(EXIT_CODE)
    if entry.kind not in _PRINTING or not (result.status == "ok" or failed):
        return result
    held = entry.schema_.result.get("properties", {})
    stderr = "" if failed or (isinstance(held, dict) and "stderr" in held) else result.stderr
    return result.model_copy(update={"stdout": "", "stderr": stderr})
