"""What a request asks for, in the one form that is checked, recorded and sent. What has two readings is refused."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import unquote

from interlock.errors import Refused
from interlock.types.egress import HOST_PATTERN, Scheme

_LABELS: Final = HOST_PATTERN.replace(r"(\*\.)?", "", 1)
_AUTHORITY: Final = re.compile(r"([^:@\[\]]+)(?::([0-9]{1,5}))?")
_NUMERIC: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
"""A name whose last label is a number is read as an IPv4 address by resolvers (`127.1`, `0x7f000001`)."""
_ABSOLUTE: Final = re.compile(r"(?i:http)://([^/?#]*)(/[^?#]*)?(?:\?([^#]*))?")
_ORIGIN: Final = re.compile(r"(/[^?#]*)(?:\?([^#]*))?")
_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_PLAIN: Final = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@/-]")
_UNRESERVED: Final = re.compile(r"[A-Za-z0-9_~-]")
_DEFAULT: Final = {"http": 80, "https": 443}


class Authority(NamedTuple):
    """A host and a port."""

    host: str
    port: int


@dataclass(frozen=True)
class Target:
    """Where a request goes."""

    scheme: Scheme
    host: str
    port: int
    path: str
    """Normalised; what is matched and what is sent."""
    query: str | None

    @property
    def authority(self) -> str:
        """As the Host header names it."""
        return self.host if self.port == _DEFAULT[self.scheme] else f"{self.host}:{self.port}"

    @property
    def sent(self) -> str:
        """Path and query as they go to the server."""
        return self.path if self.query is None else f"{self.path}?{self.query}"


def read_authority(text: str, default_port: int) -> Authority:
    """`HOST` or `HOST:PORT`.

    Raises:
        Refused: it is no name, or it is an address in some notation.
    """
    found = _AUTHORITY.fullmatch(text)
    host = found[1].lower() if found else ""
    if text.startswith("[") or _NUMERIC.fullmatch(host):
        raise Refused(f"{text[:80]!r} is an address", next_step="ask by name: rules name hosts, not addresses")
    if found is None or len(host) > 253 or not re.fullmatch(_LABELS, host, re.ASCII):
        raise Refused(
            f"{text[:80]!r} is no host name",
            next_step="write HOST or HOST:PORT, lower case, without a dot at its end",
        )
    port = int(found[2] or default_port)
    if not 0 < port < 65536:
        raise Refused(f"{port} is no port")
    return Authority(host, port)


def read_target(text: str, tunnel: Authority | None) -> Target:
    """The target of a request: absolute outside a tunnel, path and query within one.

    Raises:
        Refused
    """
    if tunnel is not None:
        origin = _ORIGIN.fullmatch(text)
        if origin is None:
            raise Refused("a request inside a tunnel names a path, not a URL")
        return Target("https", *tunnel, normal_path(origin[1]), origin[2])
    absolute = _ABSOLUTE.fullmatch(text)
    if absolute is None:
        raise Refused(
            "the way out is an HTTP proxy: it takes http://HOST/PATH, or CONNECT for https",
            next_step="leave the proxy settings of the environment as they are",
        )
    host, port = read_authority(absolute[1], _DEFAULT["http"])
    return Target("http", host, port, normal_path(absolute[2] or "/"), absolute[3])


def normal_path(path: str) -> str:
    """A path in its one form (RFC 3986, 6.2.2), if it has one that every server agrees on.

    Raises:
        Refused: dot segments, empty segments, encoded separators or dots, double encodings, control characters,
            what is no UTF-8.
    """
    if "%" in _ESCAPE.sub("", path) or not all(map(_PLAIN.fullmatch, _ESCAPE.sub("", path))):
        raise Refused("the path has a character that must be written as %XX, or a broken %XX")
    try:
        decoded = unquote(path, errors="strict")
    except UnicodeDecodeError:
        raise Refused("the path is no UTF-8 once decoded") from None
    if not decoded.isprintable():
        raise Refused("the path has a control character")
    for code in _ESCAPE.findall(path):
        if chr(int(code, 16)) in "/\\.%?#;":
            raise Refused(
                f"the path has %{code}, which servers read in different ways", next_step="write it plainly"
            )
    _check_segments(path.split("/")[1:])
    return _ESCAPE.sub(_decoded_if_plain, path)


def _check_segments(segments: list[str]) -> None:
    if "" in segments[:-1]:
        raise Refused("the path has an empty segment ('//')", next_step="write one '/'")
    if any(segment.split(";")[0] in (".", "..") for segment in segments):
        raise Refused("the path has a '.' or '..' segment", next_step="write the path that you mean")


def _decoded_if_plain(found: re.Match[str]) -> str:
    character = chr(int(found[1], 16))
    return character if _UNRESERVED.fullmatch(character) else found[0].upper()
