"""The reference pages list every command, every option and every setting, and nothing that is not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.commands import leaves

from interlock.settings import Settings

PAGES = Path(__file__).resolve().parents[2] / "docs" / "reference"
COMMON = {"--json", "--help"}


def sections() -> dict[str, str]:
    """`run start` → its section of the page."""
    parts = re.split(r"^### `interlock ([^`]+)`$", (PAGES / "cli.md").read_text(), flags=re.MULTILINE)[1:]
    titles = [re.sub(r" [A-Z]+\b.*", "", title) for title in parts[::2]]
    return dict(zip(titles, parts[1::2], strict=True))


def test_every_command_has_a_section() -> None:
    assert set(sections()) == set(leaves())


@pytest.mark.parametrize("name", sorted(leaves()))
def test_every_option_is_listed(name: str) -> None:
    text, page = sections()[name], (PAGES / "cli.md").read_text()
    options = {option for p in leaves()[name].params if p.param_type_name == "option" for option in p.opts} - COMMON
    # What all decisions take is said once, above their sections.
    shared = page[page.index("## Approvals") : page.index("### `interlock approval list`")]
    told = text + (shared if name.startswith("approval ") else "")
    assert {option for option in options if f"`{option}" not in told} == set()


@pytest.mark.parametrize("name", sorted(leaves()))
def test_every_command_has_an_example(name: str) -> None:
    assert re.search(rf"^    interlock {name}( |$)", sections()[name], re.MULTILINE)


def test_page_names_no_unknown_option() -> None:
    known = {option for command in leaves().values() for p in command.params for option in p.opts}
    known |= {"--json", "--debug", "--version", "--help", "--install-completion", "--show-completion"}
    assert set(re.findall(r"--[a-z][a-z-]+", (PAGES / "cli.md").read_text())) <= known


def test_examples_parse() -> None:
    """Each example is a command line that the application takes, options and all."""
    import shlex

    examples = re.findall(r"^    interlock (.+)$", (PAGES / "cli.md").read_text(), re.MULTILINE)
    assert len(examples) >= len(leaves())
    for example in examples:
        words = shlex.split(re.split(r" [|>] ", example)[0])
        name = max((n for n in leaves() if words[: len(n.split())] == n.split()), key=len)
        command = leaves()[name]
        command.make_context(name, words[len(name.split()) :], resilient_parsing=False)


def test_settings_are_exactly_these() -> None:
    page = (PAGES / "settings.md").read_text()
    rows = dict(re.findall(r"^\| `([a-z_]+)` \| `(INTERLOCK_[A-Z_]+)` \|", page, re.MULTILINE))
    assert rows == {name: f"INTERLOCK_{name.upper()}" for name in Settings.model_fields}


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_default_is_as_written(name: str) -> None:
    page = (PAGES / "settings.md").read_text()
    row = next(line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
    written = row.split(" | ")[2].strip("`")
    default = Settings.model_fields[name].default
    if name == "root":
        assert written == "the working folder"
    else:
        assert written == (str(default) or "empty")
