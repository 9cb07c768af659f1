"""Comments of a file, which reading its values leaves out."""

from __future__ import annotations

import io
import tokenize
from collections.abc import Iterator
from typing import NamedTuple

from ruamel.yaml import YAML


class Comment(NamedTuple):
    """One comment, on one line."""

    line: int
    text: str
    """With its `#`."""
    alone: bool
    """Whether nothing else stands on its line."""


def yaml_comments(text: str) -> list[Comment]:
    """Every comment, in order: what stands between two tokens and is not white space.

    Raises:
        ruamel.yaml.error.YAMLError: not YAML.
    """
    found: list[Comment] = []
    end = 0
    for token in YAML(typ="safe", pure=True).scan(text):
        start = token.start_mark.index
        if start > end:
            found += _between(text, end, start)
        end = max(end, token.end_mark.index)
    return [*found, *_between(text, end, len(text))]


def _between(text: str, start: int, end: int) -> Iterator[Comment]:
    line = text.count("\n", 0, start) + 1
    for number, part in enumerate(text[start:end].split("\n"), line):
        place = part.find("#")
        if place >= 0:
            alone = number > line or not text[text.rfind("\n", 0, start) + 1 : start].strip()
            yield Comment(number, part[place:].strip(), alone)


def python_comments(text: str) -> list[Comment]:
    """Every comment of a Python module; none where it is no Python."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (SyntaxError, tokenize.TokenError):
        return []
    return [
        Comment(token.start[0], token.string.strip(), not token.line[: token.start[1]].strip())
        for token in tokens
        if token.type == tokenize.COMMENT
    ]
