"""Operations of an OpenAPI document: what compiles to which tool, and how each mistake is told."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from support.declared import compile_files
from support.pets import DOCUMENT

from interlock.project.declared import DeclaredTool

ALL = ["getPet", "deletePet", "createPet", "listPets"]


def definition(**more: Any) -> dict[str, Any]:
    return {"kind": "http", "document": "pets.openapi.json", "server": "https://api.test/v1", **more}


def compiled(text: Any = DOCUMENT, **more: Any) -> tuple[dict[str, DeclaredTool], list[str]]:
    return compile_files({"pets.yaml": json.dumps(definition(**more)), "pets.openapi.json": text})


def tools(**more: Any) -> dict[str, DeclaredTool]:
    found, problems = compiled(**more)
    assert problems == []
    return found


def test_operations_become_tools() -> None:
    assert set(tools(operations=ALL)) == {"pets.get_pet", "pets.delete_pet", "pets.create_pet", "pets.list_pets"}
    assert set(tools(operation="getPet")) == {"pets"}


def test_method_says_the_action() -> None:
    found = {name: tool.schema for name, tool in tools(operations=ALL).items()}
    assert {name: (one.action, one.effects, one.flow, one.idempotent) for name, one in found.items()} == {
        "pets.get_pet": ("read", "external", "sink", True),
        "pets.list_pets": ("read", "external", "sink", True),
        "pets.create_pet": ("write", "external", "sink", False),
        "pets.delete_pet": ("delete", "external", "sink", False),
    }


def test_file_overrides_operation_over_file() -> None:
    more = {
        "profile": "net",
        "credentials": ["bank"],
        "operations": {"getPet": {"action": "look"}, "deletePet": {}},
    }
    found = tools(**more)
    assert found["pets.get_pet"].schema.action == "look"
    assert found["pets.delete_pet"].schema.action == "delete"
    assert {tool.schema.credentials for tool in found.values()} == {("bank",)}


def test_parameters_and_body_become_arguments() -> None:
    found = tools(operations=ALL)
    get = found["pets.get_pet"].schema.parameters
    assert set(get["properties"]) == {"petId", "fields", "X_Trace"}
    assert get["required"] == ["petId"]
    create = found["pets.create_pet"].schema.parameters
    assert create["required"] == ["body"]
    body = create["properties"]["body"]
    assert body["properties"]["name"] == {"type": "string", "minLength": 1, "description": "Must match ^[A-Z]"}
    assert body["properties"]["parent"] == {}
    assert found["pets.create_pet"].flat["numbers"] == [["body", "weight"]]


@pytest.mark.parametrize(
    ("pet", "fits"),
    [
        ({"id": 1, "name": "Rex"}, True),
        ({"id": 1, "name": "Rex", "weight": "2.5", "tag": None}, True),
        ({"id": 1, "name": "Rex", "weight": 2}, True),
        ({"id": 1, "name": "Rex", "weight": "heavy"}, False),
        ({"id": 1, "name": ""}, False),
        ({"id": "1", "name": "Rex"}, False),
        ({"name": "Rex"}, False),
    ],
)
def test_references_are_resolved(pet: dict[str, Any], fits: bool) -> None:
    schema = tools(operation="createPet")["pets"].schema
    assert Draft202012Validator(schema.parameters).is_valid({"body": pet}) is fits
    assert Draft202012Validator(schema.result).is_valid(pet) is fits


def test_flat_definition_leaves_nothing_to_look_up() -> None:
    for tool in tools(operations=ALL).values():
        assert b"$ref" not in tool.source
        assert "$ref" not in tool.schema.model_dump_json()


def test_yaml_document_serves_too() -> None:
    text = "openapi: 3.1.0\npaths:\n  /x:\n    get:\n      operationId: x\n      responses: {}\n"
    more = definition(document="x.openapi.yaml", operation="x")
    found, problems = compile_files({"pets.yaml": json.dumps(more), "x.openapi.yaml": text})
    assert (set(found), problems) == ({"pets"}, [])


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"operation": "getPt"}, "tools/pets.openapi.json has no operation 'getPt' (did you mean 'getPet'?)"),
        ({}, "give either `operation` or `operations`"),
        ({"operation": "a", "operations": ["b"]}, "give either `operation` or `operations`"),
        ({"operation": "getPet", "document": "other.json"}, "document: there is no tools/other.json"),
        ({"operation": "getPet", "document": "../secret.json"}, "document: String should match pattern"),
        ({"operation": "getPet", "server": "https://user:secret@api.test"}, "server: String should match pattern"),
        ({"operation": "getPet", "server": "file:///etc"}, "server: String should match pattern"),
        ({"operation": "upload"}, "operation 'upload': its body is required and not JSON"),
        ({"operation": "odd"}, "operation 'odd': path '/odd/{a}' and its parameters [] do not name the same"),
        ({"operation": "getPet", "resource": "pet:{id}"}, "names {id}, and there is no such parameter"),
        ({"operations": {"getPet": {"sentence": "{id}"}}}, "names {id}, and there is no such parameter"),
        ({"operation": "getPet", "methods": ["GET"]}, "methods: no such key"),
    ],
)
def test_mistake_is_told(more: dict[str, Any], told: str) -> None:
    _, problems = compiled(**more)
    assert any(told in line and line.startswith("tools/pets.yaml:1: ") for line in problems), problems


def changed(*path: str, value: Any) -> dict[str, Any]:
    document = copy.deepcopy(DOCUMENT)
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return document


PARAMETER = ("components", "parameters", "petId")
SCHEMA = (*PARAMETER, "schema")
LOOP = {"$ref": "#/components/parameters/petId/schema"}


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ("{", "pets.openapi.json cannot be read"),
        ("[]", "is no OpenAPI 3.0 or 3.1 document"),
        (changed("openapi", value="2.0"), "is no OpenAPI 3.0 or 3.1 document"),
        (changed(*SCHEMA, value={"$ref": "https://example.org/x.json"}), "leads to nothing within the document"),
        (changed(*SCHEMA, value={"$ref": "#/components/schemas/Nobody"}), "leads to nothing within the document"),
        (changed(*SCHEMA, value=LOOP), "leads in a circle"),
        (changed(*SCHEMA, value={"properties": {"é": {}}}), "property 'é' is not ASCII"),
        (changed(*SCHEMA, value={"enum": [1e300]}), "has no canonical form"),
        (changed(*SCHEMA, value="string"), "petId: is no schema but str"),
        (changed(*PARAMETER, "style", value="matrix"), "style 'matrix' in path is not supported"),
        (changed(*PARAMETER, "in", value="cookie"), "is required in 'cookie', which cannot be sent"),
    ],
)
def test_document_that_cannot_be_used_is_told(document: Any, told: str) -> None:
    found, problems = compiled(document, operation="getPet")
    assert found == {}
    assert any(told in line for line in problems), problems


def test_two_operations_of_one_id_are_told() -> None:
    document = changed("paths", "/pets", "get", "operationId", value="getPet")
    assert "has 2 operation 'getPet'" in compiled(document, operation="getPet")[1][0]


def test_endless_document_is_refused() -> None:
    wide = {"type": "object", "properties": {f"p{n}": {"$ref": f"#/components/schemas/S{n}"} for n in range(40)}}
    document = copy.deepcopy(DOCUMENT)
    document["components"]["schemas"] |= {f"S{n}": wide for n in range(40)}
    document["components"]["parameters"]["petId"]["schema"] = {"$ref": "#/components/schemas/S0"}
    found, problems = compiled(document, operation="getPet")
    assert found == {}
    assert "larger than" in problems[0]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, one in inner for place in places(one, (*path, key)))]


@given(
    st.sampled_from(places(DOCUMENT)[1:]),
    st.sampled_from(
        [None, True, 0, "", "x", [], [1], {}, {"x": 1}, {"$ref": "#"}, {"$ref": 5}, {"$ref": "#/paths"}]
    ),
)
@settings(max_examples=100, deadline=None)
def test_no_document_breaks_the_check(place: tuple[Any, ...], value: Any) -> None:
    document = copy.deepcopy(DOCUMENT)
    inner: Any = document
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    found, problems = compiled(document, operations=ALL)
    assert bool(found) is not bool(problems)
