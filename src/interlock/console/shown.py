"""Text of agents, tools and people on a page: escaped, and what an eye would miss is spelled out and marked.

Only here markup is made of text. Every piece goes through `markupsafe.escape`; what is wrapped are the marks that
`interlock.approval.visible` wrote, which no text can imitate, since it spells out their bracket too, and single
letters that look like those of another alphabet.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from markupsafe import Markup, escape

from interlock.approval.visible import lookalikes, visible, visible_line

_MARK: Final = re.compile(r"⟨U\+[0-9A-F]{4,6}⟩")
_OPENING: Final = Markup('<span class="mark" title="a hidden character, spelled out">')
_CLOSING: Final = Markup("</span>")
_ALIKE: Final = Markup('<span class="alike" title="{}">{}</span>')
_LATIN: Final = "LATIN"


def shown(text: object) -> Markup:
    """Text as it came, over several lines if it has them."""
    return marked(visible(str(text)))


def line(text: object) -> Markup:
    """Text as it came, on one line."""
    return marked(visible_line(str(text)))


def marked(text: object) -> Markup:
    """Text that was made visible already: its marks stand out."""
    whole = str(text)
    parts: list[Markup] = []
    at = 0
    for found in _MARK.finditer(whole):
        parts += [_plain(whole[at : found.start()]), _OPENING, escape(found[0]), _CLOSING]
        at = found.end()
    return Markup("").join([*parts, _plain(whole[at:])])


def _plain(text: str) -> Markup:
    """Text without marks: in a word that mixes alphabets whose letters look alike, letters that are not Latin
    stand out."""
    if text.isascii() or not lookalikes(text):
        return escape(text)
    pieces = re.split(r"(\s+)", text)
    return Markup("").join(_told_apart(one) if lookalikes(one) else escape(one) for one in pieces)


def _told_apart(word: str) -> Markup:
    letters = []
    for letter in word:
        name = unicodedata.name(letter, "") if letter.isalpha() else _LATIN
        letters.append(escape(letter) if name.startswith(_LATIN) else _ALIKE.format(name.lower(), letter))
    return Markup("").join(letters)
