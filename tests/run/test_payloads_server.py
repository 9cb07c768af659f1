"""The codec server: payloads for people who may see them, and for nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from starlette.testclient import TestClient
from support.scenario import allow, project
from temporalio.api.common.v1 import Payloads

from interlock.approval import ControlClaims, lifetime
from interlock.audit import SqlBlobs
from interlock.encryption import FileKeys, create_data_keys
from interlock.policy import load_bundle
from interlock.run.payloads import bound_to
from interlock.run.payloads.access import ReadClaims, Readers
from interlock.run.payloads.converter import converter_of
from interlock.run.payloads.keys import Vault
from interlock.run.payloads.server import CodecServer, application
from interlock.signing import Signer, create_keys, load_signer, load_verifier

SECRET = "correct horse battery staple"
UI = "http://localhost:8233"


@dataclass
class World:
    """A server, and what a person needs to use it."""

    http: TestClient
    store: SqlBlobs
    api: Signer

    def token(self, signer: Signer | None = None, /, **said: Any) -> str:
        life = lifetime(datetime.now(UTC), timedelta(hours=1))
        fields = {"tenant": "default", "sub": "user:alice", **life}
        return ReadClaims(**{**fields, **said}).signed(signer or self.api)

    async def payloads(self, *values: Any, run: str = "run-1") -> dict[str, Any]:
        """As Temporal's UI has them."""
        converter = converter_of(Vault(lambda: self.store)).with_context(bound_to(run))
        return json_format.MessageToDict(Payloads(payloads=await converter.encode(values)))

    def ask(self, body: Any, token: str = "", /, *, path: str = "/decode", **headers: str) -> Any:
        if token:
            headers["authorization"] = f"Bearer {token}"
        return self.http.post(path, json=body, headers=headers)

    async def shown(self, token: str, value: Any = SECRET, run: str = "run-1") -> str:
        answer = self.ask(await self.payloads(value, run=run), token)
        assert answer.status_code == 200, answer.text
        (payload,) = json_format.ParseDict(answer.json(), Payloads()).payloads
        return payload.data.decode()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    root = project(tmp_path / "project", {}, {}, [allow("note")])
    create_keys(tmp_path / "keys")
    create_data_keys(tmp_path / "data-keys")
    bundle = load_bundle(root / "permissions")
    readers = Readers(load_verifier(tmp_path / "keys", "api"), "default", lambda: bundle)
    with closing(SqlBlobs(f"sqlite:///{tmp_path}/blobs.db", FileKeys(tmp_path / "data-keys"))) as store:
        app = application(CodecServer(Vault(lambda: store), readers, "default"), origin=UI)
        with TestClient(app) as http:
            yield World(http, store, load_signer(tmp_path / "keys", "api"))


@pytest.fixture
def thief(tmp_path: Path) -> Signer:
    create_keys(tmp_path / "own")
    return load_signer(tmp_path / "own", "api")


async def test_person_sees_payloads(world: World) -> None:
    assert await world.shown(world.token()) == f'"{SECRET}"'


async def test_large_payload_is_fetched(world: World) -> None:
    value = [SECRET, *map(str, range(100_000))]
    assert SECRET in await world.shown(world.token(), value)


async def test_nothing_without_a_token(world: World) -> None:
    answer = world.ask(await world.payloads(SECRET))
    assert answer.status_code == 401
    assert "interlock codec token" in answer.json()["message"]
    assert SECRET not in answer.text


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"sub": "user:mallory"}, "knows no person"),
        ({"sub": "agent:fixer"}, "knows no person"),
        ({"tenant": "other"}, "tenant 'other'"),
        ({"iat": 0, "exp": 1}, "expired"),
    ],
    ids=["stranger", "agent", "tenant", "expired"],
)
async def test_token_of_nobody_shows_nothing(world: World, said: dict[str, Any], reason: str) -> None:
    answer = world.ask(await world.payloads(SECRET), world.token(**said))
    assert answer.status_code in (401, 403)
    assert reason in answer.json()["message"]


async def test_token_of_own_key_shows_nothing(world: World, thief: Signer) -> None:
    answer = world.ask(await world.payloads(SECRET), world.token(thief))
    assert answer.status_code == 401
    assert SECRET not in answer.text


async def test_other_statements_are_no_tokens(world: World) -> None:
    """Statements of people stand in histories and ledgers: none of them opens anything."""
    life = lifetime(datetime.now(UTC), timedelta(hours=1))
    claims = ControlClaims(tenant="default", sub="user:alice", run="run-1", verb="cancel", **life)
    answer = world.ask(await world.payloads(SECRET), claims.signed(world.api))
    assert answer.status_code == 401
    assert "is needed" in answer.json()["message"]


async def test_token_for_one_run_shows_that_run(world: World) -> None:
    token = world.token(run="run-1")
    assert SECRET in await world.shown(token)
    assert "not shown: the token of user:alice is for run 'run-1'" in await world.shown(token, run="run-2")


async def test_altered_payload_is_told_in_words(world: World) -> None:
    body = await world.payloads(SECRET)
    data = body["payloads"][0]["data"]
    body["payloads"][0]["data"] = data[:-6] + ("AAAAAA" if data[-6:] != "AAAAAA" else "BBBBBB")
    answer = world.ask(body, world.token())
    (payload,) = json_format.ParseDict(answer.json(), Payloads()).payloads
    assert b"not shown: encrypted bytes" in payload.data


async def test_erased_run_is_told_in_words(world: World) -> None:
    body = await world.payloads(SECRET)
    world.store.erase("run-1")
    answer = world.ask(body, world.token())
    (payload,) = json_format.ParseDict(answer.json(), Payloads()).payloads
    assert b"erased" in payload.data


async def test_nothing_is_encoded(world: World) -> None:
    """Whoever holds a token may read; nobody writes to runs this way."""
    answer = world.ask(
        {"payloads": [{"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": "MQ=="}]},
        world.token(),
        path="/encode",
    )
    assert answer.status_code == 403
    assert "use interlock" in answer.json()["message"]


async def test_other_namespace_is_refused(world: World) -> None:
    answer = world.http.post(
        "/decode",
        json=await world.payloads(SECRET),
        headers={"authorization": f"Bearer {world.token()}", "x-namespace": "another"},
    )
    assert answer.status_code == 403


@pytest.mark.parametrize("body", ["", "3", '{"payloads": 1}', '{"payloads": [1]}', "[" * 100_000])
async def test_nonsense_is_bad_input(world: World, body: str) -> None:
    answer = world.http.post("/decode", content=body, headers={"authorization": f"Bearer {world.token()}"})
    assert answer.status_code == 400
    assert "codec protocol" in answer.json()["message"]


async def test_other_pages_are_not_answered(world: World) -> None:
    """A page of the UI's origin may ask, with credentials; a page from elsewhere may not."""
    asks = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,x-namespace"}
    own = world.http.options("/decode", headers={"origin": UI, **asks})
    other = world.http.options("/decode", headers={"origin": "https://evil.example", **asks})
    assert own.headers["access-control-allow-origin"] == UI
    assert own.headers["access-control-allow-credentials"] == "true"
    assert other.status_code == 400
    assert "access-control-allow-origin" not in other.headers


async def test_browser_signs_in_with_the_token(world: World) -> None:
    answer = world.http.post("/", data={"token": world.token()})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    (payload,) = json_format.ParseDict(world.ask(await world.payloads(SECRET)).json(), Payloads()).payloads
    assert SECRET.encode() in payload.data


async def test_browser_signs_in_with_no_other_token(world: World, thief: Signer) -> None:
    answer = world.http.post("/", data={"token": world.token(thief)})
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
