"""Passkeys in real Chromium, with its virtual authenticator: what a browser makes is what the API takes."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import uvicorn
from playwright.async_api import Page, async_playwright
from support.api import Api, serving
from support.console import CHROMIUM

from interlock.approval.passkeys import DecisionSignature, challenge_of, check_signature
from interlock.signing import load_verifier

pytestmark = pytest.mark.temporal
MAKE = """async options => {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
  return (await navigator.credentials.create({publicKey})).toJSON();
}"""
SIGN = """async options => {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  return (await navigator.credentials.get({publicKey})).toJSON();
}"""
SEND = """async ([method, path, body, csrf]) => {
  const headers = {"content-type": "application/json", "x-csrf-token": csrf};
  const answer = await fetch(path, {method, headers, body: body === null ? undefined : JSON.stringify(body)});
  return [answer.status, await answer.json()];
}"""


@pytest.fixture(scope="module")
async def served(api: Api) -> AsyncIterator[tuple[Api, str]]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        origin = f"http://localhost:{listener.getsockname()[1]}"
        async with serving(api.runtime, public_url=origin) as found:
            server = uvicorn.Server(uvicorn.Config(found.app, log_level="error", lifespan="off"))
            task = asyncio.create_task(server.serve(sockets=[listener]))
            yield found, origin
            server.should_exit = True
            await task


@pytest.fixture(scope="module")
async def page(served: tuple[Api, str]) -> AsyncIterator[Page]:
    """Carol's browser, with an authenticator that verifies her."""
    api, origin = served
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = await browser.new_context()
        page = await context.new_page()
        control = await context.new_cdp_session(page)
        await control.send("WebAuthn.enable")
        options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True}
        options |= {"hasUserVerification": True, "isUserVerified": True, "automaticPresenceSimulation": True}
        await control.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        code = api.held.accounts.links.make("user:carol", "default", now=datetime.now(UTC))
        await page.goto(f"{origin}/sign-in/link?code={code}")
        await page.get_by_role("button", name="Sign in").click()
        await page.wait_for_url(f"{origin}/")
        yield page
        await browser.close()


async def test_a_decision_is_signed_in_a_browser(served: tuple[Api, str], page: Page) -> None:
    api, _ = served
    cookies = api.app.state.cookies
    (cookie,) = [one for one in await page.context.cookies() if one["name"] == cookies.name]
    csrf = cookies.csrf(str(cookie["value"]).rpartition(".")[0])

    async def send(method: str, path: str, body: Any = None) -> Any:
        status, answer = await page.evaluate(SEND, [method, path, body, csrf])
        assert status < 300, json.dumps(answer)
        return answer

    begun = await send("POST", "/v1/me/passkeys/options")
    made = await page.evaluate(MAKE, begun["options"])
    new = {"ceremony": begun["ceremony"], "name": "browser", "credential": made}
    registered = await send("POST", "/v1/me/passkeys", new)
    row = await api.runtime.approval(await api.runtime.start("sender", "go"))
    place = f"/v1/approvals/{row.request_id}"
    card = await send("GET", place)
    decision = {"call_digest": card["call_digest"], "decision": {"type": "approve"}}
    asked = await send("POST", f"{place}/signing", decision)
    signed = await page.evaluate(SIGN, asked["options"])
    taken = await send("POST", f"{place}/decisions", {**decision, "passkey": signed})
    assert taken["state"] == "approved"
    assert (await api.runtime.client.wait(row.run)).status == "completed"
    ((person, content),) = api.held.accounts.passkeys.signatures(row.request_id, "default")
    challenge = challenge_of(run=row.run, request=row.request_id, call=row.call_digest, verdict="approve")
    key = load_verifier(api.held.settings.keys_folder, "api")
    found = DecisionSignature.model_validate_json(content)
    assert check_signature(found, key, person=person, tenant="default", challenge=challenge) == registered["id"]
