"""Nothing that a terminal obeys or an eye misses survives, and two texts never look the same."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.approval.visible import lookalikes, shortened, visible, visible_line


@pytest.mark.parametrize(
    ("hidden", "code"),
    [
        ("\x1b", "U+001B"),
        ("\r", "U+000D"),
        ("\b", "U+0008"),
        ("\x00", "U+0000"),
        ("\x7f", "U+007F"),
        ("\x9b", "U+009B"),
        ("\u202e", "U+202E"),
        ("\u2066", "U+2066"),
        ("\u200b", "U+200B"),
        ("\u200d", "U+200D"),
        ("\ufeff", "U+FEFF"),
        ("\u00ad", "U+00AD"),
        ("\u2028", "U+2028"),
        ("\u3164", "U+3164"),
        ("\u00a0", "U+00A0"),
        ("\ufe0f", "U+FE0F"),
        ("\U000e0041", "U+E0041"),
        ("\U000e0101", "U+E0101"),
        ("\ud800", "U+D800"),
    ],
)
def test_hidden_character_is_spelled_out(hidden: str, code: str) -> None:
    assert visible(f"a{hidden}b") == f"a⟨{code}⟩b"


def test_ordinary_text_stays_as_it_is() -> None:
    text = "Grüße, 你好, שלום, мир – naïve\n\tindented `code` [bold]x[/] <b>&amp;</b>"
    assert visible(text) == text


def test_imitated_mark_is_told_apart() -> None:
    assert visible("⟨U+202E⟩") != visible("\u202e")


def test_one_line_stays_one_line() -> None:
    assert visible_line("a\nb\tc") == "a⟨U+000A⟩b⟨U+0009⟩c"


@given(st.text(), st.text())
def test_different_texts_look_different(one: str, other: str) -> None:
    assert (visible(one) == visible(other)) == (one == other)
    assert (visible_line(one) == visible_line(other)) == (one == other)


@given(st.text())
def test_no_control_or_format_survives(text: str) -> None:
    kept = {unicodedata.category(c) for c in visible_line(text)}
    assert not kept & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def test_shortening_says_what_is_missing() -> None:
    assert shortened("abcdef", 4) == "abcd… (+2 characters)"
    assert shortened("abcd", 4) == "abcd"


def test_mixed_alphabets_are_named() -> None:
    assert lookalikes("send it to p\u0430ypal.com or раypal") == ("p\u0430ypal.com", "раypal")
    assert lookalikes("привет мир, hello world, größer") == ()
