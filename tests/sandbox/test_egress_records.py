"""The record of what left: noted before it leaves, complete when the call ends, capped."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.egress import HOST, TOKEN, Names, Seen, Service, Watching, credential, opened, secrets, service

from interlock.errors import LedgerUnavailable
from interlock.sandbox.egress import Caps, SystemResolver
from interlock.types import EgressRecord


def test_request_is_noted_before_it_leaves(web: Service, tmp_path: Path) -> None:
    class Ordered(Watching):
        def leaving(self, record: EgressRecord) -> None:
            super().leaving(record)
            self.seen_then = len(web.seen)

    before, watching = len(web.seen), Ordered()
    with opened(tmp_path, web.rule(methods=("POST",)), watching=watching) as way:
        way.ask(web, "/hello?token=abc", method="POST", body=b"abc")
    assert watching.seen_then == before
    assert len(web.seen) == before + 1
    [noted], [final] = watching.told, way.records
    assert (noted.verdict, noted.status, noted.sent, noted.received) == ("sent", 0, 0, 0)
    assert (final.verdict, final.status, final.sent, final.received) == ("sent", 200, 3, 5)
    assert (final.number, final.host, final.port, final.method, final.path) == (1, HOST, web.port, "POST", "/hello")
    assert "abc" not in repr((noted, final))
    assert noted.at == final.at


def test_unrecorded_request_does_not_leave(web: Service, tmp_path: Path) -> None:
    before, watching = len(web.seen), Watching(LedgerUnavailable("postgresql://user:password@db"))
    with opened(tmp_path, web.rule(), watching=watching) as way:
        answer = way.ask(web)
    assert answer.status == 403
    assert b"it could not be put on record first (LedgerUnavailable)" in answer.body
    assert b"password" not in answer.body
    assert [(one.verdict, one.status) for one in way.records] == [("refused", 0)]
    assert len(web.seen) == before


def test_records_are_in_order_and_numbered(web: Service, tmp_path: Path) -> None:
    with opened(tmp_path, web.rule()) as way, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: way.ask(web, f"/a/{number}"), range(24)))
    assert [one.number for one in way.records] == list(range(1, 25))
    assert [(one.number, one.path) for one in way.watching.told] == [(one.number, one.path) for one in way.records]
    assert {one.status for one in way.records} == {200}


def test_capture_records_and_sends_nothing(web: Service, tmp_path: Path) -> None:
    before, names = len(web.seen), Names()
    given = {"credentials": [credential(http=True)], "names": names, "capture": True, "read": secrets()}
    with opened(tmp_path, web.rule(methods=("GET", "POST", "HEAD")), **given) as way:
        answer = way.ask(web, "/pay?amount=3", method="POST", body=b"12345")
        head = way.ask(web, "/pay", method="HEAD")
        outside = way.ask(web, "/pay", method="DELETE")
    assert (answer.status, head.status, head.body, outside.status) == (202, 202, b"", 403)
    assert b"recorded and not sent" in answer.body
    assert [(one.verdict, one.method, one.sent, one.status, one.credential) for one in way.records] == [
        ("captured", "POST", 5, 0, "bank"),
        ("captured", "HEAD", 0, 0, "bank"),
        ("refused", "DELETE", 0, 0, ""),
    ]
    assert [one.verdict for one in way.watching.told] == ["captured", "captured", "refused"]
    assert names.asked == []
    assert len(web.seen) == before


def test_requests_over_cap_are_refused_and_counted(web: Service, tmp_path: Path) -> None:
    before = len(web.seen)
    with opened(tmp_path, web.rule(), caps=Caps(requests=3)) as way:
        answers = [way.ask(web, f"/{number}").status for number in range(10)]
    assert answers == [200] * 3 + [403] * 7
    assert len(web.seen) == before + 3
    assert len(way.records) == len(way.watching.told) == 4
    assert way.records[-1].verdict == "refused"
    assert "the most that one may make; 6 more followed this one" in way.records[-1].reason


def test_hostile_text_is_recorded_as_plain_ascii(web: Service, tmp_path: Path) -> None:
    with opened(tmp_path, web.rule()) as way:
        way.raw(b"CONNECT " + b"a" * 3000 + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        way.raw(
            b"A" * 100
            + b" http://api.test/"
            + b"x" * 5000
            + b" HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n"
        )
        way.raw(b"GET http://\xff\x1b[31m/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert len(way.records) == 3
    for one in way.records:
        assert EgressRecord.model_validate(one.model_dump(), strict=True) == one
        assert one.model_dump_json().isascii()
        assert one.reason.isprintable()


def test_failed_request_says_why(tmp_path: Path) -> None:
    with service() as gone:
        rule = gone.rule()
    stopped = Service(rule.port, list[Seen](), None)
    with opened(tmp_path, rule) as way:
        answer = way.ask(stopped)
    assert answer.status == 502
    [record] = way.records
    assert (record.verdict, record.status) == ("failed", 0)
    assert f"cannot connect to {HOST}" in record.reason
    assert TOKEN not in record.reason


def test_call_that_ends_while_noting_sends_nothing(web: Service, tmp_path: Path) -> None:
    going_on = threading.Event()

    class Slow(Watching):
        def leaving(self, record: EgressRecord) -> None:
            super().leaving(record)
            going_on.wait(5)

    before, watching = len(web.seen), Slow()
    with opened(tmp_path, web.rule(), watching=watching) as way, way.connect() as one:
        one.sendall(f"GET {web.url()} HTTP/1.1\r\nHost: {HOST}:{web.port}\r\n\r\n".encode())
        while not watching.told:
            time.sleep(0.01)
        threading.Timer(0.2, going_on.set).start()
    assert [(row.verdict, row.status) for row in way.records] == [("failed", 0)]
    assert "the call ended" in way.records[0].reason
    assert len(web.seen) == before


def test_tunnels_are_counted_too(tmp_path: Path) -> None:
    with service(tls=True) as secure:
        with opened(tmp_path, secure.rule(host="*.test"), service=secure, caps=Caps(requests=3)) as way:
            for number in range(3):
                way.tunnel(secure, host=f"n{number}.test").close()
            with pytest.raises(AssertionError, match="the most that one may open"):
                way.tunnel(secure, host="n4.test")


def test_slow_name_server_does_not_hold_up_the_end(web: Service, tmp_path: Path) -> None:
    waiting, going_on = threading.Event(), threading.Event()

    def slow(*_: object, **__: object) -> list[object]:
        waiting.set()
        going_on.wait(20)
        return []

    began = time.monotonic()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", slow)
        with opened(tmp_path, web.rule(), names=SystemResolver()) as way, way.connect() as one:  # type: ignore[arg-type]
            one.sendall(f"GET {web.url()} HTTP/1.1\r\nHost: {HOST}:{web.port}\r\n\r\n".encode())
            assert waiting.wait(10)
        took = time.monotonic() - began
    going_on.set()
    assert took < 10
    assert way.records == []
