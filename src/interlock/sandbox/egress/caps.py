"""How much and how long: bounds on what one sandbox may ask of the proxy, and a server of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_MIB: Final = 1024 * 1024


@dataclass(frozen=True)
class Caps:
    """Bounds of one call's way out. Names that end in `_s` are seconds."""

    requests: int = 300
    """Most requests of a call, refused ones too; all later ones are refused and only counted. Also most tunnels."""
    connections: int = 32
    """Most connections served at once; others wait."""
    head_bytes: int = 64 * 1024
    """Largest request line with headers."""
    request_bytes: int = 64 * _MIB
    """Largest body of a request."""
    response_bytes: int = 256 * _MIB
    """Largest body of a response; the rest is cut off and the client sees that it is incomplete."""
    head_s: float = 15
    """From the first byte of a request to the end of its headers; also a TLS handshake."""
    idle_s: float = 120
    """A connection without a request."""
    piece_s: float = 30
    """Between two pieces of a request's body, and until the client takes a piece of the response."""
    connect_s: float = 10
    """To resolve a name, and to connect with one address."""
    answer_s: float = 120
    """Until the server answers, and between two pieces of its answer."""
