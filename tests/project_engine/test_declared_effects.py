"""Keys and questions of declared tools: what compiles, and how each mistake is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.declared import compile_files, one
from support.payments import DOCUMENT

COMMAND: dict[str, Any] = {
    "kind": "command",
    "description": "Pay.",
    "action": "pay",
    "argv": ["pay", "--key={idempotency_key}", "{to}"],
    "parameters": {"to": "string"},
    "reconcile": {"argv": ["paid", "{idempotency_key}", "{to}"], "not_done": [44]},
}
HTTP: dict[str, Any] = {
    "kind": "http",
    "document": "bank.openapi.json",
    "server": "https://bank.test",
    "operation": "makePayment",
    "reconcile": {"operation": "getPayment", "not_done": [404]},
}


def problems(definition: dict[str, Any], document: Any = DOCUMENT) -> list[str]:
    return compile_files({"t.yaml": json.dumps(definition), "bank.openapi.json": document})[1]


def test_question_is_pinned_with_the_tool() -> None:
    tool = one(json.dumps(COMMAND))
    assert tool.schema.reconcile
    assert tool.flat["reconcile"] == {"argv": ["paid", "{idempotency_key}", "{to}"], "done": [0], "not_done": [44]}
    without = one(json.dumps({**COMMAND, "reconcile": None}))
    assert not without.schema.reconcile
    assert "reconcile" not in without.flat


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"parameters": {"to": "string", "idempotency_key": "string"}}, "is the engine's"),
        ({"resource": "bank:{idempotency_key}"}, "names {idempotency_key}, and there is no such parameter"),
        ({"idempotent": True}, "never asked of an idempotent tool"),
        ({"reconcile": {"argv": ["paid"]}}, "reconcile.not_done: is missing"),
        ({"reconcile": {"argv": ["paid"], "not_done": []}}, "reconcile.not_done"),
        ({"reconcile": {"argv": ["paid"], "not_done": [0]}}, "reconcile.not_done: 0 says done too"),
        ({"reconcile": {"argv": ["paid", "{from}"], "not_done": [1]}}, "names {from}"),
        ({"reconcile": {"argv": ["{to}"], "not_done": [1]}}, "the first element is the program itself"),
        ({"reconcile": {"argv": [["paid"], 7], "not_done": [1]}}, "reconcile.argv"),
    ],
)
def test_mistake_of_a_command_is_told(change: dict[str, Any], told: str) -> None:
    found = problems({**COMMAND, **change})
    assert told in found[0], found


@pytest.mark.parametrize(
    ("asks", "told"),
    [
        ({"operation": "nothing", "not_done": [404]}, "has no operation 'nothing'"),
        ({"operation": "makePayment", "not_done": [404]}, "is no GET without a body"),
        ({"operation": "getPayment", "not_done": [200]}, "greater than or equal to 400"),
        ({"operation": "byNumber", "not_done": [404]}, "takes 'number', which is no argument of this operation"),
    ],
)
def test_mistake_of_an_operation_is_told(asks: dict[str, Any], told: str) -> None:
    number = {"name": "number", "in": "path", "required": True, "schema": {"type": "integer"}}
    get = {"operationId": "byNumber", "parameters": [number], "responses": {"200": {"description": "it"}}}
    document = {**DOCUMENT, "paths": {**DOCUMENT["paths"], "/numbers/{number}": {"get": get}}}
    found = problems({**HTTP, "reconcile": asks}, document)
    assert told in found[0], found


def test_each_operation_has_its_own_question() -> None:
    several = {name: value for name, value in HTTP.items() if name not in ("operation", "reconcile")}
    own = {"makePayment": {"reconcile": HTTP["reconcile"]}, "getPayment": {}}
    files = {"t.yaml": json.dumps({**several, "operations": own}), "bank.openapi.json": DOCUMENT}
    found, wrong = compile_files(files)
    assert wrong == []
    assert {name: tool.schema.reconcile for name, tool in found.items()} == {
        "t.make_payment": True,
        "t.get_payment": False,
    }
    assert (
        "put it under `operations`" in problems({**several, "operations": own, "reconcile": HTTP["reconcile"]})[0]
    )
