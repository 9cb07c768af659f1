"""Text of unknown origin, made safe to look at: what a terminal would obey, or an eye would miss, is spelled out.

The writing is injective: two different texts never look the same, so nobody approves one and runs the other.
"""

from __future__ import annotations

import unicodedata
from typing import Final

_KEPT: Final = frozenset("\n\t")
# Letters and marks that take up no ink: fillers, joiners, variation selectors, the blank braille pattern.
_UNSEEN: Final = frozenset((0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0))
_VARIATION: Final = (range(0x180B, 0x1810), range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))
# Controls, formats (bidi, zero width, tags), surrogates, private, unassigned; separators of lines and paragraphs.
_CATEGORIES: Final = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
_BRACKET: Final = 0x27E8
_SCRIPTS: Final = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE")


class _Marks(dict[int, str]):
    """A table for `str.translate` that fills itself."""

    def __missing__(self, code: int) -> str:
        self[code] = _mark(code)
        return self[code]


def _mark(code: int) -> str:
    character = chr(code)
    if character in _KEPT or (character != " " and character.isascii() and character.isprintable()):
        return character
    category = unicodedata.category(character)
    hidden = (
        category in _CATEGORIES
        or (category == "Zs" and character != " ")
        or code in _UNSEEN
        or code == _BRACKET
        or any(code in span for span in _VARIATION)
    )
    return f"⟨U+{code:04X}⟩" if hidden else character


_MARKS: Final = _Marks()


def visible(text: str) -> str:
    """`text` with every control, bidi, zero-width and otherwise hidden character written as `⟨U+202E⟩`.

    Line feeds and tabs stay as they are.
    """
    return text.translate(_MARKS)


def visible_line(text: str) -> str:
    """As `visible`, on one line: line feeds and tabs are marked too."""
    return visible(text).replace("\n", "⟨U+000A⟩").replace("\t", "⟨U+0009⟩")


def shortened(text: str, length: int) -> str:
    """`text` if it has at most `length` characters; else its beginning and how much is missing."""
    missing = len(text) - length
    return text if missing <= 0 else f"{text[:length]}… (+{missing} characters)"


def lookalikes(text: str) -> tuple[str, ...]:
    """Words that mix alphabets whose letters look alike, each once and made visible."""
    if text.isascii():
        return ()
    found: dict[str, None] = {}
    for word in text.split():
        if not word.isascii() and len({_script(c) for c in word if c.isalpha()} - {""}) > 1:
            found[visible_line(word)] = None
    return tuple(found)


def _script(character: str) -> str:
    name = unicodedata.name(character, "")
    return next((script for script in _SCRIPTS if name.startswith(script)), "")
