"""Where output goes: plain and whole off a terminal, coloured on one, and never obeyed by it."""

from __future__ import annotations

import json
import os
import pty
import sys
from pathlib import Path

import pytest

from interlock.audit import Ledger, SqlBlobs
from interlock.cli import say

HOSTILE = "\x1b[2J\u202e[bold red]gone[/] [link=file:///etc/passwd]x[/link]"


@pytest.fixture
def hostile(project: Path) -> str:
    """A run whose texts want to command the terminal."""
    from support.events import ChainBuilder

    from interlock.events import CallRefused

    state = project / ".interlock"
    blobs, ledger = SqlBlobs(f"sqlite:///{state}/blobs.db"), Ledger(f"sqlite:///{state}/ledger.db")
    chain = ChainBuilder("hostile-1")
    chain.start(blobs)
    chain.add(
        CallRefused, call_id="hostile-1:c1", agent="agent:fixer", tool="x", by="policy", detail=HOSTILE + "z" * 600
    )
    ledger.append("hostile-1", chain.events)
    return "hostile-1"


def on_a_terminal(project: Path, *arguments: str) -> str:
    """What a terminal would get."""
    received = bytearray()

    def read(descriptor: int) -> bytes:
        data = os.read(descriptor, 65536)
        received.extend(data)
        return data

    command = [sys.executable, "-m", "interlock.cli.main", *arguments]
    stdout = os.dup(1)
    try:
        with open(os.devnull, "wb") as quiet:
            os.dup2(quiet.fileno(), 1)
        pty.spawn(command, read)
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)
    return received.decode()


def test_pipe_gets_no_escapes(spawned, recorded) -> None:
    for arguments in (["run", "list"], ["run", "show", "last"], ["approval", "list", "--all"], ["--help"]):
        told = spawned(*arguments, FORCE_COLOR="1")
        assert told.code == 0
        assert "\x1b" not in told.out + told.err


def test_pipe_gets_whole_values(spawned, recorded) -> None:
    digest = recorded.of_kind("run.started").manifest
    for width in ("20", "80"):
        out = spawned("run", "artifacts", "last", COLUMNS=width).out
        assert out.splitlines()[1].split()[-1] == recorded.of_kind("call.finished").artifacts[0].digest
        assert digest in spawned("run", "show", "last", "--verbose", COLUMNS=width).out


def test_pipe_gets_whole_texts(spawned, hostile) -> None:
    out = spawned("run", "show", hostile, "--verbose").out
    assert "z" * 600 in out
    assert "⟨U+001B⟩[2J⟨U+202E⟩[bold red]gone[/]" in out


def test_shortened_text_says_so(spawned, hostile) -> None:
    assert "… (+" in spawned("run", "show", hostile).out


def test_terminal_gets_colour_and_no_command(project: Path, hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = on_a_terminal(project, "run", "show", hostile, "--verbose")
    assert "\x1b[31m" in out
    assert "\x1b[2J" not in out
    assert "\u202e" not in out
    assert "\x1b]8;" not in out
    assert "[bold red]gone[/]" in out


def test_terminal_table_interprets_no_markup(project: Path, hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(say, "on_terminal", lambda stream=None: True)
    rows: list[str] = []
    monkeypatch.setattr(sys.stdout, "write", lambda text: rows.append(text) or len(text))
    say.table(("name",), [[HOSTILE]])
    told = "".join(rows)
    assert "\x1b[2J" not in told
    assert "[bold" in told


def test_json_is_ascii(interlock, hostile) -> None:
    told = interlock("run", "show", hostile, "--json")
    assert told.out.isascii()
    assert "\x1b" not in told.out
    assert told.json["events"][1]["detail"].startswith(HOSTILE)


def test_json_is_all_of_stdout(spawned, recorded) -> None:
    for arguments in (["run", "list"], ["approval", "list"], ["agent", "list"], ["tool", "list"], ["check"]):
        json.loads(spawned(*arguments, "--json").out)
