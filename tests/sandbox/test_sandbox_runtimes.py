"""A demanded runtime serves, or nothing does. With a second engine: crun, user namespaces, an impostor."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from interlock.errors import SandboxUnavailable
from interlock.sandbox import available_runtimes, self_test
from interlock.sandbox.container import Container
from interlock.sandbox.engine_facts import cgroup_v1, engine_facts
from interlock.sandbox.runtimes import check_runtime, require_runtime
from interlock.types import Profile

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]
# crun refuses hosts that mix both versions of control groups; where ours does, the engine gets a view without one.
_START = 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"'


def profile(runtime: str) -> Profile:
    return Profile(name="strict", runtime=runtime, memory_mib=128, workspace_mib=8, tmp_mib=8, time_s=20)


@pytest.fixture(scope="module")
def second(engine: docker.APIClient, image: str) -> Iterator[docker.APIClient]:
    """An engine of its own with user namespaces, crun, and a `runsc` that is runc in truth."""
    assert shutil.which("crun"), "apt-get install crun"
    folder = Path(tempfile.mkdtemp(prefix="il-"))
    # The root of the user namespace is not root here.
    folder.chmod(0o711)
    runtimes = {"crun": {"path": shutil.which("crun")}, "runsc": {"path": shutil.which("runc")}}
    (folder / "daemon.json").write_text(json.dumps({"runtimes": runtimes}))
    paths = {"data-root": "data", "exec-root": "exec", "pidfile": "pid", "config-file": "daemon.json"}
    command = ["dockerd", *(f"--{name}={folder / path}" for name, path in paths.items())]
    command += [f"--host=unix://{folder}/s", "--bridge=none", "--iptables=false", "--userns-remap=default"]
    log = (folder / "log").open("wb")
    # Without a network namespace of its own, an engine without a bridge would delete the machine's docker0.
    apart = ["unshare", "--mount", "--net", "sh", "-c", _START, "sh"]
    running = subprocess.Popen([*apart, *command], stdout=log, stderr=log)
    try:
        while not (folder / "s").exists():
            assert running.poll() is None, (folder / "log").read_text()
            time.sleep(0.1)
        api = docker.APIClient(base_url=f"unix://{folder}/s", version="auto", timeout=120)
        for line in api.load_image(engine.get_image(image)):
            assert "error" not in line
        yield api
        api.close()
    finally:
        running.terminate()
        running.wait()
        log.close()
        shutil.rmtree(folder, ignore_errors=True)


def test_runtimes_of_an_engine_are_listed(second):
    found = available_runtimes(second)
    assert {"runc", "crun", "runsc"} <= set(found)
    assert found["crun"].endswith("/crun")


def test_demanded_runtime_that_is_missing_is_named(engine):
    missing = next(name for name in ("crun", "runsc") if name not in available_runtimes(engine))
    with pytest.raises(SandboxUnavailable) as raised:
        require_runtime(engine, profile(missing))
    assert f"profile 'strict' demands the runtime '{missing}'" in raised.value.reason
    assert "runc" in raised.value.reason
    assert missing in raised.value.next_step


def test_missing_runtime_starts_nothing(engine, image):
    missing = next(name for name in ("crun", "runsc") if name not in available_runtimes(engine))
    with pytest.raises(SandboxUnavailable, match="no other runtime serves"):
        self_test(engine, profile(missing), image)


def test_runc_may_be_demanded(engine, image):
    checks = self_test(engine, profile("runc"), image)
    assert [check for check in checks if not check.ok] == []
    assert "runc, demanded runc" in [check.observed for check in checks]


def test_every_control_holds_under_user_namespaces(second, image):
    checks = self_test(second, profile(""), image)
    assert [check for check in checks if not check.ok] == []
    facts = {check.name: check.observed for check in [*checks, *engine_facts(second)]}
    assert facts["user namespaces"] == "root inside is no root outside"
    assert "root inside is root outside" not in facts["user namespace"]


def test_crun_serves_only_where_it_holds(second, image):
    """On control groups v1 it leaves a folder of them writable; version 2 has none to leave."""
    open_doors = {check.name: check.observed for check in self_test(second, profile("crun"), image) if not check.ok}
    if cgroup_v1(second):
        assert open_doors == {"control groups not writable": "writable ['/sys/fs/cgroup']"}
        with pytest.raises(SandboxUnavailable, match="control groups not writable"):
            Container.open(second, profile("crun"), image=image, name="refused", cgroup_v1=True)
    else:
        assert open_doors == {}
    assert second.containers(all=True) == []


def test_impostor_of_gvisor_serves_nothing(second, image):
    with pytest.raises(SandboxUnavailable, match=r"demands the runtime 'runsc'.*sees the host's kernel"):
        self_test(second, profile("runsc"), image)
    assert second.containers(all=True) == []


def test_other_runtime_than_demanded_is_refused():
    with pytest.raises(SandboxUnavailable, match="runs under 'runc'"):
        check_runtime(profile("crun"), {"gvisor": False}, {"HostConfig": {"Runtime": "runc"}})
    with pytest.raises(SandboxUnavailable, match="sees gVisor"):
        check_runtime(profile("runc"), {"gvisor": True}, {"HostConfig": {"Runtime": "runc"}})


def test_report_without_a_runtime_is_refused():
    with pytest.raises(SandboxUnavailable):
        check_runtime(profile("runsc"), {"gvisor": True}, {})
