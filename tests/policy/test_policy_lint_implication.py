"""Whether one condition follows from another, or excludes it: compared with the operators themselves."""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.policy.compiled import CompiledCondition
from interlock.policy.conditions import Condition
from interlock.policy.lint.contradiction import excludes
from interlock.policy.lint.cover import segments_cover, segments_meet
from interlock.policy.lint.implication import implies
from interlock.policy.normal import ConditionError
from interlock.policy.operators import TESTS
from interlock.policy.patterns import segments_match


def compiled(**keys) -> CompiledCondition:
    condition = Condition.model_validate({"argument": "x", **keys})
    return CompiledCondition(condition, TESTS[condition.operator](condition.operand), "")


PATHS = ["a", "a/b", "a/b/c", "b", "/a", "/a/b"]
HOSTS = ["example.org", ".example.org", "api.example.org", ".api.example.org", "other.net"]
NUMBERS = [0, 1, 2, 3, Decimal("1.0"), Decimal("1.5"), Decimal("2.00")]
SCALARS = [*NUMBERS, "1", "1.0", "a", "a/b", "example.org", True, False, None]
PLAIN = [value for value in SCALARS if not isinstance(value, Decimal)]
VALUES = [*range(-1, 5), *PATHS, *PLAIN, "1.5", "2.00", "api.example.org", "https://example.org", "", [], ["a"], {}]


def subsets(options, low=1):
    return st.lists(st.sampled_from(options), min_size=low, max_size=3, unique_by=repr)


def made(operator: str, operand: object) -> CompiledCondition:
    return compiled(**{operator: operand})


conditions = st.one_of(
    st.builds(made, st.sampled_from(["lt", "le", "gt", "ge"]), st.sampled_from(NUMBERS)),
    st.builds(made, st.sampled_from(["eq", "ne", "contains"]), st.sampled_from(SCALARS)),
    st.builds(made, st.sampled_from(["in", "not_in"]), subsets(SCALARS)),
    st.builds(made, st.sampled_from(["under", "not_under"]), subsets(PATHS)),
    st.builds(lambda v: compiled(host_in=v), subsets(HOSTS)),
    st.builds(lambda v: compiled(matches=v), st.sampled_from(["a", "a.*", "[0-9]+", ".*"])),
    st.builds(lambda v: compiled(length_le=v), st.integers(0, 4)),
)


def answer(condition: CompiledCondition, value: object, unclear: bool) -> bool:
    try:
        return condition.test(value)
    except ConditionError:
        return unclear


@settings(max_examples=300, deadline=None)
@given(st.lists(conditions, min_size=2, max_size=8), st.booleans(), st.booleans())
def test_what_follows_holds_for_each_value(some, lenient, strict):
    for one, other in permutations(some, 2):
        if implies(one, other, lenient=lenient, strict=strict):
            assert all(answer(other, value, strict) for value in VALUES if answer(one, value, lenient))


@settings(max_examples=300, deadline=None)
@given(st.lists(conditions, min_size=2, max_size=8))
def test_what_excludes_leaves_no_value(some):
    for one, other in permutations(some, 2):
        if excludes(one, other):
            assert not any(answer(one, value, False) and answer(other, value, False) for value in VALUES)


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        ({"eq": "a"}, {"in": ["a", "b"]}),
        ({"in": ["a", "b"]}, {"matches": "[a-c]"}),
        ({"eq": "source/x"}, {"under": "source"}),
        ({"eq": 3}, {"lt": 5}),
        ({"eq": Decimal("3.00")}, {"lt": Decimal("5.00")}),
        ({"lt": 5}, {"le": 4}),
        ({"gt": 4}, {"ge": 5}),
        ({"lt": 5}, {"ne": 7}),
        ({"lt": 5}, {"lt": Decimal("5.50")}),
        ({"under": ["source/a", "source/b"]}, {"under": "source"}),
        ({"under": "source"}, {"not_under": ["docs", "tests"]}),
        ({"not_under": "source"}, {"not_under": "source/a"}),
        ({"not_in": ["a", "b"]}, {"ne": "a"}),
        ({"host_in": "api.example.org"}, {"host_in": ".example.org"}),
        ({"host_in": ".eu.example.org"}, {"host_in": [".example.org", "other.net"]}),
        ({"length_le": 5}, {"length_le": 10}),
        ({"label": "secret"}, {"label": ["secret", "untrusted"]}),
        ({"no_label": ["secret", "untrusted"]}, {"no_label": "secret"}),
    ],
)
def test_narrow_implies_wide_and_not_back(narrow, wide):
    one, other = compiled(**narrow), compiled(**wide)
    assert implies(one, other, lenient=False, strict=False)
    back = implies(other, one, lenient=False, strict=False)
    assert back is (narrow in ({"lt": 5}, {"gt": 4}) and wide in ({"le": 4}, {"ge": 5}))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"lt": 5}, {"gt": 10}),
        ({"lt": 5}, {"gt": 4}),
        ({"eq": "a"}, {"eq": "b"}),
        ({"eq": "a"}, {"not_in": ["a", "b"]}),
        ({"in": [1, 2]}, {"ge": 3}),
        ({"under": "source"}, {"under": ["docs", "tests"]}),
        ({"under": "source/a"}, {"not_under": "source"}),
        ({"host_in": "example.org"}, {"host_in": ".example.org"}),
        ({"label": "secret"}, {"no_label": ["secret", "untrusted"]}),
        ({"lt": 5}, {"matches": "[0-9]"}),
        ({"contains": 5}, {"under": "a"}),
    ],
)
def test_two_exclude_each_other(one, other):
    assert excludes(compiled(**one), compiled(**other))
    assert excludes(compiled(**other), compiled(**one))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"lt": 5}, {"gt": 3}),
        ({"lt": Decimal("5.00")}, {"gt": 3}),
        ({"eq": Decimal("5.00")}, {"matches": ".*"}),
        ({"under": "source"}, {"under": "source/a"}),
        ({"under": "source"}, {"not_under": "source/a"}),
        ({"host_in": "api.example.org"}, {"host_in": ".example.org"}),
        ({"lt": Decimal("5.00")}, {"matches": "[0-9]"}),
    ],
)
def test_two_that_can_hold_together(one, other):
    assert not excludes(compiled(**one), compiled(**other))


def test_unclear_value_keeps_a_deny_from_covering():
    text_or_number, only_number = compiled(lt=Decimal("5.00")), compiled(lt=5)
    # A deny rule with the first also matches "7.5" only where it cannot be evaluated.
    assert implies(text_or_number, only_number, lenient=False, strict=False) is False
    assert implies(only_number, compiled(lt=Decimal("9.00")), lenient=True, strict=True) is False


segments = st.lists(st.sampled_from(["a", "b", "*"]), min_size=1, max_size=3)
patterns = st.builds(lambda head, tail: (*head, *tail), segments, st.sampled_from([(), ("**",)]))
names = [(a,) for a in "abc"] + [(a, b) for a in "abc" for b in "abc"] + [
    (a, b, c) for a in "abc" for b in "abc" for c in "abc"
] + [(a, b, c, d) for a in "ab" for b in "ab" for c in "ab" for d in "ab"]  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(patterns, patterns)
def test_patterns_cover_and_meet_as_they_match(one, other):
    mine = {name for name in names if segments_match(one, name)}
    theirs = {name for name in names if segments_match(other, name)}
    if segments_cover(one, other):
        assert theirs <= mine
    assert segments_meet(one, other) is segments_meet(other, one)
    if mine & theirs:
        assert segments_meet(one, other)
    if segments_meet(one, other) and len(one) <= 3 and len(other) <= 3:
        assert mine & theirs
