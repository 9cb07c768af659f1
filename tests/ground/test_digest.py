"""Canonical bytes: equal to the RFC 8785 reference on our profile, and refused outside it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from interlock.digest import MAX_BYTES, canonical, digest_of, parse
from interlock.errors import InvalidInput

KEYS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=25
)


@given(VALUES)
def test_bytes_equal_rfc_8785_reference(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@given(VALUES)
def test_parse_reads_what_canonical_wrote(value: Any) -> None:
    assert parse(canonical(value)) == value


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": [1, 0.5]}, r"\$\.a\[1\]"),
        ({"a": float("nan")}, r"\$\.a"),
        ({"a": 2**53}, r"\$\.a"),
        ({"é": 1}, "ASCII"),
        ({1: "x"}, "ASCII"),
        ({"a": "\ud800"}, "UTF-8"),
        ({"a": b"x"}, "bytes"),
        ({"a": Decimal("1.5")}, "Decimal"),
        ({"a": {1, 2}}, "set"),
    ],
)
def test_value_outside_profile_is_refused(value: Any, place: str) -> None:
    with pytest.raises(InvalidInput, match=place):
        canonical(value)


def test_deep_value_is_refused() -> None:
    value: Any = 0
    for _ in range(70):
        value = [value]
    with pytest.raises(InvalidInput, match="deeper"):
        canonical(value)


def test_large_value_is_refused() -> None:
    with pytest.raises(InvalidInput, match=str(MAX_BYTES)):
        canonical("x" * (MAX_BYTES + 1))


@pytest.mark.parametrize(
    "text", ['{"a":1,"a":2}', '{"a":1.5}', '{"a":NaN}', '{"a":', "[Infinity]", b"\xff", "[" * 100_000]
)
def test_foreign_json_outside_profile_is_refused(text: Any) -> None:
    with pytest.raises(InvalidInput):
        parse(text)


def test_key_order_does_not_change_digest() -> None:
    assert digest_of({"b": 1, "a": 2}) == digest_of({"a": 2, "b": 1})
    assert digest_of({"a": 1}) != digest_of({"a": True})
