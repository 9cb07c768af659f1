"""Whatever a program or a server says ends as a value with a canonical form, or as an error for the model."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interlock.digest import canonical, parse
from interlock.sandbox.guest.failure import ToolError
from interlock.sandbox.guest.kinds.mcp_content import value_of
from interlock.sandbox.guest.kinds.plain import NotPlain, numbered, plain
from interlock.sandbox.guest.kinds.room import Room

ROOM = Room(1024 * 1024, 10)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


@pytest.fixture
def artifacts(tmp_path, monkeypatch) -> Any:
    monkeypatch.setenv("INTERLOCK_ARTIFACTS", str(tmp_path))
    return tmp_path


@given(ANYTHING)
def test_json_is_plain_or_refused(value: Any) -> None:
    try:
        found = plain(json.dumps(value))
    except NotPlain:
        return
    if "\\ud" not in json.dumps(value):
        assert parse(canonical(found)) == found


@given(st.binary(max_size=200) | st.text(alphabet='{}[]",:0123456789eE+-.ntf', max_size=60))
def test_no_text_breaks_the_reader(text: Any) -> None:
    with suppress(NotPlain):
        plain(text)


@pytest.mark.parametrize("text", ["1" * 100_000, "1e999999999", "-0.0", "1E-400", "0.1e1"])
def test_odd_numbers_have_a_canonical_form(text: str) -> None:
    canonical(plain(text), max_bytes=200_000)


PARTS = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "image", "audio", "resource", "resource_link", "x"])},
    optional={"text": ANYTHING, "data": ANYTHING, "mimeType": ANYTHING, "resource": ANYTHING, "uri": ANYTHING},
)


@given(st.fixed_dictionaries({}, optional={"content": ANYTHING | st.lists(PARTS), "isError": ANYTHING}))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_answer_of_a_server_is_text_or_an_error(artifacts, result: dict[str, Any]) -> None:
    with suppress(ToolError):
        assert isinstance(value_of(result, ROOM, structured=False), str)


def test_media_type_names_no_path(artifacts) -> None:
    for hostile in ("../../etc/passwd", "image/../../x", "\0", "a" * 5000, "text/html; x=../.."):
        value_of({"content": [{"type": "image", "data": "AAAA", "mimeType": hostile}]}, ROOM, structured=False)
    assert all(name.startswith("content-1.") for name in os.listdir(artifacts))


@given(ANYTHING, st.lists(st.lists(st.sampled_from(["a", "*", "0"]), max_size=3), max_size=3))
def test_numbers_are_put_back_anywhere(value: Any, places: list[list[str]]) -> None:
    json.dumps(numbered(value, places))


def test_only_decimals_at_their_places_become_numbers() -> None:
    value = {"a": "1.50", "b": "1.50", "c": ["2", "x"], "d": {"k": "3"}}
    assert numbered(value, [["a"], ["c", "*"], ["d", "*"], ["gone", "*"]]) == {
        "a": 1.5,
        "b": "1.50",
        "c": [2, "x"],
        "d": {"k": 3},
    }
