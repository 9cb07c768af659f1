"""Makes inputs out of inputs: bytes that are nearly a policy file, JSON values that are nearly what was meant."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from decimal import Decimal
from random import Random
from typing import Any

TOKENS = (
    b"rules:",
    b"users:",
    b"groups:",
    b"roles:",
    b"routes:",
    b"profiles:",
    b"prices:",
    b"when:",
    b"effect: deny",
    b"- ",
    b": ",
    b"{",
    b"}",
    b"[",
    b"]",
    b"'",
    b'"',
    b"|",
    b">",
    b"&a ",
    b"*a",
    b"!!python/object:os.system ",
    b"!x ",
    b"<<: ",
    b"? ",
    b"---\n",
    b"...\n",
    b"%YAML 1.1\n",
    b"#",
    b"\t",
    b"\r\n",
    b"\x00",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\\",
    b".nan",
    b"-.inf",
    b"1e999",
    b"0x10",
    b"0o7",
    b"1_0",
    b"=",
    b"~",
    b"null",
    b"yes",
    b"2026-13-40",
    b"12:30:45",
    b"9" * 30,
    b"-0",
    b"1." + b"0" * 40,
    b"\xe2\x80\xae",
    b"\xf0\x9f\x92\xa9",
    b"\xed\xa0\x80",
    b"\xc2\x85",
    b"\xe2\x80\xa8",
    b"[" * 40,
    b"{a: " * 30,
    b"- " * 50,
    b"(a+)+$",
    b"(?P<x>",
    b"a{1000}",
    b"\\p{Greek}",
    b"[[:alpha:]]",
    b"%2e%2e",
    b"../",
)

WORDS = (
    "",
    "*",
    "**",
    "a",
    "a.*",
    "user:alice",
    "user:*",
    "role:lead",
    "agent:x",
    "agent:*",
    "group:devs",
    "\x00",
    "\ud800",
    "__class__",
    "items",
    "é",
    "\ufb01",
    "\u202e",
    "1",
    "1.0",
    "NaN",
    "-Infinity",
    "1e5",
    "true",
    "source/x",
    "/",
    "//",
    "..",
    "a/../b",
    "https://a.b:443/x",
    "https://u@a.b",
    "a.b.",
    "127.1",
    "xn--a",
    "a" * 5000,
    "9" * 400,
    "2026-02-30",
    "25:00",
    "UTC",
    "1h",
)

SCALARS: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    5,
    2**53,
    -(2**53),
    2**53 - 1,
    10**40,
    1.5,
    float("nan"),
    float("inf"),
    -0.0,
    Decimal("1.50"),
    Decimal("1E+40"),
    Decimal("NaN"),
    b"bytes",
    [],
    {},
    [[]],
    {"": None},
    {"decimal": "x"},
    {"decimal": "1E+999999999"},
    {"decimal": None},
    {"decimal": "10.5"},
)


class Mutator:
    """A stream of mutations; the same seed gives the same ones."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def bytes(self, seeds: Sequence[bytes]) -> bytes:
        """One of the seeds, changed in a few places."""
        data = self.random.choice(seeds)
        for _ in range(self.random.choice((1, 1, 1, 2, 3, 8, 30))):
            data = self._changed(data, seeds)
        return data[:100_000]

    def _changed(self, data: bytes, seeds: Sequence[bytes]) -> bytes:
        random, size = self.random, len(data)
        start = random.randint(0, size)
        end = min(size, start + random.choice((0, 1, 1, 2, 8, 64, 400)))
        kind = random.randrange(8)
        if kind == 0:
            return data[:start] + random.choice(TOKENS) + data[end:]
        if kind == 1:
            return data[:start] + bytes(random.randrange(256) for _ in range(random.randint(1, 4))) + data[end:]
        if kind == 2:
            return data[:start] + data[end:]
        if kind == 3:
            return data[:end] + data[start:end] * random.choice((1, 2, 30)) + data[end:]
        if kind == 4:
            other = random.choice(seeds)
            cut = random.randint(0, len(other))
            return data[:start] + other[cut : cut + random.randint(0, 400)] + data[end:]
        lines = data.splitlines(keepends=True) or [b""]
        line = random.randrange(len(lines))
        if kind == 5:
            lines.insert(random.randrange(len(lines)), lines[line])
        elif kind == 6:
            lines[line] = random.choice((b" ", b"  ", b"- ")) + lines[line]
        else:
            lines[line] = lines[line].partition(b":")[0] + b": " + random.choice(TOKENS) + b"\n"
        return b"".join(lines)

    def scalar(self) -> Any:
        """Some value without much in it."""
        return deepcopy(self.random.choice((self.random.choice(SCALARS), self.random.choice(WORDS))))

    def json(self, depth: int = 0) -> Any:
        """Some value, a few levels deep, or far too deep."""
        kind = self.random.randrange(12 if depth < 4 else 8)
        if kind == 11 and depth == 0:
            return self._deep()
        if kind == 10:
            return {self._key(): self.json(depth + 1) for _ in range(self.random.randint(0, 4))}
        if kind >= 8:
            return [self.json(depth + 1) for _ in range(self.random.randint(0, 4))]
        if kind == 7:
            return "".join(self.random.choice("a./:-%\\ \n0é\u200b") for _ in range(self.random.randint(0, 12)))
        if kind == 6:
            return self.random.randint(-(2**60), 2**60) >> self.random.randint(0, 60)
        return self.scalar()

    def _deep(self) -> Any:
        value: Any = self.scalar()
        for _ in range(self.random.choice((60, 65, 200))):
            value = [value] if self.random.random() < 0.5 else {"a": value}
        return value

    def _key(self) -> str:
        return self.random.choice(("n", "path", "a", "b", self.random.choice(WORDS)))

    def tree(self, value: Any) -> Any:
        """A value made of dicts and lists, changed in a few places."""
        made = [deepcopy(value)]
        likely: dict[str, list[Any]] = {}
        _collect(value, likely)
        gentle = self.random.random() < 0.5
        for _ in range(self.random.choice((1, 1, 2, 4))):
            self._change(made, likely, gentle)
        return made[0]

    def _change(self, root: list[Any], likely: dict[str, list[Any]], gentle: bool) -> None:
        place: Any = root
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                return
            key = self.random.choice(keys)
            inner = place[key]
            if not (isinstance(inner, dict | list) and inner) or self.random.random() < 0.15:
                break
            place = inner
        kind = self.random.randrange(5)
        if gentle and key in likely:
            place[key] = deepcopy(self.random.choice(likely[key]))
        elif (gentle and isinstance(place, list) and place is not root) or (kind == 0 and place is not root):
            del place[key]
        elif kind == 1 and isinstance(place, dict):
            place[self.random.choice(WORDS)] = place.pop(key)
        elif kind == 2 and isinstance(place, list) and place is not root:
            place.append(deepcopy(place[key]))
        else:
            place[key] = self.json(2) if self.random.random() < 0.4 else self.scalar()


def _collect(value: Any, likely: dict[str, list[Any]]) -> None:
    """What stands after each key anywhere: in another place it will often do as well."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(key, str):
            likely.setdefault(key, []).append(inner)
        if isinstance(inner, dict | list):
            _collect(inner, likely)
