"""The reference project's tools where they really run: each call of the playbook in a container of its own."""

import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from interlock.digest import digest_bytes
from interlock.policy import load_bundle
from interlock.project import prepare_sample, take_snapshot
from interlock.sandbox import SandboxCall, SandboxResult, compile_tools, image_id, make_driver
from interlock.settings import Settings
from interlock.types import FileEntry, Tree

CHECKOUT = Path(__file__).resolve().parents[2]


class Kept(dict[str, bytes]):
    """A blob store in memory."""

    def put(self, data: bytes) -> str:
        self[digest_bytes(data)] = data
        return digest_bytes(data)

    def has(self, digest: str) -> bool:
        return digest in self

    def get(self, digest: str) -> bytes:  # type: ignore[override]
        return self[digest]


def tree_of(folder: Path, blobs: Kept) -> Tree:
    files = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            data = file.read_bytes()
            files[file.relative_to(folder).as_posix()] = FileEntry(digest=blobs.put(data), size=len(data))
    return Tree(files=files)


@pytest.mark.docker
async def test_playbook_runs_in_containers(tmp_path: Path) -> None:
    settings = Settings(root=CHECKOUT, state=tmp_path)
    snapshot, bundle, blobs = take_snapshot(CHECKOUT), load_bundle(CHECKOUT / "permissions"), Kept()
    sources = {Path(path).name: snapshot.files[path] for path in snapshot.modules("tools").values()}
    schemas = {entry.name: entry for entry in compile_tools(sources, settings, tmp_path / "tools").values()}
    assert set(schemas) == set(snapshot.modules("tools"))
    prepare_sample(CHECKOUT / "tests" / "project" / "fix_issue", tmp_path / "workspace", tmp_path / "cache")
    tree, results = tree_of(tmp_path / "workspace", blobs), []
    driver = make_driver(settings)
    try:
        for number, (tool, arguments) in enumerate(playbook_calls()):
            profile = bundle.profiles[schemas[tool].profile]
            call = SandboxCall(
                call_id=f"{tmp_path.name}:c{number}",
                run=tmp_path.name,
                tool=tool,
                source=sources[f"{tool}.py"],
                path=f"tools/{tool}.py",
                arguments=arguments,
                workspace=tree,
                workspace_use=schemas[tool].workspace,
                profile=profile,
                image=image_id(settings, profile.image) or "",
            )
            result = await driver.run(call, blobs)
            assert result.status == "ok", result.error
            results.append((tool, json.loads(result.value or b""), result))
            tree = result.workspace
    finally:
        await driver.close()
    assert [value["passed"] for tool, value, _ in results if tool == "run_tests"] == [False, True]
    check_proposal(results[-1][1], results[-1][2], tree, blobs)


def check_proposal(value: dict[str, Any], result: SandboxResult, tree: Tree, blobs: Kept) -> None:
    assert value["files"] == ["parse.py"]
    assert blobs[tree.files[f"origin.git/refs/heads/{value['branch']}"].digest].decode().strip() == value["commit"]
    (artifact,) = result.artifacts
    assert artifact.name == "change.patch"
    patch = blobs[artifact.digest].decode().splitlines()
    assert [line[0] for line in patch if line[:1] in "+-" and line[:3] not in ("+++", "---")] == ["-", "+"]


def playbook_calls() -> list[tuple[str, dict[str, Any]]]:
    turns = YAML(typ="safe").load(CHECKOUT / "agents" / "fixer.playbook.yaml")
    return [(call["tool"], call["arguments"]) for turn in turns for call in turn.get("calls", ())]
