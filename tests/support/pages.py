"""Runs a page's fenced blocks in order, as a reader would follow them.

| info string | what is done |
|---|---|
| `sh` | runs; must exit with 0 |
| `sh exit=1` | runs; must exit with 1 |
| `sh skip` | is only read: it needs the network, a provider's key, or takes minutes |
| `text` | each line must occur, in this order, in what the last `sh` block printed; `…` stands for any text |
| `yaml path`, `python path`, `markdown path` | becomes this file |
| `diff` | is applied to the files that it names |

A block that says `interlock dev`, `interlock codec serve` or `interlock notifications serve` and nothing else is
started and goes on beside the blocks after it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from markdown_it import MarkdownIt
from support import forked
from support.cli_runtime import Interlock

DEV = "interlock dev"
BESIDE = ("interlock codec serve", "interlock notifications serve")


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    kind: str
    option: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    tokens = [token for token in MarkdownIt().parse(page.read_text()) if token.type == "fence"]
    found = []
    for token in tokens:
        kind, option = [*token.info.split(), "", ""][:2]
        found.append(Block(kind, option, token.content, (token.map or [0])[0] + 1))
    return found


@dataclass
class Reader:
    """Somebody who follows pages word by word, in a folder of their own."""

    folder: Path
    said: str = ""
    runtime: Interlock = field(init=False)
    beside: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.runtime = Interlock(self.folder, forks=True)
        own = self.runtime.environment
        own |= {"PATH": f"{forked.command().parent}:{Path(sys.executable).parent}:{os.environ['PATH']}"}
        own |= {"TEMPORAL_ADDRESS": own["INTERLOCK_TEMPORAL_ADDRESS"]}  # read by `temporal` itself

    def follow(self, page: Path, *, start: str = "") -> None:
        """Do what the page says; from the first block that holds `start`.

        Raises:
            AssertionError: something does not happen as the page says; names the page and line.
        """
        found = blocks(page)
        first = next(number for number, block in enumerate(found) if start in block.text)
        for block in found[first:]:
            try:
                self._do(block)
            except AssertionError as error:
                raise AssertionError(f"{page.name}:{block.line}: {error}") from None

    def close(self) -> None:
        """Stop what runs."""
        for process in self.beside:
            process.terminate()
            process.wait(30)
        self.runtime.stop()

    def _do(self, block: Block) -> None:
        match block.kind, block.option:
            case "sh", "skip":
                pass
            case "sh", _ if block.text.strip() == DEV:
                self.runtime.stop()
                self.runtime.root = self.folder
                self.runtime.start()
            case "sh", _ if block.text.strip() in BESIDE:
                self._start(block.text)
            case "sh", option:
                self._run(block.text, int(option.removeprefix("exit=") or 0))
            case "text", "":
                self._expect(block.text)
            case "diff", "":
                self._run(f"git apply --recount <<'END_OF_DIFF'\n{block.text}END_OF_DIFF\n", 0)
            case (("yaml" | "python" | "markdown"), path) if path:
                (self.folder / path).write_text(block.text)

    def _start(self, command: str) -> None:
        """Until it says its first line."""
        process = subprocess.Popen(
            command.split(), cwd=self.folder, env=self.runtime.environment, stdout=subprocess.PIPE
        )
        self.beside.append(process)
        assert process.stdout is not None
        assert process.stdout.readline(), f"{command.strip()} says nothing"

    def _run(self, script: str, code: int) -> None:
        after = self.folder / ".where"
        done = subprocess.run(
            ["bash", "-ec", f"{script}\npwd > {after}"],
            cwd=self.folder,
            env=self.runtime.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        self.said = done.stdout
        assert done.returncode == code, f"exits with {done.returncode}:\n{script}\n{self.said}"
        if after.exists():
            self.folder = Path(after.read_text().strip())
            after.unlink()

    def _expect(self, text: str) -> None:
        place = 0
        for line in text.splitlines():
            pattern = ".*".join(re.escape(part) for part in line.strip().split("…"))
            found = re.compile(pattern).search(self.said, place)
            assert found, f"{line.strip()!r} is not printed (any more) in:\n{self.said}"
            place = found.end()
