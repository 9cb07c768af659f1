"""docs/reference/abuse.md is the list of this suite: every row has its test, every test has its row."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "reference" / "abuse.md"


def rows() -> list[list[str]]:
    """The cells of each row that names a test."""
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("|") and "`test_" in line]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def named() -> list[str]:
    return [name for row in rows() for name in re.findall(r"`(test_\w+)`", row[-1])]


def defined() -> set[str]:
    files = (path for path in HERE.glob("test_*.py") if path.name != Path(__file__).name)
    return {
        name for path in files for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text("utf-8"), re.M)
    }


def test_every_row_names_a_test_that_exists():
    assert set(named()) - defined() == set()
    assert len(named()) == len(set(named()))


def test_every_attack_has_a_row():
    assert defined() - set(named()) == set()
    assert len(defined()) >= 100


def test_every_row_tells_control_and_fact():
    assert all(all(cell for cell in row[-3:]) for row in rows())
