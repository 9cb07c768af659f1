"""Passkeys: registered by a signed-in person, and signing one decision each, so that it can be verified again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from support.api import Api, serving
from support.authenticator import PRESENT, Authenticator

from interlock.approval.passkeys import DecisionSignature, PasskeyClaims, challenge_of, check_signature
from interlock.audit import ApprovalRow
from interlock.errors import TokenRejected
from interlock.signing import Signer, load_verifier

pytestmark = pytest.mark.temporal
ORIGIN = "http://localhost:8400"


@pytest.fixture(scope="module")
async def served(api: Api) -> AsyncIterator[Api]:
    async with serving(api.runtime, public_url=ORIGIN) as found:
        yield found


@pytest.fixture(scope="module")
async def carol(served: Api) -> httpx.AsyncClient:
    return await served.signed_in("user:carol", base=ORIGIN)


async def registered(client: httpx.AsyncClient, **more: Any) -> Authenticator:
    key = Authenticator(ORIGIN, "localhost", **more)
    begun = (await client.post("/v1/me/passkeys/options")).json()
    sent = {"ceremony": begun["ceremony"], "name": "phone", "credential": key.create(begun["options"])}
    answer = await client.post("/v1/me/passkeys", json=sent)
    assert answer.status_code == 201, answer.text
    assert answer.json()["id"] == key.id
    return key


@pytest.fixture(scope="module")
async def key(carol: httpx.AsyncClient) -> Authenticator:
    return await registered(carol)


async def waiting(api: Api, agent: str = "sender") -> ApprovalRow:
    return await api.runtime.approval(await api.runtime.start(agent, "go"))


def body(row: ApprovalRow, type_: str = "approve", **more: Any) -> dict[str, Any]:
    return {"call_digest": row.call_digest, "decision": {"type": type_, **more}}


async def signed(client: httpx.AsyncClient, key: Authenticator, row: ApprovalRow, sent: dict[str, Any]) -> Any:
    asked = await client.post(f"/v1/approvals/{row.request_id}/signing", json=sent)
    assert asked.status_code == 200, asked.text
    return key.get(asked.json()["options"])


async def test_a_passkey_signs_a_decision(served: Api, carol: httpx.AsyncClient, key: Authenticator) -> None:
    row = await waiting(served)
    sent = body(row)
    sent["passkey"] = await signed(carol, key, row, sent)
    answer = await carol.post(f"/v1/approvals/{row.request_id}/decisions", json=sent)
    assert answer.status_code == 200, answer.text
    ((person, content),) = served.held.accounts.passkeys.signatures(row.request_id, "default")
    assert person == "user:carol"
    found = DecisionSignature.model_validate_json(content)
    api = load_verifier(served.held.settings.keys_folder, "api")
    about = {"run": row.run, "request": row.request_id, "call": row.call_digest}
    right = challenge_of(**about, verdict="approve")
    assert check_signature(found, api, person="user:carol", tenant="default", challenge=right) == key.id
    for wrong in ({"verdict": "reject"}, {"call": "sha256:" + "0" * 64}, {"request": "x:a1"}, {"edited": "x"}):
        other = challenge_of(**{**about, "verdict": "approve", **wrong})
        with pytest.raises(TokenRejected):
            check_signature(found, api, person="user:carol", tenant="default", challenge=other)
    with pytest.raises(TokenRejected):
        check_signature(found, api, person="user:dave", tenant="default", challenge=right)
    with pytest.raises(TokenRejected):
        check_signature(found, api, person="user:carol", tenant="other", challenge=right)


async def test_a_stage_that_demands_a_passkey(served: Api, carol: httpx.AsyncClient, key: Authenticator) -> None:
    row = await waiting(served, "sealer")
    place = f"/v1/approvals/{row.request_id}"
    assert (await carol.get(place)).json()["passkey"] is True
    assert (await carol.post(f"{place}/decisions", json=body(row))).status_code == 403, "it is not signed"
    sent = body(row)
    sent["passkey"] = await signed(carol, key, row, sent)
    assert (await carol.post(f"{place}/decisions", json=sent)).status_code == 200
    assert (await served.runtime.client.wait(row.run)).status == "completed"
    verdict = await served.runtime.verdict(row.run)
    assert verdict.verified, verdict.differences


async def test_an_edit_is_signed_with_its_arguments(
    served: Api, carol: httpx.AsyncClient, key: Authenticator
) -> None:
    row = await waiting(served)
    first = body(row, "edit", edited_action={"name": "send", "args": {"text": "one"}})
    second = body(row, "edit", edited_action={"name": "send", "args": {"text": "two"}})
    second["passkey"] = await signed(carol, key, row, first)
    place = f"/v1/approvals/{row.request_id}/decisions"
    assert (await carol.post(place, json=second)).status_code == 403, "these are not the arguments that were signed"
    first["passkey"] = await signed(carol, key, row, first)
    assert (await carol.post(place, json=first)).status_code == 200


HOSTILE: dict[str, Callable[[Authenticator], None]] = {
    "another origin": lambda key: setattr(key, "origin", "https://evil.example"),
    "another domain": lambda key: setattr(key, "rp_id", "evil.example"),
    "nobody verified": lambda key: setattr(key, "flags", PRESENT),
    "nobody there": lambda key: setattr(key, "flags", 0),
}


@pytest.mark.parametrize("what", HOSTILE)
async def test_a_signature_that_does_not_hold(served: Api, carol: httpx.AsyncClient, what: str) -> None:
    key = await registered(carol)
    row = await waiting(served)
    sent = body(row)
    HOSTILE[what](key)
    sent["passkey"] = await signed(carol, key, row, sent)
    answer = await carol.post(f"/v1/approvals/{row.request_id}/decisions", json=sent)
    assert answer.status_code == 403, answer.text
    assert served.held.accounts.passkeys.signatures(row.request_id, "default") == []
    assert (await served.runtime.client.state(row.run)).status == "waiting", "and nothing was decided"


async def test_a_signature_of_another_decision(served: Api, carol: httpx.AsyncClient, key: Authenticator) -> None:
    one, other = await waiting(served), await waiting(served)
    sent = body(other)
    sent["passkey"] = await signed(carol, key, one, body(one))
    answer = await carol.post(f"/v1/approvals/{other.request_id}/decisions", json=sent)
    assert answer.status_code == 403
    rejection = body(one, "reject", message="no")
    rejection["passkey"] = await signed(carol, key, one, body(one))
    assert (await carol.post(f"/v1/approvals/{one.request_id}/decisions", json=rejection)).status_code == 403


async def test_a_passkey_is_its_owners(served: Api, carol: httpx.AsyncClient, key: Authenticator) -> None:
    dave, row = await served.signed_in("user:dave", base=ORIGIN), await waiting(served)
    assert (await dave.post(f"/v1/approvals/{row.request_id}/signing", json=body(row))).status_code == 422
    sent = body(row)
    sent["passkey"] = await signed(carol, key, row, sent)
    assert (await dave.post(f"/v1/approvals/{row.request_id}/decisions", json=sent)).status_code == 403
    assert (await dave.delete(f"/v1/me/passkeys/{key.id}")).status_code == 404


async def test_a_copied_authenticator_is_noticed(served: Api, carol: httpx.AsyncClient) -> None:
    key = await registered(carol)
    one, other = await waiting(served), await waiting(served)
    key.count = 10
    sent = body(one)
    sent["passkey"] = await signed(carol, key, one, sent)
    assert (await carol.post(f"/v1/approvals/{one.request_id}/decisions", json=sent)).status_code == 200
    key.count = 4
    sent = body(other)
    sent["passkey"] = await signed(carol, key, other, sent)
    answer = await carol.post(f"/v1/approvals/{other.request_id}/decisions", json=sent)
    assert answer.status_code == 403
    assert "backwards" in answer.json()["detail"]


async def test_a_registration_counts_once_and_for_who_began_it(served: Api, carol: httpx.AsyncClient) -> None:
    key = Authenticator(ORIGIN, "localhost")
    begun = (await carol.post("/v1/me/passkeys/options")).json()
    sent = {"ceremony": begun["ceremony"], "name": "phone", "credential": key.create(begun["options"])}
    dave = await served.signed_in("user:dave", base=ORIGIN)
    assert (await dave.post("/v1/me/passkeys", json=sent)).status_code == 403
    assert (await carol.post("/v1/me/passkeys", json=sent)).status_code == 201
    assert (await carol.post("/v1/me/passkeys", json=sent)).status_code == 403
    stale = {**sent, "credential": key.create({"challenge": "AAAA"})}
    assert (await carol.post("/v1/me/passkeys", json=stale)).status_code == 403


NONE = [{}, {"id": "x"}, {"id": "x", "response": 1}, {"id": 1, "response": {}}]


@pytest.mark.parametrize("credential", NONE, ids=str)
async def test_what_is_no_credential_is_refused(
    served: Api, carol: httpx.AsyncClient, key: Authenticator, credential: Any
) -> None:
    begun = (await carol.post("/v1/me/passkeys/options")).json()
    sent = {"ceremony": begun["ceremony"], "name": "phone", "credential": credential}
    assert (await carol.post("/v1/me/passkeys", json=sent)).status_code == 403
    row = await waiting(served)
    for one in (credential, {**credential, "id": key.id}):
        answer = await carol.post(f"/v1/approvals/{row.request_id}/decisions", json={**body(row), "passkey": one})
        assert answer.status_code == 403, answer.text


async def test_a_token_registers_no_passkey(served: Api) -> None:
    client = served.acting("user:carol", base=ORIGIN)
    assert (await client.post("/v1/me/passkeys/options")).status_code == 403


async def test_a_key_that_another_key_vouches_for_is_nobodys(
    served: Api, carol: httpx.AsyncClient, key: Authenticator, thief: Signer
) -> None:
    """Whoever writes the accounts' database adds a key there; it counts for nobody without the API's signature."""
    row, own = await waiting(served), Authenticator(ORIGIN, "localhost")
    kept = served.held.accounts.passkeys
    real = PasskeyClaims.peek(kept.of("user:carol", "default")[0].statement)
    statement = real.model_copy(update={"credential": own.id}).signed(thief)
    kept.add(own.id, "user:carol", "default", name="x", statement=statement, sign_count=0, now=row.requested_at)
    sent = body(row)
    sent["passkey"] = await signed(carol, own, row, sent)
    answer = await carol.post(f"/v1/approvals/{row.request_id}/decisions", json=sent)
    kept.remove(own.id, "user:carol", "default")
    assert answer.status_code == 403
    assert "interlock-passkey" in answer.json()["detail"]


async def test_an_address_has_no_passkeys(api: Api) -> None:
    client = await api.signed_in("user:carol")
    answer = await client.post("/v1/me/passkeys/options")
    assert answer.status_code == 422
    assert "localhost" in answer.json()["next_step"]
