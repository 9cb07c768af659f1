"""Signing in through an identity provider: a real one over HTTP, and one that lies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc.jwk import RSAKey
from support.api import Api, serving
from support.oidc import CLIENT, SECRET, Provider, provider

from interlock.api.oidc import IdentityProvider
from interlock.errors import InvalidInput
from interlock.settings import Settings

pytestmark = pytest.mark.temporal


@pytest.fixture(scope="module")
def issuer() -> Iterator[Provider]:
    with provider() as found:
        yield found


@pytest.fixture(scope="module")
async def served(api: Api, issuer: Provider) -> AsyncIterator[Api]:
    (api.held.settings.root / "oidc.secret").write_text(f"{SECRET}\n")
    options = {"oidc_issuer": issuer.issuer, "oidc_client_id": CLIENT, "oidc_client_secret_file": "oidc.secret"}
    async with serving(api.runtime, **options) as found:
        yield found


@pytest.fixture
def honest(issuer: Provider, served: Api) -> Provider:
    issuer.reset()
    client = served.app.state.provider._client
    client.server_metadata.clear()
    with served.held.accounts.store.write() as connection:
        connection.exec_driver_sql("DELETE FROM attempts")
    return issuer


async def gone(client: httpx.AsyncClient, next_: str = "/runs") -> str:
    """Where the provider sends the browser back."""
    started = await client.get("/sign-in/oidc", params={"next": next_})
    assert started.status_code == 302, started.text
    async with httpx.AsyncClient() as outside:
        answer = await outside.get(started.headers["location"])
    assert answer.status_code == 302, answer.text
    return str(answer.headers["location"])


async def back(client: httpx.AsyncClient, location: str) -> httpx.Response:
    parts = urlsplit(location)
    return await client.get(f"{parts.path}?{parts.query}")


async def test_signing_in(served: Api, honest: Provider) -> None:
    client = served.client()
    assert "Sign in with 127.0.0.1" in (await client.get("/sign-in")).text
    answer = await back(client, await gone(client))
    assert (answer.status_code, answer.headers["location"]) == (303, "/runs")
    me = (await client.get("/v1/me")).json()
    assert (me["person"], me["via"]) == ("user:alice", "session")
    assert "interlock-oidc" not in client.cookies
    asked = honest.asked[-1]
    assert asked["response_type"] == "code"
    assert len(asked["code_challenge"]) == 43
    assert asked["state"]
    assert asked["nonce"]


async def test_another_algorithm_will_do(served: Api, honest: Provider) -> None:
    honest.algorithm = "ES256"
    client = served.client()
    assert (await back(client, await gone(client))).status_code == 303


async def test_somebody_whom_the_policy_does_not_know(served: Api, honest: Provider) -> None:
    honest.claims = {"preferred_username": "mallory"}
    client = served.client()
    answer = await back(client, await gone(client))
    assert answer.status_code == 403
    assert "you are user:mallory" in answer.text
    assert "permissions/people.yaml" in answer.text
    assert (await client.get("/v1/me")).status_code == 401


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another client"},
        {"aud": None},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"nonce": "of another sign-in"},
        {"nonce": None},
        {"exp": 1_600_000_000},
        {"exp": None},
        {"azp": "another client"},
        {"preferred_username": None},
        {"preferred_username": ["alice"]},
        {"preferred_username": "Alice"},
        {"preferred_username": "alice\n"},
        {"preferred_username": "alice user:carol"},
        {"preferred_username": ""},
    ],
    ids=str,
)
async def test_an_answer_that_does_not_hold(served: Api, honest: Provider, claims: dict[str, Any]) -> None:
    honest.claims = claims
    client = served.client()
    answer = await back(client, await gone(client))
    assert answer.status_code == 403, answer.text
    assert (await client.get("/v1/me")).status_code == 401


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
async def test_a_signature_that_anybody_could_make(served: Api, honest: Provider, algorithm: str) -> None:
    honest.algorithm = algorithm
    client = served.client()
    assert (await back(client, await gone(client))).status_code == 403
    assert (await client.get("/v1/me")).status_code == 401


async def test_a_key_that_the_provider_does_not_have(served: Api, honest: Provider) -> None:
    honest.sign_with = RSAKey.generate_key(2048, {"kid": "rsa"}, private=True)
    client = served.client()
    assert (await back(client, await gone(client))).status_code == 403


async def test_no_id_token(served: Api, honest: Provider) -> None:
    honest.give_id_token = False
    client = served.client()
    assert (await back(client, await gone(client))).status_code == 403


async def test_an_answer_to_another_browser(served: Api, honest: Provider) -> None:
    """Whoever sends their own answer to somebody signs them in as nobody."""
    mallory, alice = served.client(), served.client()
    location = await gone(mallory)
    assert (await back(alice, location)).status_code == 403
    await gone(alice)
    assert (await back(alice, location)).status_code == 403, "the state is that of another browser"
    assert (await alice.get("/v1/me")).status_code == 401


async def test_an_answer_counts_once(served: Api, honest: Provider) -> None:
    client = served.client()
    location = await gone(client)
    kept = dict(client.cookies)
    assert (await back(client, location)).status_code == 303
    again = served.client(cookies=kept)
    assert (await back(again, location)).status_code == 403


async def test_a_code_of_another_sign_in(served: Api, honest: Provider) -> None:
    """A code that was stolen does not fit the verifier of another sign-in (PKCE)."""
    stolen = parse_qs(urlsplit(await gone(served.client())).query)["code"][0]
    client = served.client()
    location = await gone(client)
    own = parse_qs(urlsplit(location).query)["code"][0]
    assert (await back(client, location.replace(own, stolen))).status_code == 403


async def test_the_provider_refuses(served: Api, honest: Provider) -> None:
    client = served.client()
    await gone(client)
    answer = await client.get("/sign-in/oidc/callback?error=access_denied&error_description=<b>no</b>")
    assert answer.status_code == 403
    assert "<b>no</b>" not in answer.text
    assert "access_denied" in answer.text


async def test_another_issuers_answer(served: Api, honest: Provider) -> None:
    honest.answer = {"iss": "https://evil.example"}
    client = served.client()
    assert (await back(client, await gone(client))).status_code == 403


async def test_a_provider_that_is_another(served: Api, honest: Provider) -> None:
    honest.metadata = {"issuer": "https://evil.example"}
    answer = await served.client().get("/sign-in/oidc")
    assert answer.status_code == 503
    assert "evil.example" in answer.text


async def test_signing_in_leads_nowhere_else(served: Api, honest: Provider) -> None:
    client = served.client()
    answer = await back(client, await gone(client, "https://evil.example/"))
    assert answer.headers["location"] == "/"


async def test_an_email_counts_once_it_is_verified(served: Api, honest: Provider) -> None:
    own = served.held.settings.model_copy(update={"oidc_claim": "email"})
    found = IdentityProvider(own, served.app.state.cookies)
    for verified in (False, None, "true"):
        with pytest.raises(PermissionError, match="did not verify"):
            found._person({"email": "a@example.org", "email_verified": verified})
    assert found._person({"email": "a@example.org", "email_verified": True}) == "user:a@example.org"


@pytest.mark.parametrize("issuer", ["http://idp.example", "ftp://127.0.0.1.evil.example"])
def test_a_provider_without_tls_is_refused(issuer: str) -> None:
    with pytest.raises(InvalidInput, match="not https"):
        IdentityProvider(Settings(oidc_issuer=issuer, oidc_client_id="x"), None)  # type: ignore[arg-type]
