"""Takes secrets out of what comes back, so that a server that repeats its request does not tell them.

It finds a secret as it was sent and in the few forms that servers repeat things in. A server that means to pass a
secret on can always disguise it: a credential goes to servers that are trusted with it.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
from contextlib import suppress
from typing import Final
from urllib.parse import quote, quote_plus

LEAST: Final = 8
"""A secret shorter than this is refused: taking it out would tear up whatever comes back."""
MOST: Final = 8192
"""A longer one fits in no server's headers."""


class Guard:
    """Every secret that a call's requests have carried."""

    def __init__(self) -> None:
        self._needles: list[bytes] = []

    def __repr__(self) -> str:
        return f"Guard({len(self._needles)} forms)"

    def __bool__(self) -> bool:
        return bool(self._needles)

    def learn(self, secret: str, value: str) -> None:
        """Keep this secret, sent in a header of this value, from coming back."""
        forms = {form for text in _parts(secret, value) for form in _forms(text) if len(form) >= LEAST}
        self._needles = sorted(forms | set(self._needles))

    @property
    def reach(self) -> int:
        """A byte can be part of a secret that begins, or ends, so many bytes away from it."""
        return max(map(len, self._needles), default=1) - 1

    def scrub(self, data: bytes) -> bytes:
        """`data` with asterisks for secrets, as long as it was."""
        clean = bytearray(data)
        for needle in self._needles:
            # Searched in what came, not in what is left of it: two forms may overlap.
            at = data.find(needle)
            while at >= 0:
                clean[at : at + len(needle)] = b"*" * len(needle)
                at = data.find(needle, at + 1)
        return bytes(clean)

    def text(self, text: str) -> str:
        """The same for text."""
        return self.scrub(text.encode("utf-8", "replace")).decode("utf-8", "replace") if self._needles else text


class Scrubber:
    """Scrubs a body that comes in pieces.

    It always holds back as many bytes as the longest secret has, whatever they are. If it held back only what may
    be the start of a secret, a sandbox whose words a server repeats could try out that start byte by byte.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._data = b""
        self._done = 0
        """So many bytes of `_data` have gone on; they are kept to know what follows them."""

    def feed(self, piece: bytes) -> bytes:
        """What can go on now."""
        self._data += piece
        reach = self._guard.reach
        end = max(self._done, len(self._data) - reach)
        out = self._guard.scrub(self._data)[self._done : end]
        start = max(0, end - reach)
        self._data, self._done = self._data[start:], end - start
        return out

    def end(self) -> bytes:
        """What was held back."""
        out = self._guard.scrub(self._data)[self._done :]
        self._data, self._done = b"", 0
        return out


def _parts(secret: str, value: str) -> set[str]:
    """The secret, the header's value, and what a Basic credential is made of."""
    parts = {secret, value}
    scheme, _, rest = value.partition(" ")
    if scheme.lower() == "basic":
        with suppress(binascii.Error, ValueError):
            pair = base64.b64decode(rest, validate=True).decode()
            parts |= {rest, pair, pair.partition(":")[2]}
    return parts


def _forms(text: str) -> set[bytes]:
    raw = text.encode()
    written = {text, quote(text), quote(text, safe=""), quote_plus(text), html.escape(text)}
    written |= {json.dumps(text)[1:-1], json.dumps(text)[1:-1].replace("/", r"\/")}
    encoded = {base64.b64encode(raw), base64.urlsafe_b64encode(raw)}
    return {form.encode() for form in written} | {form.rstrip(b"=") for form in encoded} | encoded
