"""Comments and blank lines of a policy file, by the entries and keys that they are about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from interlock.policy.comments import Comment
from interlock.policy.yaml_file import Place, YamlFile


class Attached:
    """Comments by place."""

    def __init__(self) -> None:
        self.before: dict[Place, list[str]] = {}
        """Lines above it; an empty text is a blank line."""
        self.beside: dict[Place, str] = {}
        self.gaps: set[Place] = set()
        """Places that a blank line came before."""
        self.after: list[str] = []
        """Lines below everything."""

    @property
    def inner(self) -> Iterator[Place]:
        """Places that need a line of their own."""
        yield from self.before
        yield from self.beside


def attach(file: YamlFile, comments: Sequence[Comment], lines: list[str]) -> Attached:
    """Find for each comment the entry or key that it stands at or above.

    Args:
        file: the file's values and lines.
        comments: all of its comments.
        lines: its text.
    """
    found = Attached()
    by_line: dict[int, Place] = {}
    for place, line in file.lines.items():
        if place:
            by_line.setdefault(line, place)  # of those on one line, the outermost comes first
    starts = sorted(by_line)
    for comment in comments:
        own = None if comment.alone else _beside(file, by_line, comment.line)
        if own is not None and own not in found.beside:
            found.beside[own] = comment.text
            continue
        following = next((line for line in starts if line > comment.line), None)
        above = found.after if following is None else found.before.setdefault(by_line[following], [])
        if above and above[-1] and not lines[comment.line - 2].strip():
            above.append("")
        above.append(comment.text)
        if following is not None and not lines[comment.line].strip():
            above.append("")
    _find_gaps(found, by_line, lines)
    return found


def _beside(file: YamlFile, by_line: dict[int, Place], line: int) -> Place | None:
    """What a comment at the end of a line is about: an entry in one line, else the key that begins there."""
    place = by_line.get(line)
    if place is None or isinstance(place[-1], str):
        return place
    last = max(at for other, at in file.lines.items() if other[: len(place)] == place)
    first = next((other for other in file.lines if other[:-1] == place and file.lines[other] == line), None)
    return place if last == line or first is None else first


def _find_gaps(found: Attached, by_line: dict[int, Place], lines: list[str]) -> None:
    for line, place in by_line.items():
        above = line - 2
        while above >= 0 and lines[above].lstrip().startswith("#"):
            above -= 1
        if above >= 0 and not lines[above].strip():
            found.gaps.add(place)
