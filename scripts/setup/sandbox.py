"""The sandbox image, built by Interlock itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

from report import Missing


def build(root: Path) -> None:
    """Build the image where it is absent or its sources changed.

    Raises:
        Missing: it could not be built.
    """
    command = [str(root / ".venv" / "bin" / "interlock"), "sandbox", "build"]
    result = subprocess.run(
        command, cwd=root, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
    )
    if result.returncode != 0:
        raise Missing(
            f"the sandbox image was not built:\n{(result.stdout + result.stderr)[-3000:].rstrip()}",
            " ".join(command),
        )
