"""What holds for every command: help, --json, quick start, exit codes, errors in words."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.commands import leaves

EXPECTED = {
    "init", "check", "dev", "worker", "doctor", "replay", "flight-check",
    "builds list", "builds current",
    "run start", "run list", "run show", "run wait", "run cancel", "run pause", "run resume", "run erase",
    "run signal",
    "schedule create", "schedule renew", "schedule list", "schedule show", "schedule pause", "schedule resume",
    "schedule trigger", "schedule backfill", "schedule delete",
    "run artifacts", "run artifact", "run output", "run export", "run history",
    "run live", "run diff-workspace",
    "approval list", "approval show", "approval approve", "approval reject", "approval respond", "approval edit",
    "approval withdraw", "approval reassign",
    "approval grant", "approval grants", "approval revoke",
    "compile", "policy check", "policy lint", "policy fmt", "policy show", "policy schema", "policy test",
    "policy mutate", "policy explain", "policy can", "policy who", "policy diff", "policy impact", "policy shadow",
    "policy suggest", "policy proposals", "policy review", "policy notices",
    "policy sign", "policy status", "agent list", "agent graph", "tool list", "tool call", "tool discover",
    "sandbox build", "sandbox doctor", "sandbox clean", "sandbox pool", "sandbox sbom",
    "keys create", "keys rotate",
    "codec serve", "codec token",
    "serve", "accounts link", "accounts sign-out", "accounts token new", "accounts token list",
    "accounts token revoke", "accounts deputy name", "accounts deputy list", "accounts deputy revoke",
    "mcp", "approval stats",
    "notifications list", "notifications retry", "notifications test", "notifications serve",
}  # fmt: skip


def test_commands_are_these() -> None:
    assert set(leaves()) == EXPECTED


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_every_command_explains_itself(interlock, name: str) -> None:
    told = interlock(*name.split(), "--help")
    assert told.code == 0
    assert leaves()[name].help.strip().splitlines()[0] in told.out


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_every_option_has_help(name: str) -> None:
    silent = [p.name for p in leaves()[name].params if not getattr(p, "help", "x")]
    assert silent == []


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_every_command_speaks_json(name: str) -> None:
    assert "--json" in [option for parameter in leaves()[name].params for option in parameter.opts]


def test_start_loads_nothing_heavy() -> None:
    heavy = ("temporalio", "langgraph", "langchain_core", "casbin", "sqlalchemy", "docker", "jwt", "interlock.run")
    code = f"import sys, interlock.cli.main; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_version_is_printed(interlock) -> None:
    import interlock as package

    assert interlock("--version").out == f"interlock {package.__version__}\n"


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["run", "start"], ["run", "list", "--limit", "0"], ["worker", "boss"], ["init"]]
)
def test_wrong_usage_exits_two(interlock, arguments: list[str]) -> None:
    told = interlock(*arguments)
    assert told.code == 2
    assert told.err


def test_missing_ledger_exits_three(interlock) -> None:
    told = interlock("run", "list")
    assert told.code == 3
    assert told.err.startswith("error: there is no ledger at ")
    assert "next: start `interlock dev`" in told.err


def test_error_is_json_too(interlock) -> None:
    told = interlock("run", "list", "--json")
    assert told.code == 3
    assert told.json["error"]["kind"] == "LedgerUnavailable"
    assert told.json["error"]["next_step"].startswith("start `interlock dev`")


def test_traceback_only_for_debug(spawned) -> None:
    assert "Traceback" not in spawned("run", "list").err
    assert "Traceback" in spawned("--debug", "run", "list").err


def test_wrong_setting_is_named(spawned) -> None:
    told = spawned("run", "list", INTERLOCK_SANDBOX_DRIVER="chroot")
    assert told.code == 2
    assert "sandbox_driver" in told.err
    assert "Traceback" not in told.err


@pytest.mark.parametrize("name", ["run pause", "run cancel", "run resume"])
def test_missing_temporal_exits_three(interlock, recorded, name: str) -> None:
    interlock("keys", "create")
    told = interlock(*name.split(), "last", "--as", "user:alice")
    assert told.code == 3
    assert "no Temporal server answers at 127.0.0.1:1" in told.err


def test_missing_key_exits_three(interlock, recorded) -> None:
    told = interlock("run", "wait", "last")
    assert told.code == 3
    assert "api.key cannot be read" in told.err
