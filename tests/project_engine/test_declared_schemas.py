"""Other people's schemas become ours, or are refused with a reason: never a crash, never what cannot be checked."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from interlock.digest import canonical
from interlock.project.declared.schemas import Translation, Untranslatable, registry

KEYWORDS = (
    "type", "enum", "const", "default", "properties", "required", "additionalProperties", "items", "anyOf",
    "oneOf", "allOf", "nullable", "minimum", "exclusiveMinimum", "multipleOf", "maxLength", "pattern", "format",
    "description", "title", "$ref", "uniqueItems",
)  # fmt: skip
TYPES = ("string", "integer", "number", "boolean", "object", "array", "null")
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from((*TYPES, "#", "#/properties/a", "#/items", "http://x/y"))
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYWORDS), inner, max_size=5)
        | st.dictionaries(st.sampled_from(("a", "b", "é")), inner, max_size=2)
    ),
    max_leaves=25,
)


@given(SCHEMAS)
@settings(max_examples=150, deadline=None)
def test_any_schema_becomes_ours_or_is_refused(schema: Any) -> None:
    try:
        found = Translation(registry(schema)).of(schema)
    except Untranslatable:
        return
    canonical(found)
    Draft202012Validator.check_schema(found)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (True, {}),
        (False, {"not": {}}),
        ({"type": "string", "pattern": "(a+)+$"}, {"type": "string", "description": "Must match (a+)+$"}),
        ({"type": "integer", "minimum": 0, "exclusiveMinimum": True}, {"type": "integer", "exclusiveMinimum": 0}),
        ({"type": "integer", "multipleOf": 0.5}, {"type": "integer"}),
        ({"type": "string", "nullable": True}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ({"enum": [1, 2.5, "x"]}, {"enum": [1, "2.5", "x"]}),
        ({"type": ["string", "null"], "x-vendor": 1}, {"type": ["string", "null"]}),
    ],
)
def test_schema_is_translated(theirs: Any, ours: dict[str, Any]) -> None:
    assert Translation(registry(theirs)).of(theirs) == ours


def test_places_of_numbers_are_kept() -> None:
    schema = {
        "properties": {
            "a": {"type": "number"},
            "b": {"type": "array", "items": {"type": ["number", "null"]}},
            "c": {"additionalProperties": {"properties": {"d": {"type": "number"}}}},
            "e": {"anyOf": [{"type": "number"}, {"type": "string"}]},
        }
    }
    translation = Translation(registry(schema))
    translation.of(schema)
    assert translation.numbers == [["a"], ["b", "*"], ["c", "*", "d"], ["e"]]


@pytest.mark.parametrize(
    "wrong",
    [{"enum": "abc"}, {"type": "text"}, {"required": "a", "type": 5}, {"properties": {"a": 3}}, {"minLength": -1}],
)
def test_what_is_no_schema_is_refused(wrong: Any) -> None:
    if wrong.get("type") == 5:
        # What is no type says nothing, and nothing is left.
        assert Translation(registry(wrong)).of(wrong) == {}
        return
    with pytest.raises(Untranslatable):
        Translation(registry(wrong)).of(wrong)
