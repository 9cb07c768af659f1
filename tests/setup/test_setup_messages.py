"""What the set-up says where it cannot go on: what is missing, and the command that mends it."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def tools(folder: Path, *names: str) -> str:
    """A PATH that holds nothing but these commands."""
    folder.mkdir()
    for name in names:
        found = shutil.which(name)
        assert found
        (folder / name).symlink_to(found)
    return str(folder)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the set-up alone, without a virtual environment; `/usr/bin/python3` of this machine is no help."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    shell = tmp_path / "scripts" / "setup.sh"
    shell.write_text(shell.read_text().replace("/usr/bin/python3 /usr/local/bin/python3", ""))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def set_up(checkout: Path, target: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = ["/bin/sh", str(checkout / "scripts" / "setup.sh"), target]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def bare(machine: ModuleType) -> Any:
    """A Debian machine with nothing on it, used by somebody who is not root."""
    return machine.Machine(
        debian=True, root=False, apt_get="/usr/bin/apt-get", systemd=False, user="ada", path="/nonexistent"
    )


def test_missing_python_names_the_package(checkout: Path, tmp_path: Path) -> None:
    done = set_up(checkout, "check", PATH=tools(tmp_path / "bin", "dirname"))
    assert done.returncode == 3
    assert "no Python 3.11 or newer with its venv module" in done.stderr
    assert "apt-get install -y python3 python3-venv" in done.stderr


def test_old_python_is_passed_over(checkout: Path, tmp_path: Path) -> None:
    path = tools(tmp_path / "bin", "dirname")
    old = Path(path, "python3")
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = set_up(checkout, "check", PATH=path)
    assert done.returncode == 3
    assert "no Python 3.11 or newer" in done.stderr


def test_python_variable_is_honoured(checkout: Path, tmp_path: Path) -> None:
    done = set_up(checkout, "nonsense", PATH=tools(tmp_path / "bin", "dirname"), PYTHON=sys.executable)
    assert done.returncode == 2
    assert "usage: setup.sh check | dev | demo | test" in done.stderr


def test_pip_failure_exits_with_the_command(checkout: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "src", checkout / "src")
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:1/simple", "PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "0"}
    done = set_up(checkout, "check", PATH=tools(tmp_path / "bin", "dirname"), PYTHON=sys.executable, **nowhere)
    assert done.returncode == 3
    assert "pip could not install" in done.stderr
    assert "PIP_* variables" in done.stderr
    assert not (checkout / ".venv" / "set-up.digest").exists()


def test_user_who_is_not_root_gets_sudo(debian: ModuleType, report: ModuleType, bare: Any) -> None:
    with pytest.raises(report.Missing) as refused:
        debian.install([debian.ENGINE, debian.BASE], bare)
    assert "docker.io (the Docker engine), mmdebstrap" in refused.value.reason
    assert "'ada'" in refused.value.reason
    assert refused.value.mend == ("sudo apt-get update && sudo apt-get install -y docker.io mmdebstrap",)


def test_other_system_gets_the_list(debian: ModuleType, report: ModuleType, bare: Any) -> None:
    other = dataclasses.replace(bare, debian=False, apt_get=None, root=True)
    with pytest.raises(report.Missing) as refused:
        debian.install([debian.POSTGRESQL], other)
    assert "only on Debian" in refused.value.reason
    assert refused.value.mend[0].endswith("package manager: postgresql")


def test_failing_apt_get_is_quoted(debian: ModuleType, report: ModuleType, bare: Any, tmp_path: Path) -> None:
    apt_get = tmp_path / "apt-get"
    apt_get.write_text('#!/bin/sh\necho "E: no space left ($1)"; exit 100\n')
    apt_get.chmod(0o755)
    with pytest.raises(report.Missing) as refused:
        debian.install([debian.GIT], dataclasses.replace(bare, root=True, apt_get=str(apt_get)))
    assert "E: no space left (install)" in refused.value.reason


def test_old_package_lists_are_refreshed(debian: ModuleType, bare: Any, tmp_path: Path) -> None:
    """apt-get installs only after an update, as on a machine whose lists are old or absent."""
    apt_get, updated, installed = tmp_path / "apt-get", tmp_path / "updated", tmp_path / "installed"
    apt_get.write_text(
        f"#!/bin/sh\n[ $1 = update ] && {{ : >{updated}; exit 0; }}\n[ -e {updated} ] && echo $@ >{installed}\n"
    )
    apt_get.chmod(0o755)
    debian.install([debian.GIT], dataclasses.replace(bare, root=True, apt_get=str(apt_get)))
    assert installed.read_text().split()[-1] == "git"


def test_nothing_missing_runs_nothing(debian: ModuleType, bare: Any) -> None:
    debian.install([], bare)


def test_every_package_is_missing_on_bare_machine(debian: ModuleType, bare: Any) -> None:
    commands = [debian.GIT, debian.ENGINE, debian.IPTABLES, debian.BASE]
    assert debian.missing(commands, bare) == commands


def test_start_needs_root(engine: ModuleType, report: ModuleType, bare: Any) -> None:
    with pytest.raises(report.Missing) as refused:
        engine.start(bare)
    assert "needs root" in refused.value.reason
    assert refused.value.mend == ("sudo systemctl start docker",)


def test_missing_dockerd_names_the_package(engine: ModuleType, report: ModuleType, bare: Any) -> None:
    with pytest.raises(report.Missing) as refused:
        engine.start(dataclasses.replace(bare, root=True))
    assert "apt-get install -y docker.io" in refused.value.mend[0]


def test_silent_docker_host_is_named(engine: ModuleType, report: ModuleType, bare: Any, tmp_path: Path) -> None:
    with pytest.raises(report.Missing, match="no engine answers there"):
        engine.is_up(bare, host=f"unix://{tmp_path}/none.sock")


def test_failing_engine_shows_its_log(
    engine: ModuleType, report: ModuleType, bare: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dockerd = tmp_path / "dockerd"
    dockerd.write_text("#!/bin/sh\necho 'failed: Devices cgroup is not mounted'\nexit 1\n")
    dockerd.chmod(0o755)
    monkeypatch.setattr(engine, "SOCKET", tmp_path / "docker.sock")
    monkeypatch.setattr(engine, "RUN", tmp_path)
    monkeypatch.setattr(engine, "LOG", tmp_path / "dockerd.log")
    with pytest.raises(report.Missing) as refused:
        engine.start(dataclasses.replace(bare, root=True, path=f"{tmp_path}:/usr/bin:/bin"))
    assert "Devices cgroup is not mounted" in refused.value.reason
    assert "cgroupfs-mount" in refused.value.mend[-1]


def test_stale_pid_file_is_removed(engine: ModuleType, tmp_path: Path) -> None:
    """A killed engine leaves its number behind, and another process may have it by now."""
    stale = tmp_path / "docker.pid"
    stale.write_text(str(os.getpid()))
    engine._remove_stale(stale, "dockerd")
    assert not stale.exists()


def test_pid_file_of_running_daemon_stays(engine: ModuleType, tmp_path: Path) -> None:
    own = Path("/proc/self/comm").read_text().strip()
    live = tmp_path / "docker.pid"
    live.write_text(str(os.getpid()))
    engine._remove_stale(live, own)
    assert live.exists()


def test_dependency_change_needs_installation(environment: ModuleType, tmp_path: Path) -> None:
    text = (ROOT / "pyproject.toml").read_text()
    (tmp_path / "pyproject.toml").write_text(text)
    before = environment.installation_digest(tmp_path)
    (tmp_path / "pyproject.toml").write_text(text.replace("line-length = 116", "line-length = 100"))
    assert environment.installation_digest(tmp_path) == before
    (tmp_path / "pyproject.toml").write_text(text.replace('"tenacity', '"tenacity-next'))
    assert environment.installation_digest(tmp_path) != before
