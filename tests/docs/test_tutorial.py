"""The blocks of the pages, run in order by a shell, beside a real `interlock dev`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.pages import Reader, blocks

from interlock.project import scaffold

ROOT = Path(__file__).resolve().parents[2]
HOW_TO = sorted((ROOT / "docs" / "how-to").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "docs" / "tutorial.md", *HOW_TO]
SKIPPED = ("make", "pip", "docker-compose", "export", "interlock sandbox build")
"""What a page may tell a reader to do without a test doing it."""
KINDS = {"sh", "text", "diff", "python", "yaml", "markdown", "mermaid"}


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    found = Reader(tmp_path)
    yield found
    found.close()


@pytest.mark.docker
@pytest.mark.temporal
def test_tutorial_runs_as_written(reader: Reader) -> None:
    reader.follow(ROOT / "docs" / "tutorial.md")


@pytest.mark.docker
@pytest.mark.temporal
def test_readme_start_runs_as_written(reader: Reader) -> None:
    reader.follow(ROOT / "README.md", start="interlock init")


@pytest.mark.docker
@pytest.mark.temporal
@pytest.mark.parametrize("page", HOW_TO, ids=lambda page: page.stem)
def test_how_to_runs_as_written(reader: Reader, page: Path) -> None:
    scaffold("shop", reader.folder / "shop")
    reader.folder /= "shop"
    reader.follow(page)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_only_set_up_is_skipped(page: Path) -> None:
    skipped = [block.text for block in blocks(page) if block.option == "skip"]
    lines = [line for text in skipped for line in text.replace("\\\n", " ").splitlines()]
    assert [line for line in lines if line and not line.startswith((*SKIPPED, "#"))] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_has_a_kind(page: Path) -> None:
    assert {block.kind for block in blocks(page)} <= KINDS
