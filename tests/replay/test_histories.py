"""Every history that a version left behind replays through the code of today: open runs go on after an upgrade."""

from __future__ import annotations

from pathlib import Path

import pytest
from replay import scenes
from support.blobs import FileBlobs
from support.runtime import settings_for
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from interlock.project import mount
from interlock.run.graph_worker import Content
from interlock.run.histories import executions
from interlock.run.replay import make_replayer
from interlock.settings import Settings

HISTORIES = Path(__file__).parent / "histories"
FILES = sorted(HISTORIES.rglob("*.json"))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scenes.write(tmp_path_factory.mktemp("histories") / "project")


def settings(root: Path, version: Path) -> Settings:
    return settings_for(root, "127.0.0.1:1", name="histories", payload_encryption=False, keys=version / "keys")


def replayer(root: Path, version: Path) -> Replayer:
    mount(root, replace=True)
    return make_replayer(settings(root, version), FileBlobs(), Content.load(root))


async def failures(file: Path, root: Path) -> list[BaseException]:
    """What goes wrong with each execution of the run in `file`."""
    through = replayer(root, file.parent)
    history = WorkflowHistory.from_json(file.stem, file.read_text())
    found = [await through.replay_workflow(part, raise_on_replay_failure=False) for part in executions(history)]
    return [one.replay_failure for one in found if one.replay_failure is not None]


@pytest.mark.parametrize("file", FILES, ids=[f"{file.parent.name}-{file.stem}" for file in FILES])
async def test_history_replays(file: Path, root: Path) -> None:
    assert await failures(file, root) == []


async def test_changed_workflow_does_not_replay(tmp_path: Path) -> None:
    changed = scenes.write(tmp_path / "project")
    source = changed / "workflows" / "composed.py"
    source.write_text(source.read_text().replace("await self.sleep(1)", 'await self.ask("noter", "first?")'))
    (newest, *_) = sorted(HISTORIES.glob("*/composed.json"), reverse=True)
    assert await failures(newest, changed)


def test_every_scene_is_kept() -> None:
    assert len({file.stem for file in FILES}) >= 14
