"""The OpenAPI document: whole, its examples fit, and no request made up from it is answered by a server error."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import jsonschema
import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, given, seed, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from support.api import Api

pytestmark = [pytest.mark.temporal, pytest.mark.timeout(120)]
EXAMPLES = 12
"""Made up for each operation. Each is a real request on a real runtime."""


async def document(api: Api) -> dict[str, Any]:
    answer = await api.client().get("/v1/openapi.json")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


async def test_it_says_what_there_is(api: Api) -> None:
    found = await document(api)
    assert found["openapi"].startswith("3.1")
    nouns = {path.split("/")[2] for path in found["paths"]}
    assert {"runs", "approvals", "policies", "audit", "agents", "tools", "me", "health"} <= nouns
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            assert operation["description"], f"{method} {path} says nothing of itself"
            if path != "/v1/health":
                assert {"401", "403"} <= set(operation["responses"]), f"{method} {path}"


async def test_examples_fit(api: Api) -> None:
    found = await document(api)
    shapes = found["components"]["schemas"]
    looked_at = 0
    for name, shape in shapes.items():
        for example in shape.get("examples", []):
            whole = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": shapes}}
            jsonschema.validate(example, whole)
            looked_at += 1
    operations = [operation for methods in found["paths"].values() for operation in methods.values()]
    bodies = [operation["requestBody"] for operation in operations if "requestBody" in operation]
    named = {body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2] for body in bodies}
    assert [name for name in sorted(named) if not shapes[name].get("examples")] == []
    assert looked_at >= len(named)


@pytest.fixture(scope="module")
async def address(api: Api) -> AsyncIterator[str]:
    """The app over HTTP, as schemathesis speaks it."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(api.app, log_level="error", lifespan="off"))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    await task
    listener.close()


@pytest.fixture(scope="module")
async def real(api: Api) -> dict[str, str]:
    """Path parameters that name something."""
    run = await api.runtime.start("sender", "go")
    row = await api.runtime.approval(run)
    policy = api.held.bundle.digest
    return {"run": run, "request_id": row.request_id, "name": "sender", "digest": policy}


CHECKS = [not_a_server_error, response_schema_conformance, content_type_conformance, status_code_conformance]


@pytest.mark.parametrize("named", [False, True], ids=["made up", "of something real"])
async def test_no_request_is_answered_by_a_server_error(
    api: Api, address: str, real: dict[str, str], named: bool
) -> None:
    schema = schemathesis.openapi.from_dict(await document(api))
    headers = {"authorization": f"Bearer {api.token('user:carol')}"}

    def fire() -> int:
        sent = 0
        operations = [found.ok() for found in schema.get_all_operations()]
        # What erases the run comes last, so that the others find something.
        for operation in sorted(operations, key=lambda one: one.path.endswith("/erasure")):
            if named and not {one.name for one in operation.path_parameters} & set(real):
                continue

            @given(case=operation.as_strategy())
            @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
            @seed(6)
            def one(case: Any) -> None:
                nonlocal sent
                if named:
                    case.path_parameters.update({n: v for n, v in real.items() if n in case.path_parameters})
                answer = case.call(base_url=address, headers=headers)
                case.validate_response(answer, checks=CHECKS)
                sent += 1

            one()
        return sent

    assert await asyncio.to_thread(fire) > EXAMPLES
