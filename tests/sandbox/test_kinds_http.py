"""HTTP operations: the request is the document's, the way out is the proxy's, the answer is the schema's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.declared import compile_files, run, value
from support.egress import TOKEN, credential, service
from support.pets import DOCUMENT, Pets, pets

from interlock.project.declared import DeclaredTool
from interlock.sandbox import DockerDriver, InProcessDriver
from interlock.settings import Settings
from interlock.types import WayOut

OPERATIONS = ["getPet", "deletePet", "createPet", "listPets"]


@pytest.fixture
def api() -> Iterator[Pets]:
    with pets() as one:
        yield one


@pytest.fixture
def quick(settings: Settings) -> InProcessDriver:
    return InProcessDriver(
        settings.model_copy(update={"sandbox_driver": "in_process", "unsafe_in_process": "tests"})
    )


def tools(url: str, document: Any = DOCUMENT) -> dict[str, DeclaredTool]:
    definition = {"kind": "http", "document": "p.json", "server": url, "operations": OPERATIONS}
    found, problems = compile_files({"pets.yaml": json.dumps(definition), "p.json": document})
    assert problems == []
    return found


@pytest.mark.parametrize(
    ("tool", "given", "asked"),
    [
        ("get_pet", {"petId": "a/b?c#d e"}, ("GET", "/v1/pets/a%2Fb%3Fc%23d%20e", "", b"")),
        (
            "get_pet",
            {"petId": "1", "fields": ["x", "y&z"], "X_Trace": "t1"},
            ("GET", "/v1/pets/1?fields=x&fields=y%26z", "t1", b""),
        ),
        (
            "list_pets",
            {"filter": {"tag": "old", "age": 3}, "ids": [1, 2], "limit": 5},
            ("GET", "/v1/pets?filter%5Btag%5D=old&filter%5Bage%5D=3&ids=1%2C2&limit=5", "", b""),
        ),
        (
            "create_pet",
            {"body": {"id": 1, "name": "Rex", "weight": "2.5"}},
            ("POST", "/v1/pets", "", b'{"id": 1, "name": "Rex", "weight": 2.5}'),
        ),
    ],
)
async def test_request_is_the_documents(quick, blobs, api, tool, given, asked) -> None:
    result = await run(quick, blobs, tools(api.url)[f"pets.{tool}"], **given)
    assert result.status == "ok", result.error
    method, path, trace, body = api.asked[0]
    assert (method, path, trace, json.loads(body or "0")) == (*asked[:3], json.loads(asked[3] or "0"))


async def test_answer_is_a_value_without_floats(quick, blobs, api) -> None:
    pet = value(await run(quick, blobs, tools(api.url)["pets.get_pet"], petId="7"))
    assert pet == {"id": 7, "name": "Rex", "weight": "2.5", "tag": None}
    assert value(await run(quick, blobs, tools(api.url)["pets.delete_pet"], petId="7")) is None


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"petId": ".."}, "'..' would lead to another path"),
        ({"petId": ""}, "'' would lead to another path"),
        ({"petId": "1", "X_Trace": "a\r\nAuthorization: mine"}, "a header takes printable ASCII only"),
    ],
)
async def test_argument_stays_in_its_place(quick, blobs, api, given, told) -> None:
    result = await run(quick, blobs, tools(api.url)["pets.get_pet"], **given)
    assert told in result.error
    assert api.asked == []


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((404, "application/json", b'{"error": "no such pet"}'), 'HTTP 404 Not Found\n{"error": "no such pet"}'),
        ((500, "text/plain", b"\xff\xfe"), "HTTP 500 Internal Server Error"),
        ((200, "application/json", b'{"id": "seven", "name": "Rex"}'), "id: 'seven' is not of type 'integer'"),
        ((200, "application/json", b"{"), "is not of type 'object'"),
        ((200, "text/html", b"<p>"), "is not of type 'object'"),
        ((200, "application/json", b" " * 3_000_000), "larger than the call may return"),
    ],
)
async def test_bad_answer_is_an_error(quick, blobs, api, answer, told) -> None:
    api.answer = answer
    result = await run(quick, blobs, tools(api.url)["pets.get_pet"], petId="7")
    assert (result.status, result.value) == ("error", None)
    assert told in result.error


async def test_redirect_to_another_host_is_not_followed(quick, blobs, api) -> None:
    with pets() as other:
        api.location = f"{other.url}/pets/1"
        result = await run(quick, blobs, tools(api.url)["pets.get_pet"], petId="moved")
        assert "HTTP 307" in result.error
        assert f"it leads to '{other.url}/pets/1', where this tool does not follow" in result.error
        assert other.asked == []


async def test_redirect_on_the_same_host_is_followed(quick, blobs, api) -> None:
    api.location = f"{api.url}/pets/1"
    assert value(await run(quick, blobs, tools(api.url)["pets.get_pet"], petId="moved"))["name"] == "Rex"


async def test_bytes_become_an_artifact(quick, blobs, api) -> None:
    api.answer = (200, "image/png", b"\x89PNG")
    result = await run(quick, blobs, tools(api.url)["pets.list_pets"])
    assert value(result) == "[artifact response.bin: 4 bytes of image/png]"
    assert [blobs.get(artifact.digest) for artifact in result.artifacts] == [b"\x89PNG"]


@pytest.mark.docker
async def test_without_a_way_out_nothing_answers(driver, blobs, api) -> None:
    result = await run(driver, blobs, tools(api.url)["pets.get_pet"], petId="7")
    assert result.status == "error"
    assert "no answer" in result.error
    assert api.asked == []


@pytest.mark.docker
async def test_credential_is_added_outside(settings, image, blobs, monkeypatch, tmp_path) -> None:
    (tmp_path / "pets").mkdir()
    with service(folder=tmp_path) as server:
        monkeypatch.setenv("BANK", TOKEN)
        driver = DockerDriver(settings)
        try:
            rule = server.rule(host="localhost", paths=("/echo/**",))
            out = WayOut(rules=(rule,), credentials=(credential(hosts=("localhost",), http=True),))
            tool = tools(f"http://localhost:{server.port}/echo")["pets.list_pets"]
            result = await run(driver, blobs, tool, _way_out=out)
        finally:
            await driver.close()
        assert result.status == "ok", result.error
        assert server.seen[0].header("Authorization") == [f"Bearer {TOKEN}"]
        assert TOKEN not in str(result)
        assert [(one.verdict, one.method, one.path) for one in result.egress] == [("sent", "GET", "/echo/pets")]
