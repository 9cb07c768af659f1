"""Where the values of a call's arguments came from: by identity, and by parts of text.

A value is looked for in what the requester said, in the outputs of the run's earlier calls, in what approvers
wrote, and in what others sent as signals. A person's own word counts before an output that repeats it. What is
found nowhere is the model's: a value that a model translated, encoded or computed has no origin that this could
find, and is labelled `model`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_BETWEEN_WORDS: Final = re.compile(r"""[\s"'`,;<>()\[\]{}|]+""")
_BETWEEN_PARTS: Final = re.compile(r"[/?&=:@#!\\]+")
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_LEAST: Final = 4
"""Shorter parts of a text are too common to say where it came from; a value that short counts as a whole."""
_LEAST_INSIDE: Final = 8
"""A part of at least this length is also found inside a longer word."""
_MOST_INSIDE: Final = 64
"""Texts of more parts are compared by whole parts only."""

REQUESTER: Final = "requester"
APPROVER: Final = "approver"
SENDER: Final = "sender"
MODEL: Final = "model"


@dataclass(frozen=True, slots=True)
class Source:
    """A text that values may have come from."""

    text: str
    """In the form in which it is compared."""
    words: frozenset[str]
    """What stands between spaces, quotes, commas and brackets: an address, a URL, a path, whole."""
    parts: frozenset[str]
    """The words, and what they consist of."""

    @classmethod
    def of(cls, text: str) -> Source:
        """The source that a text is, read as it stands and with JSON's escapes undone."""
        plain = _folded(text)
        undone = _folded(_ESCAPE.sub(_undo, text)) if "\\" in text else ""
        both = f"{plain}\n{undone}" if undone else plain
        words = frozenset(_words(both))
        return cls(both, words, words.union(*map(_parts, words)))

    def has(self, part: str, *, inside: bool) -> bool:
        """Whether a part is in it: as a word, or with `inside` also as a piece of one."""
        return part in self.parts or (inside and len(part) >= _LEAST_INSIDE and part in self.text)


@dataclass(frozen=True, slots=True)
class Output:
    """What an earlier call returned, and its labels."""

    source: Source
    labels: tuple[str, ...]


def trace(
    arguments: Mapping[str, Any],
    *,
    requester: Sequence[Source],
    approvers: Sequence[Source] = (),
    senders: Sequence[Source] = (),
    outputs: Sequence[Output] = (),
) -> dict[str, tuple[str, ...]]:
    """Labels of every argument, sorted; none for one that is empty, true, false or null."""
    persons = [(source, REQUESTER) for source in requester] + [(source, APPROVER) for source in approvers]
    persons += [(source, SENDER) for source in senders]
    return {
        name: tuple(sorted({label for leaf in _leaves(value) for label in _labels(leaf, persons, outputs)}))
        for name, value in arguments.items()
    }


def _labels(leaf: str, persons: Sequence[tuple[Source, str]], outputs: Sequence[Output]) -> set[str]:
    whole = _folded(leaf)
    unsaid = set(_words(whole)) or {whole}
    found: set[str] = set()
    for source, label in persons:
        # Only whole words are a person's own: a stranger may choose an address in a domain that they named.
        said = unsaid & source.words
        found |= {label} if said else set()
        unsaid -= said
    if not unsaid:
        return found
    parts = {part for word in unsaid for part in _parts(word) if len(part) >= _LEAST} | unsaid
    told, inside = set[str](), len(parts) <= _MOST_INSIDE
    for output in outputs:
        hits = _told(whole, parts, output.source, inside=inside)
        found.update(output.labels if hits else ())
        told |= hits
    explained = all(word in told or told.issuperset(_long(word)) for word in unsaid)
    return found if explained else found | {MODEL}


def _long(word: str) -> set[str]:
    return {part for part in _parts(word) if len(part) >= _LEAST} or {word}


def _told(whole: str, parts: set[str], source: Source, *, inside: bool) -> set[str]:
    """Which of the parts are in a source."""
    if parts and inside and len(whole) >= _LEAST and whole in source.text:
        return parts
    told = parts & source.parts
    return told | {part for part in parts - told if source.has(part, inside=inside)} if inside else told


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if value.strip():
            yield value
    elif isinstance(value, int) and not isinstance(value, bool):
        yield str(value)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(key)
            yield from _leaves(inner)
    elif isinstance(value, Iterable) and value is not None:
        for inner in value:
            yield from _leaves(inner)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()


def _words(text: str) -> Iterator[str]:
    return (word for found in _BETWEEN_WORDS.split(text) if (word := found.strip(".:!?")))


def _parts(word: str) -> Iterator[str]:
    return (part for found in _BETWEEN_PARTS.split(word) if (part := found.strip(".")))


def _undo(match: re.Match[str]) -> str:
    code, character = match.groups()
    if code:
        return chr(int(code, 16))
    return {"n": "\n", "t": "\t", "r": "\r", "b": " ", "f": " "}.get(character, character)
