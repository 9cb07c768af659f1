"""Reading one YAML file into plain values, with the line of every key and item.

ruamel.yaml parses; only text, whole numbers, decimals, true, false, null, lists and mappings are taken from
its nodes. Anchors, merge keys, tags, hexadecimal, NaN and duplicate keys are refused: a file says
what it means at the place where it says it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from interlock.definitions.placed import Problem

MAX_FILE_BYTES: Final = 16 * 1024 * 1024
_MAX_DEPTH: Final = 24
_WHOLE: Final = re.compile(r"-?(0|[1-9][0-9]*)")
_DECIMAL: Final = re.compile(r"-?(0|[1-9][0-9]{0,17})\.[0-9]{1,18}")
_TAG: Final = "tag:yaml.org,2002:"
_TEXT_TAGS: Final = frozenset({_TAG + "str", _TAG + "timestamp"})

Place = tuple[str | int, ...]
"""Where a value is in a file: keys and indices from the top."""


@dataclass(slots=True)
class YamlFile:
    """The values of one file, and where each was written."""

    label: str
    """What messages call it: `permissions/grants.yaml`."""
    value: Any = None
    lines: dict[Place, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def source(self, place: Place = ()) -> str:
        """`file:line` of the value at `place`, or of the nearest value around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return f"{self.label}:{self.lines.get(place, 1)}"


def read_yaml(path: Path, label: str) -> YamlFile:
    """Read `path`. What is wrong with it is in `problems`, and then `value` is incomplete."""
    try:
        return parse_yaml(path.read_bytes(), label)
    except OSError as error:
        said = f"cannot be read: {' '.join(str(error).split())}"
        return YamlFile(label, problems=[Problem(f"{label}:1", said)])


def parse_yaml(data: bytes, label: str) -> YamlFile:
    """The same for the bytes of a file."""
    found = YamlFile(label)
    try:
        if len(data) > MAX_FILE_BYTES:
            raise ValueError(f"{len(data)} bytes, the limit is {MAX_FILE_BYTES}")
        node = YAML(typ="safe", pure=True).compose(data.decode("utf-8"))
        if node is not None:
            found.value = _plain(node, (), found)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        found.problems.append(Problem(f"{label}:{line}", f"not YAML: {error.problem or error.context}"))
    except (YAMLError, ValueError, RecursionError) as error:
        found.problems.append(Problem(f"{label}:1", f"cannot be read: {' '.join(str(error).split())}"))
    return found


def _plain(node: Node, place: Place, file: YamlFile) -> Any:
    line = file.lines.setdefault(place, node.start_mark.line + 1)
    if len(place) > _MAX_DEPTH:
        raise ValueError(f"nested deeper than {_MAX_DEPTH} at line {line}")
    if node.anchor:
        file.problems.append(Problem(f"{file.label}:{line}", "anchors and aliases are not allowed: write it out"))
        return None
    if isinstance(node, ScalarNode):
        return _scalar(node, file, line)
    if str(node.tag) not in (_TAG + "map", _TAG + "seq"):
        file.problems.append(Problem(f"{file.label}:{line}", f"tag {node.tag} is not allowed"))
        return None
    if isinstance(node, MappingNode):
        return dict(_items(node, place, file))
    return [_plain(item, (*place, index), file) for index, item in enumerate(node.value)]


def _items(node: MappingNode, place: Place, file: YamlFile) -> Iterator[tuple[str, Any]]:
    seen: dict[str, int] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        key = key_node.value
        if not isinstance(key_node, ScalarNode) or str(key_node.tag) not in _TEXT_TAGS or not _is_text(key):
            file.problems.append(Problem(f"{file.label}:{line}", "a key must be text"))
        elif key in seen:
            said = f"key {key!r} is given twice, first at line {seen[key]}"
            file.problems.append(Problem(f"{file.label}:{line}", said))
        else:
            seen[key] = line
            file.lines[(*place, key)] = line
            yield key, _plain(value_node, (*place, key), file)


def _is_text(text: str) -> bool:
    """Whether it has no half of a character, which YAML's `\\ud800` can write and UTF-8 cannot."""
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)


def _scalar(node: ScalarNode, file: YamlFile, line: int) -> Any:
    tag, text = str(node.tag).removeprefix(_TAG), str(node.value)
    if tag in ("str", "timestamp") and _is_text(text):
        return text
    if tag == "str":
        file.problems.append(Problem(f"{file.label}:{line}", "half a character: write the character itself"))
        return None
    if tag == "null":
        return None
    if tag == "bool":
        return text.lower() == "true"
    if tag == "int" and _WHOLE.fullmatch(text):
        return int(text)
    if tag == "float" and _DECIMAL.fullmatch(text):
        return Decimal(text)
    wanted = "write a whole number (10), a decimal (10.50), or text in quotes"
    file.problems.append(Problem(f"{file.label}:{line}", f"{text!r} is not a plain value: {wanted}"))
    return None
