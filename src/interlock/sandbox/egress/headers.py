"""Headers: which are refused, which stay on this side, which go on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from interlock.errors import Refused
from interlock.sandbox.egress.target import Authority, Target, read_authority

Headers = list[tuple[bytes, bytes]]

_HOP: Final = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "upgrade",
    )
)
"""RFC 9110, 7.6.1: they are about one connection."""
_OF_PROXIES: Final = ("forwarded", "via", "x-real-ip", "expect", "http2-settings")
_OTHER_REQUEST: Final = frozenset(
    (
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
        "x-original-url",
        "x-rewrite-url",
        "x-original-host",
        "x-host",
    )
)
"""Frameworks take another method, path or host from these than the one that was checked."""
_NOT_BACK: Final = ("alt-svc", "transfer-encoding")


def plain_name(name: bytes) -> str:
    """As servers compare names: some read an underscore as a hyphen."""
    return name.decode("ascii").lower().replace("_", "-")


def check_host(headers: Headers, wanted: Authority, default_port: int) -> None:
    """The Host header must name the very host that is connected to.

    Raises:
        Refused
    """
    hosts = [value for name, value in headers if plain_name(name) == "host"]
    if len(hosts) != 1 or read_authority(hosts[0].decode("latin-1"), default_port) != wanted:
        raise Refused(f"the Host header does not say {wanted.host}:{wanted.port}, which is asked for")


def request_headers(headers: Headers, target: Target) -> Headers:
    """What goes on to the server.

    Raises:
        Refused: the headers ask for another request than the one that is checked, or frame it in two ways.
    """
    check_host(headers, Authority(target.host, target.port), 443 if target.scheme == "https" else 80)
    names = [plain_name(name) for name, _ in headers]
    # HTTP/2 is only offered by this: common clients do it unasked, and go on without. It is not passed on.
    if any(value.strip().lower() != "h2c" for value in _values(headers, "upgrade")):
        raise Refused("the way out speaks HTTP/1.1 only: no upgrade, no WebSocket")
    if other := sorted(_OTHER_REQUEST & set(names)):
        raise Refused(f"header {other[0]!r} asks for another request than the one that is checked")
    framing = [name for name, _ in headers if plain_name(name) in ("content-length", "transfer-encoding")]
    if len(framing) > 1 or any(b"_" in name for name in framing):
        raise Refused("the request gives the length of its body twice, or in a way of its own")
    kept = [pair for pair in _end_to_end(headers) if not _of_proxies(plain_name(pair[0]))]
    return [(b"Host", target.authority.encode()), *(pair for pair in kept if plain_name(pair[0]) != "host")]


def check_length(headers: Headers, most: int) -> None:
    """A body that says itself that it is too large is not begun.

    Raises:
        Refused
    """
    for name, value in headers:
        if plain_name(name) == "content-length" and int(value) > most:
            raise Refused(f"the body has {int(value)} bytes, the most is {most}")


def _of_proxies(name: str) -> bool:
    return name in _OF_PROXIES or name.startswith("x-forwarded-")


def response_headers(headers: Headers) -> Headers:
    """What comes back to the sandbox; the length only where it is the one that counts."""
    chunked = any(plain_name(name) == "transfer-encoding" for name, _ in headers)
    dropped = (*_NOT_BACK, "content-length") if chunked else _NOT_BACK
    return [pair for pair in _end_to_end(headers) if plain_name(pair[0]) not in dropped]


def _end_to_end(headers: Headers) -> Headers:
    listed = {item.strip().lower() for item in _values(headers, "connection")} | _HOP
    # The body's framing and the host are not for the sender to take out.
    listed -= {"host", "content-length", "transfer-encoding"}
    return [pair for pair in headers if plain_name(pair[0]) not in listed]


def _values(headers: Headers, wanted: str) -> Iterable[str]:
    for name, value in headers:
        if plain_name(name) == wanted:
            yield from value.decode("latin-1").split(",")


def compressed(headers: Headers) -> bool:
    """Whether the body is not what it says."""
    return any(item.strip().lower() not in ("", "identity") for item in _values(headers, "content-encoding"))


def with_own(headers: Headers, name: str, value: str) -> Headers:
    """`headers` with this one, in place of any that the sandbox sent under that name."""
    own = plain_name(name.encode())
    return [*(pair for pair in headers if plain_name(pair[0]) != own), (name.encode(), value.encode())]


def without(headers: Headers, *names: str) -> Headers:
    """`headers` less these."""
    return [pair for pair in headers if plain_name(pair[0]) not in names]
