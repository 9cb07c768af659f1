"""What docker-compose.yml promises of its services."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
FILE: dict[str, dict[str, Any]] = YAML(typ="safe").load(ROOT / "docker-compose.yml")
SERVICES: dict[str, Any] = FILE["services"]


def mounts(service: str) -> list[str]:
    return [str(mount) for mount in SERVICES[service].get("volumes", [])]


@pytest.mark.parametrize("name", SERVICES)
def test_service_is_closed(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.get("privileged")
    # The console alone is reached from outside, and from its own machine.
    ports = service.get("ports", [])
    assert ports == (["127.0.0.1:${INTERLOCK_CONSOLE_PORT:-8400}:8400"] if name == "console" else [])


def test_only_executor_has_docker_socket() -> None:
    assert [name for name in SERVICES if any("docker.sock" in mount for mount in mounts(name))] == ["executor"]


def test_only_setup_adds_capabilities() -> None:
    assert [name for name, service in SERVICES.items() if service.get("cap_add")] == ["setup"]
    assert SERVICES["setup"]["network_mode"] == "none"


def test_secrets_volume_has_one_service() -> None:
    holders: dict[str, list[str]] = {}
    for name in SERVICES:
        for mount in mounts(name):
            if "-secrets:" in mount and name != "setup":
                holders.setdefault(mount.partition(":")[0], []).append(name)
    assert holders == {
        "postgres-secrets": ["postgres"],
        "owner-secrets": ["migrate"],
        "executor-secrets": ["executor"],
        "graph-secrets": ["graph-worker"],
        "client-secrets": ["client", "console"],
        "auditor-secrets": ["auditor"],
    }


def test_service_with_a_private_key_has_no_team_code() -> None:
    """agents/ and workflows/ are imported, so they are not where the API's or the executor's key is."""
    for name in ("client", "console", "executor"):
        assert not [mount for mount in mounts(name) if "/agents:" in mount or "/workflows:" in mount]


def test_compose_file_needs_nothing_beside_a_project() -> None:
    """`interlock init` copies it: what it mounts of its own folder is the project's own."""
    parts = {mount.partition(":-.}/")[2].partition(":")[0] for name in SERVICES for mount in mounts(name)} - {""}
    assert parts == {"pyproject.toml", "agents", "tools", "permissions", "workflows"}
    assert not [mount for name in SERVICES for mount in mounts(name) if mount.startswith(".")]


def test_mounts_of_the_project_are_read_only() -> None:
    bound = [mount for name in SERVICES for mount in mounts(name) if mount.startswith("${INTERLOCK_PROJECT")]
    assert len(bound) > 10
    assert all(mount.endswith(":ro") for mount in bound)


@pytest.mark.parametrize("name", SERVICES)
def test_image_can_be_overridden(name: str) -> None:
    assert str(SERVICES[name]["image"]).startswith("${INTERLOCK_")


def test_ways_out_are_of_three_services_and_apart() -> None:
    """One talks to model providers, one to what rules let calls reach, one to people; nothing else gets a network
    that leads outside."""
    outward = {name for name, network in FILE["networks"].items() if not network.get("internal")}
    ways = {name: sorted(outward & set(SERVICES[name].get("networks", []))) for name in SERVICES}
    assert {name: way for name, way in ways.items() if way} == {
        "graph-worker": ["models"],
        "executor": ["services"],
        "console": ["people"],
    }
