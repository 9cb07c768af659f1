"""Every route asks the policy, but for a few that are named here; and nobody reaches another tenant's anything."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from support.api import EVERYTHING, Api, serving
from support.runtime import eventually

from interlock.api.app import create_app
from interlock.api.caller import caller
from interlock.api.problems import PROGRAMS
from interlock.console import routers
from interlock.settings import Settings

PUBLIC = {
    ("GET", "/v1/health"): "says that it serves, and nothing else",
    ("GET", "/v1/openapi.json"): "is the same for everybody",
    ("GET", "/sign-in"): "is where one signs in",
    ("GET", "/sign-in/link"): "is where one signs in",
    ("POST", "/sign-in/link"): "is where one signs in",
    ("GET", "/sign-in/oidc"): "is where one signs in",
    ("GET", "/sign-in/oidc/callback"): "is where one signs in",
}
"""Routes that ask nobody who they are, and why."""
SIGNED_IN = {
    ("POST", "/sign-out"): "everybody may leave",
}
"""Routes that ask who it is and not the policy."""


def application(*, console: bool = True) -> Any:
    if not console:
        return create_app(Settings())
    return create_app(Settings(), routers())


def routes(app: Any) -> Iterator[tuple[str, RouteContext]]:
    """Every route with its method, as it is served."""
    for route in iter_route_contexts(app.routes):
        for method in sorted((route.methods or set()) - {"HEAD"}):
            yield method, route


def asked(route: RouteContext) -> set[str]:
    """The permissions that stand before a route."""
    found, todo = set(), [route.dependant]
    while todo:
        one = todo.pop()
        found.add(getattr(one.call, "asks", ""))
        todo += one.dependencies
    return found - {""}


def asks_who(route: RouteContext) -> bool:
    found, todo = [], [route.dependant]
    while todo:
        one = todo.pop()
        found.append(one.call)
        todo += one.dependencies
    return caller in found


@pytest.mark.parametrize("console", [False, True], ids=["api", "console"])
def test_every_route_asks_the_policy(console: bool) -> None:
    silent = []
    for method, route in routes(application(console=console)):
        place = (method, route.path)
        if place in SIGNED_IN:
            assert asks_who(route)
        elif place not in PUBLIC and not asked(route) & set(EVERYTHING):
            silent.append(place)
    assert silent == []


def test_every_exception_is_a_route() -> None:
    known = {(method, route.path) for method, route in routes(application(console=False))}
    assert set(PUBLIC) | set(SIGNED_IN) <= known


def test_nothing_else_is_served() -> None:
    found = iter_route_contexts(application(console=False).routes)
    others = [route for route in found if not isinstance(route.original_route, APIRoute)]
    assert others == [], "a mounted application would answer without asking"


@pytest.fixture(scope="module")
async def other(api: Api) -> AsyncIterator[Api]:
    """A server of another tenant over the same stores, where everybody of that tenant may do everything."""
    people = api.held.settings.root / "permissions" / "people.yaml"
    before = people.read_text()
    people.write_text(before + "  - {name: eve, tenants: other}\n")
    api.held.policy.reload()
    rules = api.held.settings.root / "permissions" / "rules.yaml"
    was = rules.read_text()
    rules.write_text(was.replace('"id":"people"', '"id":"people","tenant":"*"'))
    async with serving(api.runtime, tenant="other") as found:
        yield found
    people.write_text(before)
    rules.write_text(was)
    api.held.policy.reload()


@pytest.fixture(scope="module")
async def theirs(api: Api) -> AsyncIterator[dict[str, Any]]:
    """What tenant `default` has."""
    run = await api.runtime.start("payer", "go")
    row = await api.runtime.approval(run)
    terms: dict[str, Any] = {"lasts": timedelta(hours=1), "uses": 1, "reason": "theirs"}
    given = await api.runtime.client.grant(row, by="user:carol", **terms)
    await eventually(lambda: api.held.ledger.grants("default"))
    yield {"run": run, "request_id": row.request_id, "call": row.call_digest, "grant": given.grant}
    # Else it would answer for requests of other tests.
    await api.runtime.client.revoke(given.grant, by="user:carol", reason="the test is over")


ABSENT = "sha256:" + "0" * 64
BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/v1/runs/{run}/control"): {"verb": "cancel"},
    ("POST", "/v1/runs/{run}/signals"): {"name": "x", "value": 1},
    ("POST", "/v1/runs/{run}/erasure"): {"reason": "mine"},
    ("POST", "/v1/approvals/{request_id}/decisions"): {"call_digest": "", "decision": {"type": "approve"}},
    ("POST", "/v1/approvals/{request_id}/signing"): {"call_digest": "", "decision": {"type": "approve"}},
    ("POST", "/v1/approvals/{request_id}/grants"): {"call_digest": "", "hours": 1, "uses": 1, "reason": "mine"},
    ("POST", "/v1/grants/{grant}/revocation"): {"reason": "mine"},
    ("POST", "/v1/approvals/{request_id}/withdrawal"): {"reason": "mine"},
    ("POST", "/v1/approvals/{request_id}/reassignment"): {"to": "user:eve", "reason": "mine"},
    ("POST", "/v1/audit/runs/{run}/verification"): None,
}


VALUES = dict.fromkeys(("name", "token", "sign_in", "deputy", "passkey", "grant"), "x") | {
    "digest": "sha256:" + "0" * 64
}
"""Of what every path may name."""


async def test_the_wrong_tenant_finds_nothing(api: Api, other: Api, theirs: dict[str, Any]) -> None:
    client = other.acting("user:eve")
    assert (await client.get("/v1/me")).json()["tenant"] == "other"
    walked = 0
    for method, route in routes(other.app):
        about = [name for name in ("run", "request_id", "grant") if f"{{{name}}}" in route.path]
        if not about:
            continue
        body = BODIES.get((method, route.path))
        if isinstance(body, dict) and "call_digest" in body:
            body = {**body, "call_digest": theirs["call"]}
        answer = await client.request(method, route.path.format(**theirs), json=body)
        assert answer.status_code == 404, f"{method} {route.path}: {answer.text}"
        missing = {"run": "never-1", "request_id": "never-1:a1", "grant": "0" * 32}
        absent = await client.request(method, route.path.format(**missing), json=body)
        known, unknown = answer.text, absent.text
        for name in ("request_id", "run", "grant"):
            known, unknown = known.replace(theirs[name], "ID"), unknown.replace(missing[name], "ID")
        assert known == unknown, "what is another tenant's looks as what never was"
        walked += 1
    assert walked >= 8
    run = await api.acting("user:alice").get(f"/v1/runs/{theirs['run']}")
    assert (run.status_code, run.json()["status"]) == (200, "waiting"), "and nothing was done to it"


async def test_the_wrong_tenant_lists_nothing(other: Api, theirs: dict[str, Any]) -> None:
    client = other.acting("user:eve")
    for path in ("/v1/runs", "/v1/approvals", "/v1/approvals?state=closed", "/v1/audit/alarms", "/v1/grants"):
        answer = await client.get(path)
        assert answer.status_code == 200
        assert theirs["run"] not in answer.text
        assert "alice" not in answer.text
    searched = await client.get("/v1/runs", params={"text": theirs["run"][:10]})
    assert searched.json()["runs"] == []


async def test_a_person_of_another_tenant_is_nobody_here(api: Api, other: Api) -> None:
    secret = other.token("user:eve")
    assert (await api.client(secret).get("/v1/me")).status_code == 401
    assert (await other.client(api.token("user:alice")).get("/v1/me")).status_code == 401


async def test_without_a_sign_in_nothing_is_told(api: Api, theirs: dict[str, Any]) -> None:
    for method, route in routes(api.app):
        if (method, route.path) in PUBLIC or not route.path.startswith(PROGRAMS):
            continue
        values = {**VALUES, **theirs}
        answer = await api.client().request(method, route.path.format(**values))
        assert answer.status_code == 401, f"{method} {route.path}"
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_scope_is_a_limit(api: Api, theirs: dict[str, Any]) -> None:
    """A token for one action is refused every other, whatever its person may do."""
    client, refused = api.acting("user:alice", ["runs:read"]), 0
    assert (await client.get("/v1/runs")).status_code == 200
    for method, route in routes(api.app):
        permissions = asked(route)
        if not permissions or permissions == {"runs:read"}:
            continue
        values = {**VALUES, **theirs}
        body = BODIES.get((method, route.path), {})
        answer = await client.request(method, route.path.format(**values), json=body)
        assert answer.status_code in (403, 422), f"{method} {route.path}: {answer.status_code}"
        if answer.status_code == 403:
            assert "token is not for" in answer.json()["detail"]
        refused += answer.status_code == 403
    assert refused >= 15


async def test_a_rule_for_every_agent_gives_people_nothing(api: Api) -> None:
    rules = api.held.settings.root / "permissions" / "rules.yaml"
    was = rules.read_text()
    try:
        rules.write_text(was.replace('"agent":"agent:interlock.api"', '"agent":"agent:*"'))
        api.held.policy.reload()
        answer = await api.acting("user:alice").get("/v1/runs")
        assert answer.status_code == 403
        assert "does not name agent:interlock.api" in answer.json()["detail"]
    finally:
        rules.write_text(was)
        api.held.policy.reload()
    await eventually(lambda: api.held.policy.problem == "", 5)
