"""Pages for people that the API itself has: signing in, and what went wrong. The console lends them its frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from interlock.approval.visible import visible


@dataclass(frozen=True)
class Page:
    """What is on a page."""

    title: str
    body: Markup
    """HTML, every text in it escaped."""
    status: int = 200


Frame = Callable[[Request, Page], Response]
"""Puts a page into a whole document."""

_templates: Final = Environment(loader=PackageLoader("interlock.api"), autoescape=True)
_templates.filters["shown"] = visible


def bare(request: Request, page: Page) -> Response:
    """The frame where there is no console."""
    text = _templates.get_template("bare.html").render(page=page)
    return HTMLResponse(text, status_code=page.status)


def framed(request: Request, template: str, title: str, *, status: int = 200, **values: Any) -> Response:
    """A page of a template, in the app's frame."""
    body = Markup(_templates.get_template(template).render(values))  # noqa: S704 (the template escapes)
    frame: Frame = request.app.state.frame
    return frame(request, Page(title, body, status))


def error_page(request: Request, status: int, detail: str, next_step: str) -> Response:
    """What went wrong, and what to do."""
    title = HTTPStatus(status).phrase
    return framed(request, "error.html", title, status=status, detail=detail, next_step=next_step)
