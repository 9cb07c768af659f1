"""Writing the values of a policy file in canonical layout: the order of keys, what is in one line, blank lines."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from pydantic import BaseModel
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import SingleQuotedScalarString

from interlock.policy.cases import Case
from interlock.policy.comment_places import Attached
from interlock.policy.entries import SECTIONS, Rule
from interlock.policy.messages import keys_of
from interlock.policy.yaml_file import Place, YamlFile, parse_yaml
from interlock.policy.yaml_style import dumper

WIDTH: Final = 110
"""A list or mapping that fits in a line of so many characters is written in one."""

_MODELS: Final[dict[str, type[BaseModel]]] = {**SECTIONS, "cases": Case}
_OPEN_SECTIONS: Final = frozenset({"routes", "profiles", "credentials", "rules", "cases"})
"""Sections whose entries have a line for each key, and a blank line between them."""
_OPEN_KEYS: Final = frozenset({"when", "request", "so_far"})
"""Keys whose value begins on a line of its own."""
_QUOTED: Final = frozenset({"matches", "redact"})
"""Keys whose texts are patterns, which are quoted always."""
RULE_KEYS: Final = (
    *("id", "effect", "guardrail", "owner", "note", "ticket", "expires"),
    *("agent", "requester", "tenant", "tool", "action", "resource"),
    *("route", "profile", "egress", "credentials", "limits", "redact", "notify", "when"),
)
"""The order of a rule's keys: what it is, who and what it is about, what follows, under which conditions."""


def laid_out(file: YamlFile, attached: Attached) -> str:
    """The values, written anew; lists and mappings that do not fit in a line are opened until all fit."""
    opened = {place[:depth] for place in attached.inner for depth in range(len(place))}
    opened |= {place for place in file.lines if _is_open(place)}
    while True:
        body = _dumped(file.value, opened)
        laid = parse_yaml(body.encode(), file.label)
        wide = {number for number, line in enumerate(body.splitlines(), 1) if len(line) > WIDTH}
        fresh = set(_widest(file.value, laid, wide, opened))
        if not fresh:
            return body
        opened |= fresh


def _is_open(place: Place) -> bool:
    if len(place) < 2:
        return True
    if len(place) == 2:
        return place[0] in _OPEN_SECTIONS
    return place[-1] in _OPEN_KEYS and place[0] in ("rules", "cases")


def _widest(value: Any, laid: YamlFile, wide: set[int], opened: set[Place]) -> Iterator[Place]:
    """The outermost list or mapping that was written in one line, of each line that is too wide."""
    done: set[int] = set()
    for place, line in laid.lines.items():
        if line in wide and line not in done and place not in opened and _at(value, place):
            done.add(line)
            yield place


def _at(value: Any, place: Place) -> bool:
    """Whether a list or mapping that is not empty is there."""
    for step in place:
        value = value[step]
    return isinstance(value, dict | list) and bool(value)


def _dumped(value: dict[str, Any], opened: set[Place]) -> str:
    stream = io.StringIO()
    dumper().dump(_tree(value, (), opened), stream)
    return stream.getvalue()


def _tree(value: Any, place: Place, opened: set[Place]) -> Any:
    made: CommentedMap | CommentedSeq
    if isinstance(value, dict):
        keys = sorted(value, key=_order(place))
        made = CommentedMap((key, _tree(value[key], (*place, key), opened)) for key in keys)
    elif isinstance(value, list):
        made = CommentedSeq(_tree(item, (*place, index), opened) for index, item in enumerate(value))
    else:
        pattern = isinstance(value, str) and not _QUOTED.isdisjoint(place)
        return SingleQuotedScalarString(value) if pattern else value
    if place in opened and value:
        made.fa.set_block_style()
    else:
        made.fa.set_flow_style()
    return made


def _order(place: Place) -> Callable[[str], int]:
    """Sorts the keys at a place: a rule's as above, others as their model lists them; keys of no model stay."""
    model = _MODELS.get(str(place[0])) if len(place) > 1 else None
    known: Sequence[str] = RULE_KEYS if model is Rule and len(place) == 2 else ()
    if model and not known:
        known = keys_of(model, place[2:])
    return lambda key: known.index(key) if key in known else len(known)


def with_comments(body: str, label: str, attached: Attached) -> str:
    """The text with its comments and blank lines put back."""
    laid = parse_yaml(body.encode(), label)
    first: dict[int, Place] = {}
    at: dict[int, list[Place]] = {}
    for place, line in laid.lines.items():
        if place:
            first.setdefault(line, place)
            at.setdefault(line, []).append(place)
    found: list[str] = []
    for number, written in enumerate(body.splitlines(), 1):
        indent = written[: len(written) - len(written.lstrip())]
        places = at.get(number, [])
        above = [text for place in places for text in attached.before.get(place, [])]
        if found and number in first and _blank_before(first[number], attached):
            found.append("")
        found += [f"{indent}{text}" if text else "" for text in above]
        beside = [attached.beside[place] for place in places if place in attached.beside]
        found.append("  ".join([written, *beside]))
    while attached.after and not attached.after[0]:
        attached.after.pop(0)
    return "\n".join([*found, *attached.after]) + "\n"


def _blank_before(place: Place, attached: Attached) -> bool:
    """Whether a blank line comes before it: between sections, between rules, and where authors grouped entries."""
    if len(place) == 1:
        return True
    if len(place) != 2 or place[1] == 0:
        return False
    return place[0] in _OPEN_SECTIONS or place in attached.gaps
