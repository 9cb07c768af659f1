"""Strict normal forms of the values that conditions compare: numbers, paths, hosts.

Each function returns the one form in which a value is compared, or raises `ConditionError`. Nothing is
repaired: a path with `..` or a host with user information is an error, never a guess. Messages never carry
the value itself, since they end in the ledger in the clear.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from typing import Final

_DECIMAL: Final = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?", re.ASCII)
_LABEL: Final = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOST: Final = re.compile(rf"({_LABEL}\.)*[a-z]([a-z0-9-]{{0,61}}[a-z0-9])?", re.ASCII)
_MAX_PATH: Final = 4096


class ConditionError(Exception):
    """A condition cannot be evaluated; the message says why, without the value."""


Path = tuple[bool, tuple[str, ...]]
"""Whether it is absolute, and its segments."""


def number(value: object, operand: int | Decimal) -> int | Decimal:
    """`value` as a number that may be compared with `operand`.

    A number is taken as it is (no argument is a decimal, only a sum over the run is). A decimal travels as
    text, so text is taken only where the rule itself was written with a decimal (`100.00`), and only in plain
    decimal form.

    Raises:
        ConditionError: true, false, other text, or another type.
    """
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and isinstance(operand, Decimal) and _DECIMAL.fullmatch(value):
        return Decimal(value)
    raise ConditionError(f"it is {kind(value)}, not a number")


def path(value: object) -> Path:
    """`value` as path segments.

    Raises:
        ConditionError: empty or longer than 4096; has a backslash, percent sign, control or invisible
            character, an empty, `.` or `..` segment; or NFKC normalisation would change it.
    """
    if not isinstance(value, str):
        raise ConditionError(f"it is {kind(value)}, not a path")
    if not value or len(value) > _MAX_PATH:
        raise ConditionError("the path is empty or longer than 4096 characters")
    if "\\" in value or "%" in value or any(_hidden(c) for c in value):
        raise ConditionError("the path has a backslash, a percent sign, or a control or invisible character")
    if unicodedata.normalize("NFKC", value) != value:
        raise ConditionError("the path is not in Unicode's NFKC form")
    if value == "/":
        return True, ()
    absolute = value.startswith("/")
    segments = tuple(value[absolute:].split("/"))
    if any(segment in ("", ".", "..") for segment in segments):
        raise ConditionError("the path has an empty, '.' or '..' segment")
    return absolute, segments


def _hidden(char: str) -> bool:
    return unicodedata.category(char)[0] == "C" or (char != " " and unicodedata.category(char)[0] == "Z")


def is_under(inner: Path, outer: Path) -> bool:
    """Whether `inner` is `outer` or below it, segment by segment.

    Raises:
        ConditionError: one is absolute and the other relative.
    """
    if inner[0] != outer[0]:
        kinds = ("relative", "absolute")
        raise ConditionError(f"the path is {kinds[inner[0]]}, the rule's is {kinds[outer[0]]}")
    return inner[1][: len(outer[1])] == outer[1]


def host(value: object) -> str:
    """The host that `value`, a bare host or an https URL, names: lower case, one trailing dot dropped.

    Raises:
        ConditionError: another scheme, user information, a port but 443, an IP address in any notation,
            white space, a backslash, a control or non-ASCII character, or not a host name.
    """
    if not isinstance(value, str):
        raise ConditionError(f"it is {kind(value)}, not a host")
    if not value.isascii() or any(c <= " " or c in "\\\x7f" for c in value):
        raise ConditionError("the host has white space, a backslash, or a control or non-ASCII character")
    authority = value.lower()
    if authority.startswith("https://"):
        authority = re.split("[/?#]", authority[len("https://") :], maxsplit=1)[0].removesuffix(":443")
    if "@" in authority:
        raise ConditionError("the URL carries user information")
    authority = authority.removesuffix(".")
    # The last label must begin with a letter: that keeps out 127.1, 0x7f.1 and 2130706433 with the rest.
    if len(authority) > 253 or not _HOST.fullmatch(authority):
        raise ConditionError("it is not a host name or an https URL with one, on port 443")
    return authority


def kind(value: object) -> str:
    """What a value is, in words for a message."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    names = {str: "text", int: "a whole number", Decimal: "a decimal", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)
