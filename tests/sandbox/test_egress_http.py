"""What the proxy makes of HTTP that is hostile, broken, slow or large."""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.egress import HOST, Opened, Service, opened, service

from interlock.sandbox.egress import Caps


def request(web: Service, *lines: str, path: str = "/hello", method: str = "POST", body: str = "") -> bytes:
    authority = f"{HOST}:{web.port}"
    first = f"{method} http://{authority}{path} HTTP/1.1"
    host = [] if any(line.lower().startswith("host:") for line in lines) else [f"Host: {authority}"]
    return "\r\n".join([first, *host, *lines, "", body]).encode("latin-1")


EVERYTHING = {"methods": ("GET", "HEAD", "POST", "PUT", "OPTIONS", "TRACE", "CONNECT")}


@pytest.mark.parametrize(
    ("name", "lines", "body"),
    [
        ("both lengths", ["Content-Length: 4", "Transfer-Encoding: chunked"], "0\r\n\r\n"),
        ("two lengths", ["Content-Length: 4", "Content-Length: 5"], "abcd"),
        ("signed length", ["Content-Length: +4"], "abcd"),
        ("other coding", ["Transfer-Encoding: gzip, chunked"], "0\r\n\r\n"),
        ("coding twice", ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], "0\r\n\r\n"),
        ("hidden coding", ["Transfer-Encoding : chunked"], "0\r\n\r\n"),
        ("tab coding", ["Transfer-Encoding: \x0bchunked"], "0\r\n\r\n"),
        ("underscore length", ["Content_Length: 4"], "abcd"),
        ("underscore coding", ["Content-Length: 4", "Transfer_Encoding: chunked"], "abcd"),
        ("other host", ["Host: evil.test"], ""),
        ("host twice", [f"Host: {HOST}", "Host: evil.test"], ""),
        ("host with other port", [f"Host: {HOST}:1"], ""),
        ("underscore host", ["Host_: evil.test", f"Host: {HOST}"], ""),
        ("upgrade", ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"], ""),
        ("two upgrades", ["Connection: Upgrade", "Upgrade: h2c, websocket"], ""),
        ("empty upgrade", ["Connection: Upgrade", "Upgrade:"], ""),
        ("other method", ["X-HTTP-Method-Override: DELETE"], ""),
        ("underscore method", ["X_HTTP_Method_Override: DELETE"], ""),
        ("other url", ["X-Original-URL: /admin"], ""),
        ("null in header", ["X-A: a\x00b"], ""),
        ("bare return", ["X-A: a\rTransfer-Encoding: chunked"], ""),
        ("no name", [": empty"], ""),
    ],
)
def test_smuggling_and_fronting_are_refused(
    web: Service, tmp_path: Path, name: str, lines: list[str], body: str
) -> None:
    before = len(web.seen)
    with opened(tmp_path, web.rule(**EVERYTHING)) as way:
        answer = way.raw(request(web, *lines, "Connection: close", body=body))
    assert re.match(rb"HTTP/1.1 (403|400|501|431) ", answer), answer
    assert [one.verdict for one in way.records] == ["refused"]
    assert way.records[0].reason
    assert len(web.seen) == before


@pytest.mark.parametrize("method", ["TRACE", "TRACK", "get", "DELETE"])
def test_method_outside_rules_is_refused(web: Service, tmp_path: Path, method: str) -> None:
    with opened(tmp_path, web.rule(**EVERYTHING)) as way:
        assert way.raw(request(web, "Connection: close", method=method)).startswith(b"HTTP/1.1 403")


def test_absolute_target_with_other_host_is_refused(web: Service, tmp_path: Path) -> None:
    with opened(tmp_path, web.rule()) as way:
        own = f"{HOST}:{web.port}"
        text = f"GET http://{own}@evil.test/ HTTP/1.1\r\nHost: {own}\r\nConnection: close\r\n\r\n"
        assert way.raw(text.encode()).startswith(b"HTTP/1.1 403")


def test_other_server_name_is_refused(secure: Service, tmp_path: Path) -> None:
    rules = secure.rule(), secure.rule(host="other.test")
    with opened(tmp_path, *rules, service=secure) as way:
        with pytest.raises((ssl.SSLError, OSError)):
            way.tunnel(secure, name="other.test")
        time.sleep(0.05)
    assert [(one.verdict, one.method) for one in way.records] == [("refused", "CONNECT")]
    assert "the TLS handshake asks for 'other.test', the tunnel is for 'api.test'" in way.records[0].reason


def test_handshake_without_a_name_is_refused(secure: Service, tmp_path: Path) -> None:
    with opened(tmp_path, secure.rule(), service=secure) as way:
        own = f"{HOST}:{secure.port}"
        one = way.connect()
        one.sendall(f"CONNECT {own} HTTP/1.1\r\nHost: {own}\r\n\r\n".encode())
        assert one.recv(4096).startswith(b"HTTP/1.1 200")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with pytest.raises((ssl.SSLError, OSError)):
            context.wrap_socket(one)
        one.close()
        time.sleep(0.05)
    assert "the TLS handshake asks for 'no name'" in way.records[0].reason


@pytest.mark.parametrize("host", ["other.test", f"{HOST}:1", ""])
def test_other_host_inside_tunnel_is_refused(secure: Service, tmp_path: Path, host: str) -> None:
    before = len(secure.seen)
    rules = secure.rule(), secure.rule(host="other.test")
    with opened(tmp_path, *rules, service=secure) as way:
        one = way.tunnel(secure)
        answer = way.raw(f"GET /hello HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode(), one)
    assert answer.startswith(b"HTTP/1.1 403")
    assert [one.verdict for one in way.records] == ["refused"]
    assert len(secure.seen) == before


@pytest.mark.parametrize("target", ["CONNECT api.test:443", "GET http://api.test/", "GET https://api.test/"])
def test_tunnel_carries_requests_for_its_host_only(secure: Service, tmp_path: Path, target: str) -> None:
    with opened(tmp_path, secure.rule(), service=secure) as way:
        one = way.tunnel(secure)
        answer = way.raw(
            f"{target} HTTP/1.1\r\nHost: {HOST}:{secure.port}\r\nConnection: close\r\n\r\n".encode(), one
        )
    assert answer.startswith(b"HTTP/1.1 403")


def test_tunnel_accepts_nothing_but_tls(secure: Service, tmp_path: Path) -> None:
    before = len(secure.seen)
    authority = f"{HOST}:{secure.port}"
    head = f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode()
    with opened(tmp_path, secure.rule(), service=secure) as way:
        one = way.connect()
        one.sendall(head)
        assert one.recv(4096).startswith(b"HTTP/1.1 200")
        assert b"HTTP" not in way.raw(b"SSH-2.0-OpenSSH_9.0\r\n", one)
        # What comes before the tunnel stands is not carried over into it.
        early = way.raw(head + b"GET /hello HTTP/1.1\r\nHost: " + authority.encode() + b"\r\n\r\n")
    assert early.count(b"HTTP/1.1") == 1
    assert len(secure.seen) == before


def test_certificates_are_for_allowed_hosts_only(secure: Service, tmp_path: Path) -> None:
    from cryptography import x509

    with opened(tmp_path, secure.rule(), secure.rule(host="*.wide.test"), service=secure):
        authority = x509.load_pem_x509_certificate((tmp_path / "ca.pem").read_bytes())
    names = authority.extensions.get_extension_for_class(x509.NameConstraints)
    assert names.critical
    assert [one.value for one in names.value.permitted_subtrees or []] == [HOST, "wide.test"]
    assert (authority.not_valid_after_utc - authority.not_valid_before_utc).days <= 2


def test_hop_headers_stay_here(web: Service, tmp_path: Path) -> None:
    lines = ["Connection: close, X-Private, Authorization", "X-Private: 1", "Authorization: mine", "Keep-Alive: 5"]
    lines += ["Proxy-Authorization: Basic eA==", "Proxy-Connection: x", "TE: trailers", "X-Forwarded-For: 1.2.3.4"]
    with opened(tmp_path, web.rule()) as way:
        assert way.raw(request(web, *lines, "X-Kept: yes", method="GET")).startswith(b"HTTP/1.1 200")
    assert {name.lower() for name, _ in web.seen[-1].headers} == {"host", "x-kept"}


def test_offer_of_http2_stays_here(web: Service, tmp_path: Path) -> None:
    lines = ["Connection: close, Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"]
    with opened(tmp_path, web.rule()) as way:
        assert way.raw(request(web, *lines, method="GET")).startswith(b"HTTP/1.1 200")
    assert [name.lower() for name, _ in web.seen[-1].headers] == ["host"]


def test_untrusted_server_is_not_talked_to(secure: Service, tmp_path: Path) -> None:
    before = len(secure.seen)
    with opened(tmp_path, secure.rule()) as way:
        answer = way.ask(secure)
    assert answer.status == 502
    assert b"CERTIFICATE_VERIFY_FAILED" in answer.body
    assert way.records[0].verdict == "failed"
    assert len(secure.seen) == before


def test_server_of_another_name_is_not_talked_to(tmp_path: Path) -> None:
    with service(tls=True) as one:
        # Its authority may name hosts below `test` only.
        rule = one.rule(host="api.example")
        with opened(tmp_path, rule, service=one) as way:
            assert way.ask(one, host="api.example").status == 502
        assert one.seen == []


@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_are_streamed_both_ways(web: Service, tmp_path: Path, chunked: bool) -> None:
    body = bytes(range(256)) * 4096
    given = iter([body[:1000], body[1000:]]) if chunked else body
    with opened(tmp_path, web.rule(**EVERYTHING)) as way:
        answer = way.ask(web, "/echo", method="POST", body=given)
    assert json.loads(answer.body)[1].encode("latin-1") == body == web.seen[-1].body
    assert (way.records[0].sent, way.records[0].received) == (len(body), len(answer.body))


def test_head_has_headers_and_no_body(web: Service, tmp_path: Path) -> None:
    with opened(tmp_path, web.rule()) as way:
        answer = way.ask(web, method="HEAD")
        refused = way.ask(web, "/a//b", method="HEAD")
    assert (answer.status, answer.headers["Content-Length"], answer.body) == (200, "5", b"")
    assert (refused.status, refused.body) == (403, b"")


def test_client_that_waits_is_told_to_continue(web: Service, tmp_path: Path) -> None:
    with opened(tmp_path, web.rule(**EVERYTHING)) as way, way.connect() as one:
        one.sendall(request(web, "Expect: 100-continue", "Content-Length: 3", "Connection: close"))
        assert one.recv(4096).startswith(b"HTTP/1.1 100")
        one.sendall(b"abc")
        assert one.recv(4096).startswith(b"HTTP/1.1 200")
    assert web.seen[-1].body == b"abc"


def test_refused_client_is_not_asked_to_go_on(web: Service, tmp_path: Path) -> None:
    with opened(tmp_path, web.rule()) as way:
        answer = way.raw(request(web, "Expect: 100-continue", "Content-Length: 3"))
    assert answer.startswith(b"HTTP/1.1 403")


def test_refusal_of_a_large_body_is_read(web: Service, tmp_path: Path) -> None:
    with opened(tmp_path, web.rule()) as way:
        answer = way.raw(request(web, "Content-Length: 5000000", body="x" * 5_000_000))
    assert answer.startswith(b"HTTP/1.1 403")


@pytest.mark.parametrize(
    "head", ["GET / HTTP/1.1\r\nX: " + "a" * 90_000, "GET /" + "a" * 90_000, "A: b\r\n" * 20_000]
)
def test_giant_head_is_refused(web: Service, tmp_path: Path, head: str) -> None:
    with opened(tmp_path, web.rule()) as way:
        answer = way.raw(head.encode())
    assert re.match(rb"HTTP/1.1 4\d\d ", answer)
    assert [one.verdict for one in way.records] == ["refused"]


def test_slow_head_is_cut_off(web: Service, tmp_path: Path) -> None:
    with opened(tmp_path, web.rule(), caps=Caps(head_s=0.3)) as way, way.connect() as one:
        one.sendall(b"GET http://")
        assert one.recv(10) == b""


def test_slow_body_is_cut_off(web: Service, tmp_path: Path) -> None:
    with opened(tmp_path, web.rule(**EVERYTHING), caps=Caps(piece_s=0.3)) as way, way.connect() as one:
        one.sendall(request(web, "Content-Length: 10", body="abc"))
        assert one.recv(10) == b""
    assert [(one.verdict, one.sent) for one in way.records] == [("failed", 3)]


def test_idle_connection_is_cut_off(web: Service, tmp_path: Path) -> None:
    with opened(tmp_path, web.rule(), caps=Caps(idle_s=0.2)) as way, way.connect() as one:
        assert one.recv(10) == b""


def test_mute_server_is_given_up(web: Service, tmp_path: Path) -> None:
    with opened(tmp_path, web.rule(), caps=Caps(answer_s=0.3)) as way:
        answer = way.ask(web, "/mute")
    assert answer.status == 502
    assert [(one.verdict, one.status) for one in way.records] == [("failed", 0)]
    assert "did not answer in time" in way.records[0].reason


def test_broken_answer_is_not_passed_for_whole(web: Service, tmp_path: Path) -> None:
    with opened(tmp_path, web.rule()) as way:
        answer = way.raw(request(web, path="/broken", method="GET"))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"Content-Length: 100" in head
    assert body == b"only this"
    assert [(one.verdict, one.status, one.received) for one in way.records] == [("failed", 200, 9)]


def test_unasked_upgrade_is_not_passed_on(web: Service, tmp_path: Path) -> None:
    with opened(tmp_path, web.rule()) as way:
        assert way.ask(web, "/upgrade").status == 502


def test_body_over_cap_is_refused_or_cut(web: Service, tmp_path: Path) -> None:
    before = len(web.seen)
    with opened(tmp_path, web.rule(**EVERYTHING), caps=Caps(request_bytes=1000)) as way:
        announced = way.ask(web, "/echo", method="POST", body=b"x" * 1001)
        chunked = way.ask(web, "/echo", method="POST", body=iter([b"x" * 600, b"x" * 600]))
    assert (announced.status, chunked.status) == (403, 502)
    assert [one.verdict for one in way.records] == ["refused", "failed"]
    assert len(web.seen) == before


def test_answer_over_cap_is_cut(web: Service, tmp_path: Path) -> None:
    with opened(tmp_path, web.rule(**EVERYTHING), caps=Caps(response_bytes=1000)) as way:
        with pytest.raises(Exception, match="IncompleteRead"):
            way.ask(web, "/echo", method="POST", body=b"x" * 2000)
    assert "more than 1000 bytes" in way.records[0].reason


def test_many_connections_wait_for_a_place(web: Service, tmp_path: Path) -> None:
    with opened(tmp_path, web.rule(), caps=Caps(connections=2)) as way:
        idle = [way.connect(), way.connect()]
        time.sleep(0.05)
        third = way.connect()
        third.sendall(request(web, "Connection: close", method="GET"))
        third.settimeout(0.2)
        with pytest.raises(TimeoutError):
            third.recv(10)
        idle.pop().close()
        third.settimeout(10)
        assert third.recv(4096).startswith(b"HTTP/1.1 200")
        for one in (*idle, third):
            one.close()


def test_waiting_connections_cost_the_executor_nothing(web: Service, tmp_path: Path) -> None:
    with opened(tmp_path, web.rule(), caps=Caps(connections=4)) as way:
        before = len(os.listdir("/proc/self/fd"))
        waiting = [way.connect() for _ in range(100)]
        time.sleep(0.1)
        own = len(os.listdir("/proc/self/fd")) - before - len(waiting)
        for one in waiting:
            one.close()
        assert own <= 5
        assert way.ask(web).status == 200


def test_closing_ends_what_is_under_way(web: Service, tmp_path: Path) -> None:
    with opened(tmp_path, web.rule()) as way:
        one = way.connect()
        one.sendall(request(web, path="/mute", method="GET"))
        while not way.records:
            time.sleep(0.01)
    assert one.recv(10) == b""
    one.close()
    assert [(one.verdict, one.reason) for one in way.records] == [("failed", "the call ended first")]


def test_gone_client_ends_its_request(web: Service, tmp_path: Path) -> None:
    with opened(tmp_path, web.rule(**EVERYTHING)) as way:
        with way.connect() as one:
            one.sendall(request(web, "Content-Length: 10", body="abc"))
            while not way.records:
                time.sleep(0.01)
        while way.records[0].verdict == "sent":
            time.sleep(0.01)
    assert way.records[0].verdict == "failed"


def test_garbage_does_not_end_the_proxy(web: Service, tmp_path: Path) -> None:
    with opened(tmp_path, web.rule()) as way:
        for garbage in (
            b"",
            b"\x00" * 100,
            b"\x16\x03\x01\x02\x00\x01\x00",
            b"GET\r\n\r\n",
            b"\xff\xfe HTTP/1.1\r\n\r\n",
        ):
            one = way.connect()
            one.sendall(garbage)
            one.shutdown(socket.SHUT_WR)
            way.raw(b"", one)
        assert way.ask(web).status == 200


def test_two_sandboxes_have_two_ways(web: Service, tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir()
    second.mkdir()
    with opened(first, web.rule(paths=("/a",))) as one, opened(second, web.rule(paths=("/b",))) as other:
        both: list[tuple[Opened, str, int]] = [
            (one, "/a", 200),
            (one, "/b", 403),
            (other, "/b", 200),
            (other, "/a", 403),
        ]
        for way, path, status in both:
            assert way.ask(web, path).status == status
        certificates = [(folder / "ca.pem").read_bytes() for folder in (first, second)]
    assert certificates[0] != certificates[1]
    assert [[row.path for row in way.records] for way in (one, other)] == [["/a", "/b"], ["/b", "/a"]]


def test_error_of_caller_comes_out_as_it_is(web: Service, tmp_path: Path) -> None:
    def fail() -> None:
        with opened(tmp_path, web.rule()) as way:
            assert way.ask(web).status == 200
            raise KeyError("of the caller")

    with pytest.raises(KeyError):
        fail()
    assert list(tmp_path.iterdir()) == []


PARTS = [
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\x00",
        b"\x0b",
        b" ",
        b"\t",
        b"/",
        b"..",
        b"%2e",
        b"%2f",
        b":",
        b"@",
        b"#",
        b"?",
        b";",
        b"\\",
    ),
    *(b"Host: evil\r\n", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    b"GET /closed HTTP/1.1\r\nHost: api.test\r\n\r\n",
]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    which=st.lists(st.integers(0, 2), min_size=1, max_size=3),
    changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 4), st.sampled_from(PARTS)), max_size=4),
)
def test_hostile_streams_get_no_further_than_rules(
    web: Service, tmp_path: Path, which: list[int], changes: list[tuple[int, int, bytes]]
) -> None:
    """Whatever is put into or taken out of good requests: what arrives is allowed, and on record."""
    good = (
        request(web, method="GET", path="/open/x"),
        request(web, "Content-Length: 5", path="/open/x", body="hello"),
        request(web, "Transfer-Encoding: chunked", path="/open/x", body="5\r\nhello\r\n0\r\n\r\n"),
    )
    stream = b"".join(good[number] for number in which)
    for at, dropped, put in changes:
        stream = stream[:at] + put + stream[at + dropped :]
    before = len(web.seen)
    rule = web.rule(methods=("GET", "POST"), paths=("/open/**",))
    with opened(tmp_path, rule, caps=Caps(head_s=0.3, piece_s=0.3, idle_s=0.3)) as way, way.connect() as one:
        one.sendall(stream)
        one.shutdown(socket.SHUT_WR)
        with suppress(OSError):
            while one.recv(65536):
                pass
    arrived = web.seen[before:]
    for seen in arrived:
        assert seen.method in ("GET", "POST")
        assert seen.header("host") == [f"{HOST}:{web.port}"]
        assert seen.path.split("?")[0].startswith("/open/")
        assert ".." not in seen.path.split("?")[0].split("/")
    assert len(arrived) <= len([one for one in way.records if one.verdict in ("sent", "failed")])


def test_every_bound_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "egress.md").read_text()
    for one in fields(Caps):
        assert f"| `{one.name}` | {one.default} |" in page
