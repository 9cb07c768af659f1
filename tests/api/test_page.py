"""Pages that the API itself has."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, Response

from interlock.api.page import Page, error_page


def test_an_error_page_shows_what_is_hidden() -> None:
    """A name in a message may come from whoever called: nothing of it turns the text around or becomes markup."""
    pages: list[Page] = []

    def frame(request: Request, page: Page) -> Response:
        pages.append(page)
        return HTMLResponse(str(page.body))

    request: Any = SimpleNamespace(app=SimpleNamespace(state=SimpleNamespace(frame=frame)))
    error_page(request, 404, "there is no run 'a\u202etxt.exe<b>'", "look for \u200bit")
    body = str(pages[0].body)
    assert "a⟨U+202E⟩txt.exe&lt;b&gt;" in body
    assert "⟨U+200B⟩it" in body
