"""Somebody of another tenant walks every page: what is not theirs looks like what never was."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import httpx
import pytest
from fastapi.routing import iter_route_contexts
from support.console import Console

from interlock.api.app import create_app
from interlock.console import FOLDER, frame, routers

pytestmark = pytest.mark.temporal


class Theirs(NamedTuple):
    """What tenant `default` has."""

    run: str
    request_id: str
    digest: str


@pytest.fixture(scope="module")
async def theirs(console: Console) -> Theirs:
    run = await console.runtime.start("mailer", "Write to Bob")
    row = await console.runtime.approval(run)
    return Theirs(run, row.request_id, row.call_digest)


@pytest.fixture(scope="module")
async def eve(console: Console) -> AsyncIterator[httpx.AsyncClient]:
    """Signed in at a console of tenant `other`, over the same ledger, with every right that there is."""
    settings = console.runtime.settings.model_copy(update={"tenant": "other"})
    app = create_app(settings, routers(), static=FOLDER, frame=frame)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=console.address) as client:
            held = app.state.services
            code = held.accounts.links.make("user:eve", "other", now=datetime.now(UTC))
            assert (await client.post("/sign-in/link", data={"code": code})).status_code == 303
            cookies = app.state.cookies
            client.headers["x-csrf-token"] = cookies.csrf(client.cookies[cookies.name].rpartition(".")[0])
            yield client


def walk() -> list[tuple[str, str]]:
    """Every page that is about a run or a request."""
    found = []
    for router in routers():
        for route in iter_route_contexts(router.routes):
            if "{run}" in route.path or "{request_id}" in route.path:
                found += [(method, route.path) for method in route.methods or ()]
    return sorted(found)


@pytest.mark.parametrize(("method", "path"), walk())
async def test_another_tenant_s_runs_and_requests_are_not_there(
    eve: httpx.AsyncClient, theirs: Theirs, method: str, path: str
) -> None:
    form: dict[str, Any] = {
        "verdict": "approve",
        "verb": "cancel",
        "digest": theirs.digest,
        "message": "mine",
        "reason": "mine",
        "to": "user:eve",
        "hours": "1",
        "uses": "1",
        "chosen": f"{theirs.request_id} {theirs.digest}",
    }
    answers = []
    for run, request_id in ((theirs.run, theirs.request_id), ("never-1", "never-1:a1")):
        address = path.format(run=run, request_id=request_id, seq=0)
        answer = await eve.request(method, address, data=form if method == "POST" else None)
        assert answer.status_code == 404, (method, path, answer.text)
        answers.append(answer.text.replace(request_id, "ID").replace(run, "ID"))
    told = [text.partition('<main id="main"')[2] for text in answers]
    assert told[0] == told[1]


async def test_no_list_names_them(eve: httpx.AsyncClient, console: Console, theirs: Theirs) -> None:
    for path in (
        "/",
        "/runs",
        f"/runs?text={theirs.run}",
        "/inbox/decided",
        "/audit",
        "/agents/mailer",
        "/tools/send",
    ):
        answer = await eve.get(path)
        assert answer.status_code == 200, path
        assert "user:alice" not in answer.text, path
        assert f"{theirs.run}</a>" not in answer.text, path
    assert (await eve.post("/audit/verify", data={"run": theirs.run})).status_code == 404
    assert (await eve.get(f"/audit?run={theirs.run}")).status_code == 404
    assert console.runtime.ledger.approval(theirs.request_id).state == "pending"
