"""Text of agents, tools and people on a page: escaped, and what an eye would miss is spelled out and marked.

Only here markup is made of text. Everything goes through `markupsafe.escape` first; what is wrapped afterwards are
the marks that `interlock.approval.visible` wrote, which no text can imitate, since it spells out their bracket too.
"""

from __future__ import annotations

import re
from typing import Final

from markupsafe import Markup, escape

from interlock.approval.visible import visible, visible_line

_MARK: Final = re.compile(r"⟨U\+[0-9A-F]{4,6}⟩")
_OPENING: Final = Markup('<span class="mark" title="a hidden character, spelled out">')
_CLOSING: Final = Markup("</span>")


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
        parts += [escape(whole[at : found.start()]), _OPENING, escape(found[0]), _CLOSING]
        at = found.end()
    return Markup("").join([*parts, escape(whole[at:])])
