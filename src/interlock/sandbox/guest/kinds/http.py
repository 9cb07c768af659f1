"""One operation of an HTTP API. The only way out is the proxy that the environment names, if there is one."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

from .. import key
from ..failure import ToolError
from .plain import NotPlain, numbered, plain
from .room import Room, artifact_path
from .spool import Spool, TooMuch

_CHUNK = 64 * 1024
_ERROR_SHOWN = 2000


class _SameHost(urllib.request.HTTPRedirectHandler):
    """Follows a redirect of a reading request that stays with the server; any other is an answer to look at."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        """See the base."""
        before, after = urllib.parse.urlsplit(req.full_url), urllib.parse.urlsplit(newurl)
        if req.get_method() in ("GET", "HEAD") and before[:2] == after[:2]:
            return super().redirect_request(req, fp, code, msg, headers, newurl)
        return None


def carry_out(definition: dict[str, Any], arguments: dict[str, Any], room: Room) -> Any:
    """Make the request; the body of a good answer."""
    return _asked(definition, arguments, room, lambda error: None)


def reconcile(definition: dict[str, Any], arguments: dict[str, Any], room: Room) -> Any:
    """Make the reading request that finds out whether the call happened. A good answer is the result."""
    asks = definition["reconcile"]

    def absent(error: urllib.error.HTTPError) -> Any:
        return {"answer": "not_done"} if error.code in asks["not_done"] else None

    return _asked(asks, arguments, room, absent, lambda value: {"answer": "done", "result": value})


def _asked(
    definition: dict[str, Any],
    arguments: dict[str, Any],
    room: Room,
    otherwise: Callable[[urllib.error.HTTPError], Any],
    found: Callable[[Any], Any] = lambda value: value,
) -> Any:
    """What is found with a good answer's body; or what another status means, unless that is nothing."""
    request = request_of(definition, numbered(arguments, definition["numbers"]), room.key)
    opener = urllib.request.build_opener(_SameHost)
    try:
        with opener.open(request, timeout=max(1.0, room.time_s - 1)) as answer:
            return found(_value(answer, room))
    except urllib.error.HTTPError as error:
        with error:
            if (meaning := otherwise(error)) is not None:
                return meaning
            raise _refusal(error, definition) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise ToolError(f"{definition['method']} {definition['server']}: no answer: {reason}") from error


def request_of(definition: dict[str, Any], arguments: dict[str, Any], own_key: str = "") -> urllib.request.Request:
    """The request of a call.

    Raises:
        ToolError: an argument cannot stand where it must, or it needs an idempotency key and has none.
    """
    path, headers = definition["path"], {"Accept": "application/json, */*;q=0.5", "User-Agent": "interlock"}
    query: list[tuple[str, str]] = []
    if header := definition.get("key_header"):
        headers[header] = _needed(own_key)
    for one in definition["parameters"]:
        if one["argument"] == key.PARAMETER and one.get("engine"):
            arguments = {**arguments, key.PARAMETER: _needed(own_key)}
        if one["argument"] not in arguments:
            continue
        value = arguments[one["argument"]]
        if one["in"] == "path":
            path = path.replace("{" + one["name"] + "}", _segment(one, value))
        elif one["in"] == "query":
            query += _pairs(one, value)
        else:
            headers[one["name"]] = _header(one, value)
    body = None
    if definition["body"] and definition["body"]["argument"] in arguments:
        body = json.dumps(arguments[definition["body"]["argument"]]).encode()
        headers["Content-Type"] = definition["body"]["media_type"]
    url = definition["server"] + path + (f"?{urllib.parse.urlencode(query)}" if query else "")
    return urllib.request.Request(url, data=body, headers=headers, method=definition["method"])  # noqa: S310


def _needed(own_key: str) -> str:
    if not own_key:
        raise ToolError("this call has no idempotency key")
    return own_key


def _segment(parameter: dict[str, Any], value: Any) -> str:
    text = ",".join(map(_text, value)) if isinstance(value, list) else _text(value)
    if text in ("", ".", ".."):
        raise ToolError(f"argument {parameter['argument']!r}: {text!r} would lead to another path")
    return urllib.parse.quote(text, safe="")


def _pairs(parameter: dict[str, Any], value: Any) -> list[tuple[str, str]]:
    name = parameter["name"]
    if isinstance(value, dict):
        deep = parameter["style"] == "deepObject"
        return [(f"{name}[{key}]" if deep else key, _text(item)) for key, item in value.items()]
    if not isinstance(value, list):
        return [(name, _text(value))]
    if parameter["explode"]:
        return [(name, _text(item)) for item in value]
    between = {"spaceDelimited": " ", "pipeDelimited": "|"}.get(parameter["style"], ",")
    return [(name, between.join(map(_text, value)))]


def _header(parameter: dict[str, Any], value: Any) -> str:
    text = ",".join(map(_text, value)) if isinstance(value, list) else _text(value)
    if any(ord(character) < 32 or ord(character) > 126 for character in text):
        raise ToolError(f"argument {parameter['argument']!r}: a header takes printable ASCII only")
    return text


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value)


def _value(answer: Any, room: Room) -> Any:
    media_type = answer.headers.get_content_type()
    is_json = media_type == "application/json" or media_type.endswith("+json")
    spool = Spool("response.json" if is_json else "response.txt", room.inline)
    try:
        while chunk := answer.read(_CHUNK):
            spool.feed(chunk)
    except TooMuch as error:
        raise ToolError(f"HTTP {answer.status}: the answer is too large: {error}") from error
    if not spool.size:
        return None
    if is_json:
        return _json(spool, room)
    if media_type.startswith("text/"):
        return spool.text
    with open(artifact_path("response.bin"), "wb") as file:
        file.write(spool.whole)
    return f"[artifact response.bin: {spool.size} bytes of {media_type}]"


def _json(spool: Spool, room: Room) -> Any:
    if spool.size > room.output_bytes:
        raise ToolError(f"the answer is larger than the call may return\n{spool.text}")
    try:
        return plain(spool.whole)
    except NotPlain:
        return spool.text


def _refusal(error: urllib.error.HTTPError, definition: dict[str, Any]) -> ToolError:
    shown = error.read(_ERROR_SHOWN).decode("utf-8", "replace").strip()
    place = error.headers.get("Location")
    leads = f"; it leads to {place[:500]!r}, where this tool does not follow" if place else ""
    where = f"{definition['method']} {definition['server']}{definition['path']}"
    return ToolError(f"{where}: HTTP {error.code} {error.reason}{leads}\n{shown}".rstrip())
