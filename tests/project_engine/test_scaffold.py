"""`interlock init`, from the checkout and from a wheel in a clean environment."""

import json
import os
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from interlock.errors import InvalidInput
from interlock.project import check, scaffold

CHECKOUT = Path(__file__).resolve().parents[2]
CONTENT = ("agents", "tools", "permissions", "workflows")


def content(root: Path, folder: str) -> dict[str, bytes]:
    return {
        str(file.relative_to(root / folder)): file.read_bytes()
        for file in (root / folder).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


def test_new_project_is_the_reference_project(tmp_path: Path) -> None:
    written = scaffold("shop", tmp_path / "shop")
    for folder in CONTENT:
        assert content(tmp_path / "shop", folder) == content(CHECKOUT, folder)
    assert Path("tests/test_project.py") in written
    settings = tomllib.loads((tmp_path / "shop" / "pyproject.toml").read_text())
    assert settings["tool"]["interlock"]["name"] == "shop"
    assert check(tmp_path / "shop") == []


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("My-Shop", "'-', 'M', 'S'"),
        ("", "starting with"),
        ("1st", "starting with"),
        ("../x", "'.', '/'"),
        ("a\n", "n"),
    ],
)
def test_bad_name_is_refused(tmp_path: Path, name: str, found: str) -> None:
    with pytest.raises(InvalidInput, match="a to z, 0 to 9 and _") as error:
        scaffold(name, tmp_path / "new")
    assert found in str(error.value)
    assert not (tmp_path / "new").exists()


def test_folder_with_content_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InvalidInput, match="not an empty folder"):
        scaffold("shop", tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


def test_existing_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "shop").write_text("mine")
    with pytest.raises(InvalidInput, match="not an empty folder"):
        scaffold("shop", tmp_path / "shop")


@pytest.mark.timeout(600)
def test_wheel_scaffolds_a_project_that_passes(tmp_path: Path) -> None:
    def run(*command: str | Path, cwd: Path = tmp_path) -> str:
        kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "PATH", "HOME"))}
        done = subprocess.run(command, cwd=cwd, env=kept, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path / "dist", CHECKOUT)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    content = set(zipfile.ZipFile(wheel).namelist())
    assert "interlock/sandbox/images/sandbox/Dockerfile" in content
    assert not [name for name in content if "images/services" in name]
    venv.create(tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    # The checkout's pip installs into the new environment; what nobody imports there is not compiled.
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-compile", wheel, "pytest")
    interlock, shop = tmp_path / "venv" / "bin" / "interlock", tmp_path / "shop"
    run(interlock, "init", "shop")
    assert (shop / "docker-compose.yml").read_bytes() == (CHECKOUT / "docker-compose.yml").read_bytes()
    run(interlock, "sandbox", "build", cwd=shop)
    assert run(interlock, "check", cwd=shop).strip() == "no problems"
    agents = json.loads(run(interlock, "agent", "list", "--json", cwd=shop))["agents"]
    assert sorted(agent["name"] for agent in agents) == ["fixer", "reviewer", "triage"]
    assert "passed" in run(python, "-m", "pytest", "-q", cwd=shop)
