"""Texts that a pattern matches: the shortest, and one for each of its alternatives.

The standard library's own parser reads the pattern; whoever asks tests each text with RE2, which decides.
"""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final

_MOST: Final = 12
_LIKELY: Final = "a0A-_ ./@"
"""Tried where any character of a class will do."""
_CLASSES: Final = {"CATEGORY_DIGIT": "0", "CATEGORY_SPACE": " ", "CATEGORY_WORD": "a"}


def examples(pattern: str) -> list[str]:
    """At most twelve different texts, plainest first; none for a pattern that only RE2 can read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Python may come to read otherwise does not matter here
            tree = importlib.import_module("re._parser").parse(pattern)
        texts = list(islice(_sequence(list(tree)), _MOST))
    except (re.error, RecursionError, OverflowError):
        return []
    return sorted(set(texts), key=lambda text: (len(text), text))


def _sequence(tree: Sequence[Any]) -> Iterator[str]:
    """The plainest text, and then one place at a time in each of its other forms."""
    places = [list(islice(_node(str(op), argument), _MOST)) or [""] for op, argument in tree]
    yield "".join(place[0] for place in places)
    for index, place in enumerate(places):
        for other in place[1:]:
            yield "".join(other if i == index else p[0] for i, p in enumerate(places))


def _node(op: str, argument: Any) -> Iterator[str]:
    if op == "LITERAL":
        yield chr(argument)
    elif op == "ANY":
        yield "a"
    elif op == "NOT_LITERAL":
        yield next(c for c in _LIKELY if ord(c) != argument)
    elif op == "IN":
        yield from _one_of(argument)
    elif op == "BRANCH":
        for branch in argument[1]:
            yield from _sequence(list(branch))
    elif op in ("SUBPATTERN", "ATOMIC_GROUP"):
        yield from _sequence(list(argument[-1] if op == "SUBPATTERN" else argument))
    elif op in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        yield from _repeated(*argument)


def _one_of(items: Sequence[Any]) -> Iterator[str]:
    """A character of a class, or one outside of a negated class."""
    kinds = [(str(op), argument) for op, argument in items]
    if kinds and kinds[0][0] == "NEGATE":
        yield from (c for c in _LIKELY if not any(_has(kind, argument, c) for kind, argument in kinds[1:]))
        return
    for kind, argument in kinds:
        if kind == "LITERAL":
            yield chr(argument)
        elif kind == "RANGE":
            yield chr(argument[0])
        elif str(argument) in _CLASSES:
            yield _CLASSES[str(argument)]


def _has(kind: str, argument: Any, character: str) -> bool:
    if kind == "LITERAL":
        return ord(character) == int(argument)
    if kind == "RANGE":
        return int(argument[0]) <= ord(character) <= int(argument[1])
    return _CLASSES.get(str(argument)) == character


def _repeated(least: int, most: Any, tree: Any) -> Iterator[str]:
    for text in _sequence(list(tree)):
        counts = (least, least + 1) if int(most) > least else (least,)
        yield from (text * count for count in counts if len(text) * count <= 4096)
