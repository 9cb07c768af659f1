"""The console and the API as processes: `interlock dev` starts them, and its link lets one person in."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from support.cli_runtime import Interlock, eventually, free_port
from support.runtime import copy_project

pytestmark = [pytest.mark.docker, pytest.mark.temporal]


@pytest.fixture(scope="module")
def interlock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interlock]:
    found = Interlock(copy_project(tmp_path_factory.mktemp("serve") / "project"))
    found.environment |= {"INTERLOCK_LISTEN": f"127.0.0.1:{free_port()}", "INTERLOCK_USER": "user:carol"}
    found.start()
    yield found
    found.stop()


@pytest.fixture
def url(interlock: Interlock) -> str:
    return f"http://{interlock.environment['INTERLOCK_LISTEN']}"


def test_the_printed_link_signs_one_person_in(interlock: Interlock, url: str) -> None:
    (code,) = re.findall(rf"as user:carol: {re.escape(url)}/sign-in/link\?code=(\S+)", interlock.log.read_text())
    with httpx.Client(base_url=url) as browser:
        assert "user:carol" in browser.get(f"/sign-in/link?code={code}").text
        assert browser.post("/sign-in/link", data={"code": code}).status_code == 303
        assert browser.get("/v1/me").json()["person"] == "user:carol"
        assert browser.get("/").status_code == 200, "and the console is there"
        assert interlock.ok("accounts", "sign-out", "--as", "user:carol", "--json").json["ended"] == 1
        assert browser.get("/v1/me").status_code == 401


def test_a_token_is_made_used_and_revoked(interlock: Interlock, url: str) -> None:
    made = interlock.ok("accounts", "token", "new", "ci", "--scope", "runs:read", "--json").json
    headers = {"authorization": f"Bearer {made['secret']}"}
    assert httpx.get(f"{url}/v1/runs", headers=headers).status_code == 200
    assert httpx.get(f"{url}/v1/approvals", headers=headers).status_code == 403
    (listed,) = interlock.ok("accounts", "token", "list", "--json").json["tokens"]
    assert listed["used_at"]
    assert "secret" not in listed
    interlock.ok("accounts", "token", "revoke", made["id"])
    assert httpx.get(f"{url}/v1/runs", headers=headers).status_code == 401
    wrong = interlock("accounts", "token", "new", "ci", "--scope", "runs:red")
    assert (wrong.code, "did you mean 'runs:read'?" in wrong.err) == (2, True)


def test_a_deputy_is_named_and_revoked(interlock: Interlock) -> None:
    until = (datetime.now(UTC) + timedelta(days=7)).strftime("%Y-%m-%d")
    named = interlock.ok("accounts", "deputy", "name", "user:dave", "--until", until, "--json").json
    (listed,) = interlock.ok("accounts", "deputy", "list", "--as", "user:dave", "--json").json["deputies"]
    assert (listed["person"], listed["to"], listed["revoked_at"]) == ("user:carol", "user:dave", None)
    assert interlock("accounts", "deputy", "revoke", named["id"], "--as", "user:dave").code == 2
    interlock.ok("accounts", "deputy", "revoke", named["id"])
    assert interlock("accounts", "deputy", "name", "user:dave", "--until", "2099-01-01").code == 2


def test_a_second_one_finds_the_address_taken(interlock: Interlock) -> None:
    told = interlock("serve")
    assert told.code == 3
    assert "cannot listen on" in told.err


def test_nothing_is_served_without_an_address(interlock: Interlock) -> None:
    told = interlock("serve", INTERLOCK_LISTEN="")
    assert told.code == 2
    assert "INTERLOCK_LISTEN" in told.err
    told = interlock("serve", INTERLOCK_LISTEN="0.0.0.0:0")
    assert told.code == 2
    assert "INTERLOCK_PUBLIC_URL" in told.err


def test_it_starts_again_when_it_dies(interlock: Interlock, url: str) -> None:
    first = json.loads((interlock.state / "dev.json").read_text())["parts"]["console"]
    os.kill(first, signal.SIGKILL)

    def again() -> bool:
        try:
            return httpx.get(f"{url}/v1/health").status_code == 200
        except httpx.HTTPError:
            return False

    eventually(lambda: json.loads((interlock.state / "dev.json").read_text())["parts"]["console"] != first)
    assert eventually(again)
