"""Which service of docker-compose.yml holds which key and which password."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("postgres", "postgres-init", "owner", "executor", "graph", "client", "auditor", "temporal", "console")

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="files are handed to other users, which needs root")


def provision(volumes: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    script = ROOT / "images" / "services" / "interlock" / "provision.py"
    environment = {**os.environ, "INTERLOCK_VOLUMES": str(volumes)}
    return subprocess.run(
        [sys.executable, script, *arguments], env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def volumes(tmp_path: Path) -> Path:
    for service in SERVICES:
        (tmp_path / service).mkdir()
    done = provision(tmp_path)
    assert done.returncode == 0, done.stderr
    return tmp_path


def files(volumes: Path, service: str) -> set[str]:
    return {str(path.relative_to(volumes / service)) for path in (volumes / service).rglob("*") if path.is_file()}


def test_private_keys_are_where_their_role_is(volumes: Path) -> None:
    holders = {path.name: path.parts[-3] for path in volumes.rglob("keys/*.key") if path.parent.name == "keys"}
    assert holders == {"executor.key": "executor", "ledger.key": "executor", "api.key": "client"}


def test_graph_worker_gets_public_keys_and_blobs(volumes: Path) -> None:
    public = {f"keys/{role}.pub" for role in ("api", "executor", "ledger")}
    assert files(volumes, "graph") == {"blobs_url", "data-keys/1.key", "data-keys/current", *public}
    assert "interlock_ledger" not in (volumes / "graph" / "blobs_url").read_text()


def test_every_reader_has_the_data_keys(volumes: Path) -> None:
    readers = ("executor", "client", "graph", "auditor")
    assert len({(volumes / service / "data-keys" / "1.key").read_text() for service in readers}) == 1
    assert {path.parts[-3] for path in volumes.rglob("data-keys/*.key")} == set(readers)


def test_new_version_of_data_keys_reaches_every_reader(volumes: Path) -> None:
    done = provision(volumes, "rotate")
    assert done.returncode == 0, done.stderr
    for service in ("executor", "client", "graph", "auditor"):
        folder = volumes / service / "data-keys"
        assert {path.name for path in folder.iterdir()} == {"1.key", "2.key", "current"}
        assert (folder / "current").read_text().strip() == "2"


def test_lost_data_keys_are_not_made_anew(volumes: Path) -> None:
    shutil.rmtree(volumes / "executor" / "data-keys")
    done = provision(volumes)
    assert done.returncode == 1
    assert "lost its data keys" in done.stderr


def test_each_service_has_its_own_password(volumes: Path) -> None:
    passwords = [path.read_text() for path in (volumes / "postgres").glob("*_password")]
    assert len(set(passwords)) == len(passwords) == 6
    for service in ("owner", "executor", "client", "graph"):
        own = (volumes / "postgres" / f"{service}_password").read_text()
        others = set(passwords) - {own}
        said = "".join(path.read_text() for path in (volumes / service).glob("*_url"))
        assert own in said
        assert not any(other in said for other in others)


def test_secrets_are_unreadable_for_others(volumes: Path) -> None:
    for path in (*volumes.rglob("*.key"), *volumes.rglob("*_url")):
        assert path.stat().st_mode & 0o077 == 0, path
    assert (volumes / "client" / "keys" / "api.key").stat().st_uid == 10002
    assert (volumes / "executor" / "keys" / "executor.key").stat().st_uid == 0


def test_database_finds_its_first_script(volumes: Path) -> None:
    script = volumes / "postgres-init" / "10-interlock.sh"
    assert "CREATE ROLE interlock_auditor LOGIN" in script.read_text()
    assert script.stat().st_mode & 0o777 == 0o644


def test_second_start_changes_nothing(volumes: Path) -> None:
    before = {path: path.read_bytes() for path in volumes.rglob("*") if path.is_file()}
    assert provision(volumes).returncode == 0
    assert {path: path.read_bytes() for path in volumes.rglob("*") if path.is_file()} == before


def test_lost_key_is_not_replaced(volumes: Path) -> None:
    """New keys would leave every token on record unverifiable, and nobody would have been told."""
    (volumes / "client" / "keys" / "api.key").unlink()
    (volumes / "client" / "keys" / "api.pub").unlink()
    done = provision(volumes)
    assert done.returncode == 1
    assert "'client' lost api.key" in done.stderr
    assert not (volumes / "client" / "keys" / "api.key").exists()


def test_exchanged_public_key_is_refused(volumes: Path) -> None:
    (volumes / "graph" / "keys" / "api.pub").write_bytes((volumes / "graph" / "keys" / "ledger.pub").read_bytes())
    done = provision(volumes)
    assert done.returncode == 1
    assert "is not the public key of" in done.stderr
