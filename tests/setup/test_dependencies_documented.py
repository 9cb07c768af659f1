"""docs/dependencies.md has a line for every dependency, with the licence that its distribution names."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
PERMISSIVE = ("MIT", "BSD", "Apache", "ISC", "MIT-0", "PSF")
NOT_INSTALLED = (
    "hatchling",
    "cedarpy",
    "dbos",
    "langgraph-checkpoint-postgres",
    "langgraph-checkpoint-sqlite",
    "oso",
)
"""What builds use in a place of their own, and what only a benchmark compares with."""
RECIPROCAL = re.compile(r"\bA?L?GPL|\bEUPL|\bSSPL|\bBUSL", re.IGNORECASE)


def declared() -> list[str]:
    read = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = read["project"]
    groups = [line for group in read["dependency-groups"].values() for line in group]
    lines = [*project["dependencies"], *groups, *read["build-system"]["requires"]]
    for extra in project["optional-dependencies"].values():
        lines += extra
    return sorted({Requirement(line).name for line in lines})


def documented() -> dict[str, str]:
    rows = (ROOT / "docs" / "dependencies.md").read_text().splitlines()
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows if row.startswith("| `")]
    return {row[0].strip("`"): row[-1] for row in cells}


def licence_of(name: str) -> str:
    found = metadata.metadata(name)
    classifiers = [line for line in found.get_all("Classifier") or [] if line.startswith("License")]
    stated = found["License-Expression"] or " ".join([found["License"] or "", *classifiers])
    return stated.strip() or licence_file(name)


def licence_file(name: str) -> str:
    """The first line of the licence that a distribution brings along, where its metadata do not name it."""
    files = [file for file in metadata.files(name) or [] if file.name.startswith("LICENSE")]
    return files[0].read_text().strip().partition("\n")[0] if files else ""


@pytest.mark.parametrize("name", declared())
def test_dependency_has_its_line(name: str) -> None:
    assert name in documented(), f"docs/dependencies.md lacks a row for {name}"


def test_no_line_without_dependency() -> None:
    assert sorted(documented()) == declared()


@pytest.mark.parametrize("name", [name for name in declared() if name not in NOT_INSTALLED])
def test_licence_is_not_reciprocal(name: str) -> None:
    licence = licence_of(name)
    assert not RECIPROCAL.search(licence), f"{name} is under {licence}"
    assert any(kind in licence for kind in (*PERMISSIVE, "MPL-2.0")), f"{name}: unknown licence {licence!r}"


@pytest.mark.parametrize("name", [name for name in declared() if name not in NOT_INSTALLED])
def test_documented_licence_is_the_installed_one(name: str) -> None:
    short = documented()[name]
    for kind in ("MIT", "BSD", "Apache", "MPL"):
        assert (kind in short) == (kind in licence_of(name).replace("Apache Software", "Apache")), licence_of(name)
