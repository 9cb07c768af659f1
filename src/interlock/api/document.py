"""The OpenAPI document of what is under /v1."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import iter_route_contexts

from interlock.api.caller import CSRF_HEADER
from interlock.api.idempotency import HEADER
from interlock.api.problems import MEDIA_TYPE, PROGRAMS
from interlock.api.schemas import Problem

PATH: Final = "/v1/openapi.json"
PUBLIC: Final = frozenset({"/v1/health", PATH})
"""What anybody may ask for."""
_DESCRIPTION: Final = """\
Start, watch and decide runs. Every answer to a mistake is a problem document (RFC 9457) that says what to do next.
Whether you may do something is decided by the policy in `permissions/`, by rules for `agent:interlock.api`."""


def document(app: FastAPI) -> dict[str, Any]:
    """The document, made once."""
    if app.openapi_schema is None:
        routes = [route for route in iter_route_contexts(app.routes) if (route.path or "").startswith(PROGRAMS)]
        made = get_openapi(
            title=app.title, version=app.version, openapi_version="3.1.0", description=_DESCRIPTION, routes=routes
        )
        app.openapi_schema = _completed(made)
    return app.openapi_schema


def _completed(made: dict[str, Any]) -> dict[str, Any]:
    components = made.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = Problem.model_json_schema()
    for name in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(name, None)
    components["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "`interlock accounts token new`"},
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": "interlock",
            "description": f"A signed-in browser; what changes something carries {CSRF_HEADER} besides.",
        },
    }
    for path, methods in made["paths"].items():
        for method, operation in methods.items():
            operation["security"] = [] if path in PUBLIC else [{"token": []}, {"session": []}]
            _problems(operation)
            if method == "post":
                operation.setdefault("parameters", []).append(_KEY)
    return made


def _problems(operation: dict[str, Any]) -> None:
    """FastAPI would say that a wrong request is answered in a shape of its own."""
    answer = operation["responses"].get("422")
    if answer is not None:
        answer["content"] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}


_KEY: Final = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "The same key with the same request does nothing a second time, and is answered as the first.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
