"""The API over a whole runtime: real Temporal, ledger, policy and accounts; requests go straight into the app."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from fastapi import FastAPI
from support.runtime import Runtime

from interlock.api.app import create_app
from interlock.api.services import Services
from interlock.run.people import ACTIONS

BASE = "http://127.0.0.1:8400"
EVERYTHING = [f"{noun}:{action}" for noun, actions in ACTIONS.items() for action in actions]


def people_rules() -> list[dict[str, Any]]:
    """Everybody whom the policy knows may do everything."""
    actions = sorted({action for actions in ACTIONS.values() for action in actions})
    return [
        {
            "id": "people",
            "effect": "allow",
            "owner": "tests",
            "agent": "agent:interlock.api",
            "tool": "interlock.*.*",
            "action": actions,
        }
    ]


@dataclass
class Api:
    """The app, and clients of it for people."""

    runtime: Runtime
    app: FastAPI

    @property
    def held(self) -> Services:
        found: Services = self.app.state.services
        return found

    def client(
        self, token: str = "", *, client: str = "127.0.0.1", base: str = BASE, **options: Any
    ) -> httpx.AsyncClient:
        """A client at an address; with a token, it sends it."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False, client=(client, 1))
        return httpx.AsyncClient(transport=transport, base_url=base, headers=headers, **options)

    def token(self, person: str, scopes: Sequence[str] = (), *, days: float = 1) -> str:
        """A token of a person: for everything, unless scopes are named."""
        _, secret = self.held.accounts.tokens.make(
            person,
            self.held.settings.tenant,
            name="test",
            scopes=scopes or EVERYTHING,
            now=datetime.now(UTC),
            life=timedelta(days=days),
        )
        return secret

    def acting(self, person: str, scopes: Sequence[str] = (), *, base: str = BASE) -> httpx.AsyncClient:
        """A client that acts for a person by a token."""
        return self.client(self.token(person, scopes), base=base)

    async def signed_in(self, person: str, *, base: str = BASE) -> httpx.AsyncClient:
        """A browser in which a person is signed in by a link; `csrf` of it is in its header."""
        client = self.client(base=base)
        now = datetime.now(UTC)
        code = self.held.accounts.links.make(person, self.held.settings.tenant, now=now)
        answer = await client.post("/sign-in/link", data={"code": code})
        assert answer.status_code == 303, answer.text
        client.headers["x-csrf-token"] = self.csrf(client)
        return client

    def csrf(self, client: httpx.AsyncClient) -> str:
        """What forms of the client's session carry."""
        cookies = self.app.state.cookies
        return str(cookies.csrf(client.cookies[cookies.name].rpartition(".")[0]))


@asynccontextmanager
async def serving(runtime: Runtime, **options: Any) -> AsyncIterator[Api]:
    """The API over a running runtime, until the block ends."""
    settings = runtime.settings.model_copy(update=options) if options else runtime.settings
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield Api(runtime, app)
