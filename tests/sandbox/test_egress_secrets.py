"""End to end, in real containers: unmodified programs reach what they may, and the token never comes in."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from support.egress import TOKEN, Service, Watching, credential, service

from interlock.errors import LedgerUnavailable
from interlock.sandbox import DockerDriver, SandboxCall, SandboxResult
from interlock.sandbox.docker_driver import container_name
from interlock.settings import Settings
from interlock.types import WayOut

pytestmark = pytest.mark.docker

RunCall = Callable[..., Any]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bare git repository that any web server can serve."""
    folder = tmp_path_factory.mktemp("served")
    source = folder / "source"
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "-q", source], check=True)
    (source / "README").write_text("read me\n")
    subprocess.run([*git, "-C", source, "add", "README"], check=True)
    subprocess.run([*git, "-C", source, "commit", "-qm", "first"], check=True)
    subprocess.run([*git, "clone", "-q", "--bare", source, folder / "repo.git"], check=True)
    subprocess.run([*git, "-C", folder / "repo.git", "update-server-info"], check=True)
    return folder


@pytest.fixture(scope="module")
def secure(repository: Path) -> Iterator[Service]:
    with service(tls=True, folder=repository) as one:
        yield one


@pytest.fixture(scope="module")
async def reaching(
    settings: Settings, image: str, secure: Service, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[DockerDriver]:
    """A driver whose executor trusts the server's authority and has the token in its environment."""
    assert secure.authority is not None
    trusted = tmp_path_factory.mktemp("trust") / "roots.pem"
    trusted.write_bytes(secure.authority.pem)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(trusted))
        patch.setenv("BANK", TOKEN)
        driver = DockerDriver(settings)
        yield driver
        await driver.close()


@pytest.fixture
def run(reaching: DockerDriver, blobs: Any, make_call: Callable[..., SandboxCall]) -> RunCall:
    """Run a body of code with a way out."""

    async def run(
        body: str, *rules: Any, watching: Watching | None = None, secret: bool = True, **given: Any
    ) -> SandboxResult:
        credentials = (credential(hosts=("localhost",)),) if secret else ()
        way_out = WayOut(rules=rules, credentials=credentials) if rules else None
        call = make_call(body, way_out=way_out, returns="str", **given)
        return await reaching.run(call, blobs, watching or Watching())

    return run


SCAN = r'''
import base64, ctypes, re, urllib.request

def mirrored(where, found, needles):
    """Which needles are in `where`. They are given backwards, so that looking for them does not bring them in."""
    back = where[::-1]
    return found | {name for name, needle in needles.items() if needle in back}

needles = {"token": TOKEN_BACKWARDS, "encoded": ENCODED_BACKWARDS, "canary": b"yranac-a-si-siht"}
canary = needles["canary"][::-1]
url = "https://localhost:PORT"
request = urllib.request.Request(url + "/echo", headers={"Authorization": "Bearer mine"})
with urllib.request.urlopen(request) as answer:
    echoed, headers = answer.read(), str(answer.headers)
with urllib.request.urlopen(url + "/pieces") as answer:
    pieces = answer.read()

in_memory = set()
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
    for line in maps:
        start, end, rights = re.match(r"(\w+)-(\w+) (\S+)", line).groups()
        if "r" in rights and int(end, 16) < 1 << 63 and "vvar" not in line and "vsyscall" not in line:
            memory.seek(int(start, 16))
            try:
                in_memory = mirrored(memory.read(int(end, 16) - int(start, 16)), in_memory, needles)
            except OSError:
                pass

in_files, read = set(), 0
for top in ("/workspace", "/tmp", "/artifacts", "/run", "/etc", "/opt", "/dev/shm", "/home", "/var", "/srv"):
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                try:
                    with open(path, "rb") as file:
                        in_files = mirrored(file.read(), in_files, needles)
                        read += 1
                except OSError:
                    pass
in_environment = mirrored("\n".join(f"{k}={v}" for k, v in os.environ.items()).encode(), set(), needles)

with urllib.request.urlopen(url + "/mute") as answer:
    pass
'''
REPORT = """
import json
try:
SCAN
except Exception as error:
    how = repr(error)
else:
    how = "mute answered"
return json.dumps({
    "how": how, "memory": sorted(in_memory), "files": sorted(in_files), "read": read,
    "environment": sorted(in_environment), "echoed": echoed.decode(), "headers": headers, "pieces": pieces.decode(),
})
"""


def scanning(port: int) -> str:
    import base64

    encoded = base64.b64encode(f"Bearer {TOKEN}".encode())
    scan = SCAN.replace("PORT", str(port)).replace("TOKEN_BACKWARDS", repr(TOKEN[::-1].encode()))
    scan = scan.replace("ENCODED_BACKWARDS", repr(encoded[::-1]))
    return REPORT.replace("SCAN", "\n".join(f"    {line}" for line in scan.splitlines()))


def memory_of(pid: int) -> bytes:
    """All writable memory of a process, its environment and arguments, as the host's root sees them."""
    found = Path(f"/proc/{pid}/environ").read_bytes() + Path(f"/proc/{pid}/cmdline").read_bytes()
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            start, end, rights = re.match(r"(\w+)-(\w+) (\S+)", line).groups()  # type: ignore[union-attr]
            if "w" in rights:
                memory.seek(int(start, 16))
                found += memory.read(int(end, 16) - int(start, 16))
    return found


async def test_token_reaches_server_and_never_sandbox(
    run: RunCall, secure: Service, engine: docker.APIClient, reaching: DockerDriver
) -> None:
    """The server sees the token. Environment, files, memory of every process, output, records and events do not."""
    watching, call_id = Watching(), "run-secret:c1"
    running = asyncio.ensure_future(
        run(scanning(secure.port), secure.rule(host="localhost"), watching=watching, call_id=call_id)
    )
    async with asyncio.timeout(60):
        while not any(one.path == "/mute" for one in secure.seen):
            assert not running.done(), running.result()
            await asyncio.sleep(0.05)
    # The tool waits for its last answer: look at every process of the container from outside.
    table = await asyncio.to_thread(engine.top, container_name(call_id), "-eo pid,args")
    processes = [int(row[0]) for row in table["Processes"]]
    seen = [memory_of(pid) for pid in processes]
    secure.released.set()
    result = await running

    assert len(processes) >= 3  # the runner, the relay, the tool
    assert any(b"this-is-a-canary" in one for one in seen)
    assert not any(TOKEN.encode() in one for one in seen)
    assert result.status == "ok", (result.error, result.stderr)
    told = json.loads(json.loads(result.value or b""))
    assert told["memory"] == ["canary"]
    assert told["files"] == []
    assert told["read"] > 10
    assert told["environment"] == []
    assert "*" * len(f"Bearer {TOKEN}") in told["echoed"]
    assert told["pieces"] == "<" + "*" * len(f"Bearer {TOKEN}") + ">"
    everything = repr((result, watching.told, told))
    assert TOKEN not in everything
    asked = [one for one in secure.seen if one.path in ("/echo", "/pieces", "/mute")]
    assert [one.header("authorization") for one in asked] == [[f"Bearer {TOKEN}"]] * 3
    assert [(one.path, one.verdict, one.credential) for one in result.egress[:2]] == [
        ("/echo", "sent", "bank"),
        ("/pieces", "sent", "bank"),
    ]
    assert [one.path for one in watching.told] == ["/echo", "/pieces", "/mute"]


async def test_unmodified_git_clones(run: RunCall, secure: Service) -> None:
    body = f"""
    made = subprocess.run(["git", "clone", "-q", "https://localhost:{secure.port}/files/repo.git", "/tmp/copy"],
                          capture_output=True, text=True)
    return made.stderr + (open("/tmp/copy/README").read() if made.returncode == 0 else "")
    """
    result = await run(body, secure.rule(host="localhost", paths=("/files/repo.git/**",)))
    assert result.status == "ok", result.error
    assert json.loads(result.value or b"") == "read me\n"
    assert {one.verdict for one in result.egress} == {"sent"}


async def test_refusal_can_be_read_by_the_tool(run: RunCall, secure: Service) -> None:
    body = f"""
    import json, urllib.request
    told = []
    for url in ("https://localhost:{secure.port}/closed", "https://evil.example/", "http://localhost:9/",
                "http://169.254.169.254/latest/meta-data/"):
        try:
            urllib.request.urlopen(url)
            told.append("reached")
        except urllib.error.HTTPError as error:
            told.append(json.loads(error.read())["refused"])
        except urllib.error.URLError as error:
            told.append(str(error.reason))
    return json.dumps(told)
    """
    result = await run(body, secure.rule(host="localhost", paths=("/open",)))
    path, host, port, address = json.loads(json.loads(result.value or b""))
    assert path == "no rule allows GET /closed at localhost; allowed: /open"
    assert "no rule reaches host evil.example; reached: localhost" in host
    assert "no rule reaches localhost by http at port 9" in port
    assert "is an address" in address
    assert [one.verdict for one in result.egress] == ["refused"] * 4


async def test_way_out_cannot_be_changed_from_inside(run: RunCall, secure: Service) -> None:
    body = """
    import json
    seen = [os.path.exists("/run/interlock/" + name) for name in ("ca.pem", "egress.sock", "x", "y")]
    refused = []
    for act in (lambda: os.unlink("/run/interlock/egress.sock"), lambda: open("/run/interlock/x", "w"),
                lambda: os.rename("/run/interlock/ca.pem", "/run/interlock/y"),
                lambda: os.chmod("/run/interlock/egress.sock", 0o600),
                lambda: open("/run/interlock/ca.pem", "a"), lambda: os.mkdir("/run/interlock/z"),
                lambda: socket.socket(socket.AF_UNIX).bind("/run/interlock/egress2.sock")):
        try:
            act()
            refused.append("done")
        except OSError as error:
            refused.append(error.strerror)
    return json.dumps([seen, refused, os.listdir("/sys/class/net")])
    """
    result = await run(body, secure.rule(host="localhost"))
    seen, refused, networks = json.loads(json.loads(result.value or b""))
    assert seen == [True, True, False, False]
    assert len(refused) == 7
    assert "done" not in refused
    assert networks == ["lo"]


async def test_sandbox_without_way_out_has_none(run: RunCall) -> None:
    body = """
    import json
    proxies = [name for name in os.environ if "proxy" in name.lower() or "CERT" in name]
    with socket.socket() as one:
        reached = one.connect_ex(("127.0.0.1", 3128))
    return json.dumps([os.path.exists("/run/interlock/egress.sock"), proxies, reached != 0])
    """
    result = await run(body)
    assert json.loads(json.loads(result.value or b"")) == [False, [], True]
    assert result.egress == ()


async def test_two_sandboxes_use_their_own_way_only(run: RunCall, secure: Service) -> None:
    body = f"""
    import json, urllib.request
    told = []
    for path in ("/a", "/b"):
        try:
            with urllib.request.urlopen("https://localhost:{secure.port}" + path) as answer:
                answer.read()  # else the call may end before its request does
                told.append(answer.status)
        except urllib.error.HTTPError as error:
            told.append(error.code)
    return json.dumps(told)
    """
    rules = [secure.rule(host="localhost", paths=(path,)) for path in ("/a", "/b")]
    first, second = await asyncio.gather(run(body, rules[0]), run(body, rules[1]))
    assert [json.loads(json.loads(one.value or b"")) for one in (first, second)] == [[200, 403], [403, 200]]
    assert [[one.verdict for one in each.egress] for each in (first, second)] == [
        ["sent", "refused"],
        ["refused", "sent"],
    ]


async def test_call_that_ends_leaves_no_connection(run: RunCall, secure: Service) -> None:
    secure.released.clear()
    body = f"""
    import threading, urllib.request
    url = "https://localhost:{secure.port}/mute"
    threading.Thread(target=urllib.request.urlopen, args=(url,), daemon=True).start()
    deadline = time.time() + 10
    while time.time() < deadline and "01" not in open("/proc/net/tcp").read():
        time.sleep(0.05)
    time.sleep(0.3)
    return "done"
    """
    result = await run(body, secure.rule(host="localhost"))
    secure.released.set()
    assert json.loads(result.value or b"") == "done"
    assert [(one.path, one.verdict) for one in result.egress] == [("/mute", "failed")]


async def test_leased_container_gets_a_way_for_each_call(
    run: RunCall, secure: Service, reaching: DockerDriver
) -> None:
    body = f"""
    import hashlib, json, urllib.request
    with urllib.request.urlopen("https://localhost:{secure.port}/a") as answer:
        return json.dumps([answer.status, hashlib.sha256(open("/run/interlock/ca.pem", "rb").read()).hexdigest()])
    """
    one, other = (secure.rule(host="localhost", paths=(path,)) for path in ("/a", "/b"))
    given = {"run": "run-leased", "limits": {"reuse": "run"}}
    first, second = await run(body, one, **given), await run(body, one, **given)
    third = await run(body, other, **given)
    await reaching.release("run-leased")
    (status, authority), (again, another) = (json.loads(json.loads(each.value or b"")) for each in (first, second))
    assert (status, again, second.start) == (200, 200, "leased")
    assert authority != another
    assert [each.number for each in second.egress] == [1]
    # Another way out is another container.
    assert (third.status, third.start == "leased") == ("error", False)
    assert [each.verdict for each in third.egress] == ["refused"]


async def test_request_that_is_not_on_record_does_not_leave(run: RunCall, secure: Service) -> None:
    before = len(secure.seen)
    body = f"""
    import urllib.request
    try:
        urllib.request.urlopen("https://localhost:{secure.port}/hello")
    except urllib.error.HTTPError as error:
        return error.read().decode()
    """
    watching = Watching(LedgerUnavailable("down"))
    result = await run(body, secure.rule(host="localhost"), watching=watching)
    assert "could not be put on record first" in json.loads(result.value or b"")
    assert [one.verdict for one in result.egress] == ["refused"]
    assert len(secure.seen) == before
