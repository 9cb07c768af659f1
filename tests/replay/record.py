"""Record the histories of this version: `make histories`. A release keeps them, and CI replays all that were kept.

They hold no secret: the runs are of a project and with keys made for them, and payloads are not encrypted.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import scenes  # noqa: E402
from support.runtime import running, settings_for  # noqa: E402
from support.temporal import start_temporal  # noqa: E402

import interlock  # noqa: E402
from interlock.run.histories import fetch_history  # noqa: E402

EVENTS = 40
"""Short executions, so that most runs have several."""


async def record(into: Path, scratch: Path, address: str) -> None:
    """Play every scene and write its history, the project's agents and workflows, and the key that people's word is
    signed with."""
    root = scenes.write(scratch / "project")
    settings = settings_for(root, address, name="histories", payload_encryption=False, events_an_execution=EVENTS)
    shutil.rmtree(into, ignore_errors=True)
    (into / "keys").mkdir(parents=True)
    async with running(settings) as runtime:
        for scene, run in (await scenes.play(runtime)).items():
            text = (await fetch_history(runtime.temporal, run)).to_json()
            (into / f"{scene}.json").write_text(text + "\n")
            print(f"{scene}: {len(text)} bytes")
    shutil.copy(settings.keys_folder / "api.pub", into / "keys" / "api.pub")


def main() -> None:
    """Record into the folder of this version."""
    with tempfile.TemporaryDirectory() as scratch, start_temporal(Path(scratch)) as server:
        asyncio.run(record(HERE / "histories" / interlock.__version__, Path(scratch), server.address))


if __name__ == "__main__":
    main()
