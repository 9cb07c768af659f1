"""The application: routers, what stands before them, and what they share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from fastapi import APIRouter, FastAPI
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.staticfiles import StaticFiles

import interlock
from interlock.api import problems
from interlock.api.cookies import Cookies
from interlock.api.hardening import OwnPages, SecurityHeaders, policy
from interlock.api.oidc import IdentityProvider
from interlock.api.page import Frame, bare
from interlock.api.routes import (
    agents,
    approvals,
    audit,
    decisions,
    deputies,
    grants,
    health,
    me,
    openapi,
    passkeys,
    policies,
    runs,
    sign_in,
    tools,
)
from interlock.api.services import Services, open_services
from interlock.settings import Settings

Opened = Callable[[Settings], AbstractAsyncContextManager[Services]]
_PARTS: Final = (
    sign_in,
    openapi,
    health,
    me,
    deputies,
    passkeys,
    runs,
    approvals,
    decisions,
    grants,
    policies,
    audit,
    agents,
    tools,
)
_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]", "::1")


def create_app(
    settings: Settings,
    pages: Sequence[APIRouter] = (),
    *,
    static: Path | None = None,
    frame: Frame = bare,
    opened: Opened = open_services,
) -> FastAPI:
    """The API, and the pages of a higher layer beside it.

    Args:
        settings: the project's.
        pages: routers of those pages.
        static: their files, served under /static.
        frame: puts the API's own pages (sign-in, errors) into a document of theirs.
        opened: opens what the routes use.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with opened(settings) as found:
            app.state.services = found
            app.state.cookies = cookies = Cookies.of(settings, found.runs.api)
            app.state.provider = IdentityProvider(settings, cookies) if settings.oidc_issuer else None
            yield

    https = settings.effective_public_url.startswith("https:")
    app = FastAPI(
        title="Interlock",
        version=interlock.__version__,
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        middleware=[
            Middleware(SecurityHeaders, csp=policy(), https=https),
            Middleware(TrustedHostMiddleware, allowed_hosts=hosts(settings), www_redirect=False),
            Middleware(OwnPages, origin=settings.effective_public_url),
        ],
    )
    app.state.frame = frame
    problems.register(app)
    for router in (*(part.router for part in _PARTS), *pages):
        app.include_router(router)
    if static is not None:
        app.mount("/static", StaticFiles(directory=static), name="static")
    return app


def hosts(settings: Settings) -> list[str]:
    """The names by which requests may address the server: another one is how a page elsewhere would reach it by a
    name that it made point here (DNS rebinding)."""
    public = urlsplit(settings.effective_public_url).hostname or ""
    listen = settings.listen.rpartition(":")[0]
    names = {public, listen} - {"0.0.0.0", "", "[::]"}  # noqa: S104
    return sorted(names | set(_LOOPBACK)) if names & set(_LOOPBACK) else sorted(names)
