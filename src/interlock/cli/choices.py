"""Values that people type: chosen among known ones, or read as JSON from text, a file or standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from interlock.errors import InvalidInput


def among(text: str, known: Iterable[str], option: str) -> str:
    """`text`, if it is one of `known`.

    Raises:
        InvalidInput: it is not; says which one may be meant.
    """
    names = list(known)
    if text in names:
        return text
    close = get_close_matches(text, names, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"one of {', '.join(names) or 'nothing'}"
    raise InvalidInput(f"{option}: unknown {text!r}", next_step=hint)


def json_value(text: str, option: str) -> Any:
    """JSON as it was typed; `@FILE` reads a file, `-` standard input.

    Raises:
        InvalidInput: not readable, or not JSON that has a canonical form.
    """
    from interlock.digest import parse

    try:
        return parse(_source(text))
    except OSError as error:
        raise InvalidInput(f"{option}: {text[1:]!r} cannot be read: {error.strerror}") from error
    except InvalidInput as error:
        raise InvalidInput(
            f"{option}: {error.reason}", next_step=error.next_step or "give JSON, @FILE, or - for standard input"
        ) from error


def json_object(text: str, option: str) -> dict[str, Any]:
    """As `json_value`, and it must be an object.

    Raises:
        InvalidInput: it is none.
    """
    value = json_value(text, option)
    if not isinstance(value, dict):
        raise InvalidInput(f"{option}: must be a JSON object, not {type(value).__name__}")
    return value


def _source(text: str) -> str | bytes:
    if text == "-":
        return sys.stdin.buffer.read()
    return Path(text[1:]).read_bytes() if text.startswith("@") else text
