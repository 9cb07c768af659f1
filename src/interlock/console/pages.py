"""How a page is rendered: templates with escaping always on, and what every page has."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from interlock.api.caller import Caller
from interlock.api.page import Page
from interlock.api.permission import Action, permitted
from interlock.api.services import Services
from interlock.console.assets import asset
from interlock.console.shown import line, marked, shown
from interlock.console.words import left, moment, short_digest, short_id, tone
from interlock.errors import Refused
from interlock.run.people import Noun

PAGES: Final[tuple[tuple[str, str, Noun], ...]] = (
    ("Inbox", "/", "approvals"),
    ("Runs", "/runs", "runs"),
    ("Agents", "/agents", "agents"),
    ("Tools", "/tools", "tools"),
    ("Policy", "/policy", "policies"),
    ("Audit", "/audit", "audit"),
    ("Health", "/health", "health"),
)
"""Name, address, and the noun whose reading it needs."""


@cache
def environment() -> Environment:
    """The templates. Nothing in them is marked safe; `interlock.console.shown` alone makes markup of text."""
    made = Environment(
        loader=PackageLoader("interlock.console"),
        autoescape=True,
        auto_reload=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "shown": shown,
        "line": line,
        "marked": marked,
        "moment": moment,
        "left": left,
        "digest": short_digest,
        "short": short_id,
        "tone": tone,
    }
    made.globals |= {"static": asset}
    return made


def rendered(template: str, caller: Caller | None, **values: Any) -> str:
    """A template as text."""

    def csrf() -> Markup:
        return Markup('<input type="hidden" name="csrf" value="{}">').format(caller.csrf if caller else "")

    given = {"caller": caller, "csrf": csrf, "now": datetime.now(UTC), "here": "", **values}
    return environment().get_template(template).render(given)


def page(
    request: Request, template: str, caller: Caller, *, here: str = "", status: int = 200, **values: Any
) -> HTMLResponse:
    """A whole page for somebody who is signed in."""
    held: Services = request.app.state.services
    pages = [(name, path) for name, path, noun in PAGES if can(held, caller, noun, "read")]
    given = {"here": here, "pages": pages, "project": held.settings.name, **values}
    return HTMLResponse(rendered(template, caller, **given), status)


def fragment(template: str, caller: Caller, **values: Any) -> HTMLResponse:
    """A part of a page."""
    return HTMLResponse(rendered(template, caller, **values))


def can(held: Services, caller: Caller, noun: Noun, action: Action) -> bool:
    """Whether the policy lets this person do it: to leave out what would only be refused."""
    try:
        permitted(held, caller, noun, action)
    except Refused:
        return False
    return True


def frame(request: Request, about: Page) -> HTMLResponse:
    """The document around the API's own pages: signing in, and errors."""
    held: Services = request.app.state.services
    signed_in = request.app.state.cookies.session(request) is not None
    pages = [(name, path) for name, path, _ in PAGES] if signed_in else []
    given = {"pages": pages, "project": held.settings.name, "about": about}
    return HTMLResponse(rendered("frame.html", None, **given), about.status)
