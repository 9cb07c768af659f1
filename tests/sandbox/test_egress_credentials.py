"""Credentials: added outside, only where they belong, and kept from coming back."""

from __future__ import annotations

import base64
import http.client
import http.server
import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.egress import HOST, TOKEN, Service, credential, opened, secrets

from interlock.errors import Refused
from interlock.sandbox.egress import EnvironmentSecrets, FileSecrets, Secrets, SecretUnavailable, VaultSecrets
from interlock.sandbox.egress.scrubber import Guard, Scrubber


def test_server_sees_token_and_client_does_not(secure: Service, tmp_path: Path) -> None:
    with opened(tmp_path, secure.rule(), service=secure, credentials=[credential()]) as way:
        answer = way.ask(secure, "/echo")
    assert secure.seen[-1].header("authorization") == [f"Bearer {TOKEN}"]
    assert TOKEN.encode() not in answer.body
    assert TOKEN not in str(answer.headers)
    assert b"Bearer " + b"*" * len(TOKEN) not in answer.body
    assert b"*" * len(f"Bearer {TOKEN}") in answer.body
    assert way.records[0].credential == "bank"
    assert TOKEN not in repr((way.records, way.watching.told))


def test_token_of_sandbox_is_replaced(secure: Service, tmp_path: Path) -> None:
    with opened(tmp_path, secure.rule(), service=secure, credentials=[credential(header="X-Api-Key")]) as way:
        way.ask(secure, headers={"x-api-key": "mine", "X_Api_Key": "mine too", "Connection": "close, X-Api-Key"})
    assert secure.seen[-1].header("x-api-key") == [f"Bearer {TOKEN}"]
    assert secure.seen[-1].header("x_api_key") == []


def test_credential_goes_to_its_hosts_only(secure: Service, tmp_path: Path) -> None:
    rules = secure.rule(), secure.rule(host="other.test")
    with opened(tmp_path, *rules, service=secure, credentials=[credential()]) as way:
        assert way.ask(secure, host="other.test").status == 200
        assert secure.seen[-1].header("authorization") == []
        assert way.ask(secure).status == 200
        assert secure.seen[-1].header("authorization") == [f"Bearer {TOKEN}"]
    assert [one.credential for one in way.records] == ["", "bank"]


def test_refused_request_reads_no_secret(secure: Service, tmp_path: Path) -> None:
    read: list[str] = []

    class Provider:
        def read(self, reference: str) -> str:
            read.append(reference)
            return TOKEN

    given = {"service": secure, "credentials": [credential()], "read": Secrets({"env": Provider()})}
    with opened(tmp_path, secure.rule(paths=("/open",)), **given) as way:
        assert way.ask(secure, "/closed").status == 403
        assert read == []
        assert [way.ask(secure, "/open").status for _ in range(2)] == [200, 200]
    assert read == ["BANK"]


@pytest.mark.parametrize("may", [False, True])
def test_plain_http_needs_permission(web: Service, tmp_path: Path, may: bool) -> None:
    with opened(tmp_path, web.rule(), credentials=[credential(http=may)]) as way:
        assert way.ask(web).status == 200
    assert web.seen[-1].header("authorization") == ([f"Bearer {TOKEN}"] if may else [])
    assert way.records[0].credential == ("bank" if may else "")


def test_two_credentials_for_a_host_are_refused(secure: Service, tmp_path: Path) -> None:
    before = len(secure.seen)
    both = [credential(), credential(name="other")]
    with opened(tmp_path, secure.rule(), service=secure, credentials=both) as way:
        answer = way.ask(secure)
    assert answer.status == 403
    assert b"credentials 'bank' and 'other' are both for api.test" in answer.body
    assert len(secure.seen) == before


@pytest.mark.parametrize(
    "secret", ["", "short", "two\nlines-long", "tab\tin-between", "späße-und-mehr", " padded-secret"]
)
def test_unfit_secret_is_refused_and_not_told(secure: Service, tmp_path: Path, secret: str) -> None:
    before = len(secure.seen)
    given = {"service": secure, "credentials": [credential()], "read": secrets(BANK=secret)}
    with opened(tmp_path, secure.rule(), **given) as way:
        answer = way.ask(secure)
    assert answer.status == 403
    assert b"credential 'bank' cannot be read: it must be one line" in answer.body
    assert not secret or secret.encode() not in answer.body
    assert way.records[0].verdict == "refused"
    assert len(secure.seen) == before


@pytest.mark.parametrize("source", ["env:MISSING", "file:missing", "vault:", "nobody:x", "plain"])
def test_unreadable_secret_refuses_the_request(secure: Service, tmp_path: Path, source: str) -> None:
    read = Secrets({"env": EnvironmentSecrets({}), "file": FileSecrets(tmp_path), "vault": VaultSecrets({})})
    folder = tmp_path / "way"
    folder.mkdir()
    given = {"service": secure, "credentials": [credential(source=source)], "read": read}
    with opened(folder, secure.rule(), **given) as way:
        answer = way.ask(secure)
    assert answer.status == 403
    assert b"credential 'bank' cannot be read" in answer.body
    assert str(tmp_path).encode() not in answer.body


def test_error_of_provider_tells_no_secret(secure: Service, tmp_path: Path) -> None:
    class Careless:
        def read(self, reference: str) -> str:
            raise ValueError(f"cannot use {TOKEN}")

    given = {"service": secure, "credentials": [credential()], "read": Secrets({"env": Careless()})}
    with opened(tmp_path, secure.rule(), **given) as way:
        answer = way.ask(secure)
    assert b"ValueError" in answer.body
    assert TOKEN.encode() not in answer.body
    assert TOKEN not in repr(way.records)


def test_secret_in_single_bytes_is_scrubbed(secure: Service, tmp_path: Path) -> None:
    with opened(tmp_path, secure.rule(), service=secure, credentials=[credential()]) as way:
        answer = way.ask(secure, "/pieces")
    assert answer.body == b"<" + b"*" * len(f"Bearer {TOKEN}") + b">"


def test_compressed_answer_is_withheld(secure: Service, tmp_path: Path) -> None:
    with opened(tmp_path, secure.rule(), service=secure, credentials=[credential()]) as way:
        answer = way.ask(secure, "/zipped", headers={"Accept-Encoding": "gzip", "Range": "bytes=0-3"})
    assert answer.status == 502
    assert b"compressed, unasked" in answer.body
    assert secure.seen[-1].header("accept-encoding") == ["identity"]
    assert secure.seen[-1].header("range") == []


def test_compressed_answer_passes_without_credentials(secure: Service, tmp_path: Path) -> None:
    with opened(tmp_path, secure.rule(), service=secure) as way:
        assert way.ask(secure, "/zipped", headers={"Accept-Encoding": "gzip"}).status == 200
    assert secure.seen[-1].header("accept-encoding") == ["gzip"]


def test_basic_credential_is_scrubbed_in_its_parts(secure: Service, tmp_path: Path) -> None:
    pair = base64.b64encode(b"robot:correct horse").decode()
    given = {"credentials": [credential(template="Basic {secret}")], "read": secrets(BANK=pair)}
    with opened(tmp_path, secure.rule(methods=("POST",)), service=secure, **given) as way:
        body = f"{pair} correct horse robot:correct%20horse"
        answer = way.ask(secure, "/echo", method="POST", body=body.encode())
    assert secure.seen[-1].header("authorization") == [f"Basic {pair}"]
    for part in (pair.encode(), b"correct horse", b"correct%20horse"):
        assert part not in answer.body


def test_secret_of_one_request_is_scrubbed_in_the_next(secure: Service, tmp_path: Path) -> None:
    rules = secure.rule(), secure.rule(host="other.test", methods=("POST",))
    with opened(tmp_path, *rules, service=secure, credentials=[credential()]) as way:
        way.ask(secure)
        answer = way.ask(secure, "/echo", method="POST", host="other.test", body=TOKEN.encode())
    assert TOKEN.encode() not in answer.body


def test_redirect_does_not_carry_the_secret_on(secure: Service, tmp_path: Path) -> None:
    given = {"service": secure, "credentials": [credential()]}
    with opened(tmp_path, secure.rule(), **given) as way:
        hop = way.ask(secure, f"/redirect?https://evil.test/?{TOKEN}")
        assert hop.status == 302
        assert TOKEN not in hop.headers["Location"]


def test_logs_hold_no_secret(secure: Service, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with opened(tmp_path, secure.rule(), service=secure, credentials=[credential()]) as way:
        way.ask(secure, "/echo")
        way.ask(secure, "/zipped")
        with pytest.raises(http.client.IncompleteRead):
            way.ask(secure, "/broken")
    assert "httpcore2" not in caplog.text
    assert TOKEN not in caplog.text


@given(st.text(alphabet="ab", min_size=8, max_size=12), st.text(alphabet="ab", max_size=40), st.integers(1, 7))
def test_scrubbing_does_not_depend_on_pieces(secret: str, around: str, size: int) -> None:
    guard = Guard()
    guard.learn(secret, f"Bearer {secret}")
    text = f"{around}{secret}{around}".encode()
    scrubber = Scrubber(guard)
    out = b"".join(scrubber.feed(text[at : at + size]) for at in range(0, len(text), size)) + scrubber.end()
    assert out == guard.scrub(text)
    assert len(out) == len(text)
    assert secret.encode() not in out


@given(st.lists(st.binary(max_size=30)))
def test_what_is_held_back_tells_nothing(pieces: list[bytes]) -> None:
    """Else a sandbox whose words a server repeats could find the secret byte by byte."""
    guard = Guard()
    guard.learn(TOKEN, f"Bearer {TOKEN}")
    sizes = [len(piece) for piece in pieces]
    said = (f"Bearer {TOKEN}".encode() * 40)[: sum(sizes)]
    one, other, at = Scrubber(guard), Scrubber(guard), 0
    for piece, size in zip(pieces, sizes, strict=True):
        assert len(one.feed(piece)) == len(other.feed(said[at : at + size]))
        at += size


def test_overlapping_forms_are_taken_out_whole() -> None:
    guard = Guard()
    guard.learn("abcdefgh", "abcdefgh")
    guard.learn("efghijkl", "efghijkl")
    assert guard.scrub(b"<abcdefghijkl>") == b"<************>"


def test_guard_does_not_show_what_it_guards() -> None:
    guard = Guard()
    guard.learn(TOKEN, f"Bearer {TOKEN}")
    assert TOKEN not in repr(guard)
    assert TOKEN not in guard.text(f"failed for {TOKEN}")


def test_file_secret_is_its_line(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\r\n")
    assert FileSecrets(tmp_path).read("token") == TOKEN
    assert FileSecrets(Path("/nowhere")).read(str(tmp_path / "token")) == TOKEN
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for bad in ("missing", "binary", ".", "a\x00b"):
        with pytest.raises(SecretUnavailable):
            FileSecrets(tmp_path).read(bad)


def test_changed_secret_is_read_again_in_time(tmp_path: Path) -> None:
    class Rotating:
        def __init__(self) -> None:
            self.count = 0

        def read(self, reference: str) -> str:
            self.count += 1
            return f"{reference}-{self.count}"

    now, provider = [0.0], Rotating()
    read = Secrets({"env": provider}, clock=lambda: now[0])
    first, again = read.read(credential(source="env:rotating")), read.read(credential(source="env:rotating"))
    now[0] += 31
    later = read.read(credential(source="env:rotating"))
    assert [one.get_secret_value() for one in (first, again, later)] == ["rotating-1", "rotating-1", "rotating-2"]
    assert "rotating-1" not in repr(first)


@pytest.fixture(scope="module")
def vault() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A server that answers as Vault's documentation of its KV engine (version 2) says."""
    asked: list[dict[str, str]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append({"path": self.path, **{name.lower(): value for name, value in self.headers.items()}})
            known = self.path == "/v1/secret/data/bank" and self.headers["X-Vault-Token"] == "vault-token"
            content = {"data": {"data": {"token": TOKEN, "number": 3}, "metadata": {"version": 1}}}
            self.send_response(200 if known else 403)
            self.end_headers()
            self.wfile.write(json.dumps(content if known else {"errors": ["permission denied"]}).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", asked
    server.shutdown()
    server.server_close()


def test_vault_secret_reaches_the_server(
    secure: Service, tmp_path: Path, vault: tuple[str, list[dict[str, str]]]
) -> None:
    environment = {"VAULT_ADDR": vault[0], "VAULT_TOKEN": "vault-token", "VAULT_NAMESPACE": "team"}
    given = {"read": Secrets({"vault": VaultSecrets(environment)}), "service": secure}
    with opened(
        tmp_path, secure.rule(), credentials=[credential(source="vault:secret/data/bank#token")], **given
    ) as way:
        assert way.ask(secure).status == 200
    assert secure.seen[-1].header("authorization") == [f"Bearer {TOKEN}"]
    assert vault[1][-1]["x-vault-namespace"] == "team"
    assert "vault-token" not in repr(VaultSecrets(environment))


@pytest.mark.parametrize(
    ("reference", "token", "why"),
    [
        ("secret/data/bank#other", "vault-token", "no such field"),
        ("secret/data/bank#number", "vault-token", "no text"),
        ("secret/data/bank", "vault-token", "must look like"),
        ("secret/data/other#token", "vault-token", "answers 403"),
        ("secret/data/bank#token", "wrong", "answers 403"),
        ("secret/data/bank#token", "", "not set"),
        ("secret/data/bank#token", "bad\r\nheader", "does not answer"),
    ],
)
def test_vault_failure_has_its_reason(
    vault: tuple[str, list[dict[str, str]]], reference: str, token: str, why: str
) -> None:
    with pytest.raises(SecretUnavailable, match=why) as raised:
        VaultSecrets({"VAULT_ADDR": vault[0], "VAULT_TOKEN": token}).read(reference)
    assert not token or token not in str(raised.value)


def test_silent_vault_is_said_so() -> None:
    with pytest.raises(SecretUnavailable, match="does not answer"):
        VaultSecrets({"VAULT_ADDR": "http://127.0.0.1:9", "VAULT_TOKEN": "t"}).read("a#b")


def test_secret_value_is_hidden_from_reprs() -> None:
    read = secrets(BANK=TOKEN)
    assert TOKEN not in repr(read.read(credential()))
    assert TOKEN not in repr(EnvironmentSecrets({"BANK": TOKEN}))
    with pytest.raises(Refused):
        read.read(credential(source=f"{HOST}:x"))
