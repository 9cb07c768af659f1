"""The way out is a socket in an empty folder: there for one call, gone after it, absent where policy gave none."""

from __future__ import annotations

import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from interlock.sandbox import Ahead, options
from interlock.sandbox.way_out_folder import parent, remove_orphans
from interlock.types import EgressRule, Profile, WayOut

pytestmark = pytest.mark.docker

GET = """
import urllib.request
return urllib.request.urlopen('http://localhost:{port}/hello', timeout=10).read().decode()
"""


@pytest.fixture
def port():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello from outside")

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()


def out(port):
    return WayOut(rules=(EgressRule(host="localhost", port=port, scheme="http", private=True),))


def folders():
    return set(parent().iterdir()) if parent().exists() else set()


async def test_call_reaches_what_its_rules_name(run_tool, port):
    result = await run_tool(GET.format(port=port), returns="str", way_out=out(port))
    assert (result.status, result.value) == ("ok", b'"hello from outside"'), result.error
    (record,) = result.egress
    assert (record.verdict, record.host, record.path, record.status) == ("sent", "localhost", "/hello", 200)


async def test_call_without_way_out_has_no_socket(run_tool, port):
    result = await run_tool("return os.path.exists('/run/interlock')", returns="bool")
    assert result.value == b"false"
    result = await run_tool(GET.format(port=port), returns="str")
    assert (result.status, result.egress) == ("error", ())


async def test_folder_cannot_be_written_inside(run_tool, port):
    body = """
    try:
        open('/run/interlock/left', 'w').close()
    except OSError as error:
        return error.strerror
    return 'written'
    """
    assert (await run_tool(body, returns="str", way_out=out(port))).value == b'"Read-only file system"'


async def test_waiting_container_sees_an_empty_folder(driver, image, engine, blobs, make_call, port):
    profile = Profile(name="default", time_s=20, memory_mib=128, warm_min=1)
    await driver.prepare([Ahead(profile, image, way_out=True)])
    waiting = []
    while not waiting:
        waiting = [one for pool in driver._fleet._pools.values() for one in pool.waiting]
    (one,) = waiting
    assert list(one.way_out.iterdir()) == []
    mounts = engine.inspect_container(one.ident)["Mounts"]
    assert [(mount["Destination"], mount["RW"]) for mount in mounts] == [(options.WAY_OUT, False)]
    assert oct(one.way_out.parent.stat().st_mode)[-3:] == "700"
    result = await driver.run(make_call(GET.format(port=port), returns="str", way_out=out(port)), blobs)
    assert (result.status, result.start) == ("ok", "warm")
    await driver.settled()
    assert not one.way_out.exists()


async def test_leased_container_has_its_way_out_in_each_call(driver, blobs, make_call, port):
    for start in (False, True):
        call = make_call(
            GET.format(port=port), run="run-out", returns="str", way_out=out(port), limits={"reuse": "run"}
        )
        result = await driver.run(call, blobs)
        assert (result.value, result.start == "leased", len(result.egress)) == (b'"hello from outside"', start, 1)


async def test_folders_go_with_their_containers(settings, run_tool, port):
    before = folders()
    await run_tool("return None", way_out=out(port))
    assert folders() <= before


def test_orphaned_folder_is_removed(monkeypatch):
    parent().mkdir(mode=0o700, exist_ok=True)
    young, old, used = (parent() / f"test-{name}" for name in ("young", "old", "used"))
    for folder in (young, old, used):
        folder.mkdir()
    for folder in (old, used):
        os.utime(folder, (1, 1))
    elsewhere = {str(folder) for folder in folders() - {young, old, used}}
    removed = remove_orphans({str(used)} | elsewhere)
    assert (str(old) in removed, old.exists(), young.exists(), used.exists()) == (True, False, True, True)
    for folder in (young, used):
        folder.rmdir()


def test_folder_that_is_not_ours_is_refused(monkeypatch, tmp_path):
    from interlock.errors import SandboxUnavailable
    from interlock.sandbox.way_out_folder import folder_for

    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    parent().mkdir(mode=0o777)
    Path(parent()).chmod(0o777)
    with pytest.raises(SandboxUnavailable, match="belongs to somebody else"), folder_for(True):
        pass
