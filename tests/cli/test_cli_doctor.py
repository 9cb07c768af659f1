"""doctor observes every part, and names the command that mends what fails."""

from __future__ import annotations

from pathlib import Path

import pytest


def checks(told) -> dict[str, dict]:
    return {check["name"]: check for check in told.json["checks"]}


@pytest.fixture
def no_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")


def test_bare_machine_exits_three(interlock, no_docker) -> None:
    told = interlock("doctor", "--json")
    assert told.code == 3
    found = checks(told)
    assert found["Python"]["ok"]
    assert found["policy"]["ok"]
    failed = {name for name, check in found.items() if not check["ok"]}
    stores = {"ledger", "blobs", "data keys"}
    assert failed >= {"sandbox", "key api", "key executor", "key ledger", *stores, "Temporal server"}
    assert all(found[name]["fix"] for name in failed)


def test_what_is_there_is_ok(interlock, recorded, no_docker) -> None:
    interlock("keys", "create")
    found = checks(interlock("doctor", "--json"))
    assert found["ledger"]["observed"] == "opens, tables up to date, newest run sample-1"
    assert found["key api"]["observed"] == "public and private key, mode 0600"
    assert found["alarms"]["ok"]
    assert found["project"]["ok"]
    assert found["data keys"]["observed"].endswith("wraps and unwraps; payloads in Temporal are encrypted")


def test_open_key_fails(interlock, project: Path, no_docker) -> None:
    interlock("keys", "create")
    key = project / ".interlock" / "keys" / "api.key"
    key.chmod(0o644)
    found = checks(interlock("doctor", "--json"))
    assert not found["key api"]["ok"]
    assert found["key api"]["fix"] == f"chmod 600 {key}"


def test_alarm_fails(interlock, recorded, project: Path, no_docker) -> None:
    from interlock.audit import Ledger

    Ledger(f"sqlite:///{project}/.interlock/ledger.db").alarm("sample-1", "event.forged", "somebody tried")
    found = checks(interlock("doctor", "--json"))
    assert not found["alarms"]["ok"]
    assert "somebody tried" in found["alarms"]["observed"]


def test_broken_policy_fails(interlock, project: Path, no_docker) -> None:
    (project / "permissions" / "routes.yaml").write_text("routes: [}")
    found = checks(interlock("doctor", "--json"))
    assert not found["policy"]["ok"]


def test_plain_lines_say_ok_or_fail(interlock, no_docker) -> None:
    told = interlock("doctor")
    lines = told.out.splitlines()
    assert any(line.startswith("ok    Python: 3.") for line in lines)
    assert any(line.startswith("FAIL  Temporal server: ") for line in lines)
    assert "      mend it: interlock dev" in lines


@pytest.mark.docker
def test_real_container_is_examined(interlock) -> None:
    told = interlock("sandbox", "doctor", "--json")
    assert told.code == 0
    assert len(told.json["checks"]) > 20
