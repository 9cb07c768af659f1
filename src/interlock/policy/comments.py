"""Comments of a file, which reading its values leaves out."""

from __future__ import annotations

import io
import tokenize
from collections.abc import Iterator
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.tokens import CommentToken


class Comment(NamedTuple):
    """One comment, on one line."""

    line: int
    text: str
    """With its `#`."""
    alone: bool
    """Whether nothing else stands on its line."""


def yaml_comments(text: str) -> list[Comment]:
    """Every comment, in order.

    Raises:
        ruamel.yaml.error.YAMLError: not YAML.
    """
    lines = text.splitlines()
    found: dict[int, Comment] = {}
    for token in YAML(typ="rt", pure=True).scan(text):
        for comment in _tokens(token.comment):
            for number, part in enumerate(comment.value.split("\n"), comment.start_mark.line):
                if part.strip().startswith("#"):
                    before = lines[number].partition(part.strip())[0]
                    found[number] = Comment(number + 1, part.strip(), not before.strip())
    return [found[number] for number in sorted(found)]


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


def _tokens(held: Any) -> Iterator[CommentToken]:
    if isinstance(held, CommentToken):
        yield held
    for part in held if isinstance(held, list) else ():
        yield from _tokens(part)
