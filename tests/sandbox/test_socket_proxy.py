"""The shipped configuration before the real engine: what Interlock does passes, what would be root does not."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import docker.errors
import pytest

from interlock.sandbox import DockerDriver, clean, self_test
from interlock.sandbox.options import container
from interlock.types import Profile

CONFIGURATION = Path(__file__).parents[2] / "images" / "docker-socket-proxy" / "haproxy.cfg"
WAY_OUT = "/tmp/interlock-out-proxy-test"
PROFILE = Profile(name="small", memory_mib=128, workspace_mib=8, tmp_mib=8, time_s=20)

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A running HAProxy with the shipped configuration; its folder of sockets."""
    sockets = tmp_path_factory.mktemp("p")
    engine = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")
    environment = {**os.environ, "DOCKER_SOCKET": engine, "PROXY_SOCKETS": str(sockets), "WAY_OUT_FOLDERS": WAY_OUT}
    haproxy = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
    assert haproxy, "apt-get install haproxy"
    running = subprocess.Popen([haproxy, "-db", "-f", str(CONFIGURATION)], env=environment)
    try:
        while not (sockets / "build.sock").exists():
            assert running.poll() is None, "HAProxy does not take the configuration"
            time.sleep(0.05)
        yield sockets
    finally:
        running.terminate()
        running.wait()


@pytest.fixture
def executor(proxy: Path) -> Iterator[docker.APIClient]:
    api = docker.APIClient(base_url=f"unix://{proxy / 'executor.sock'}", version="auto", timeout=30)
    yield api
    api.close()


@pytest.fixture
def body(executor: docker.APIClient, image: str) -> dict[str, Any]:
    """What the client sends to create a container, as it sends it."""
    sent: list[dict[str, Any]] = []
    arguments = container(
        executor, PROFILE, image=image, name="n", labels={"interlock.sandbox": "test"}, lifetime_s=5, cgroup_v1=True
    )
    plain = docker.APIClient(**docker.utils.kwargs_from_env(), version="auto")
    plain._post_json = lambda url, data, **_: sent.append(data) or pytest.skip  # type: ignore[method-assign]
    plain._result = lambda *_: {}  # type: ignore[method-assign]
    plain.create_container(**arguments)
    return sent[0]


def ask(path: Path, method: str, target: str, content: bytes = b"", *headers: str) -> int:
    """The status of one request, written by hand."""
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(20)
        one.connect(str(path))
        lines = [f"{method} {target} HTTP/1.1", "Host: docker", "Connection: close", *headers]
        if not any("chunked" in header for header in headers):
            lines.append(f"Content-Length: {len(content)}")
        lines.append("Content-Type: application/json")
        one.sendall("\r\n".join([*lines, "", ""]).encode() + content)
        return int(one.makefile("rb").readline().split()[1])


@pytest.fixture
def create(proxy: Path, engine: docker.APIClient) -> Iterator[Callable[[bytes], int]]:
    """Ask the proxy to create a container; what was created is removed."""
    name = "interlock-proxy-test"
    yield lambda content: ask(proxy / "executor.sock", "POST", f"/v1.41/containers/create?name={name}", content)
    with contextlib.suppress(docker.errors.NotFound):
        engine.remove_container(name, force=True)


def test_every_control_holds_through_the_proxy(executor, image):
    checks = self_test(executor, PROFILE, image)
    assert [check for check in checks if not check.ok] == []
    assert len(checks) > 60


async def test_calls_run_through_the_proxy(proxy, image, settings, blobs, make_call, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{proxy / 'executor.sock'}")
    driver = DockerDriver(settings)
    try:
        good = await driver.run(make_call("return 1", returns="int", image=image), blobs)
        late = await driver.run(make_call("time.sleep(60)", limits={"time_s": 1}, image=image), blobs)
        much = await driver.run(make_call("print('x' * 10**7)\nreturn 2", returns="int", image=image), blobs)
    finally:
        await driver.close()
    assert (good.status, good.value) == ("ok", b"1")
    assert late.status == "timeout"
    assert (much.status, much.value) == ("ok", b"2")


def test_dead_executors_are_cleaned_up_after_through_the_proxy(proxy, image, settings, engine, monkeypatch):
    labels = {"interlock.sandbox": "nobody", "interlock.expires": "1"}
    monkeypatch.setenv("DOCKER_HOST", f"unix://{proxy / 'executor.sock'}")
    for _ in range(5):  # an executor of another test may look for what is left, and find it first
        made = engine.create_container(image, name="interlock-left", labels=labels)["Id"]
        removed = [line for line in clean(settings) if "interlock-left" in line or made[:12] in line]
        assert engine.containers(all=True, filters={"id": made}) == []
        if removed:
            break
    assert removed


def test_own_shape_of_container_passes(create, body):
    assert create(json.dumps(body).encode()) == 201


def test_way_out_of_the_executor_passes(create, body):
    body["HostConfig"]["Binds"] = [f"{WAY_OUT}/abc:/run/interlock:ro,private"]
    os.makedirs(WAY_OUT, mode=0o700, exist_ok=True)
    os.makedirs(f"{WAY_OUT}/abc", exist_ok=True)
    try:
        assert create(json.dumps(body).encode()) == 201
    finally:
        shutil.rmtree(WAY_OUT)


WEAKER: list[tuple[str, Any]] = [
    ("Privileged", True),
    ("CapAdd", ["SYS_ADMIN"]),
    ("CapDrop", []),
    ("Binds", ["/:/host"]),
    ("Binds", [f"{WAY_OUT}/../../etc:/run/interlock:ro,private"]),
    ("Binds", [f"{WAY_OUT}/abc:/run/interlock:ro,private", "/:/host"]),
    ("Mounts", [{"Type": "bind", "Source": "/", "Target": "/host"}]),
    ("Devices", [{"PathOnHost": "/dev/kvm", "PathInContainer": "/dev/kvm", "CgroupPermissions": "rwm"}]),
    ("NetworkMode", "host"),
    ("NetworkMode", "container:abc"),
    ("PidMode", "host"),
    ("IpcMode", "host"),
    ("UTSMode", "host"),
    ("UsernsMode", "host"),
    ("CgroupnsMode", "host"),
    ("SecurityOpt", ["seccomp=unconfined"]),
    ("SecurityOpt", ["no-new-privileges:true", "apparmor=unconfined"]),
    ("ReadonlyRootfs", False),
    ("VolumesFrom", ["other"]),
    ("GroupAdd", ["0"]),
    ("Sysctls", {"kernel.shm_rmid_forced": "1"}),
    ("MaskedPaths", []),
    ("ReadonlyPaths", ["/x"]),
    ("CgroupParent", "/system"),
]


@pytest.mark.parametrize(("field", "value"), WEAKER, ids=lambda value: str(value)[:40])
def test_weaker_container_is_refused(create, body, field, value):
    body["HostConfig"][field] = value
    assert create(json.dumps(body).encode()) == 403


def test_root_user_is_refused(create, body):
    assert create(json.dumps({**body, "User": "0:0"}).encode()) == 403


def test_missing_confinement_is_refused(create, body):
    for field in ("NetworkMode", "CapDrop", "SecurityOpt", "ReadonlyRootfs"):
        less = copy.deepcopy(body)
        del less["HostConfig"][field]
        assert create(json.dumps(less).encode()) == 403


def tricks(body: dict[str, Any]) -> dict[str, bytes]:
    """Spellings that the engine reads and a careless filter does not."""
    text = json.dumps(body)
    return {
        "other case": text.replace('"HostConfig": {', '"HostConfig": {"pRIVILEGED": true, ', 1).encode(),
        "second of two": (text[:-1] + ', "HostConfig": {"Privileged": true, "NetworkMode": "none"}}').encode(),
        "escaped name": text.replace('"HostConfig": {', '"HostConfig": {"\\u0050rivileged": true, ', 1).encode(),
        "folded letter": text.replace('"HostConfig": {', '"HostConfig": {"Bind\u017f": ["/:/host"], ', 1).encode(),
        "spaces": text.replace('"HostConfig": {', '"HostConfig": {"Privileged"\n\t :\r\n true, ', 1).encode(),
        "beyond the buffer": text.replace(
            '"HostConfig": {', '"HostConfig": {' + " " * 70_000 + '"Privileged": true, '
        ).encode(),
        "empty": b"",
    }


@pytest.mark.parametrize("trick", tricks({"HostConfig": {}}))
def test_other_spellings_are_refused(create, body, trick):
    assert create(tricks(body)[trick]) in (403, 413)


def test_chunked_create_is_refused(proxy, body):
    content = json.dumps(body).encode()
    chunked = f"{len(content):x}\r\n".encode() + content + b"\r\n0\r\n\r\n"
    socket_ = proxy / "executor.sock"
    assert ask(socket_, "POST", "/v1.41/containers/create", chunked, "Transfer-Encoding: chunked") == 403


REFUSED = [
    ("POST", "/v1.41/containers/abc/exec"),
    ("POST", "/v1.41/exec/abc/start"),
    ("GET", "/v1.41/containers/abc/archive?path=/"),
    ("PUT", "/v1.41/containers/abc/archive?path=/"),
    ("GET", "/v1.41/containers/abc/export"),
    ("POST", "/v1.41/containers/abc/update"),
    ("POST", "/v1.41/containers/create/../../exec/abc/start"),
    ("POST", "/v1.41/containers/abc/%65xec"),
    ("POST", "//v1.41/containers/create"),
    ("POST", "/v1.41/build"),
    ("POST", "/v1.41/images/create?fromImage=x"),
    ("DELETE", "/v1.41/images/x"),
    ("POST", "/v1.41/volumes/create"),
    ("POST", "/v1.41/networks/create"),
    ("POST", "/v1.41/plugins/pull?remote=x"),
    ("POST", "/v1.41/swarm/init"),
    ("POST", "/session"),
    ("POST", "/grpc"),
    ("GET", "/v1.41/containers/abc"),
    ("PUT", "/v1.41/containers/create"),
]


@pytest.mark.parametrize(("method", "target"), REFUSED, ids=lambda value: value)
def test_other_calls_are_refused(proxy, method, target):
    assert ask(proxy / "executor.sock", method, target) == 403


def test_builder_may_not_attach_or_exec(proxy):
    for target in ("/v1.41/containers/abc/attach", "/v1.41/containers/abc/exec", "/v1.41/volumes/create"):
        assert ask(proxy / "build.sock", "POST", target) == 403


def test_image_builds_through_the_proxy(proxy, image, settings, monkeypatch, engine):
    from interlock.sandbox import build_image, sbom_of
    from interlock.settings import Settings

    monkeypatch.setenv("DOCKER_HOST", f"unix://{proxy / 'build.sock'}")
    own = Settings(root=settings.root, state=settings.state, image_prefix="interlock-proxy-test", base_image=image)
    built = build_image(own)
    try:
        assert b"CycloneDX" in sbom_of(own)
    finally:
        engine.remove_image(built, force=True)
