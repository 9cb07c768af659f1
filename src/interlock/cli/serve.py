"""`interlock serve`: the API and the console as one process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import typer

from interlock.cli import say
from interlock.cli.options import AsJson
from interlock.cli.session import settings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from interlock.api.services import Services
    from interlock.settings import Settings


def serve(as_json: AsJson = False) -> None:
    """Serve the API and the console until SIGTERM or Ctrl-C. With --json, prints one JSON object when ready."""
    from interlock.api.serving import serve as serve_app
    from interlock.run.notifying import channels_of

    own = settings()
    channels_of(own)  # a mistake there is told before anything is served

    def ready(address: str) -> None:
        if as_json:
            say.record({"console": own.effective_public_url, "listens": address})
        else:
            say.line(f"serves {own.effective_public_url} (listens at {address})")

    serve_app(application(own), own, ready)


def application(own: Settings) -> FastAPI:
    """The API and the console."""
    from interlock.api.app import create_app
    from interlock.console import FOLDER, frame, routers

    return create_app(own, routers(), static=FOLDER, frame=frame, opened=_opened)


@asynccontextmanager
async def _opened(own: Settings) -> AsyncIterator[Services]:
    """What the routes use, with notifications sent beside."""
    from interlock.api.services import open_services
    from interlock.run.notifying import notifying

    async with open_services(own) as services, notifying(own):
        yield services


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(serve)
