"""Which requests a way out lets through: each is judged by host, port, scheme, method and path."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.egress import HOST, Service, opened

from interlock.errors import Refused
from interlock.sandbox.egress.matching import fitting
from interlock.sandbox.egress.target import Authority, Target, normal_path, read_authority, read_target
from interlock.types.egress import EgressRule


def test_allowed_request_reaches_its_server(web: Service, tmp_path: Path) -> None:
    with opened(tmp_path, web.rule()) as way:
        answer = way.ask(web, "/some/path?q=1")
    assert (answer.status, answer.body) == (200, b"hello")
    assert (web.seen[-1].method, web.seen[-1].path) == ("GET", "/some/path?q=1")
    assert web.seen[-1].header("host") == [f"{HOST}:{web.port}"]


def test_allowed_https_request_reaches_its_server(secure: Service, tmp_path: Path) -> None:
    with opened(tmp_path, secure.rule(methods=("POST",)), service=secure) as way:
        answer = way.ask(secure, "/echo", method="POST", body=b"data")
    assert answer.status == 200
    assert secure.seen[-1].body == b"data"
    assert [(one.verdict, one.scheme, one.sent) for one in way.records] == [("sent", "https", 4)]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"host": "other.test"}, "no rule reaches host api.test; reached: other.test"),
        ({"host": "*.api.test"}, "no rule reaches host"),
        ({"port": 1}, "allowed: http at port 1"),
        ({"scheme": "https"}, "no rule reaches api.test by http"),
        ({"methods": ("POST",)}, "no rule allows GET at api.test; allowed: POST"),
        ({"paths": ("/other/*", "/hell")}, "no rule allows GET /hello at api.test; allowed: /other/*, /hell"),
    ],
)
def test_unfitting_request_is_refused_with_reason(
    web: Service, tmp_path: Path, change: dict[str, object], word: str
) -> None:
    before = len(web.seen)
    with opened(tmp_path, web.rule(**change)) as way:
        answer = way.ask(web)
    told = json.loads(answer.body)
    assert answer.status == 403
    assert word in told["refused"]
    assert "policy" in told["next_step"]
    assert len(web.seen) == before
    assert [(one.verdict, one.path, one.status) for one in way.records] == [("refused", "/hello", 0)]


def test_tunnel_to_unknown_host_is_refused(secure: Service, tmp_path: Path) -> None:
    with opened(tmp_path, secure.rule(), service=secure) as way:
        answer = way.raw(b"CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test:443\r\nConnection: close\r\n\r\n")
    head = answer.split(b"\r\n")[0]
    assert head.startswith(b"HTTP/1.1 403 Refused by Interlock: no rule reaches host evil.test; reached: api.test")
    assert [(one.verdict, one.method, one.host) for one in way.records] == [("refused", "CONNECT", "evil.test")]


def test_each_request_of_connection_is_judged(secure: Service, tmp_path: Path) -> None:
    with opened(tmp_path, secure.rule(paths=("/open/*",)), service=secure) as way:
        with way.tunnel(secure) as one:
            host = f"Host: {HOST}:{secure.port}\r\n"
            pipelined = "".join(f"GET {path} HTTP/1.1\r\n{host}\r\n" for path in ("/open/a", "/closed"))
            last = f"GET /open/b HTTP/1.1\r\n{host}Connection: close\r\n\r\n"
            answer = way.raw((pipelined + last).encode(), one)
    assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"200", b"403", b"200"]
    assert [(one.verdict, one.path) for one in way.records] == [
        ("sent", "/open/a"),
        ("refused", "/closed"),
        ("sent", "/open/b"),
    ]


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("/**", "/", True),
        ("/**", "/a/b", True),
        ("/a/*", "/a/b", True),
        ("/a/*", "/a/b/c", False),
        ("/a/*", "/a/", True),
        ("/a/**", "/a", False),
        ("/v*/items", "/v2/items", True),
        ("/a.b", "/axb", False),
        ("/a", "/a/", False),
        ("/A", "/a", False),
        ("/x/**/z", "/x/y/y/z", True),
    ],
)
def test_path_globs_match_whole_segments(pattern: str, path: str, fits: bool) -> None:
    rule = EgressRule(host="a.test", paths=(pattern,))
    target = Target("https", "a.test", 443, path, None)
    if fits:
        assert fitting([rule], target, "GET") == [rule]
    else:
        with pytest.raises(Refused):
            fitting([rule], target, "GET")


def test_star_names_hosts_below_only() -> None:
    rule = EgressRule(host="*.a.test")
    assert fitting([rule], Target("https", "x.y.a.test", 443, "/", None), "GET")
    for host in ("a.test", "xa.test", "a.test.evil.test"):
        with pytest.raises(Refused):
            fitting([rule], Target("https", host, 443, "/", None), "GET")


AMBIGUOUS = [
    "/a/../b",
    "/a/./b",
    "/..",
    "/a/..;x/b",
    "/a//b",
    "//a",
    "/a/%2e%2e/b",
    "/a/%2E./b",
    "/a%2fb",
    "/a%5Cb",
    "/a\\..\\b",
    "/a%252e%252e/b",
    "/a%00",
    "/a%0d%0ab",
    "/a%7f",
    "/a%c0%ae%c0%ae/b",
    "/a%zz",
    "/a%",
    "/a%u002e",
    "/a%3Fb",
    "/a%23b",
    "/a%3b/..",
    '/a"b',
]


@pytest.mark.parametrize("path", AMBIGUOUS)
def test_path_of_two_readings_is_refused(path: str) -> None:
    with pytest.raises(Refused):
        normal_path(path)


def test_ambiguous_paths_never_reach_server(web: Service, tmp_path: Path) -> None:
    before = len(web.seen)
    with opened(tmp_path, web.rule()) as way:
        answers = [way.ask(web, path).status for path in AMBIGUOUS]
    assert set(answers) == {403}
    assert len(web.seen) == before
    assert {one.verdict for one in way.records} == {"refused"}


def test_plain_escapes_are_sent_plainly(web: Service, tmp_path: Path) -> None:
    with opened(tmp_path, web.rule(paths=("/admin-x/caf%C3%A9",))) as way:
        assert way.ask(web, "/%61dmin%2dx/caf%c3%a9?next=%2e%2e%2f").status == 200
    assert web.seen[-1].path == "/admin-x/caf%C3%A9?next=%2e%2e%2f"
    assert way.records[0].path == "/admin-x/caf%C3%A9"


@given(st.text(alphabet="/.%25eEfFaz;~ \\?#\x00", max_size=12))
def test_normal_path_is_stable_and_unambiguous(text: str) -> None:
    try:
        path = normal_path("/" + text)
    except Refused:
        return
    assert normal_path(path) == path
    assert "//" not in path
    assert not {".", ".."} & {segment.split(";")[0] for segment in path.split("/")}


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "a.0x1",
        "[::1]",
        "[::ffff:127.0.0.1]:80",
        "a.test.",
        "a..test",
        "-a.test",
        "user@a.test",
        "user:pass@a.test",
        "a.test:0",
        "a.test:65536",
        "a.test:80:80",
        "a_b.test",
        "xn--*.test",
        "ａ.test",
        "",
        "a.test:",
        "a" * 64 + ".test",
    ],
)
def test_what_is_no_host_name_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        read_authority(text, 80)


def test_host_case_does_not_matter() -> None:
    assert read_authority("API.Test:8080", 80) == Authority("api.test", 8080)


@pytest.mark.parametrize(
    "text",
    ["/path", "https://a.test/", "ftp://a.test/", "*", "a.test:80", "http:///x", "http://a.test/x#y", "http:a"],
)
def test_only_absolute_http_outside_tunnels(text: str) -> None:
    with pytest.raises(Refused):
        read_target(text, None)


@pytest.mark.parametrize("text", ["http://a.test/", "https://a.test/", "*", "a.test:80", "x/y", "/x#y"])
def test_only_paths_inside_tunnels(text: str) -> None:
    with pytest.raises(Refused):
        read_target(text, Authority("a.test", 443))
