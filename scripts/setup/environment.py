"""The project's virtual environment, `.venv`, with Interlock (editable) and its development dependencies."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tomllib
from pathlib import Path

from report import Missing, say

GROUPS_SINCE = (25, 1)
"""The first pip that knows --group."""

_INSTALLS = ("build-system", "project", "dependency-groups")
"""The tables of pyproject.toml that decide what an installation holds."""


def prepare(root: Path) -> Path:
    """Make the environment what pyproject.toml says. Returns its Python.

    Raises:
        Missing: it could not be made, or pip could not install.
    """
    folder = root / ".venv"
    python = folder / "bin" / "python"
    stamp = folder / "set-up.digest"
    wanted = installation_digest(root)
    if stamp.exists() and stamp.read_text() == wanted and _works(python):
        return python
    if not _works(python):
        _create(folder)
    _modern_pip(python)
    say("installing Interlock and its development dependencies into .venv (a minute or two the first time)")
    _pip(python, "install", "--editable", str(root), "--group", f"{root / 'pyproject.toml'}:dev")
    stamp.write_text(wanted)
    return python


def installation_digest(root: Path) -> str:
    """Changes when the installation must be made anew: dependencies, entry points, or the folder moved."""
    read = tomllib.loads((root / "pyproject.toml").read_text())
    tables = {name: read.get(name) for name in _INSTALLS} | {"hatch": read.get("tool", {}).get("hatch")}
    text = json.dumps([str(root), tables], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _works(python: Path) -> bool:
    """Whether the environment has a Python that is new enough, and pip."""
    test = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
    try:
        return subprocess.run([python, "-c", test], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _create(folder: Path) -> None:
    say(f"creating {folder.name} with Python {sys.version.split()[0]}")
    command = [sys.executable, "-m", "venv", "--clear", str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise Missing(
            f"{' '.join(command)} failed:\n{(result.stdout + result.stderr)[-2000:].rstrip()}",
            "apt-get install -y python3-venv   (Debian, as root)",
            "PYTHON=/path/to/another/python3.11 make …",
        )


def _modern_pip(python: Path) -> None:
    code = "import pip; print(pip.__version__)"
    version = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout
    if tuple(int(part) for part in version.strip().split(".")[:2]) < GROUPS_SINCE:
        say("upgrading pip in .venv")
        _pip(python, "install", "--upgrade", f"pip>={GROUPS_SINCE[0]}.{GROUPS_SINCE[1]}")


def _pip(python: Path, *arguments: str) -> None:
    """Run pip as the environment configures it (PIP_* variables, pip.conf); nothing is overridden here."""
    command = [str(python), "-m", "pip", *arguments, "-qq", "--no-input"]
    if subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode != 0:
        raise Missing(
            "pip could not install what pyproject.toml asks for; its own message is above.",
            f"{' '.join(command)}   and read what it says (index, proxy and certificate: PIP_* variables)",
        )
