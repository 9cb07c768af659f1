"""Reading a large bundle's stored bytes fast, and no less strictly than rule by rule.

Rules of a large policy repeat each other's values. Each value of a key, and each set of keys, is checked once, by
the models that read a rule otherwise; a rule of values and of a set of keys that were found good is good, since
what a rule checks beyond each value depends on its effect, on being a guardrail, and on which keys it has. Where
anything at all is not found good, nothing is returned, and the bundle is read rule by rule, which says what is
wrong.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from operator import itemgetter
from types import MappingProxyType
from typing import Annotated, Any, Final, NamedTuple

import orjson
from pydantic import TypeAdapter

from interlock.errors import PolicyError
from interlock.policy.content import MAX_BUNDLE_BYTES, Content, read_content
from interlock.policy.crosscheck import cross_check
from interlock.policy.entries import SECTIONS, Rule
from interlock.policy.index import ANY, EVERY_TOOL, Head
from interlock.policy.operators import time_between
from interlock.policy.routes import RouteEntry
from interlock.policy.rulebook import Entry, strength_of
from interlock.policy.zones import zone_from

_TEXTS: Final = TypeAdapter(dict[str, str])
_RULE: Final = TypeAdapter(Rule)


_DEFAULTS: Final[Mapping[str, Any]] = MappingProxyType(
    {"tool": EVERY_TOOL, "agent": ANY, "requester": ANY, "route": ""}
)
"""What stands for a key that a rule leaves out, where the index and the ranking read it."""

_READ_BY_INDEX: Final = ("id", "effect", "guardrail", "tool", "agent", "tenant", "requester", "route", "when")


class Shape(NamedTuple):
    """What rules with the same keys, effect and being a guardrail have in common."""

    keys: tuple[str, ...]
    known: tuple[Callable[[Any], Any], ...]
    """For each key, gives the value that is known to be good and equal, if there is one."""
    columns: Callable[[list[Any]], tuple[Any, ...]]
    """Takes what is in `_READ_BY_INDEX` out of the values with the defaults behind them."""


class Packed(NamedTuple):
    """A stored rule that was checked: its keys, which most rules share, and their values, also shared."""

    keys: tuple[str, ...]
    values: list[Any]
    """In the order of the keys; defaults come after them."""

    def rule(self) -> Rule:
        """The rule."""
        return Rule.model_validate(dict(zip(self.keys, self.values, strict=False)))


@dataclass(frozen=True, slots=True)
class Stored:
    """What a bundle's bytes hold."""

    content: Content
    """All but the rules."""
    entries: list[Entry]
    """The rules; the origin of each is `Packed`."""


class _DoubtError(Exception):
    """The quick way cannot tell that it is good."""


def read_stored(data: bytes, model: str) -> Stored | None:
    """Read what `write_content` wrote for the same model.

    Returns:
        None where this way cannot tell that all of it is good.
    """
    try:
        return _read(data, model)
    except (_DoubtError, PolicyError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None


@contextmanager
def no_collection() -> Iterator[None]:
    """Keeps Python from looking for garbage again and again among millions of new objects, none of which is."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            # To and fro: what is new counts as old at once, so that no search through all of it begins here.
            gc.freeze()
            gc.unfreeze()
            gc.enable()


def _read(data: bytes, model: str) -> Stored:
    value = orjson.loads(data)
    if len(data) > MAX_BUNDLE_BYTES or orjson.dumps(value, option=orjson.OPT_SORT_KEYS) != data:
        raise _DoubtError
    rules, sources = value["rules"], _TEXTS.validate_python(value["sources"], strict=True)
    content = _without_rules(value, model)
    if type(rules) is not list:
        raise _DoubtError
    values = _Values()
    read = [values.checked(rule) for rule in rules]
    ids = values.checked_ids()
    if not all(map(str.isascii, sources)) or any("rules:" + rule_id not in sources for rule_id in ids):
        raise _DoubtError
    content.sources = sources
    _check_references(content, values)
    return Stored(content, [_entry(*one, content.routes) for one in read])


def _without_rules(value: dict[str, Any], model: str) -> Content:
    """All sections but the rules. Those that may be long are read at once, the others as in any bundle."""
    long = {section: value[section] for section in ("users", "groups", "roles")}
    rest = {**value, **{section: [] for section in (*long, "rules")}, "sources": {}}
    content = read_content(orjson.dumps(rest, option=orjson.OPT_SORT_KEYS), model)
    for section, items in long.items():
        reader = _section(section)
        entries = reader.validate_python(items)
        names = [entry.name for entry in entries]
        if type(items) is not list or _rewritten(reader, items) != orjson.dumps(items) or not _is_ascending(names):
            raise _DoubtError
        content.section(section).update(zip(names, entries, strict=True))
    return content


def _is_ascending(names: list[str]) -> bool:
    return all(first < second for first, second in pairwise(names))


@lru_cache(maxsize=8)
def _section(name: str) -> TypeAdapter[Any]:
    items: Any = list.__class_getitem__(SECTIONS[name])
    return TypeAdapter(items)


class _Values:
    """The values of rules' keys that were found good, and the sets of keys."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._shapes: dict[Any, Shape] = {}
        self._good: dict[str, dict[Any, Any]] = {key: {} for key in Rule.model_fields}

    def checked(self, rule: dict[str, Any]) -> tuple[Shape, list[Any]]:
        """The rule, if it is as it would be written; of equal values, all rules get the same one."""
        same: Any = (tuple(rule), rule["effect"], rule["guardrail"] is True)
        shape = self._shapes.get(same)
        if shape is None:
            if _rewritten(_RULE, rule) != orjson.dumps(rule):
                raise _DoubtError
            shape = self._shapes[same] = self._shape(same[0])
        values: list[Any] = []
        for known, value in zip(shape.known, rule.values(), strict=True):
            # Text, and a list that begins with text, is compared as it is. Other values are not: to Python, 1, 1.0
            # and true are equal.
            kind = type(value)
            if kind is str:
                same = value
            elif kind is list and value and type(value[0]) is str:
                same = tuple(value)
            else:
                same = orjson.dumps(value)
            good = known(same)
            values.append(self._new(shape.keys[len(values)], same, value) if good is None else good)
        values += _DEFAULTS.values()
        return shape, values

    def _shape(self, keys: tuple[str, ...]) -> Shape:
        places = {key: place for place, key in enumerate((*keys, *(f" {key}" for key in _DEFAULTS)))}
        columns = itemgetter(*(places.get(key, places.get(f" {key}")) for key in _READ_BY_INDEX))
        return Shape(keys, tuple(self._good[key].get for key in keys), columns)

    def _new(self, key: str, same: Any, value: Any) -> Any:
        if key == "id":
            self._ids.append(value)
            return value
        reader = _reader(key)
        # Left out and null are the same to a value's own check, and not to the rule's.
        if value is None or _rewritten(reader, value) != orjson.dumps(value):
            raise _DoubtError
        good = reader.validate_python(value) if key == "when" else same if type(same) is tuple else value
        self._good[key][same] = good
        return good

    def checked_ids(self) -> list[str]:
        """All ids, which are looked at at once, since each is another."""
        if not _is_ascending(self._ids):
            raise _DoubtError
        _reader("id", many=True).validate_python(self._ids, strict=True)
        return self._ids

    def all_of(self, key: str) -> list[Any]:
        """Each different value of a key."""
        return list(self._good[key].values())


def _rewritten(reader: TypeAdapter[Any], value: Any) -> bytes:
    """The value as it is stored once it was read.

    Raises:
        pydantic.ValidationError: it does not fit.
    """
    found = reader.dump_python(reader.validate_python(value), mode="json", by_alias=True)
    if reader is _RULE:
        found = _without_absent(found)
    elif isinstance(found, list) and found and isinstance(found[0], dict) and "tenants" in found[0]:
        found = [_without_absent(user) for user in found]
    return orjson.dumps(found, option=orjson.OPT_SORT_KEYS)


def _without_absent(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in entry.items() if item is not None}


@lru_cache(maxsize=128)
def _reader(key: str, *, many: bool = False) -> TypeAdapter[Any]:
    info = Rule.model_fields[key]
    one: Any = Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
    read: Any = list.__class_getitem__(one) if many else one
    return TypeAdapter(read)


def _check_references(content: Content, values: _Values) -> None:
    """Have it checked that each name and zone is there, in a few rules that together name all that is named."""
    stand_ins: list[dict[str, Any]] = [
        {key: tuple(sorted({name for names in values.all_of(key) for name in names}))}
        for key in ("agent", "requester", "notify")
    ]
    stand_ins += [{key: name} for key in ("route", "profile") for name in values.all_of(key)]
    content.rules = {str(n): Rule.model_construct(id=str(n), **given) for n, given in enumerate(stand_ins)}
    found = next(cross_check(content), None)
    content.rules = {}
    for calendar in content.calendars.values():
        zone_from(calendar.zone, content.zones[calendar.zone])
    if found is not None:
        raise _DoubtError
    for conditions in values.all_of("when"):
        for window in (condition.time_between for condition in conditions):
            if window:
                time_between(window, content.zones)


def _entry(shape: Shape, values: list[Any], routes: Mapping[str, RouteEntry]) -> Entry:
    rule_id, effect, guardrail, tools, agents, tenants, requesters, route, when = shape.columns(values)
    head = Head(rule_id, effect != "deny" and not guardrail, tools, agents, tenants, requesters)
    return Entry(strength_of(effect, routes.get(route), rule_id), head, when, Packed(shape.keys, values))
