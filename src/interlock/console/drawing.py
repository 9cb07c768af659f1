"""An agent's graph as a drawing: boxes in layers, read off its Mermaid text."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import Final

STANDARD: Final = """
__start__ --> model;
act --> model;
model -.-> __end__;
model -.-> act;
"""
"""The engine's own loop, which most agents have."""
_EDGE: Final = re.compile(r"^\s*([\w:]+)\s*(-->|-\.->|-- .*? -->|-\. .*? \.->)\s*([\w:]+);?\s*$", re.MULTILINE)
_NAMES: Final = {"__start__": "start", "__end__": "end"}
_HIGH: Final = 34
_GAP: Final = 46
_BESIDE: Final = 28
_MOST: Final = 80
"""Nodes; a larger graph is not drawn, since nobody could read it."""


@dataclass(frozen=True)
class Box:
    """One node."""

    name: str
    label: str
    x: float
    y: float
    width: float
    high: float = _HIGH

    @property
    def ends(self) -> bool:
        """Whether it is where the graph begins or ends."""
        return self.name in _NAMES


@dataclass(frozen=True)
class Line:
    """One edge."""

    path: str
    maybe: bool
    """Whether a function chooses it."""


@dataclass(frozen=True)
class Drawing:
    """All of it, in pixels."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    words: str
    """The same for people who do not see it."""


def drawn(mermaid: str) -> Drawing | None:
    """The drawing of a Mermaid flowchart as LangGraph writes it; None where there is nothing to draw."""
    edges = [(a, b, "." in arrow) for a, arrow, b in _EDGE.findall(mermaid)]
    names = list(dict.fromkeys(name for a, b, _ in edges for name in (a, b)))
    if not names or len(names) > _MOST:
        return None
    layers = _layers(names, edges)
    rows: list[list[str]] = [[] for _ in range(max(layers.values()) + 1)]
    for name in names:
        rows[layers[name]].append(name)
    widths = {name: 28 + 7.6 * len(_label(name)) for name in names}
    whole = max(sum(widths[name] + _BESIDE for name in row) for row in rows) + 2 * _BESIDE
    boxes: dict[str, Box] = {}
    for number, row in enumerate(rows):
        x = (whole - sum(widths[name] + _BESIDE for name in row) + _BESIDE) / 2
        for name in row:
            boxes[name] = Box(name, _label(name), x, 4 + number * (_HIGH + _GAP), widths[name])
            x += widths[name] + _BESIDE
    lines = tuple(Line(_path(boxes[a], boxes[b], whole), maybe) for a, b, maybe in edges)
    words = "; ".join(f"{_label(a)} {'may lead' if maybe else 'leads'} to {_label(b)}" for a, b, maybe in edges)
    return Drawing(whole + _BESIDE, len(rows) * (_HIGH + _GAP) - _GAP + 8, tuple(boxes.values()), lines, words)


def _label(name: str) -> str:
    return _NAMES.get(name, name)


def _layers(names: list[str], edges: list[tuple[str, str, bool]]) -> dict[str, int]:
    """How far each node is from the beginning; the end comes last."""
    found = {names[0]: 0} if "__start__" not in names else {"__start__": 0}
    queue = deque(found)
    while queue:
        at = queue.popleft()
        for a, b, _ in edges:
            if a == at and b not in found:
                found[b] = found[a] + 1
                queue.append(b)
    deepest = max(found.values())
    for name in names:
        found.setdefault(name, deepest)
    if "__end__" in found:
        others = [layer for name, layer in found.items() if name != "__end__"]
        found["__end__"] = max(others) + 1
    return found


def _path(start: Box, end: Box, whole: float) -> str:
    """Straight down to a lower layer, around the right side to a higher one."""
    x1, x2 = start.x + start.width / 2, end.x + end.width / 2
    if end.y > start.y:
        y1, y2 = start.y + start.high, end.y - 2
        middle = (y1 + y2) / 2
        return f"M{x1:.0f} {y1:.0f} C{x1:.0f} {middle:.0f} {x2:.0f} {middle:.0f} {x2:.0f} {y2:.0f}"
    side = max(start.x + start.width, end.x + end.width) + _BESIDE
    side = min(side, whole + _BESIDE - 4)
    y1, y2 = start.y + start.high / 2, end.y + end.high / 2
    right1, right2 = start.x + start.width, end.x + end.width + 2
    return f"M{right1:.0f} {y1:.0f} C{side:.0f} {y1:.0f} {side:.0f} {y2:.0f} {right2:.0f} {y2:.0f}"
