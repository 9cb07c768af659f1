"""Where a name leads: resolved once, every address judged, and connected to by address.

Sources: IANA's special-purpose registries (RFC 6890) as `ipaddress` knows them, and the clouds' documentation of
their metadata services.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final, Protocol

import anyio
from anyio import CapacityLimiter, to_thread

from interlock.errors import Refused, Unreachable

_Address = IPv4Address | IPv6Address

_NEVER: Final = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "169.254.0.0/16",  # link-local; the metadata service of nearly every cloud
        "100.100.100.200/32",  # Alibaba's metadata service
        "168.63.129.16/32",  # Azure's host agent
        "192.0.0.192/32",  # Oracle's metadata service
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/128",
        "fd00:ec2::/32",  # Amazon's metadata service
        "fd20:ce::254/128",  # Google's metadata service
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
)
"""Not even for a rule that says `private`."""
_PRIVATE: Final = tuple(
    ip_network(text) for text in ("192.0.0.0/24", "192.88.99.0/24", "64:ff9b:1::/48", "3fff::/20", "5f00::/16")
)
"""Private or special, and not (on every version of Python) known as such to `ipaddress`."""
_THREADS: Final = 128
_TRANSLATED: Final = ip_network("64:ff9b::/96")
_COMPATIBLE: Final = ip_network("::/96")


class Resolver(Protocol):
    """Finds the addresses of a name."""

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """Every address of `host`, the preferred first.

        Raises:
            OSError: it has none, or nobody can say.
        """
        ...


class SystemResolver:
    """Asks as any program on this host does."""

    def __init__(self) -> None:
        # Apart from other threads: whoever controls a name server can make these wait.
        self._threads = CapacityLimiter(_THREADS)

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """See `Resolver.resolve`."""
        # Left alone when the call ends: a name server that is slow must not hold that up.
        ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await to_thread.run_sync(ask, abandon_on_cancel=True, limiter=self._threads)
        return list(dict.fromkeys(str(row[4][0]) for row in found))


async def permitted(
    resolver: Resolver, host: str, port: int, *, private: bool, timeout_s: float
) -> tuple[str, ...]:
    """The addresses of a name, if a request may go to every one of them.

    Raises:
        Refused: one of them must not be reached.
        Unreachable: the name leads nowhere.
    """
    try:
        with anyio.fail_after(timeout_s):
            found = tuple(await resolver.resolve(host, port))
    except (OSError, UnicodeError) as error:
        raise Unreachable(f"the name {host!r} cannot be resolved", next_step="check the name") from error
    if not found:
        raise Unreachable(f"the name {host!r} has no address", next_step="check the name")
    for address in found:
        if reason := forbidden(address, private=private):
            raise Refused(f"the name {host!r} leads to {reason}", next_step=_next_step(reason))
    return found


def _next_step(reason: str) -> str:
    if reason.endswith("never reached"):
        return "no rule can allow this"
    return "a rule for a service of your own network says `private: true`"


def forbidden(address: str, *, private: bool) -> str:
    """Why this address must not be reached; empty: it may be."""
    try:
        one = ip_address(address)
    except ValueError:
        return "what is no address; it is never reached"
    inner: list[_Address] = list(_embedded(one))
    if any(_within(each, _NEVER) for each in (one, *inner)):
        return f"{address}, an address of the machine, its link, a metadata service or a group: never reached"
    for each in inner or [one]:
        if not private and (not each.is_global or _within(each, _PRIVATE)):
            return f"{address}, which is private or special"
    return ""


def _within(address: _Address, networks: Sequence[object]) -> bool:
    # An address is in no network of the other version.
    return any(address in network for network in networks)  # type: ignore[operator]


def _embedded(address: _Address) -> Iterator[IPv4Address]:
    """IPv4 addresses that an IPv6 address stands for on one kind of network or another."""
    if not isinstance(address, IPv6Address):
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if address in _TRANSLATED or (address in _COMPATIBLE and int(address) > 1):
        yield IPv4Address(int(address) & 0xFFFFFFFF)
