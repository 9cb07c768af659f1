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
        # The longest first, or a part of one would be taken out and the rest of it left.
        self._needles = sorted(forms | set(self._needles), key=lambda form: (-len(form), form))

    def scrub(self, data: bytes) -> bytes:
        """`data` with asterisks for secrets, as long as it was."""
        for needle in self._needles:
            data = data.replace(needle, b"*" * len(needle))
        return data

    def text(self, text: str) -> str:
        """The same for text."""
        return self.scrub(text.encode("utf-8", "replace")).decode("utf-8", "replace") if self._needles else text

    def held_back(self, data: bytes) -> int:
        """How many bytes at the end of `data` may be the start of a secret."""
        return max((_overlap(data, needle) for needle in self._needles), default=0)


class Scrubber:
    """Scrubs a body that comes in pieces."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._tail = b""

    def feed(self, piece: bytes) -> bytes:
        """What can go on now."""
        data = self._guard.scrub(self._tail + piece)
        held = self._guard.held_back(data)
        self._tail = data[len(data) - held :]
        return data[: len(data) - held]

    def end(self) -> bytes:
        """What was held back."""
        tail, self._tail = self._tail, b""
        return tail


def _overlap(data: bytes, needle: bytes) -> int:
    longest = min(len(data), len(needle) - 1)
    return next((size for size in range(longest, 0, -1) if data.endswith(needle[:size])), 0)


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
