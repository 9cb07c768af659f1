"""Signing in by a link, and what a session may do: hostile browsers, other sites, old cookies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from support.api import Api

from interlock.accounts.attempts import FOR_ACCOUNT, FROM_ADDRESS
from interlock.api.routes.sign_in import own_path

pytestmark = pytest.mark.temporal


def link(api: Api, person: str = "user:alice", *, ago: timedelta = timedelta()) -> str:
    return api.held.accounts.links.make(person, "default", now=datetime.now(UTC) - ago)


async def test_a_link_signs_in_once(api: Api) -> None:
    code, client = link(api), api.client()
    page = await client.get("/sign-in/link", params={"code": code})
    assert page.status_code == 200
    assert "user:alice" in page.text
    assert (await client.get("/v1/me")).status_code == 401, "a link that is only looked at signs nobody in"
    used = await client.post("/sign-in/link", data={"code": code, "next": "/runs?x=1"})
    assert (used.status_code, used.headers["location"]) == (303, "/runs?x=1")
    assert (await client.get("/v1/me")).json()["person"] == "user:alice"
    again = await api.client().post("/sign-in/link", data={"code": code})
    assert again.status_code == 403
    assert "set-cookie" not in again.headers


async def test_an_old_link_signs_nobody_in(api: Api) -> None:
    old = await api.client().post("/sign-in/link", data={"code": link(api, ago=timedelta(minutes=16))})
    assert old.status_code == 403
    assert "interlock accounts link" in old.text


async def test_a_stranger_is_not_signed_in(api: Api) -> None:
    answer = await api.client().post("/sign-in/link", data={"code": link(api, "user:mallory")})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


async def test_secrets_are_kept_as_hashes_alone(api: Api) -> None:
    code, token = link(api), api.token("user:alice")
    client = await api.signed_in("user:alice")
    session = client.cookies["interlock"].rpartition(".")[0]
    files = list(api.held.settings.state_folder.glob("accounts.db*"))
    assert files
    stored = b"".join(file.read_bytes() for file in files)
    for secret in (code, token.rpartition("_")[2], session):
        assert secret.encode() not in stored


async def test_the_cookie_is_out_of_reach(api: Api) -> None:
    answer = await api.client().post("/sign-in/link", data={"code": link(api)})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "secure" not in cookie, "this server speaks http"


@pytest.mark.parametrize("path", ["/v1/me", "/sign-in", "/v1/nothing", "/nothing", "/v1/openapi.json"])
async def test_every_answer_is_hardened(api: Api, path: str) -> None:
    answer = await api.client().get(path)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] in ("no-store", "private, no-cache")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", ""])
async def test_another_host_is_refused(api: Api, host: str) -> None:
    assert (await api.client().get("/v1/health", headers={"host": host})).status_code == 400


async def test_a_changed_cookie_is_nobodys(api: Api) -> None:
    client = await api.signed_in("user:alice")
    value = client.cookies["interlock"]
    for wrong in (value[:-2] + "xx", "x" + value, value.rpartition(".")[0], "", "a.b.c"):
        answer = await api.client().get("/v1/me", headers={"cookie": f"interlock={wrong}"})
        assert answer.status_code == 401


async def test_what_changes_something_carries_the_sessions_token(api: Api) -> None:
    client, other = await api.signed_in("user:alice"), await api.signed_in("user:carol")
    right = client.headers.pop("x-csrf-token")
    body = {"name": "t", "scopes": ["runs:read"]}
    assert (await client.post("/v1/me/tokens", json=body)).status_code == 403
    for wrong in ("", "x", other.headers["x-csrf-token"]):
        assert (await client.post("/v1/me/tokens", json=body, headers={"x-csrf-token": wrong})).status_code == 403
    made = await client.post("/v1/me/tokens", json=body, headers={"x-csrf-token": right})
    assert made.status_code == 201
    assert (await client.post("/sign-out", data={"csrf": "wrong"})).status_code == 403
    assert (await client.post("/sign-out", data={"csrf": right})).status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "https://127.0.0.1:8400"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_another_sites_page_signs_nobody_in(api: Api, headers: dict[str, str]) -> None:
    answer = await api.client().post("/sign-in/link", data={"code": link(api)}, headers=headers)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


async def test_a_page_asks_to_sign_in_first(api: Api) -> None:
    answer = await api.client().get("/v1/me", headers={"accept": "text/html"})
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "text",
    ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:x", "/a\\b", "evil", "/\n/evil", ""],
)
def test_signing_in_leads_nowhere_else(text: str) -> None:
    assert own_path(text) == "/"


async def test_signing_out(api: Api) -> None:
    client = await api.signed_in("user:alice")
    cookie = client.cookies["interlock"]
    assert (await client.post("/sign-out")).status_code == 303
    kept = await api.client().get("/v1/me", headers={"cookie": f"interlock={cookie}"})
    assert kept.status_code == 401, "the cookie that somebody copied is worth nothing"


async def test_signing_out_everywhere(api: Api) -> None:
    api.held.accounts.sessions.end_all("user:dave", "default")
    first, second, other = [await api.signed_in(f"user:{name}") for name in ("dave", "dave", "carol")]
    listed = (await first.get("/v1/me/sign-ins")).json()
    assert [one["this"] for one in listed].count(True) == 1
    assert len(listed) == 2
    assert (await first.delete("/v1/me/sign-ins")).json() == {"ended": 2}
    assert [(await one.get("/v1/me")).status_code for one in (first, second, other)] == [401, 401, 200]


async def test_a_new_session_takes_the_place_of_the_old(api: Api) -> None:
    client = await api.signed_in("user:alice")
    old = client.cookies["interlock"]
    await client.post("/sign-in/link", data={"code": link(api)})
    assert client.cookies["interlock"] != old
    assert (await api.client().get("/v1/me", headers={"cookie": f"interlock={old}"})).status_code == 401


async def test_a_session_ends(api: Api) -> None:
    sessions, now = api.held.accounts.sessions, datetime.now(UTC)
    idle = sessions.start("user:alice", "default", "link", now=now - sessions.idle)
    assert sessions.find(idle, now=now) is None
    used = sessions.start("user:alice", "default", "link", now=now - sessions.life + timedelta(minutes=1))
    step = sessions.idle / 2
    for at in range(1, int(sessions.life / step)):
        assert sessions.find(used, now=now - sessions.life + at * step) is not None
    assert sessions.find(used, now=now + timedelta(minutes=1)) is None, "however much it was used"


async def test_a_session_of_another_tenant_is_nobodys(api: Api) -> None:
    secret = api.held.accounts.sessions.start("user:alice", "other", "link", now=datetime.now(UTC))
    signed = api.app.state.cookies._signer("session").sign(secret).decode()
    answer = await api.client().get("/v1/me", headers={"cookie": f"interlock={signed}"})
    assert answer.status_code == 401


async def test_somebody_whom_the_policy_forgot_is_out_at_once(api: Api) -> None:
    client = await api.signed_in("user:dave")
    file = api.held.settings.root / "permissions" / "people.yaml"
    before = file.read_text()
    try:
        file.write_text(
            before.replace("  - {name: dave, tenants: default}\n", "  - {name: dave, tenants: other}\n")
        )
        api.held.policy.reload()
        assert (await client.get("/v1/me")).status_code == 401
    finally:
        file.write_text(before)
        api.held.policy.reload()
    assert (await client.get("/v1/me")).status_code == 200


async def test_whoever_fails_too_often_is_not_heard(api: Api) -> None:
    code, client = link(api), api.client(client="192.0.2.7")
    await client.post("/sign-in/link", data={"code": code})
    used = [(await client.post("/sign-in/link", data={"code": code})).status_code for _ in range(FOR_ACCOUNT + 1)]
    assert used == [403] * FOR_ACCOUNT + [429]
    guessed = [
        (await client.post("/sign-in/link", data={"code": f"x{n}"})).status_code for n in range(FROM_ADDRESS)
    ]
    assert guessed[-1] == 429
    right = await client.post("/sign-in/link", data={"code": link(api)})
    assert right.status_code == 429, "from that address not even a right one"
    assert right.headers["retry-after"] == "60"
    assert (await api.client(client="192.0.2.8").post("/sign-in/link", data={"code": link(api)})).status_code == 303


async def test_tokens_are_not_guessed(api: Api) -> None:
    client = api.client("il_0000000000000000_x", client="192.0.2.9")
    said = [(await client.get("/v1/me")).status_code for _ in range(FROM_ADDRESS + 1)]
    assert said == [401] * FROM_ADDRESS + [429]


async def test_a_body_that_is_too_large_is_refused(api: Api) -> None:
    async def endless():
        for _ in range(6):
            yield b"x" * 1024 * 1024

    assert (await api.client().post("/sign-in/link", content=b"x" * 5 * 1024 * 1024)).status_code == 413
    headers = {"content-type": "application/json"}
    answer = await api.acting("user:alice").post("/v1/runs", content=endless(), headers=headers)
    assert answer.status_code == 413
