"""What an MCP tool answered, as a value and artifacts."""

from __future__ import annotations

import base64
import binascii
import json
import mimetypes
from typing import Any

from ..failure import ToolError
from .plain import NotPlain, plain
from .room import Room, artifact_path
from .spool import Spool, TooMuch

_MOST_FILES = 32


def value_of(result: dict[str, Any], room: Room, *, structured: bool) -> Any:
    """The value of a tool's answer: its structured content where its schema promises one, else its text.

    Raises:
        ToolError: the tool says that it failed, or the answer is none.
    """
    if result.get("isError") is True:
        raise ToolError(_text(result.get("content"), room) or "the tool failed and does not say why")
    if not structured:
        return _text(result.get("content"), room)
    if "structuredContent" not in result:
        raise ToolError("the tool promises structured content and gave none")
    try:
        return plain(json.dumps(result["structuredContent"]))
    except (NotPlain, ValueError) as error:
        raise ToolError(f"the tool's structured content is no result: {error}") from error


def _text(content: Any, room: Room) -> str:
    """All parts as text; bytes become artifacts that the text names."""
    parts = content if isinstance(content, list) else []
    spool, files = Spool("content.txt", room.inline), 0
    for number, part in enumerate(parts):
        if not isinstance(part, dict):
            raise ToolError(f"the tool's content is no list of parts: {str(part)[:200]}")
        text, blob = _part(part)
        if blob is not None:
            files += 1
            text = _artifact(files, blob, text)
        try:
            spool.feed(("\n\n" if number else "").encode() + text.encode("utf-8", "replace"))
        except TooMuch as error:
            raise ToolError(f"the tool answered too much: {error}") from error
    return spool.text


def _part(part: dict[str, Any]) -> tuple[str, bytes | None]:
    """Text of a part; or its media type and bytes."""
    kind = part.get("type")
    if kind == "text":
        return str(part.get("text", "")), None
    if kind in ("image", "audio"):
        return str(part.get("mimeType", "")), _decoded(part.get("data"))
    if kind == "resource_link":
        return f"[resource {str(part.get('uri', ''))[:1000]}]", None
    resource = part.get("resource")
    if kind == "resource" and isinstance(resource, dict):
        if "blob" in resource:
            return str(resource.get("mimeType", "")), _decoded(resource["blob"])
        return str(resource.get("text", "")), None
    return f"[a part of unknown type {str(kind)[:50]!r} was left out]", None


def _decoded(data: Any) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise ToolError(f"the tool sent bytes that are no base64: {error}") from error


def _artifact(number: int, blob: bytes, media_type: str) -> str:
    """Keep bytes; the text that names them. The name's ending says the media type."""
    if number > _MOST_FILES:
        return f"[{len(blob)} bytes of {media_type} left out: more than {_MOST_FILES} files]"
    ending = mimetypes.guess_extension(media_type.partition(";")[0].strip()) or ".bin"
    name = f"content-{number}{ending}"
    try:
        with open(artifact_path(name), "wb") as file:
            file.write(blob)
    except OSError as error:
        raise ToolError(f"artifact {name}: cannot be kept: {error.strerror}") from error
    return f"[artifact {name}: {len(blob)} bytes of {media_type or 'unknown type'}]"
