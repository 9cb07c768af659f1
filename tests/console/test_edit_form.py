"""The form made from a tool's schema: what a browser does to text changes nothing that a person did not change."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from interlock.console.edit_form import GIVEN, PREFIX, fields, filled, sent

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "description": "What it says."},
        "count": {"type": "integer"},
        "loud": {"type": "boolean"},
        "tone": {"enum": ["plain", "warm"]},
        "names": {"type": "array", "items": {"type": "string"}},
        "more": {"type": "object", "additionalProperties": {"type": "integer"}},
        "note": {"type": "string"},
    },
    "required": ["text", "count", "loud", "tone", "names", "more"],
    "additionalProperties": False,
}
CALL: dict[str, Any] = {
    "text": "hello",
    "count": 1,
    "loud": False,
    "tone": "plain",
    "names": ["a", "b"],
    "more": {"x": 1},
}


def form(call: dict[str, Any] = CALL, **changes: str) -> dict[str, str]:
    """What a browser sends of the form of `call`: line ends as browsers write them."""
    names = fields(SCHEMA, call)
    shown = {PREFIX + one.name: one.value.replace("\n", "\r\n") for one in names}
    given = {GIVEN + one.name: "1" for one in names if one.given and not one.required}
    return shown | given | {PREFIX + name: value for name, value in changes.items()}


def test_each_kind_of_argument_has_its_field() -> None:
    kinds = {one.name: one.kind for one in fields(SCHEMA, CALL)}
    assert kinds == {
        "text": "text",
        "count": "number",
        "loud": "choice",
        "tone": "choice",
        "names": "list",
        "more": "json",
        "note": "text",
    }


@pytest.mark.parametrize(
    ("name", "written", "value"),
    [
        ("text", "two\r\nlines", "two\nlines"),
        ("text", "", ""),
        ("count", "9007199254740991", 9007199254740991),
        ("loud", "true", True),
        ("tone", '"warm"', "warm"),
        ("names", "a\r\nc\r\n", ["a", "c"]),
        ("more", '{"y": 2}', {"y": 2}),
    ],
)
def test_what_was_changed_is_read(name: str, written: str, value: Any) -> None:
    came = sent(SCHEMA, CALL, form(**{name: written}))
    assert came.wrong == {}
    assert came.arguments == {**CALL, name: value}


@pytest.mark.parametrize(
    ("name", "written", "why"),
    [
        ("count", "many", "not a number: 'many'"),
        ("count", "", "a number is needed"),
        ("count", "1.5", "not a number: '1.5'"),
        ("count", "true", "True is not of type 'integer'"),
        ("loud", "maybe", "choose one"),
        ("tone", '"cold"', "choose one"),
        ("more", "{", ""),
        ("more", '{"y": "z"}', "'z' is not of type 'integer'"),
    ],
)
def test_what_does_not_fit_is_said_beside_its_field(name: str, written: str, why: str) -> None:
    came = sent(SCHEMA, CALL, form(**{name: written}))
    assert came.arguments == {}
    assert why.casefold() in came.wrong[name].casefold()
    again = {one.name: one for one in filled(fields(SCHEMA, CALL), form(**{name: written}), came.wrong)}
    assert (again[name].value, again[name].wrong) == (written, came.wrong[name])


def test_an_argument_that_is_not_required_is_left_out_or_given() -> None:
    assert "note" not in sent(SCHEMA, CALL, form(text="x", note="ignored: not ticked")).arguments
    ticked = form(note="yes") | {GIVEN + "note": "1"}
    assert sent(SCHEMA, CALL, ticked).arguments == {**CALL, "note": "yes"}


def test_an_argument_that_the_schema_does_not_know_is_refused() -> None:
    assert "nobody" not in sent(SCHEMA, CALL, form(text="x") | {PREFIX + "nobody": "1"}).arguments


def test_nothing_changed_is_said() -> None:
    assert "Nothing was changed" in sent(SCHEMA, CALL, form()).wrong[""]


@given(
    text=some.text(some.characters(exclude_categories=["Cs"]), max_size=40), items=some.lists(some.text(max_size=5))
)
def test_whatever_the_call_holds_stays_as_it_is_when_something_else_changes(text: str, items: list[str]) -> None:
    call = {**CALL, "text": text, "names": [one.replace("\ud800", "") for one in items]}
    try:
        came = sent(SCHEMA, call, form(call, count="2"))
    except UnicodeEncodeError:
        return
    assert came.wrong == {}
    assert came.arguments == {**call, "count": 2}
