"""An HTTP API on loopback with its OpenAPI document, for tests."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

PET = {
    "type": "object",
    "required": ["id", "name"],
    "properties": {
        "id": {"type": "integer", "format": "int64"},
        "name": {"type": "string", "minLength": 1, "pattern": "^[A-Z]", "example": "Rex"},
        "weight": {"type": "number", "minimum": 0.5},
        "tag": {"type": "string", "nullable": True},
        "parent": {"$ref": "#/components/schemas/Pet"},
    },
}
DOCUMENT: dict[str, Any] = {
    "openapi": "3.0.3",
    "info": {"title": "Pets", "version": "1"},
    "paths": {
        "/pets/{petId}": {
            "parameters": [{"$ref": "#/components/parameters/petId"}],
            "get": {
                "operationId": "getPet",
                "summary": "One pet.",
                "parameters": [
                    {"name": "fields", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}},
                    {"name": "X-Trace", "in": "header", "schema": {"type": "string"}},
                    {"name": "Authorization", "in": "header", "schema": {"type": "string"}},
                ],
                "responses": {"200": {"$ref": "#/components/responses/Pet"}},
            },
            "delete": {"operationId": "deletePet", "responses": {"204": {"description": "gone"}}},
        },
        "/pets": {
            "post": {
                "operationId": "createPet",
                "description": "Keep a pet.",
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}},
                },
                "responses": {"201": {"$ref": "#/components/responses/Pet"}, "default": {"description": "?"}},
            },
            "get": {
                "operationId": "listPets",
                "parameters": [
                    {"name": "filter", "in": "query", "style": "deepObject", "schema": {"type": "object"}},
                    {"name": "ids", "in": "query", "explode": False, "schema": {"type": "array", "items": {}}},
                    {"name": "limit", "in": "query", "schema": {"type": "integer", "default": 10, "maximum": 100}},
                ],
                "responses": {"200": {"description": "d", "content": {"application/json": {}}}},
            },
        },
        "/upload": {
            "post": {
                "operationId": "upload",
                "requestBody": {"required": True, "content": {"text/csv": {}}},
                "responses": {},
            }
        },
        "/odd/{a}": {"get": {"operationId": "odd", "responses": {}}},
    },
    "components": {
        "schemas": {"Pet": PET},
        "parameters": {"petId": {"name": "petId", "in": "path", "required": True, "schema": {"type": "string"}}},
        "responses": {
            "Pet": {
                "description": "d",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}},
            }
        },
    },
}


@dataclass
class Pets:
    """The running API: what it was asked, and what it answers instead if a test says so."""

    url: str
    asked: list[tuple[str, str, str, bytes]] = field(default_factory=list)
    """Method, path with query, X-Trace, body."""
    answer: tuple[int, str, bytes] | None = None
    location: str = ""


@contextmanager
def pets() -> Iterator[Pets]:
    """Serve until the block ends."""
    api = Pets("")

    class Handler(http.server.BaseHTTPRequestHandler):
        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            api.asked.append((self.command, self.path, self.headers.get("X-Trace", ""), body))
            status, media_type, answer = api.answer or self._usual(body)
            if self.path.endswith("/moved") and api.location:
                status, answer = 307, b""
            self.send_response(status)
            if status == 307:
                self.send_header("Location", api.location)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_DELETE = _serve

        def _usual(self, body: bytes) -> tuple[int, str, bytes]:
            if self.command == "DELETE":
                return 204, "text/plain", b""
            pet = {"id": 7, "name": "Rex", "weight": 2.5, "tag": None}
            return 200, "application/json; charset=utf-8", body or json.dumps(pet).encode()

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    api.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield api
    server.shutdown()
    server.server_close()
