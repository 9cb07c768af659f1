"""Where a name may lead, and that the address which was judged is the one that is connected to."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from support.egress import HOST, Names, Service, opened, service

from interlock.network import forbidden

ALWAYS = [
    "169.254.169.254",
    "169.254.170.2",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "0.0.0.0",
    "0.1.2.3",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "::a9fe:a9fe",
    "no address",
]
PRIVATE = [
    "127.0.0.1",
    "127.8.8.8",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "192.0.0.8",
    "198.18.0.1",
    "192.88.99.1",
    "::1",
    "fc00::1",
    "fd12:3456::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "2002:7f00:1::1",
    "::7f00:1",
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", ALWAYS)
def test_metadata_and_link_are_never_reached(address: str) -> None:
    assert forbidden(address, private=False)
    assert forbidden(address, private=True)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_address_needs_a_rule(address: str) -> None:
    assert "private or special" in forbidden(address, private=False)
    assert forbidden(address, private=True) == ""


@pytest.mark.parametrize("address", PUBLIC)
def test_public_address_may_be_reached(address: str) -> None:
    assert forbidden(address, private=False) == ""


@pytest.mark.parametrize(
    "found", [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["8.8.8.8", "::1"], ["169.254.169.254"]]
)
def test_one_bad_address_refuses_the_name(web: Service, tmp_path: Path, found: list[str]) -> None:
    before = len(web.seen)
    with opened(tmp_path, web.rule(private=False), names=Names({HOST: [found]})) as way:
        answer = way.ask(web)
    assert answer.status == 403
    assert b"leads to" in answer.body
    assert [one.verdict for one in way.records] == ["refused"]
    assert [one.verdict for one in way.watching.told] == ["refused"]
    assert len(web.seen) == before


def test_private_rule_does_not_open_metadata(web: Service, tmp_path: Path) -> None:
    with opened(tmp_path, web.rule(), names=Names({HOST: [["169.254.169.254"]]})) as way:
        answer = way.ask(web)
    assert answer.status == 403
    assert b"never reached" in answer.body


def test_name_that_turns_private_is_refused(tmp_path: Path, web: Service) -> None:
    names = Names({HOST: [["127.0.0.1"], ["169.254.169.254"]]})
    with opened(tmp_path, web.rule(), names=names) as way:
        first, second = way.ask(web), way.ask(web)
    assert (first.status, second.status) == (200, 403)
    assert names.asked == [HOST, HOST]


def test_judged_address_is_connected_to(tmp_path: Path) -> None:
    """A name that would lead elsewhere at a second look leads nowhere: there is no second look."""
    with service(address="127.0.0.2") as right, service(address="127.0.0.3") as wrong:
        rule = right.rule()
        names = Names({HOST: [["127.0.0.2"], ["127.0.0.3"]]})
        with opened(tmp_path, rule, names=names) as way:
            assert way.ask(right).status == 200
        assert names.asked == [HOST]
        assert (len(right.seen), len(wrong.seen)) == (1, 0)


def test_kept_connection_is_not_used_for_another_address(tmp_path: Path) -> None:
    with service(address="127.0.0.2") as first:
        names = Names({HOST: [["127.0.0.2"], ["127.0.0.3"]]})
        with opened(tmp_path, first.rule(), names=names) as way:
            answers = [way.ask(first).status, way.ask(first).status]
    # Nobody listens at the second address, and the open connection to the first is not taken instead.
    assert answers == [200, 502]
    assert [one.verdict for one in way.records] == ["sent", "failed"]


def test_second_address_is_tried(tmp_path: Path) -> None:
    with service(address="127.0.0.2") as one:
        names = Names({HOST: [["127.0.0.3", "127.0.0.2"]]})
        with opened(tmp_path, one.rule(), names=names) as way:
            assert way.ask(one).status == 200


def test_redirect_is_handed_back_and_judged_anew(web: Service, tmp_path: Path) -> None:
    inner = "inner.test"
    names = Names({HOST: [["127.0.0.1"]], inner: [["127.0.0.1"]]})
    rules = web.rule(), web.rule(host=inner, private=False)
    with opened(tmp_path, *rules, names=names) as way:
        seen = len(web.seen)
        hop = way.ask(web, f"/redirect?http://{inner}:{web.port}/hello")
        assert hop.status == 302
        assert hop.headers["Location"] == f"http://{inner}:{web.port}/hello"
        assert len(web.seen) == seen + 1
        assert way.ask(web, host=inner).status == 403
    assert len(web.seen) == seen + 1


@pytest.mark.parametrize("host", ["169.254.169.254", "127.0.0.1", "[::1]", "2130706433", "0x7f.1"])
def test_address_instead_of_name_is_refused(web: Service, tmp_path: Path, host: str) -> None:
    before = len(web.seen)
    with opened(tmp_path, web.rule()) as way:
        text = f"GET http://{host}:{web.port}/ HTTP/1.1\r\nHost: {host}:{web.port}\r\nConnection: close\r\n\r\n"
        answer = way.raw(text.encode())
    assert answer.startswith(b"HTTP/1.1 403")
    assert b"is an address" in answer
    assert len(web.seen) == before


def test_system_resolver_finds_localhost(web: Service, tmp_path: Path) -> None:
    from support.egress import Opened, Watching

    from interlock.sandbox.egress import EgressProxy
    from interlock.types import WayOut

    watching = Watching()
    way_out = WayOut(rules=(web.rule(host="localhost"), web.rule(host="nowhere.invalid")))
    with EgressProxy().open(tmp_path, way_out, watching) as records:
        way = Opened(tmp_path, records, watching)
        assert way.ask(web, host="localhost").status == 200
        assert way.ask(web, host="nowhere.invalid").status == 502
    assert [one.verdict for one in records] == ["sent", "failed"]
    assert "cannot be resolved" in records[1].reason


def test_socket_is_gone_when_closed(web: Service, tmp_path: Path) -> None:
    with opened(tmp_path, web.rule()) as way:
        waiting = way.connect()
        assert (tmp_path / "ca.pem").read_bytes().startswith(b"-----BEGIN CERTIFICATE")
    assert list(tmp_path.iterdir()) == []
    with waiting, pytest.raises(OSError):
        way.connect()
    with socket.socket(socket.AF_UNIX) as late, pytest.raises(OSError):
        late.connect(str(tmp_path / "egress.sock"))
