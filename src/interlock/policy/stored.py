"""Reading a large bundle's stored bytes fast, and no less strictly than rule by rule.

Rules of a large policy repeat each other's values. Each value of a key, and each set of keys, is checked once, by
the models that read a rule otherwise; a rule of values and of a set of keys that were found good is good, since
what a rule checks beyond each value depends on its effect, on being a guardrail, and on which keys it has. Where
anything at all is not found good, nothing is returned, and the bundle is read rule by rule, which says what is
wrong.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Annotated, Any, Final, NamedTuple

import orjson
from pydantic import TypeAdapter

from interlock.errors import PolicyError
from interlock.policy.conditions import Condition
from interlock.policy.content import MAX_BUNDLE_BYTES, Content, read_content
from interlock.policy.crosscheck import cross_check
from interlock.policy.entries import Rule
from interlock.policy.index import ANY, EVERY_TOOL, Head
from interlock.policy.operators import time_between
from interlock.policy.rulebook import Entry, strength_of

_TEXTS: Final = TypeAdapter(dict[str, str])
_RULE: Final = TypeAdapter(Rule)


class Packed(NamedTuple):
    """A stored rule: its keys, which most rules share, and their values."""

    keys: tuple[str, ...]
    values: tuple[Any, ...]

    def rule(self) -> Rule:
        """The rule."""
        return Rule.model_validate(dict(zip(self.keys, self.values, strict=True)))


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
    with _no_collection():
        try:
            return _read(data, model)
        except (_DoubtError, PolicyError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
            return None


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keeps Python from looking for garbage again and again among millions of new objects, none of which is."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _read(data: bytes, model: str) -> Stored:
    value = orjson.loads(data)
    if len(data) > MAX_BUNDLE_BYTES or orjson.dumps(value, option=orjson.OPT_SORT_KEYS) != data:
        raise _DoubtError
    rules, sources = value["rules"], _TEXTS.validate_python(value["sources"], strict=True)
    content = read_content(orjson.dumps({**value, "rules": [], "sources": {}}, option=orjson.OPT_SORT_KEYS), model)
    if type(rules) is not list:
        raise _DoubtError
    values = _Values()
    packed = [values.checked(rule) for rule in rules]
    ids = values.checked_ids()
    if not all(map(str.isascii, sources)) or any("rules:" + rule_id not in sources for rule_id in ids):
        raise _DoubtError
    content.sources = sources
    _check_references(content, values)
    conditions = _conditions(content, values)
    return Stored(content, [_entry(one, conditions, content) for one in packed])


class _Values:
    """The values of rules' keys that were found good, and the sets of keys."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._shapes: dict[Any, tuple[str, ...]] = {}
        self._good: dict[str, dict[Any, Any]] = {key: {} for key in Rule.model_fields}

    def checked(self, rule: dict[str, Any]) -> Packed:
        """The rule, if it is as it would be written; of equal values, all rules get the same one."""
        shape = (tuple(rule), rule["effect"], rule["guardrail"] is True)
        keys = self._shapes.get(shape)
        if keys is None:
            if _rewritten(_RULE, rule) != orjson.dumps(rule):
                raise _DoubtError
            keys = self._shapes[shape] = shape[0]
        self._ids.append(rule["id"])
        return Packed(keys, tuple([self._value(key, value) for key, value in rule.items()]))

    def _value(self, key: str, value: Any) -> Any:
        if key == "id":
            return value
        good, same = self._good[key], _comparable(value)
        if same not in good:
            # Left out and null are the same to a value's own check, and not to the rule's.
            if value is None or _rewritten(_reader(key), value) != orjson.dumps(value):
                raise _DoubtError
            good[same] = same if type(same) is tuple else value
        return good[same]

    def checked_ids(self) -> list[str]:
        """All ids, which are looked at at once, since each is another."""
        if any(first >= second for first, second in pairwise(self._ids)):
            raise _DoubtError
        _reader("id", many=True).validate_python(self._ids, strict=True)
        return self._ids

    def all_of(self, key: str) -> list[Any]:
        """Each different value of a key."""
        return list(self._good[key].values())


def _comparable(value: Any) -> Any:
    # Only text, and a list that begins with text, is compared as it is: to Python 1, 1.0 and true are equal.
    if type(value) is str:
        return value
    if type(value) is list and value and type(value[0]) is str:
        return tuple(value)
    return orjson.dumps(value)


def _rewritten(reader: TypeAdapter[Any], value: Any) -> bytes:
    """The value as it is stored once it was read.

    Raises:
        pydantic.ValidationError: it does not fit.
    """
    found = reader.dump_python(reader.validate_python(value), mode="json", by_alias=True)
    if reader is _RULE:
        found = {key: item for key, item in found.items() if item is not None}
    return orjson.dumps(found, option=orjson.OPT_SORT_KEYS)


@lru_cache(maxsize=128)
def _reader(key: str, *, many: bool = False) -> TypeAdapter[Any]:
    info = Rule.model_fields[key]
    one: Any = Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
    return TypeAdapter(list[one] if many else one)


def _check_references(content: Content, values: _Values) -> None:
    """Have it checked that every name is defined: in rules that together have all references of all rules."""
    stand_ins: list[dict[str, Any]] = [
        {key: tuple(sorted({name for names in values.all_of(key) for name in names}))}
        for key in ("agent", "requester", "notify")
    ]
    stand_ins += [{key: name} for key in ("route", "profile") for name in values.all_of(key)]
    content.rules = {str(n): Rule.model_construct(id=str(n), **given) for n, given in enumerate(stand_ins)}
    found = next(cross_check(content), None)
    content.rules = {}
    if found is not None:
        raise _DoubtError


def _conditions(content: Content, values: _Values) -> dict[int, tuple[Condition, ...]]:
    """Each different list of conditions, by the identity of its stored form; their zones are there."""
    found = {}
    for stored in values.all_of("when"):
        conditions: tuple[Condition, ...] = _reader("when").validate_python(stored)
        found[id(stored)] = conditions
        for condition in conditions:
            if condition.time_between:
                time_between(condition.time_between, content.zones)
    return found


def _entry(packed: Packed, conditions: dict[int, tuple[Condition, ...]], content: Content) -> Entry:
    rule = dict(zip(packed.keys, packed.values, strict=True))
    effect, rule_id = rule["effect"], rule["id"]
    head = Head(
        id=rule_id,
        grants=effect != "deny" and not rule["guardrail"],
        tools=rule.get("tool", EVERY_TOOL),
        agents=rule.get("agent", ANY),
        tenants=rule["tenant"],
        requesters=rule.get("requester", ANY),
    )
    strength = strength_of(effect, content.routes.get(rule.get("route", "")), rule_id)
    return Entry(strength, head, conditions[id(rule["when"])], packed)
